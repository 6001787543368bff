"""`bilgepump backtest`: what a policy would have said and done over recorded history."""

import asyncio
import gzip
import json
import sys
import zlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import numpy as np
import yaml
from click.core import ParameterSource
from rich.console import Console

from controller.cli.backtest_plot import check_plot, write_plot
from controller.cli.metrics_options import settings_from, source_options
from controller.cli.plain_cells import WIDE, Column, fitting
from controller.cli.replay import BacktestResult, ContainerResult, block_seconds_for, run_backtest
from controller.clients.prometheus import PrometheusMemorySource
from controller.clients.prometheus_session import PrometheusSettings
from controller.detection.assessment import Verdict
from controller.metrics.blocks import CADVISOR, block_recordings
from controller.metrics.recorded_memory import RecordedMemory, recorded_from
from controller.metrics.recording import RecordedSeries, RecordingUnreadable, joined, parse_answer
from controller.policy.memory_policy import MemoryPolicy
from controller.policy.parsing import parse_policy
from controller.policy.units import parse_duration
from controller.ports import MemoryRequest, MetricsUnavailable

LARGEST_FILE_BYTES = 2**30
"""Unpacked. A recording of ten days of a hundred containers has a tenth of that."""

GZIP = b"\x1f\x8b"

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

COLUMNS = (
    Column(name="TIME"),
    Column(name="CONTAINER", fold=20),
    Column(name="VERDICT"),
    Column(name="ACTION"),
    Column(name="BECAUSE", least=30),
)


def read_policy(path: Path) -> MemoryPolicy:
    """The policy in a YAML file. Raises click.UsageError with everything that is wrong with it."""
    try:
        document = yaml.safe_load(path.read_bytes())
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{path} could not be read as YAML: {error}") from error
    if not isinstance(document, dict):
        raise click.UsageError(f"{path} must hold one MemoryPolicy document")
    parsed = parse_policy(document, allow_short_lookback=True)
    if isinstance(parsed, MemoryPolicy):
        return parsed
    raise click.UsageError(
        "\n".join([f"{path} is no valid policy:", *(f"  {problem}" for problem in parsed)])
    )


