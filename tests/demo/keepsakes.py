"""What the demo leaves in `build/demo/`: incident, Events, profiles, timeline, a picture of memory."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.dates import DateFormatter
from matplotlib.figure import Figure

from tests.cluster.client import KubernetesClient
from tests.demo.recording import Recording
from tests.demo.stage import CONTROLLER_NAMESPACE, REPOSITORY

FOLDER = REPOSITORY / "build" / "demo"
EVIDENCE = "/var/lib/bilgepump/evidence"
MIB = 2**20


def keep(
    cluster: KubernetesClient, recording: Recording, incident: dict[str, Any], threshold_bytes: int
) -> list[Path]:
    """Writes everything and says what was written."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    namespace, name = recording.namespace, incident["metadata"]["name"]
    _write("incident.yaml", cluster.kubectl("-n", namespace, "get", "memi", name, "-o", "yaml").stdout)
    _write("events.txt", our_events(cluster, namespace))
    _write("timeline.json", json.dumps([one.document() for one in recording.moments], indent=2))
    copy_evidence(cluster, FOLDER / "profiles")
    draw_memory(recording, incident, threshold_bytes, FOLDER / "memory.svg", FOLDER / "memory.png")
    return sorted(path for path in FOLDER.rglob("*") if path.is_file())


def our_events(cluster: KubernetesClient, namespace: str) -> str:
    """`kubectl get events`, only ours."""
    return cluster.kubectl(
        "-n",
        namespace,
        "get",
        "events",
        "--field-selector=reportingComponent=bilgepump",
        "--sort-by=.lastTimestamp",
    ).stdout


def copy_evidence(cluster: KubernetesClient, folder: Path) -> None:
    """Copies the controller's evidence volume."""
    pod = cluster.pods(CONTROLLER_NAMESPACE)[0]["metadata"]["name"]
    cluster.kubectl("-n", CONTROLLER_NAMESPACE, "cp", f"{pod}:{EVIDENCE}", str(folder))


def heap_files(folder: Path) -> tuple[Path | None, Path | None]:
    """Baseline and newest heap profile among the copied evidence."""
    baseline = next(iter(sorted(folder.glob("baselines/**/*-heap.pb.gz"))), None)
    late = sorted(folder.glob("*/*/late-*-heap.pb.gz")) + sorted(folder.glob("*/*/early-*-heap.pb.gz"))
    return baseline, next(iter(late), None)


def pprof_top(baseline: Path | None, now: Path) -> str:
    """What `go tool pprof` says of the kept files."""
    base = [f"-diff_base={baseline}"] if baseline else []
    command = ["go", "tool", "pprof", "-top", "-nodecount=8", "-sample_index=inuse_space", *base, str(now)]
    answer = subprocess.run(command, capture_output=True, text=True)
    return f"$ {' '.join(command)}\n{answer.stdout or answer.stderr}"


def draw_memory(recording: Recording, incident: dict[str, Any], threshold_bytes: int, *paths: Path) -> None:
    """Memory of every replica with the threshold, the verdict and the restart."""
    matplotlib.use("Agg")
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for pod in sorted({pod for _, memory in recording.memory for pod in memory}):
        points = [(at, memory[pod] / MIB) for at, memory in recording.memory if pod in memory]
        axes.plot([at for at, _ in points], [value for _, value in points], label=pod, linewidth=1.5)
    axes.axhline(threshold_bytes / MIB, color="black", linestyle="--", linewidth=1)
    axes.annotate(
        "threshold", (0.005, threshold_bytes / MIB), xycoords=("axes fraction", "data"), va="bottom"
    )
    for at, what in _marks(incident):
        axes.axvline(at, color="grey", linestyle=":", linewidth=1)
        axes.annotate(what, (at, 1.0), xycoords=("data", "axes fraction"), rotation=90, va="top", ha="right")
    axes.set_ylim(0, 1.25 * threshold_bytes / MIB)
    axes.set_ylabel("working set, MiB")
    axes.set_xlabel("UTC")
    axes.xaxis.set_major_formatter(DateFormatter("%H:%M:%S"))
    axes.set_title("Memory of the story's service")
    axes.legend(loc="lower center", fontsize="small", ncols=2)
    for path in paths:
        figure.savefig(path)


def _marks(incident: dict[str, Any]) -> list[tuple[datetime, str]]:
    told = ("Leaking", "RestartStarted", "RolledOut", "Recovered")
    timeline = incident["status"].get("timeline", [])
    return [(datetime.fromisoformat(one["at"]), one["what"]) for one in timeline if one["what"] in told]


def _write(name: str, content: str) -> None:
    (FOLDER / name).write_text(content)
