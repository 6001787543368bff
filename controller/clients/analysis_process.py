"""
Diagnoses in a process of its own, with a limit on memory and time.

Profiles are untrusted input. Whatever they do to the parser, they do it there: the child limits itself before
it reads its first byte, is the kernel's first choice when memory runs out, and answers with JSON that is
checked (`evidence/document.py`). Run in a thread (`asyncio.to_thread(analyse_in_child, …)`).
"""

import base64
import contextlib
import json
import os
import resource
import subprocess
import sys
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
    request = {**_encoded(evidence), "addressSpace": limits.address_space_bytes, "seconds": limits.seconds}
    with _memory_file(json.dumps(request).encode()) as asked, _memory_file(b"") as answered:
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
        return _outcome(finished.returncode, os.pread(answered, _LARGEST_ANSWER_BYTES, 0))


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
def _memory_file(content: bytes) -> Any:
    """A file that is only in memory: the root file system may be read-only, and a pipe could block."""
    descriptor = os.memfd_create("bilgepump-analysis")
    try:
        os.write(descriptor, content) if content else None
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _encoded(evidence: Evidence) -> dict[str, Any]:
    values = {each.name: getattr(evidence, each.name) for each in fields(Evidence)}
    return {
        name: {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
        for name, value in values.items()
    }


def _decoded(request: dict[str, Any]) -> Evidence:
    values: dict[str, Any] = {}
    for each in fields(Evidence):
        value = request[each.name]
        values[each.name] = base64.b64decode(value["base64"]) if isinstance(value, dict) else value
    return Evidence(**values)


def main() -> None:
    """The child: reads a request from standard input, limits itself, and prints the answer."""
    request = json.load(sys.stdin)
    _limit(request["addressSpace"], request["seconds"])
    try:
        document = diagnosis_document(diagnose(_decoded(request)), with_flame=True)
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
