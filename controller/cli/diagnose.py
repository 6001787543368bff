"""`bilgepump diagnose`: what leaks, what only churns and what to do, from files or a live service."""

import json
import os
import re
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from controller.cli.diagnosis_text import print_diagnosis
from controller.clients.analysis_process import AnalysisFailed, AnalysisLimits, analyse_in_child
from controller.evidence.diagnosis import Diagnosis, Evidence
from controller.evidence.document import diagnosis_document
from controller.policy.units import parse_duration

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_SIZE = re.compile(r"^(\d+(?:\.\d+)?)\s*(B|[kKMGT]i?B?)?$")
_POWERS = {"k": 1, "K": 1, "M": 2, "G": 3, "T": 4}
_MOST_SECONDS = 60.0
_MOST_FILE_BYTES = 256 << 20


class Size(click.ParamType[int]):
    """Bytes, or a number with a unit as Kubernetes writes it: 512Mi, 1.5Gi, 800M."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number of bytes; fails for anything else."""
        if isinstance(value, int):
            return value
        match = _SIZE.match(str(value).strip())
        if match is None:
            self.fail(f"'{value}' must be bytes or a size such as 512Mi or 1.5Gi", param, ctx)
        number, unit = float(match[1]), (match[2] or "B").removesuffix("B")
        base = 1024 if unit.endswith("i") else 1000
        return int(number * base ** _POWERS.get(unit[:1], 0))


@click.command("diagnose")
@click.argument("heap", required=False, type=_FILE)
@click.option("--baseline", type=_FILE, help="An earlier heap profile of the same program: what grew since?")
@click.option("--between", type=_FILE, help="A heap profile between the two: does it still grow?")
@click.option("--goroutines", type=_FILE, help="Goroutine profile, taken with HEAP.")
@click.option("--goroutines-baseline", type=_FILE, help="Goroutine profile, taken with the baseline.")
@click.option("--goroutineleak", type=_FILE, help="goroutineleak profile (Go 1.27, or 1.26 by experiment).")
@click.option("--memstats", type=_FILE, help="runtime.MemStats as JSON, or the answer of /debug/vars.")
@click.option("--metrics", type=_FILE, help="Answer of the program's /metrics: for JVM, Node, Python, .NET.")
@click.option("--metrics-baseline", type=_FILE, help="The same, earlier: what grew since?")
@click.option("--rss", type=Size(), help="Resident memory of the process: bytes, or 512Mi.")
@click.option("--limit", type=Size(), help="Memory limit of the container: bytes, or 1Gi.")
@click.option("--live", metavar="URL", help="Take two snapshots from a service with pprof instead of files.")
@click.option(
    "--watch",
    "watched",
    default="10m",
    metavar="DURATION",
    show_default=True,
    help="Time between them: 30s, 10m, 1h.",
)
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="Folder for --live's files.")
@click.option("--ca", type=_FILE, help="CA certificate (PEM) for --live over https.")
@click.option(
    "-o", "--output", type=click.Choice(["text", "json", "html"]), default="text", show_default=True
)
def diagnose(
    heap: Path | None,
    baseline: Path | None,
    between: Path | None,
    goroutines: Path | None,
    goroutines_baseline: Path | None,
    goroutineleak: Path | None,
    memstats: Path | None,
    metrics: Path | None,
    metrics_baseline: Path | None,
    rss: int | None,
    limit: int | None,
    live: str | None,
    watched: str,
    keep: Path | None,
    ca: Path | None,
    output: str,
) -> None:
    """
    Say what leaks in a Go program, from the heap profile HEAP or from a live service.

    Of other programs (JVM, Node, Python, .NET) it says which kind of memory grew, from their metrics.

    \b
    Examples:
      bilgepump diagnose now.pb.gz --baseline base.pb.gz
      bilgepump diagnose now.pb.gz --baseline base.pb.gz -o html > report.html
      bilgepump diagnose --live http://localhost:6060 --watch 10m
      bilgepump diagnose --metrics now.txt --metrics-baseline base.txt --limit 1Gi

    Exit codes: 0 diagnosed, 1 the files or the service could not be read, 2 wrong usage.
    """
    if live is not None and (heap or metrics) is not None:
        raise click.UsageError("give either files or --live URL")
    if (live or heap or metrics) is None:
        raise click.UsageError(
            "give a heap profile HEAP, --metrics FILE of a program without pprof, or --live URL"
        )
    if live is not None:
        evidence = _from_service(live, watched, keep, ca, rss, limit)
    else:
        evidence = Evidence(
            heap=_content(heap) or b"",
            heap_baseline=_content(baseline),
            heap_between=_content(between),
            goroutines=_content(goroutines),
            goroutines_baseline=_content(goroutines_baseline),
            goroutineleak=_content(goroutineleak),
            memstats=_content(memstats),
            metrics=_content(metrics),
            metrics_baseline=_content(metrics_baseline),
            rss_bytes=rss,
            limit_bytes=limit,
        )
    diagnosis = analyse_in_child(evidence, AnalysisLimits(seconds=_MOST_SECONDS))
    if isinstance(diagnosis, AnalysisFailed):
        raise click.ClickException(f"{diagnosis.reason}: {diagnosis.message}")
    _print(diagnosis, output, title=live or str(heap or metrics))


def _print(diagnosis: Diagnosis, output: str, *, title: str) -> None:
    if output == "json":
        click.echo(json.dumps(diagnosis_document(diagnosis), indent=2, ensure_ascii=False))
    elif output == "html":
        # Imported here: the other outputs do without a template engine.
        from controller.reporting.html.page import render_report
        from controller.reporting.html.report import IncidentReport

        written_at = datetime.now(UTC)  # noqa: TID251  (the command line has the clock)
        click.echo(render_report(IncidentReport(title=title, written_at=written_at, diagnosis=diagnosis)))
    else:
        width = None if sys.stdout.isatty() else 110
        print_diagnosis(diagnosis, Console(width=width, highlight=False, no_color=_no_color()))


def _no_color() -> bool | None:
    return True if os.environ.get("NO_COLOR") else None


def _from_service(
    url: str, watched: str, keep: Path | None, ca: Path | None, rss: int | None, limit: int | None
) -> Evidence:
    try:
        seconds = parse_duration(watched).total_seconds()
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--watch") from error
    from controller.cli.live_snapshots import live_service, watch  # only here: it brings an HTTP client

    service = live_service(url, str(ca) if ca else None)
    evidence = watch(service, seconds, keep, Console(stderr=True))
    return replace(evidence, rss_bytes=rss, limit_bytes=limit)


def _content(file: Path | None) -> bytes | None:
    if file is None:
        return None
    if file.stat().st_size > _MOST_FILE_BYTES:
        raise click.ClickException(f"TooLarge: {file} is larger than {_MOST_FILE_BYTES >> 20} MiB")
    return file.read_bytes()
