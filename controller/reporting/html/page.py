"""
Renders the report: one file, no network, nothing from elsewhere.

Function names come from profiles that anybody may have written: the template escapes everything, and a
content security policy allows only the one style and the one script of this page, by their hashes.
"""

import base64
import hashlib
import re
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files

from jinja2 import BaseLoader, Environment, StrictUndefined, Template
from markupsafe import Markup, escape

from controller.evidence.kept import FileKind, KeptFile
from controller.evidence.summary import summarize
from controller.reporting.html.flame_graph import ROW_HEIGHT, draw_flame
from controller.reporting.html.memory_plot import NARROW_WIDTH, WIDTH, MemoryPlot, draw_memory
from controller.reporting.html.report import IncidentReport, MemoryHistory

_HERE = files(__package__)
_LOGS = (FileKind.LOG, FileKind.PREVIOUS_LOG)


def render_report(report: IncidentReport) -> str:
    """The page as text (UTF-8)."""
    style, script = _asset("report.css"), _asset("flame.js")
    return _template().render(
        report=report,
        diagnosis=report.diagnosis,
        sentences=_sentences(report),
        plots=_plots(report.memory),
        flame=draw_flame(report.diagnosis.flame) if report.diagnosis else None,
        row_height=ROW_HEIGHT,
        commands=_commands(report.files),
        log_files=[_name(each) for each in report.files if each.kind in _LOGS and each.uri],
        style=Markup(style),  # noqa: S704  (our own files, not input)
        script=Markup(script),  # noqa: S704
        policy="; ".join(
            (
                "default-src 'none'",
                f"style-src '{_hash(style)}'",
                f"script-src '{_hash(script)}'",
                "base-uri 'none'",
            )
        ),
    )


def _plots(memory: MemoryHistory | None) -> tuple[MemoryPlot, ...]:
    """One to be read on a desk, one on a phone; empty where there is nothing to draw."""
    drawn = (draw_memory(memory, width) for width in (WIDTH, NARROW_WIDTH)) if memory else ()
    return tuple(plot for plot in drawn if plot is not None)


def _sentences(report: IncidentReport) -> tuple[str, ...]:
    if report.sentences or report.diagnosis is None:
        return report.sentences
    told, freed = summarize(report.diagnosis), report.diagnosis.answers.freed_by_hand_because
    return tuple(f"{each[:1].upper()}{each[1:]}." for each in (told, freed))


def _commands(kept: tuple[KeptFile, ...]) -> tuple[str, ...]:
    """How to open the files; the names are those under which they are kept."""
    heaps = [each for each in kept if each.kind is FileKind.HEAP and each.uri]
    baseline = next((each for each in heaps if each.label == "baseline"), None)
    commands = []
    for each in heaps:
        if each is baseline:
            continue
        base = f" -diff_base {_name(baseline)}" if baseline else ""
        commands.append(f"go tool pprof -http=: -sample_index=inuse_space{base} {_name(each)}")
    commands.extend(
        f"go tool pprof -top {_name(each)}" for each in kept if each.kind is FileKind.GOROUTINE and each.uri
    )
    commands.extend(_of_metrics(kept) if not heaps else ())
    if not commands:
        commands.append("go tool pprof -http=: -sample_index=inuse_space -diff_base BASELINE.pb.gz NOW.pb.gz")
    return tuple(commands)


def _of_metrics(kept: tuple[KeptFile, ...]) -> list[str]:
    """How to read the newest metrics of a program without pprof."""
    metrics = [each for each in kept if each.kind is FileKind.METRICS and each.uri]
    if not metrics:
        return []
    base = f" --metrics-baseline {_name(metrics[0])}" if len(metrics) > 1 else ""
    return [f"bilgepump diagnose --metrics {_name(metrics[-1])}{base}"]


def _name(kept: KeptFile) -> str:
    return kept.uri.rpartition("/")[2]


@cache
def _asset(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


@cache
def _template() -> Template:
    environment = Environment(
        loader=BaseLoader(), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(mib=_mib, share=_share, utc=_utc, second=_second, code=_code)
    return environment.from_string(_asset("report.html.j2"))


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _mib(size: float) -> str:
    return f"{size / 2**20:,.1f} MiB"


def _share(share: float) -> str:
    return f"{min(share, 1):.0%}"


def _code(text: str) -> Markup:
    """The text with what stands in backquotes set as code; everything is escaped first."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704


def _utc(at: datetime) -> str:
    return f"{_second(at)} UTC"


def _second(at: datetime) -> str:
    """For tables whose caption or heading says UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
