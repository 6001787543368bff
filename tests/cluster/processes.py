"""Long-running processes that outlive the one that started them, and that any other finds again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.cluster.waiting import WaitTimeout, wait_until

KILL_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRecord:
    """A process, told apart from a later one with the same id by its start time (clock ticks since boot)."""

    pid: int
    start_ticks: int

    def is_alive(self) -> bool:
        """Whether this process still runs. A child that ended is reaped here."""
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)
        return start_ticks(self.pid) == self.start_ticks


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None when it has ended."""
    fields = _stat_fields(Path(f"/proc/{pid}/stat"))
    return None if fields is None else int(fields[19])


def start(
    argv: Sequence[str | Path],
    *,
    record: Path,
    log: Path,
    survive: bool,
    environment: Mapping[str, str] | None = None,
) -> ProcessRecord:
    """Start a process in a session of its own, its output appended to `log`, and write `record`.

    Unless it shall `survive`, the kernel ends it as soon as the thread that started it has ended, in whatever
    way: start such ones in the main thread.
    """
    record.parent.mkdir(parents=True, exist_ok=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    bound = [] if survive else ["setpriv", "--pdeathsig", "KILL"]
    arguments = [*bound, *(str(argument) for argument in argv)]
    output = (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    pid = os.posix_spawnp(
        arguments[0],
        arguments,
        dict(os.environ if environment is None else environment),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            output,
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGINT, signal.SIGTERM],
    )
    process = ProcessRecord(pid=pid, start_ticks=start_ticks(pid) or 0)
    record.write_text(json.dumps(asdict(process)))
    return process


def recorded(record: Path) -> ProcessRecord | None:
    """The process that `record` describes, if it still runs."""
    try:
        process = ProcessRecord(**json.loads(record.read_text()))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return process if process.is_alive() else None


def stop(record: Path, *, grace_seconds: float = 10.0) -> None:
    """End the recorded process and its whole session: SIGTERM, and after `grace_seconds` SIGKILL.

    Returns when it is gone, and does nothing when it was gone before.
    """
    process = recorded(record)
    if process is not None:
        if grace_seconds > 0:
            _signal_group(process, signal.SIGTERM)
        try:
            _wait_gone(process, grace_seconds)
        except WaitTimeout:
            _signal_group(process, signal.SIGKILL)
            _wait_gone(process, KILL_TIMEOUT_SECONDS)
    record.unlink(missing_ok=True)


def _wait_gone(process: ProcessRecord, timeout_seconds: float) -> None:
    wait_until(
        f"process {process.pid} is gone",
        lambda: not process.is_alive() and not _group_lives(process),
        timeout_seconds=timeout_seconds,
        poll_seconds=0.02,
    )


def _signal_group(process: ProcessRecord, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _group_lives(process: ProcessRecord) -> bool:
    """Whether any process of the group still runs; the dead whose parent has not looked yet do not count."""
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return any(_group_of_living(entry) == process.pid for entry in Path("/proc").glob("[0-9]*/stat"))


def _group_of_living(stat: Path) -> int | None:
    fields = _stat_fields(stat)
    return None if fields is None else int(fields[2])


def _stat_fields(stat: Path) -> list[str] | None:
    """The fields of proc_pid_stat(5) from the third on; None when the process has ended."""
    try:
        fields = stat.read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields
