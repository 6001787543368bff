"""
`make demo-ecs`: the whole story without a cluster and without an account.

Three tasks of a Go service leak under load and climb to 0.7 of their memory; the profile is kept, the tasks
are replaced one at a time, no request fails, memory is back.
"""

import argparse
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from tests.ecs.cloud import ContainerInsights, a_client, aws_environment, moto_server
from tests.ecs.server import EcsStandIn
from tests.ecs.story import PORT, Load, a_leaking_service, controller, load, only_incident
from tests.ecs.tasks import Processes, story_binary

FOLDER = Path(__file__).parents[2] / "build" / "demo-ecs"
DEADLINE_SECONDS = 230.0
MIB = 2**20


class Narrator:
    """Says what happens, with the time since the beginning."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._told = 0

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    def say(self, text: str) -> None:
        """One line."""
        print(f"{int(self.seconds) // 60}:{int(self.seconds) % 60:02d}  {text}", flush=True)

    def tell(self, incident: dict[str, Any] | None) -> None:
        """What is new in the incident."""
        timeline = (incident or {}).get("status", {}).get("timeline", [])
        for entry in timeline[self._told :]:
            self.say(f"      {entry['what']}: {entry['message']}")
        self._told = len(timeline)


def main() -> int:
    """Runs the demo; 0 where the loop closed and no request failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    narrator = Narrator()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    narrator.say("Building the leaking Go service …")
    binary = story_binary()
    with moto_server() as moto, EcsStandIn(Processes(binary), balance_port=PORT) as ecs:
        narrator.say("A stand-in for ECS schedules real processes; CloudWatch and EventBridge are moto's.")
        a_leaking_service(a_client("ecs", ecs.url))
        _wait(lambda: ecs.settled("api"), 60)
        narrator.say(
            "Service prod/api runs: 3 tasks of 128 MiB, minimumHealthyPercent 100, maximumPercent 134."
        )
        with (
            ContainerInsights(ecs, moto),
            load(ecs, FOLDER / "load.jsonl") as requests,
            controller(FOLDER, aws_environment(ecs.url, moto), "--event-bus", "default"),
        ):
            incident = _watch(ecs, requests, narrator)
            result = requests.result()
    return _conclude(narrator, incident, result.sent, result.failed)


def _watch(ecs: EcsStandIn, requests: Load, narrator: Narrator) -> dict[str, Any] | None:
    """Until the incident is closed, or time is up."""
    shown_at = 0.0
    while narrator.seconds < DEADLINE_SECONDS:
        incident = only_incident(FOLDER)
        narrator.tell(incident)
        if narrator.seconds - shown_at >= 10:
            shown_at = narrator.seconds
            narrator.say(
                f"{_memory(ecs)}   requests {requests.result().sent}, failed {requests.result().failed}"
            )
        if incident and incident["status"].get("closedAt"):
            return incident
        time.sleep(0.5)
    return only_incident(FOLDER)


def _memory(ecs: EcsStandIn) -> str:
    tasks = [one for one in list(ecs.service("api").tasks) if one.running and one.status != "STOPPED"]
    sizes = [f"{one.id[:6]} {one.running.memory_bytes() / MIB:3.0f} MiB" for one in tasks if one.running]
    return " · ".join(sizes)


def _conclude(narrator: Narrator, incident: dict[str, Any] | None, sent: int, failed: int) -> int:
    if incident is None:
        narrator.say(f"No incident within {DEADLINE_SECONDS:.0f} s; see {FOLDER / 'controller.log'}")
        return 1
    status = incident["status"]
    heap = next(
        (one["uri"] for one in status.get("evidence", []) if one["kind"] == "heap" and one.get("uri")), ""
    )
    recovered = status["phase"] == "Resolved"
    narrator.say(f"Incident {incident['metadata']['name']}: {status['phase']}, {status['message']}.")
    narrator.say(f"{sent} requests sent, {failed} failed.")
    folder = Path(os.path.relpath(FOLDER))
    print(
        f"\n  incidents    bilgepump incidents --state {folder / 'state'}"
        f"\n  its profile  go tool pprof -sample_index=inuse_space -top {heap.removeprefix('file://')}"
        f"\n  its report   {status.get('reportUri', 'none').removeprefix('file://')}"
        f"\n  diagnosis    {status.get('diagnosis', {}).get('summary', 'none')}"
        f"\n  log          {folder / 'controller.log'}\n"
    )
    return 0 if recovered and failed == 0 else 1


def _wait(condition: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the service did not become steady")
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
