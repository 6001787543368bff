"""A matrix file of 100 MB through `bilgepump backtest`: `python -m tests.benchmarks.detection.big_file`."""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.detection.corpus import POLICY
from tests.benchmarks.detection.fleet import LIMIT_BYTES

MEGABYTES = 100
BEGIN = 1_772_366_400
SAMPLES = 48 * 60
STEP_SECONDS = 60
LEAKING_EVERY = 20
"""One container in so many leaks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What a backtest of one file took, and whom it called `Leaking`; of `containers`, one in 20 leaks."""

    file_megabytes: float
    containers: int
    cpu_seconds: float
    peak_mebibytes: float
    leaking: frozenset[str]


def measure(megabytes: float) -> Replayed:
    """Write a file of at least `megabytes` and replay it every 30 minutes, in a process of its own."""
    with tempfile.TemporaryDirectory() as directory:
        policy, file, out = (Path(directory, name) for name in ("policy.yaml", "memory.json", "out.json"))
        policy.write_text(POLICY)
        containers = write(file, int(megabytes * 1e6))
        command = [sys.executable, "-m", "controller", "backtest", "--policy", str(policy)]
        command += ["--from-file", str(file), "--every", "30", "-o", "json"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        with out.open("w") as answer:
            subprocess.run(command, stdout=answer, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return Replayed(
            file_megabytes=file.stat().st_size / 1e6,
            containers=containers,
            cpu_seconds=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            peak_mebibytes=after.ru_maxrss / 1024,
            leaking=frozenset(_leaking(json.loads(out.read_text()))),
        )


def write(file: Path, least_bytes: int) -> int:
    """Write whole containers until the file has so many bytes; how many there are."""
    rng = np.random.default_rng(0)
    hour = np.arange(SAMPLES) * STEP_SECONDS / 3600
    containers = 0
    with file.open("w") as out:
        out.write('{"status":"success","data":{"resultType":"matrix","result":[')
        while out.tell() < least_bytes:
            leaks = containers % LEAKING_EVERY == 0
            share = 0.2 + (0.009 * hour if leaks else 0.05 * np.sin(hour * np.pi / 12))
            memory = (share + rng.normal(0, 0.002, SAMPLES)) * LIMIT_BYTES
            for series in _series(f"pod-{containers}", memory):
                out.write("," if out.tell() > 70 else "")
                json.dump(series, out, separators=(",", ":"))
            containers += 1
        out.write("]}}")
    return containers


def _series(pod: str, memory: np.ndarray[Any, np.dtype[np.float64]]) -> Iterator[dict[str, Any]]:
    steady = np.ones(SAMPLES)
    for name, values in {
        "container_memory_rss": memory,
        "container_memory_working_set_bytes": memory + 2**21,
        "container_spec_memory_limit_bytes": LIMIT_BYTES * steady,
        "container_start_time_seconds": (BEGIN - 600) * steady,
    }.items():
        labels = {"__name__": name, "namespace": "bench", "pod": pod, "container": "app"}
        samples = [[BEGIN + STEP_SECONDS * at, f"{value:.0f}"] for at, value in enumerate(values)]
        yield {"metric": labels, "values": samples}


def _leaking(answer: dict[str, Any]) -> Iterator[str]:
    for result in answer["results"]:
        if any(transition["verdict"] == "Leaking" for transition in result["transitions"]):
            yield result["pod"]


if __name__ == "__main__":
    began = time.monotonic()
    took = measure(MEGABYTES)
    print(
        f"{took.file_megabytes:.0f} MB, {took.containers} containers: {took.cpu_seconds:.0f} s of CPU "
        f"({time.monotonic() - began:.0f} s with writing it), {took.peak_mebibytes:.0f} MiB at most, "
        f"{len(took.leaking)} leaking"
    )
