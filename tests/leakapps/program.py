"""Builds the leak programs once and drives one of them."""

import asyncio
import contextlib
import hashlib
import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from controller.clients.pprof import CapturedProfile, PprofClient
from controller.evidence.endpoint import PprofEndpoint

SOURCES = Path(__file__).parent


def built(name: str, **environment: str) -> Path:
    """The program's binary; all are built together, once per content of the sources and settings."""
    digest = hashlib.sha256(repr(sorted(environment.items())).encode())
    for source in sorted(each for each in SOURCES.rglob("*") if each.suffix in (".go", ".mod", ".sum")):
        if "story" not in source.parts:
            digest.update(source.read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "bilgepump" / "leakapps"
    folder = cache / digest.hexdigest()[:16]
    if not (folder / name).exists():
        folder.mkdir(parents=True, exist_ok=True)
        settings = {**os.environ, "CGO_ENABLED": "1", **environment}
        subprocess.run(["go", "build", "-o", f"{folder}/", "./..."], cwd=SOURCES, env=settings, check=True)
    return folder / name


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a program knows about itself, and what it shows to others, at one moment."""

    retained_bytes: int
    heap_alloc_bytes: int
    stack_inuse_bytes: int
    goroutines: int
    rss_bytes: int
    files: dict[str, bytes]


class LeakApp:
    """One running program."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self._process = process
        self._port = port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/debug/pprof"

    @property
    def endpoint(self) -> PprofEndpoint:
        return PprofEndpoint(address="127.0.0.1", port=self._port)

    def work(self, units: int) -> Snapshot:
        """Does so many units of work and takes every snapshot that is offered."""
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}/work?n={units}", method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            account = json.load(answer)
        files = asyncio.run(self._files())
        return Snapshot(
            retained_bytes=account["retainedBytes"],
            heap_alloc_bytes=account["heapAlloc"],
            stack_inuse_bytes=account["stackInuse"],
            goroutines=account["goroutines"],
            rss_bytes=self._rss_bytes(),
            files=files,
        )

    def _rss_bytes(self) -> int:
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("the kernel tells no VmRSS")

    async def _files(self) -> dict[str, bytes]:
        taken_at = datetime(2026, 1, 2, tzinfo=UTC)
        async with PprofClient(lambda: taken_at) as client:
            captures = [
                await client.heap(self.endpoint),
                await client.goroutines(self.endpoint),
                await client.leaked_goroutines(self.endpoint),
                await client.memory(self.endpoint),
            ]
        return {str(each.kind): each.content for each in captures if isinstance(each, CapturedProfile)}


@contextlib.contextmanager
def running(name: str, **environment: str) -> Iterator[LeakApp]:
    """The program, built and run with these settings, until the end of the block."""
    process = subprocess.Popen(
        [built(name, **environment)], stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )
    try:
        assert process.stdout is not None
        greeting = process.stdout.readline()
        yield LeakApp(process, int(greeting.rpartition(":")[2]))
    finally:
        process.kill()
        process.wait()
