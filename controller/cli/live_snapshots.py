"""Takes snapshots of a running service, some time apart, and shows how long it still takes."""

import asyncio
import ipaddress
import socket
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeGuard
from urllib.parse import urlsplit

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from controller.clients.pprof import (
    Capture,
    CapturedProfile,
    CaptureFailed,
    CaptureFailure,
    PprofClient,
    TLSTrust,
)
from controller.evidence.diagnosis import Evidence
from controller.evidence.endpoint import PPROF_SUFFIX, EndpointRefused, PprofEndpoint
from controller.evidence.kept import FileKind
from controller.policy.memory_policy import Scheme

_STEP_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveService:
    """Where to take the snapshots, and how to trust it."""

    endpoint: PprofEndpoint
    trust: TLSTrust


def live_service(url: str, ca_file: str | None) -> LiveService:
    """
    The endpoint of a URL; its name is resolved once, and only that address is asked.

    Raises click.BadParameter.
    """
    parts = urlsplit(url if "//" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise click.BadParameter(
            f"must be http://HOST:PORT or https://HOST:PORT (is '{url}')", param_hint="--live"
        )
    path = parts.path.rstrip("/")
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        address = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)[0][4][0]
        endpoint = PprofEndpoint(
            address=str(address),
            port=port,
            path=path if path.endswith(PPROF_SUFFIX) else path + PPROF_SUFFIX,
            scheme=Scheme(parts.scheme.upper()),
        )
    except (OSError, ValueError, EndpointRefused) as error:
        raise click.BadParameter(f"'{url}': {error}", param_hint="--live") from error
    ca_pem = Path(ca_file).read_text(encoding="ascii") if ca_file else None
    return LiveService(endpoint=endpoint, trust=TLSTrust(ca_pem=ca_pem, server_name=_name(parts.hostname)))


def _name(host: str) -> str | None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host
    return None


def watch(service: LiveService, seconds: float, keep: Path | None, console: Console) -> Evidence:
    """
    The evidence of two snapshots `seconds` apart, and one between; Ctrl-C takes the last one at once.

    A program without pprof is asked for its own metrics instead. Raises click.ClickException where neither
    can be had.
    """
    first = asyncio.run(_snapshot(service, with_leaks=False))
    _keep(keep, "baseline", first)
    between: dict[FileKind, bytes] = {}
    try:
        _wait(seconds / 2, console, "first half")
        between = asyncio.run(_snapshot(service, with_leaks=False))
        _keep(keep, "between", between)
        _wait(seconds / 2, console, "second half")
    except KeyboardInterrupt:
        console.print("taking the last snapshot now")
    second = asyncio.run(_snapshot(service, with_leaks=True))
    _keep(keep, "now", second)
    return Evidence(
        heap=second.get(FileKind.HEAP, b""),
        heap_baseline=first.get(FileKind.HEAP),
        heap_between=between.get(FileKind.HEAP),
        goroutines=second.get(FileKind.GOROUTINE),
        goroutines_baseline=first.get(FileKind.GOROUTINE),
        goroutineleak=second.get(FileKind.GOROUTINE_LEAK),
        memstats=second.get(FileKind.MEMORY),
        metrics=second.get(FileKind.METRICS),
        metrics_baseline=first.get(FileKind.METRICS),
    )


async def _snapshot(service: LiveService, *, with_leaks: bool) -> dict[FileKind, bytes]:
    async with PprofClient(_now, trust=service.trust) as client:
        heap = await client.heap(service.endpoint)
        if isinstance(heap, CaptureFailed):
            return await _without_pprof(client, service, heap)
        taken: list[Capture] = [
            heap,
            await client.goroutines(service.endpoint),
            await client.memory(service.endpoint),
        ]
        if with_leaks:
            taken.append(await client.leaked_goroutines(service.endpoint))
    return {each.kind: each.content for each in taken if _usable(each)}


async def _without_pprof(
    client: PprofClient, service: LiveService, heap: CaptureFailed
) -> dict[FileKind, bytes]:
    told = f"no heap profile: {heap.reason}: {heap.message}"
    if heap.reason not in (CaptureFailure.NOT_OFFERED, CaptureFailure.NOT_A_PROFILE):
        raise click.ClickException(told)
    metrics = await client.runtime_metrics(service.endpoint)
    if isinstance(metrics, CaptureFailed):
        raise click.ClickException(f"{told}; nor metrics: {metrics.reason}: {metrics.message}")
    click.echo(f"{told}; reading the program's own metrics instead", err=True)
    return {FileKind.METRICS: metrics.content}


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251  (the command line has the clock)


def _usable(capture: Capture) -> TypeGuard[CapturedProfile]:
    if isinstance(capture, CapturedProfile):
        return True
    if capture.reason is not CaptureFailure.NOT_OFFERED:
        click.echo(f"without {capture.kind}: {capture.reason}: {capture.message}", err=True)
    return False


def _wait(seconds: float, console: Console, what: str) -> None:
    columns = (TextColumn(f"watching, {what}"), BarColumn(), TimeRemainingColumn(), TextColumn("Ctrl-C: now"))

    async def pass_time(progress: Progress) -> None:
        task = progress.add_task("watch", total=seconds)
        end = asyncio.get_running_loop().time() + seconds
        while (left := end - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(min(left, _STEP_SECONDS))
            progress.update(task, completed=seconds - max(left, 0))

    if not console.is_terminal:
        print(f"watching, {what}: {seconds:g} s", file=sys.stderr)
    with Progress(*columns, console=console, transient=True) as progress:
        asyncio.run(pass_time(progress))


def _keep(folder: Path | None, name: str, files: dict[FileKind, bytes]) -> None:
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for kind, content in files.items():
        (folder / f"{name}-{kind}.{kind.suffix}").write_bytes(content)
