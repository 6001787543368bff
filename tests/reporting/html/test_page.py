"""The report: complete, escaped, self-contained, and usable in a real browser."""

import html
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from controller.evidence.diagnosis import Diagnosis, Evidence, diagnose
from controller.evidence.kept import FileKind, KeptFile
from controller.reporting.html.page import render_report
from controller.reporting.html.report import (
    BeforeAfter,
    GateAnswer,
    Happening,
    IncidentReport,
    MemoryHistory,
    MemoryPoint,
)
from tests.evidence.profile_builder import MEBIBYTE, goroutine_profile, heap_profile

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOSTILE = 'main.</script><script>alert("1")</script><img src=x onerror=alert(2)>'
CHROMIUM = shutil.which("chromium")


def a_diagnosis(holder: str = "main.(*store).put") -> Diagnosis:
    base = heap_profile().heap("main.churn", "main.handle", inuse=0, allocated=10 * MEBIBYTE)
    now = (
        heap_profile()
        .heap("bytes.growSlice", holder, "main.handle", "net/http.(*conn).serve", inuse=40 * MEBIBYTE)
        .heap("main.churn", "main.handle", inuse=0, allocated=900 * MEBIBYTE)
    )
    stack = ["runtime.gopark", "runtime.chansend", "runtime.chansend1", "main.send"]
    return diagnose(
        Evidence(
            heap=now.gzipped(),
            heap_baseline=base.gzipped(),
            goroutines=goroutine_profile().sample(stack, [900]).gzipped(),
            goroutines_baseline=goroutine_profile().sample(stack, [3]).gzipped(),
            limit_bytes=512 * MEBIBYTE,
        )
    )


def a_full_report(**changes) -> IncidentReport:
    points = tuple(
        MemoryPoint(at=NOW - timedelta(minutes=10 * step), used_bytes=(400 - 2 * step) * MEBIBYTE)
        for step in range(72, -1, -1)
    )
    parts = {
        "title": "Deployment shop/api",
        "written_at": NOW,
        "diagnosis": a_diagnosis(),
        "sentences": ("Container app grew 12 MiB an hour for 12 hours.",),
        "facts": (("Policy", "shop/api"),),
        "memory": MemoryHistory(
            points=points,
            limit_bytes=512 * MEBIBYTE,
            threshold_bytes=420 * MEBIBYTE,
            crosses_earliest=NOW + timedelta(hours=1),
            crosses_at=NOW + timedelta(hours=2),
            crosses_latest=NOW + timedelta(hours=3),
            restarts=(NOW - timedelta(hours=1),),
        ),
        "gates": (
            GateAnswer(gate="Cooldown", held=False, message="the last restart was 9 hours ago"),
            GateAnswer(gate="MaintenanceWindow", held=True, message="opens at 02:00", retry_at=NOW),
        ),
        "timeline": (Happening(at=NOW, what="Detected", message="Leaking"),),
        "recovery": BeforeAfter(
            outcome="Recovered",
            message="memory came down",
            before_bytes=400 * MEBIBYTE,
            after_bytes=90 * MEBIBYTE,
        ),
        "files": (
            _kept("baseline", "file:///e/base-heap.pb.gz"),
            _kept("late", "file:///e/late-heap.pb.gz"),
        ),
    }
    return IncidentReport(**{**parts, **changes})


def _kept(label: str, uri: str) -> KeptFile:
    return KeptFile(
        kind=FileKind.HEAP, label=label, replica="api-1", container="app", captured_at=NOW, uri=uri,
        sha256="ab" * 32, size_bytes=2400,
    )  # fmt: skip


