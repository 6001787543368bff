"""Speed of a sweep beside the straightforward way, in one run: `python -m tests.benchmarks.detection.speed`.

A sweep judges all containers from 48 h of floors that are already held. Each size runs in a process of
its own, so that its peak of memory is its own. The straightforward way is measured on some pods and
multiplied: it costs the same for each.
"""

import argparse
import json
import multiprocessing
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.detection import straightforward
from tests.benchmarks.detection.fleet import BLOCK_SECONDS, END, LIMIT_BYTES, fleet_memory
from tests.benchmarks.detection.tables import table

if TYPE_CHECKING:
    from controller.metrics.floors import FloorRing

BLOCKS = 576
REPLICAS = 5
CHUNK = 12
MEBIBYTE = 2.0**20

MOST_SWEEP_SECONDS = 2.0
MOST_MEBIBYTES = 300.0
MOST_UPDATE_SECONDS = 0.3
LEAST_RATIO = 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """CPU seconds and memory of one size. Mebibytes are resident, beyond what the imports took.

    `fill` is the first fill of the ring by chunks of an hour, `update` one new block, `sweep` judging all.
    """

    containers: int
    fill_seconds: float
    update_seconds: float
    sweep_seconds: float
    held_mebibytes: float
    fill_peak_mebibytes: float
    sweep_peak_mebibytes: float

    def misses(self, straightforward_seconds_per_pod: float) -> bool:
        """Whether any bound that is set for 10,000 containers is missed."""
        return (
            self.sweep_seconds > MOST_SWEEP_SECONDS
            or max(self.sweep_peak_mebibytes, self.fill_peak_mebibytes) > MOST_MEBIBYTES
            or self.update_seconds > MOST_UPDATE_SECONDS
            or straightforward_seconds_per_pod * self.containers < LEAST_RATIO * self.sweep_seconds
        )


def measure(containers: int) -> Sweep:
    """Fill the ring, fold in one new block, and judge every container once, in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (containers,))


def _measure(containers: int) -> Sweep:
    """Measure in the child: what is judged is imported before its memory is measured."""
    from controller.detection.assess import assess
    from controller.metrics.floors import FloorRing
    from controller.policy.memory_policy import DetectionRules

    before = _resident_mebibytes()
    memory = fleet_memory(containers, BLOCKS + 1)
    drawn = memory.nbytes / MEBIBYTE
    ring = FloorRing(blocks=BLOCKS, block_seconds=BLOCK_SECONDS)
    ring.advance(END - BLOCK_SECONDS)
    fill = sum(_fold(ring, memory, range(first, first + CHUNK)) for first in range(0, BLOCKS, CHUNK))
    fill_peak = _peak_mebibytes() - before - drawn
    ring.advance(END)
    update = _fold(ring, memory, range(BLOCKS, BLOCKS + 1))
    del memory
    groups = [f"workload-{i // REPLICAS}" for i in range(containers)]
    now = datetime.fromtimestamp(END, UTC)
    held = _resident_mebibytes() - before
    _forget_peak()
    began = time.process_time()
    assess(ring.matrix(), DetectionRules(), now, peer_groups=groups)
    return Sweep(
        containers=containers,
        fill_seconds=fill,
        update_seconds=update,
        sweep_seconds=time.process_time() - began,
        held_mebibytes=held,
        fill_peak_mebibytes=fill_peak,
        sweep_peak_mebibytes=_peak_mebibytes() - before,
    )


def _fold(ring: "FloorRing", memory: NDArray[np.float32], columns: range) -> float:
    """Fold these blocks of every signal into the ring; CPU seconds without making the answers."""
    from controller.metrics.series import Signal

    ones = np.ones(len(memory))
    made: dict[Signal, Callable[[int], NDArray[np.floating]]] = {
        Signal.RSS_FLOOR: lambda j: memory[:, j],
        Signal.RSS_TOP: lambda j: memory[:, j] * 1.01,
        Signal.WORKING_SET_TOP: lambda j: memory[:, j] * 1.03,
        Signal.LIMIT: lambda _: ones * LIMIT_BYTES,
        Signal.START_TIME: lambda _: ones * (END - 300_000),
    }
    spent = 0.0
    for signal, column in made.items():
        answer = _answer(len(memory), column, columns)
        began = time.process_time()
        ring.fold(signal, answer)
        spent += time.process_time() - began
    return spent


def _answer(
    containers: int, column: Callable[[int], NDArray[np.floating]], columns: range
) -> list[dict[str, Any]]:
    """The `query_range` answer for these blocks, as parsed JSON."""
    at = [END - (BLOCKS - j) * BLOCK_SECONDS for j in columns]
    texts = [column(j).astype(np.int64).astype(str).tolist() for j in columns]
    return [
        {
            "metric": {"namespace": "bench", "pod": f"api-{i // REPLICAS}-{i}", "container": "app"},
            "values": [[moment, text[i]] for moment, text in zip(at, texts, strict=True)],
        }
        for i in range(containers)
    ]


def _resident_mebibytes() -> float:
    return _status("VmRSS")


def _peak_mebibytes() -> float:
    """Peak since the process began or last forgot it."""
    return _status("VmHWM")


def _forget_peak() -> None:
    """Reset the kernel's high-water mark of this process (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


def _status(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return 1 where a bound is missed at 10,000 containers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--containers", type=int, nargs="*", default=[1_000, 10_000, 50_000])
    parser.add_argument(
        "--pods", type=int, default=100, help="pods of the straightforward way (default: 100)"
    )
    parser.add_argument("-o", dest="output", choices=["text", "json"], default="text")
    options = parser.parse_args(arguments)
    per_pod, wall_per_pod = straightforward.measure(options.pods, BLOCKS)
    sweeps = [measure(containers) for containers in options.containers]
    if options.output == "json":
        print(json.dumps({"straightforward_seconds_per_pod": per_pod, "sweeps": [asdict(s) for s in sweeps]}))
    else:
        print(_text(sweeps, per_pod, wall_per_pod))
    return int(any(sweep.misses(per_pod) for sweep in sweeps if sweep.containers == 10_000))


def _text(sweeps: Sequence[Sweep], per_pod: float, wall_per_pod: float) -> str:
    head = (
        "containers",
        "sweep CPU s",
        "ms each",
        "update s",
        "first fill s",
        "held MiB",
        "fill peak MiB",
        "sweep peak MiB",
        "straightforward s",
        "ratio",
    )
    rows = [
        (
            f"{s.containers}",
            f"{s.sweep_seconds:.2f}",
            f"{1000 * s.sweep_seconds / s.containers:.3f}",
            f"{s.update_seconds:.2f}",
            f"{s.fill_seconds:.2f}",
            f"{s.held_mebibytes:.0f}",
            f"{s.fill_peak_mebibytes:.0f}",
            f"{s.sweep_peak_mebibytes:.0f}",
            f"{per_pod * s.containers:.0f}",
            f"{per_pod * s.containers / s.sweep_seconds:.0f}",
        )
        for s in sweeps
    ]
    note = f"straightforward: {1000 * per_pod:.1f} ms CPU, {1000 * wall_per_pod:.1f} ms wall per pod"
    bounds = "at 10,000: sweep ≤ 2 s, peaks ≤ 300 MiB, update ≤ 0.3 s, ratio ≥ 50"
    return f"{table([head, *rows])}\n\n{note}; {bounds}"


if __name__ == "__main__":
    raise SystemExit(main())