def read_recording(path: Path) -> tuple[RecordedSeries, ...]:
    """The series of one file, plain or gzip. Raises click.ClickException where it cannot be read."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == GZIP
        with gzip.open(path, "rb") if packed else path.open("rb") as file:
            body = file.read(LARGEST_FILE_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise click.ClickException(f"{path} could not be read: {error}") from error
    if len(body) > LARGEST_FILE_BYTES:
        raise click.ClickException(f"{path} unpacks to more than {LARGEST_FILE_BYTES // 2**20} MiB; split it")
    try:
        return parse_answer(json.loads(body))
    except RecordingUnreadable as error:
        raise click.ClickException(f"{path} is no query_range answer: {error}") from error
    except (ValueError, RecursionError) as error:
        raise click.ClickException(f"{path} is no JSON: {error}") from error


def blocks_of(policy: MemoryPolicy, recorded: Sequence[RecordedSeries]) -> tuple[RecordedMemory, ...]:
    """
    The recording in the blocks the controller would hold; empty where no container's memory is in it.

    Several answers may hold pieces of one series, also overlapping ones. Pods that were sampled more rarely
    than the controller's blocks are wide stand in recordings of their own.
    """
    apart = 5 * policy.detection.lookback.total_seconds()
    recordings: list[RecordedMemory] = []
    try:
        for width, series in _by_width(policy, joined(recorded)).items():
            recordings += block_recordings(series, width, apart, policy.metrics.request_rate)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    return tuple(recordings)


def _by_width(policy: MemoryPolicy, recorded: Sequence[RecordedSeries]) -> dict[int, list[RecordedSeries]]:
    """The series of pods by the width of the blocks, in seconds, that their memory samples fit in."""
    gaps: dict[tuple[str, str], list[float]] = {}
    for series in recorded:
        if series.name in CADVISOR and len(series.times) > 1:
            gaps.setdefault(_pod(series), []).append(float(np.median(np.diff(series.times))))
    grouped: dict[int, list[RecordedSeries]] = {}
    for series in recorded:
        usual = float(np.median(gaps.get(_pod(series), [60.0])))
        interval = max(round(usual / 30) * 30.0, 30.0)
        grouped.setdefault(block_seconds_for(policy, interval), []).append(series)
    return grouped


def _pod(series: RecordedSeries) -> tuple[str, str]:
    return series.labels.get("namespace", ""), series.labels.get("pod", "")


def result_document(result: BacktestResult) -> dict[str, Any]:
    """The JSON contract of `-o json`."""
    return {
        "results": [
            {
                "namespace": one.key.namespace,
                "pod": one.key.pod,
                "container": one.key.container,
                "workload": None if one.workload is None else f"{one.workload.kind}/{one.workload.name}",
                "transitions": list(_transitions(one)),
            }
            for one in result.results
        ],
        "summary": summary(result),
    }


def _transitions(result: ContainerResult) -> Iterable[dict[str, Any]]:
    for transition in result.transitions:
        said = transition.assessment
        crossing = said.crossing
        yield {
            "time": _rfc3339(transition.at),
            "verdict": said.verdict.value,
            "reason": said.reason,
            "message": said.message,
            "class": said.growth_class.value,
            "growthBytesPerHour": None if said.growth is None else round(said.growth.bytes_per_hour),
            "crossesThresholdAt": _rfc3339(crossing.likely) if crossing else None,
            "crossesThresholdEarliest": _rfc3339(crossing.earliest) if crossing else None,
            "crossesThresholdLatest": _rfc3339(crossing.latest) if crossing and crossing.latest else None,
            "action": transition.action.value,
            "actionReason": str(transition.action_reason),
        }


def summary(result: BacktestResult) -> dict[str, Any]:
    """Counts over the whole recording."""
    ever = dict.fromkeys(Verdict, 0)
    for one in result.results:
        for verdict in {transition.assessment.verdict for transition in one.transitions}:
            ever[verdict] += 1
    return {
        "containers": len(result.results),
        "evaluations": result.evaluations,
        "from": _rfc3339(result.begin) if result.begin else None,
        "to": _rfc3339(result.end) if result.end else None,
        "everLeaking": ever[Verdict.LEAKING],
        "everSuspect": ever[Verdict.SUSPECT],
        "onlyInsufficientData": sum(_only_insufficient(one) for one in result.results),
        "remediations": result.remediations,
        "captures": result.captures,
        "crossedUnremediated": sum(one.crossed_unremediated for one in result.results),
    }


def _only_insufficient(result: ContainerResult) -> bool:
    return all(one.assessment.verdict is Verdict.INSUFFICIENT_DATA for one in result.transitions)


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@click.command()
@click.option(
    "--policy",
    "policy_file",
    required=True,
    type=_FILE,
    help="A MemoryPolicy document (YAML).",
)
@click.option(
    "--from-file",
    "files",
    multiple=True,
    metavar="FILE...",
    type=_FILE,
    help="Answers of query_range, plain or gzip; may also be given several times.",
)
@click.argument("more", nargs=-1, metavar="", type=_FILE)
@click.option("--prometheus", "url", metavar="URL", help="Ask this metrics source instead of files.")
@click.option(
    "--namespace", "-n", "namespaces", multiple=True, help="With --prometheus; default: the policy's own."
)
@click.option(
    "--since", default="240h", metavar="DURATION", show_default=True, help="With --prometheus: how far back."
)
@click.option("--every", default=10, show_default=True, type=click.IntRange(1), help="Minutes between looks.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write a picture: .html, or .png and .svg with the extra `plot`.",
)
@source_options
def backtest(
    policy_file: Path,
    files: tuple[Path, ...],
    more: tuple[Path, ...],
    url: str | None,
    namespaces: tuple[str, ...],
    since: str,
    every: int,
    output: str,
    plot: Path | None,
    **options: Any,
) -> None:
    """
    Replay a policy over recorded history with the controller's own code.

    Example: bilgepump backtest --policy policy.yaml --from-file monday.json tuesday.json.gz -o json

    Labels are in no recording: a policy with a selector is taken to govern everything in it. One that names
    workloads acts on no pod whose name shows another Deployment.

    Exit codes: 0 replayed, 1 a recording could not be read or the picture not written, 2 wrong usage.
    """
    _check_inputs(files, more, url, ("namespaces", "since", *options))
    if plot is not None:
        check_plot(plot)
    policy = read_policy(policy_file)
    if url:
        if policy.cluster_wide and not namespaces:
            raise click.UsageError("--namespace is needed: a ClusterMemoryPolicy is in none")
        settings = settings_from(url, options)
        memory = fetch(settings, policy, frozenset(namespaces) or frozenset({policy.namespace}), since)
    else:
        memory = blocks_of(policy, [series for path in (*files, *more) for series in read_recording(path)])
    if not memory:
        raise click.ClickException(
            "no container's memory is in these files: container_memory_rss or "
            "container_memory_working_set_bytes with the labels namespace, pod and container is needed"
        )
    result = run_backtest(policy, memory, timedelta(minutes=every))
    if output == "json":
        click.echo(json.dumps(result_document(result), indent=1))
    else:
        _print(result)
    if plot is not None:
        try:
            write_plot(plot, result, memory)
        except OSError as error:
            raise click.ClickException(f"{plot} could not be written: {error.strerror}") from error


def _check_inputs(
    files: Sequence[Path], more: Sequence[Path], url: str | None, of_source: Iterable[str]
) -> None:
    """Raises click.UsageError where it is unclear what to replay; files do not heed `of_source`."""
    if bool(files) == bool(url):
        raise click.UsageError("give either --from-file or --prometheus")
    if more and not files:
        raise click.UsageError(f"files are read with --from-file only (got '{more[0]}')")
    given = _given(of_source)
    if files and given:
        raise click.UsageError(f"only with --prometheus: {', '.join(given)}; files are replayed as they are")


def _given(names: Iterable[str]) -> list[str]:
    """The options of those of these parameters that stand on the command line."""
    context = click.get_current_context()
    options = {one.name: one.opts[0] for one in context.command.params}
    return [
        options[name] for name in names if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]


def fetch(
    settings: PrometheusSettings, policy: MemoryPolicy, namespaces: frozenset[str], since: str
) -> tuple[RecordedMemory, ...]:
    """The recorded history of a metrics source. Raises click errors where it cannot be had."""
    try:
        span = parse_duration(since)
    except ValueError as error:
        raise click.UsageError(f"--since: {error}") from error
    rate = policy.metrics.request_rate
    width = block_seconds_for(policy, settings.sample_interval_seconds)
    request = MemoryRequest(
        namespaces=namespaces,
        lookback=span,
        blocks=max(int(span.total_seconds()) // width, 1),
        request_rates=tuple((namespace, rate) for namespace in sorted(namespaces)) if rate else (),
    )
    source = PrometheusMemorySource(settings)
    try:
        matrix = asyncio.run(source.memory(request, datetime.now(UTC)))  # noqa: TID251  (a command line)
    except MetricsUnavailable as error:
        raise click.ClickException(str(error)) from error
    finally:
        source.close()
    return (recorded_from(matrix),)


def _print(result: BacktestResult) -> None:
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    rows: list[tuple[str, ...]] = []
    for one in result.results:
        for transition in one.transitions:
            action = f"{transition.action.value} ({transition.action_reason})"
            said = transition.assessment
            moment = _rfc3339(transition.at)
            rows.append((moment, str(one.key), said.verdict.value, action, said.message))
    console.print(fitting(COLUMNS, rows, console.width))
    counts = summary(result)
    console.print(
        f"{counts['everLeaking']} of {counts['containers']} containers ever leaking, "
        f"{counts['remediations']} remediations, {counts['crossedUnremediated']} crossed the threshold "
        "before anything was done.",
        highlight=False,
    )