class Outline(HTMLParser):
    """Headings, ids, references to ids and external addresses of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.levels: list[int] = []
        self.ids: list[str] = []
        self.labelled_by: list[str] = []
        self.addresses: list[str] = []
        self.attributes: list[str] = []
        self.scripts = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))
        self.scripts += tag == "script"
        self.ids += [values["id"]] if "id" in values else []
        self.labelled_by += values.get("aria-labelledby", "").split()
        self.labelled_by += [values["for"]] if "for" in values else []
        self.addresses += [values[name] for name in ("src", "href", "action", "data") if name in values]
        self.attributes += [name for name, _ in attrs]


def test_every_part_is_on_the_page():
    page = render_report(a_full_report())
    for heading in (
        *("What happened", "Memory", "What grew", "What only churns", "Goroutines", "Likely cause"),
        *("Three answers", "Decision trail", "Timeline (UTC)", "Before and after", "The files"),
    ):
        assert f">{heading}</h2>" in page
    assert "-diff_base base-heap.pb.gz late-heap.pb.gz" in page
    assert "Goroutines blocked on a channel send" in page


def test_parts_that_are_not_known_are_left_out():
    page = render_report(IncidentReport(title="now.pb.gz", written_at=NOW, diagnosis=a_diagnosis()))
    for heading in ("Memory", "Decision trail", "Timeline (UTC)", "Before and after"):
        assert f">{heading}</h2>" not in page


def test_a_report_without_diagnosis_is_whole():
    page = render_report(a_full_report(diagnosis=None))
    assert ">Decision trail</h2>" in page
    assert "Three answers" not in page


def test_names_from_a_profile_are_only_text():
    page = render_report(a_full_report(diagnosis=a_diagnosis(HOSTILE), title=HOSTILE, sentences=(HOSTILE,)))
    outline = Outline(page)
    assert outline.scripts == 1
    assert "<img" not in page
    assert not [name for name in outline.attributes if name.startswith("on")]


def test_nothing_is_loaded_from_anywhere():
    page = render_report(a_full_report())
    assert Outline(page).addresses == []
    assert "default-src 'none'" in html.unescape(page)
    assert "unsafe-inline" not in page
    assert "url(" not in page
    assert "style" not in Outline(page).attributes  # the policy would not apply it


def test_headings_descend_one_level_at_a_time_and_labels_exist():
    outline = Outline(render_report(a_full_report()))
    assert outline.levels[0] == 1
    assert outline.levels.count(1) == 1
    assert all(
        later - earlier <= 1 for earlier, later in zip(outline.levels, outline.levels[1:], strict=False)
    )
    assert set(outline.labelled_by) <= set(outline.ids)
    assert len(outline.ids) == len(set(outline.ids))


def _drive(folder: Path, page: str, script: str) -> str:
    """What a browser shows after a script of ours has worked on the page."""
    assert CHROMIUM is not None
    file = folder / "page.html"
    without_policy = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    file.write_text(without_policy.replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")
    return _browser(folder, "--dump-dom", file.as_uri())


def _browser(folder: Path, *arguments: str) -> str:
    flags = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}")
    command = [CHROMIUM or "", *flags, "--enable-logging=stderr", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "Refused to" not in done.stderr, done.stderr
    assert "violates the following" not in done.stderr, done.stderr
    return done.stdout


needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")


@needs_browser
def test_style_and_script_pass_the_pages_own_security_policy(tmp_path: Path):
    file = tmp_path / "page.html"
    file.write_text(render_report(a_full_report()), encoding="utf-8")
    shown = _browser(tmp_path, "--dump-dom", file.as_uri())
    assert re.search(r'id="flame-tools"(?! hidden)', shown), "the script did not run"


@needs_browser
def test_hostile_names_run_nothing_in_a_browser(tmp_path: Path):
    page = render_report(a_full_report(diagnosis=a_diagnosis(HOSTILE)))
    shown = _drive(tmp_path, page, "document.title = 'scripts: ' + document.scripts.length")
    assert "<title>scripts: 2</title>" in shown  # the page's own and this one


@needs_browser
def test_the_flame_graph_is_searched_and_zoomed(tmp_path: Path):
    script = """
      const input = document.getElementById("flame-search");
      input.value = "growslice"; input.dispatchEvent(new Event("input"));
      const found = document.querySelectorAll("#flame .found").length;
      const boxes = [...document.querySelectorAll("#flame svg")];
      const leaf = boxes.find((box) => box.dataset.name === "bytes.growSlice");
      leaf.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter"}));
      const said = document.getElementById("flame-status").textContent;
      document.title = [found, leaf.getAttribute("width"), said].join("|");
    """
    assert "<title>1|100%|1 box found</title>" in _drive(tmp_path, render_report(a_full_report()), script)


@needs_browser
@pytest.mark.parametrize("width", [360, 1200], ids=["phone", "desk"])
def test_the_page_does_not_scroll_sideways(tmp_path: Path, width: int):
    """Headless Chromium has no narrower window than 500: the page is put in a frame of the width."""
    (tmp_path / "inner.html").write_text(
        re.sub(
            r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", render_report(a_full_report())
        ).replace(
            "</body>",
            "<script>parent.postMessage(document.documentElement.scrollWidth, '*')</script></body>",
        ),
        encoding="utf-8",
    )
    outer = (
        "<script>addEventListener('message', (event) => { document.title = 'wide ' + event.data; })</script>"
        f"<iframe width={width} height=900 frameborder=0 src=inner.html></iframe>"
    )
    (tmp_path / "outer.html").write_text(outer, encoding="utf-8")
    arguments = ("--window-size=1400,1000", "--virtual-time-budget=3000", "--dump-dom")
    shown = _browser(tmp_path, *arguments, (tmp_path / "outer.html").as_uri())
    told = re.search(r"<title>wide (\d+)</title>", shown)
    assert told is not None
    assert int(told[1]) <= width
