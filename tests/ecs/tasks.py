"""Runs what an ECS task is: a real process with a real memory limit and an address of its own."""

import asyncio
import contextlib
import itertools
import os
import re
import shutil
import signal
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

MEMORY_CGROUPS = Path("/sys/fs/cgroup/memory")
"""Memory control groups, first version; where they cannot be written, we account ourselves."""

_HEALTH_URL = re.compile(r"http://localhost:(?P<port>\d+)(?P<path>/\S*)")
_addresses = itertools.count(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What a container definition asks for."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    memory_bytes: int
    health_check: str = ""
    """The command of the container's health check; empty where there is none."""


class RunningTask(Protocol):
    """One task's process."""

    address: str

    def exit_code(self) -> int | None:
        """None while it runs."""
        ...

    def memory_bytes(self) -> int:
        """Memory without page cache, as the ECS agent reports it."""
        ...

    async def healthy(self) -> bool:
        """What the container's health check says now."""
        ...

    def terminate(self) -> None:
        """SIGTERM."""
        ...

    def kill(self) -> None:
        """SIGKILL."""
        ...

    def clean_up(self) -> None:
        """After the end: leaves nothing behind."""
        ...


class Runtime(Protocol):
    """Starts tasks."""

    async def start(self, program: Program) -> RunningTask:
        """A new task of `program`."""
        ...


def _next_address() -> str:
    number = next(_addresses)
    return f"127.0.{40 + number // 250}.{1 + number % 250}"


class Processes:
    """A `Runtime` that runs `binary` with the container's command."""

    def __init__(self, binary: Path) -> None:
        self._binary = binary

    async def start(self, program: Program) -> RunningTask:
        """Starts the process on its own loopback address, inside its own memory limit."""
        address = _next_address()
        environment = {key: value.replace("{address}", address) for key, value in program.environment.items()}
        group = _memory_group(program.memory_bytes)
        enter = f'echo $$ > {group}/cgroup.procs && exec "$@"' if group else 'exec "$@"'
        process = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            enter,
            "task",
            str(self._binary),
            *program.command,
            env={"PATH": os.environ.get("PATH", ""), **environment},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        return ProcessTask(address=address, program=program, process=process, group=group)


def _memory_group(limit_bytes: int) -> Path | None:
    group = MEMORY_CGROUPS / f"bilgepump-task-{uuid.uuid4().hex[:12]}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(limit_bytes))
    except OSError:
        with contextlib.suppress(OSError):
            group.rmdir()
        return None
    return group


@dataclass(slots=True, kw_only=True)
class ProcessTask:
    """One process."""

    address: str
    program: Program
    process: asyncio.subprocess.Process
    group: Path | None

    def exit_code(self) -> int | None:
        """As a container's: 128 and the signal's number where one ended it."""
        if self.process.returncode is None:
            if self.group is None and self.memory_bytes() > self.program.memory_bytes:
                self.kill()
            return None
        code = self.process.returncode
        return 128 - code if code < 0 else code

    def memory_bytes(self) -> int:
        """Anonymous resident memory."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return 0
        found = re.search(r"^RssAnon:\s+(\d+) kB$", status, re.MULTILINE)
        return int(found.group(1)) * 1024 if found else 0

    async def healthy(self) -> bool:
        """Whether the URL of the health check answers with success."""
        found = _HEALTH_URL.search(self.program.health_check)
        if found is None:
            return True
        return await _answers(self.address, int(found["port"]), found["path"])

    def terminate(self) -> None:
        """SIGTERM."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)

    def clean_up(self) -> None:
        """Removes the memory limit's group."""
        if self.group is not None:
            with contextlib.suppress(OSError):
                self.group.rmdir()


async def _answers(address: str, port: int, path: str) -> bool:
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(address, port)
            writer.write(f"GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
            line = await reader.readline()
            writer.close()
    except (OSError, TimeoutError):
        return False
    return b" 200 " in line


@dataclass(slots=True)
class Pretended:
    """A task without a process, for tests of the scheduler's rules and of what reads its answers."""

    address: str
    ended: int | None = None
    memory: int = 40 * 2**20
    ready: bool = True
    sent: list[str] = field(default_factory=list)

    def exit_code(self) -> int | None:
        """None until it was told to end."""
        return self.ended

    def memory_bytes(self) -> int:
        """What the test says."""
        return self.memory

    async def healthy(self) -> bool:
        """What the test says."""
        return self.ready

    def terminate(self) -> None:
        """Ends at once."""
        self.sent.append("TERM")
        self.ended = 0 if self.ended is None else self.ended

    def kill(self) -> None:
        """Ends at once."""
        self.ended = 137 if self.ended is None else self.ended

    def clean_up(self) -> None:
        """Nothing was left."""


class Pretence:
    """A `Runtime` without processes; `broken` tasks end as soon as they are started."""

    def __init__(self) -> None:
        self.broken = False

    async def start(self, program: Program) -> RunningTask:
        """A task that is there at once."""
        return Pretended(_next_address(), ended=1 if self.broken else None)


def story_binary() -> Path:
    """The demo's Go service, built where it is not there yet. Raises FileNotFoundError without Go."""
    from tests.workloads.story import build_story

    if shutil.which("go") is None:
        raise FileNotFoundError("Go is needed to build the demo's service: https://go.dev/dl/")
    return build_story()
