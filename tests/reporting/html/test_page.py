"""The report: complete, escaped, self-contained."""

import html
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

from controller.evidence.diagnosis import Diagnosis, Evidence, diagnose
from controller.evidence.kept import FileKind, KeptFile
from controller.evidence.replica_context import RecentEvent, ReplicaContext, Termination
from controller.reporting.html.flame_graph import draw_flame
from controller.reporting.html.page import render_report
from controller.reporting.html.report import (
    BeforeAfter,
    GateAnswer,
    Happening,
    IncidentReport,
    LogLines,
    MemoryHistory,
    MemoryPoint,
)
from tests.evidence.profile_builder import MEBIBYTE, goroutine_profile, heap_profile

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOSTILE = 'main.</script><script>alert("1")</script><img src=x onerror=alert(2)>'


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
            _kept("late", "file:///e/late-api-1-app-log.txt", FileKind.LOG),
        ),
        "context": ReplicaContext(
            previous_termination=Termination(reason="OOMKilled", exit_code=137, finished_at=NOW),
            restart_count=2,
            events=(
                RecentEvent(at=NOW, reason="BackOff", about="Pod/api-1", message="", warning=True, count=4),
            ),
            missing=("log before the last restart: the API server refused (403 Forbidden)",),
        ),
    }
    return IncidentReport(**{**parts, **changes})


def _kept(label: str, uri: str, kind: FileKind = FileKind.HEAP) -> KeptFile:
    return KeptFile(
        kind=kind, label=label, replica="api-1", container="app", captured_at=NOW, uri=uri,
        sha256="ab" * 32, size_bytes=2400,
    )  # fmt: skip


def a_hostile_report() -> IncidentReport:
    """Text of others, everywhere it can come from."""
    return a_full_report(
        diagnosis=a_diagnosis(HOSTILE),
        title=HOSTILE,
        sentences=(HOSTILE,),
        facts=((HOSTILE, HOSTILE),),
        timeline=(Happening(at=NOW, what=HOSTILE, message=HOSTILE),),
        context=ReplicaContext(
            previous_termination=Termination(reason=HOSTILE, message=HOSTILE),
            events=(RecentEvent(at=NOW, reason=HOSTILE, about=HOSTILE, message=HOSTILE),),
            missing=(HOSTILE,),
        ),
        logs=(LogLines(title="Last log lines", replica=HOSTILE, text=HOSTILE),),
    )


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
        "What the replica told",
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


def test_memory_that_is_only_held_free_is_no_growth_of_nothing():
    heap = heap_profile().gzipped()
    free = b'{"HeapAlloc": 1048576, "HeapIdle": 4e8, "HeapReleased": 0, "Sys": 4.5e8}'
    held = diagnose(Evidence(heap=heap, heap_baseline=heap, memstats=free, rss_bytes=430_000_000))
    still = diagnose(Evidence(heap=heap, heap_baseline=heap))
    assert "grows: fragmentation" in render_report(a_full_report(diagnosis=held))
    assert "grows: nothing" in render_report(a_full_report(diagnosis=still))


def test_names_from_a_profile_are_only_text():
    page = render_report(a_hostile_report())
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


def test_log_lines_are_on_the_page_only_where_they_are_given():
    log = LogLines(title="Last log lines", replica="api-1", text="password=hunter2")
    without, whole = render_report(a_full_report()), render_report(a_full_report(logs=(log,)))
    assert "late-api-1-app-log.txt" in without
    assert "password=hunter2" in whole


def test_headings_descend_one_level_at_a_time_and_labels_exist():
    outline = Outline(render_report(a_full_report()))
    assert outline.levels[0] == 1
    assert outline.levels.count(1) == 1
    assert all(
        later - earlier <= 1 for earlier, later in zip(outline.levels, outline.levels[1:], strict=False)
    )
    assert set(outline.labelled_by) <= set(outline.ids)
    assert len(outline.ids) == len(set(outline.ids))


def test_flame_graph_tells_routers_of_others_from_go_itself():
    stack = ("main.keep", "github.com/gin-gonic/gin.(*Context).Next", "net/http.HandlerFunc.ServeHTTP")
    profile = heap_profile().heap("bytes.growSlice", *stack, inuse=40 * MEBIBYTE).gzipped()
    graph = draw_flame(diagnose(Evidence(heap=profile)).flame)
    assert graph is not None
    kinds = {box.function: box.origin for box in graph.boxes}
    assert [kinds[function] for function in stack] == ["application", "library", "go"]
