"""The demo's Go programs: building the one binary and running its roles on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.images import static_binary_image

SOURCE = Path(__file__).parents[1] / "leakapps" / "story"
BINARY = Path(__file__).parents[2] / "build" / "leakapps" / "story"
IMAGE = "bilgepump.test/story:dev"


def build_story() -> Path:
    """Build the static binary (Go's own cache makes a second call cheap) and give its path.

    Raises ``subprocess.CalledProcessError`` where it does not compile, ``FileNotFoundError`` without Go.
    """
    BINARY.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", str(BINARY), "."],
        cwd=SOURCE,
        env={**os.environ, "CGO_ENABLED": "0"},
        check=True,
    )
    return BINARY


def write_story_image(path: Path) -> None:
    """Build the binary and write its image, tagged `IMAGE`, as a docker-archive."""
    static_binary_image(path, build_story(), tag=IMAGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One running subcommand with its two ports on loopback."""

    process: subprocess.Popen[str]
    port: int
    debug_port: int

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def debug_url(self) -> str:
        """Where pprof, /debug/memory and /debug/leak are."""
        return f"http://127.0.0.1:{self.debug_port}"

    def anonymous_bytes(self) -> int:
        """Anonymous resident memory: what ``container_memory_rss`` counts."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("RssAnon:"))
        return int(line.split()[1]) * 1024


@contextmanager
def running(binary: Path, role: str, environment: Mapping[str, str] | None = None) -> Iterator[Role]:
    """Run a serving role until the block ends; enter it once it is ready."""
    port, debug_port = _free_ports(2)
    settings = {
        "LISTEN": f"127.0.0.1:{port}",
        "DEBUG_LISTEN": f"127.0.0.1:{debug_port}",
        "DRAIN_DELAY": "0s",
        **(environment or {}),
    }
    process = subprocess.Popen([str(binary), role], env=settings, text=True, stderr=subprocess.PIPE)
    started = Role(process=process, port=port, debug_port=debug_port)
    try:
        until(lambda: _ready(started), seconds=20, what=f"{role} is ready")
        yield started
    finally:
        process.terminate()
        process.communicate(timeout=30)


def until(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Wait for a condition. Raises ``TimeoutError`` that says what did not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def get(url: str, *, method: str = "GET") -> bytes:
    """Answer of a request. Raises ``OSError`` where there is none or it is an error."""
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as answer:
        content: bytes = answer.read()
        return content


def _ready(role: Role) -> bool:
    if role.process.poll() is not None:
        raise RuntimeError(f"ended with {role.process.returncode}: {role.process.communicate()[1]}")
    try:
        get(f"{role.url}/readyz")
    except OSError:
        return False
    return True


def _free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


if __name__ == "__main__":
    sys.stdout.write(f"{build_story()}\n")
