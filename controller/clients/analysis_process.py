"""
Diagnoses in a process of its own, with a limit on memory and time.

Profiles are untrusted input. Whatever they do to the parser, they do it there: the child limits itself before
it reads its first byte, is the kernel's first choice when memory runs out, and answers with JSON that is
checked (`evidence/document.py`). Run in a thread (`asyncio.to_thread(analyse_in_child, …)`).
"""

import contextlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

import controller
from controller.evidence.diagnosis import Diagnosis, Evidence, diagnose
from controller.evidence.document import BadDocument, diagnosis_document, read_diagnosis
from controller.evidence.rejection import ProfileRejected

_LARGEST_ANSWER_BYTES = 16 << 20
_PACKAGE_ROOT = Path(controller.__file__).parent.parent


class AnalysisFailure(StrEnum):
    """Why there is no diagnosis; the message of `Rejected` begins with the reason from `RejectionReason`."""

    REJECTED = "Rejected"
    TIMED_OUT = "TimedOut"
    OUT_OF_MEMORY = "OutOfMemory"
    CRASHED = "Crashed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisFailed:
    """No diagnosis, and why."""

    reason: AnalysisFailure
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisLimits:
    """What one diagnosis may cost."""

    address_space_bytes: int = 1 << 30
    """Of virtual memory: some 300 MiB are the interpreter's and its libraries' before anything is read."""
    seconds: float = 30.0
    """Wall clock; the same many seconds of processor time."""


def analyse_in_child(evidence: Evidence, limits: AnalysisLimits | None = None) -> Diagnosis | AnalysisFailed:
    """The diagnosis of these files, or why there is none; returns within `limits.seconds` and a moment."""
    limits = limits or AnalysisLimits()
    with _memory_file(_request(evidence, limits)) as asked, _memory_file() as answered:
        try:
            finished = subprocess.run(
                [sys.executable, "-m", "controller.clients.analysis_process"],
                stdin=asked,
                stdout=answered,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=_environment(),
                timeout=limits.seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return _failed(AnalysisFailure.TIMED_OUT, f"not done within {limits.seconds:g} s")
        size = min(os.fstat(answered).st_size, _LARGEST_ANSWER_BYTES)
        return _outcome(finished.returncode, os.pread(answered, size, 0))


def _outcome(code: int, answer: bytes) -> Diagnosis | AnalysisFailed:
    if code != 0:
        return _failed(AnalysisFailure.CRASHED, f"the analysis ended with code {code}")
    try:
        document = json.loads(answer)
        if "failure" in document:
            return _failed(AnalysisFailure(document["failure"]), str(document["message"])[:500])
        return read_diagnosis(answer)
    except (BadDocument, ValueError, KeyError, TypeError, RecursionError) as error:
        return _failed(AnalysisFailure.CRASHED, f"the analysis gave no usable answer: {error}"[:500])


def _failed(reason: AnalysisFailure, message: str) -> AnalysisFailed:
    return AnalysisFailed(reason=reason, message=message)


def _environment() -> dict[str, str]:
    """Nothing of ours is passed on; one thread for numpy, whose pools would need address space each."""
    return {
        "PYTHONPATH": os.fspath(_PACKAGE_ROOT),
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


@contextlib.contextmanager
def _memory_file(parts: Iterable[bytes] = ()) -> Iterator[int]:
    """A file that is only in memory: the root file system may be read-only, and a pipe could block."""
    descriptor = os.memfd_create("bilgepump-analysis")
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.writelines(parts)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _request(evidence: Evidence, limits: AnalysisLimits) -> Iterator[bytes]:
    """A line that says what follows, and the files as they are: copies would multiply what they need."""
    values = {each.name: getattr(evidence, each.name) for each in fields(Evidence)}
    files = {name: value for name, value in values.items() if isinstance(value, bytes)}
    head = {
        "addressSpace": limits.address_space_bytes,
        "seconds": limits.seconds,
        "values": {name: value for name, value in values.items() if name not in files},
        "sizes": {name: len(content) for name, content in files.items()},
    }
    yield json.dumps(head).encode() + b"\n"
    yield from files.values()


def main() -> None:
    """The child: reads its limits from standard input, and under these the files; prints the answer."""
    head = json.loads(sys.stdin.buffer.readline())
    _limit(head["addressSpace"], head["seconds"])
    try:
        files: dict[str, Any] = {name: sys.stdin.buffer.read(size) for name, size in head["sizes"].items()}
        document = diagnosis_document(diagnose(Evidence(**head["values"], **files)), with_flame=True)
    except ProfileRejected as rejected:
        document = {"failure": AnalysisFailure.REJECTED, "message": f"{rejected.reason}: {rejected}"}
    except MemoryError:
        document = {"failure": AnalysisFailure.OUT_OF_MEMORY, "message": "needs more memory than it may have"}
    json.dump(document, sys.stdout)


def _limit(address_space_bytes: int, seconds: float) -> None:
    processor_seconds = max(int(seconds) + 1, 1)
    resource.setrlimit(resource.RLIMIT_AS, (address_space_bytes, address_space_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (processor_seconds, processor_seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LARGEST_ANSWER_BYTES, _LARGEST_ANSWER_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):  # not everywhere may a process make itself the first to be killed
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


if __name__ == "__main__":
    main()
