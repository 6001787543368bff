"""
How long `bilgepump diagnose` takes beside `go tool pprof -top -diff_base` on the same files, in one run.

Writes a hard pair of profiles (about 2 MB gzipped each: tens of thousands of stacks that share no prefix) and
prints wall time, processor time and peak memory of both, and the ratio of both times. Where the machine is
busy with other things, processor time is the one to look at.

    python -m tests.benchmarks.diagnose [--samples 31000] [--rounds 3]
"""

import argparse
import gzip
import os
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from controller.evidence.profile_pb2 import Profile

_FUNCTIONS = 6000
_DEPTH = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one process and those it started."""

    wall_seconds: float
    processor_seconds: float
    peak_bytes: int


_HOLDER = (
    ("sync.(*Pool).Get", "/usr/local/go/src/sync/pool.go"),
    ("github.com/acme/log.(*Logger).With", "/root/go/pkg/mod/github.com/acme/log@v1.2.3/logger.go"),
    ("github.com/acme/shop/internal/tenant.(*Loggers).For", "/app/internal/tenant/loggers.go"),
)
"""What every third stack begins with: one function holds a third of all, so that nothing is left unasked."""


def hard_profile(samples: int, seed: int, growth: float) -> bytes:
    """Random stacks: hardly anything to share, nothing to compress away."""
    dice = random.Random(seed)
    strings = ["", "alloc_objects", "count", "alloc_space", "bytes", "inuse_objects", "inuse_space"]
    message = Profile(period=524288, time_nanos=1_770_000_000 * 10**9)
    for kind, unit in ((1, 2), (3, 4), (5, 2), (6, 4)):
        message.sample_type.add(type=kind, unit=unit)
    for number in range(1, _FUNCTIONS + 1):
        package = f"github.com/acme/shop/internal/p{number % 300}"
        name, file = f"{package}.(*T{number}).Method{number}", f"/app/{package}/file{number}.go"
        strings += _HOLDER[number - 1] if number <= len(_HOLDER) else (name, file)
        message.function.add(id=number, name=len(strings) - 2, filename=len(strings) - 1)
        message.location.add(id=number, address=number * 64).line.add(function_id=number, line=number % 900)
    message.string_table.extend(strings)
    for index in range(samples):
        blocks, size = dice.randrange(1, 2000), 1 << dice.randrange(5, 16)
        used = int(blocks * growth)
        holder = [1, 2, 3] if index % 3 == 0 else []
        others = [dice.randrange(4, _FUNCTIONS + 1) for _ in range(_DEPTH - len(holder))]
        message.sample.add(
            location_id=holder + others,
            value=[blocks * 2, blocks * 2 * size, used, used * size],
        ).label.add(key=4, num=size)
    return gzip.compress(message.SerializeToString(), 6)


def cost_of(command: list[str]) -> Cost:
    """Runs it to its end, with its output thrown away."""
    begin = time.perf_counter()
    quiet = [
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
    ]
    process = os.posix_spawnp(command[0], command, os.environ, file_actions=quiet)
    _, status, usage = os.wait4(process, 0)
    if status != 0:
        raise SystemExit(f"{command[0]} ended with status {status}")
    return Cost(
        wall_seconds=time.perf_counter() - begin,
        processor_seconds=usage.ru_utime + usage.ru_stime,
        peak_bytes=usage.ru_maxrss * 1024,
    )


def main() -> None:
    """Prints one line per program and their ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=31_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base, now = Path(folder) / "base.pb.gz", Path(folder) / "now.pb.gz"
        base.write_bytes(hard_profile(options.samples, 1, 0.5))
        now.write_bytes(hard_profile(options.samples, 1, 1.0))
        print(
            f"files: {base.stat().st_size / 1e6:.2f} MB and {now.stat().st_size / 1e6:.2f} MB gzipped",
            flush=True,
        )
        ours = [sys.executable, "-m", "controller", "diagnose", f"{now}", "-o", "json"]
        print("one profile")
        _compare(ours, ["go", "tool", "pprof", "-top", f"{now}"], options.rounds)
        print("profile and baseline")
        _compare(
            [*ours, "--baseline", f"{base}"],
            ["go", "tool", "pprof", "-top", f"-diff_base={base}", f"{now}"],
            options.rounds,
        )


def _compare(ours: list[str], theirs: list[str], rounds: int) -> None:
    costs = [(cost_of(ours), cost_of(theirs)) for _ in range(rounds)]
    medians: list[tuple[float, float]] = []
    for index, name in enumerate(("bilgepump diagnose", "go tool pprof")):
        wall = statistics.median(pair[index].wall_seconds for pair in costs)
        used = statistics.median(pair[index].processor_seconds for pair in costs)
        peak = max(pair[index].peak_bytes for pair in costs)
        medians.append((wall, used))
        print(f"  {name:20} {wall:6.2f} s wall, {used:6.2f} s processor, {peak / 1e6:6.0f} MB peak")
    (our_wall, our_use), (their_wall, their_use) = medians
    print(f"  ratio {our_wall / their_wall:.2f} wall, {our_use / their_use:.2f} processor")
    print(f"  load of the machine {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    main()
