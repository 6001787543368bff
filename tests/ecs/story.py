"""The story on ECS: a leaking Go service of three tasks behind a load balancer, under load."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.ecs.server import EcsStandIn
from tests.ecs.tasks import story_binary

IMAGE = "bilgepump.test/story@sha256:" + "d" * 64
MEMORY_MIB = 128
PORT, DEBUG_PORT = 8080, 6060

_ENVIRONMENT = {
    "LISTEN": f"{{address}}:{PORT}",
    "DEBUG_LISTEN": f"{{address}}:{DEBUG_PORT}",
    "POD_NAME": "{address}",
    "DRAIN_DELAY": "1s",
    "SESSION_BYTES": "8192",
    "LEAK_BODIES_EVERY": "2",
}
"""About three times the story's usual pace: 0.65 MiB a second at 20 requests a second and task."""


def a_leaking_service(
    client: Any, *, command: str = "api", network_mode: str = "awsvpc", **changes: Any
) -> None:
    """Registers the task definition and creates the service, as its owners would."""
    environment = [{"name": key, "value": value} for key, value in _ENVIRONMENT.items()]
    client.register_task_definition(
        family="api",
        memory=str(MEMORY_MIB),
        networkMode=network_mode,
        requiresCompatibilities=["FARGATE" if network_mode == "awsvpc" else "EC2"],
        containerDefinitions=[
            {
                "name": "app",
                "image": IMAGE,
                "memory": MEMORY_MIB,
                "command": [command],
                "environment": environment,
                "portMappings": [{"containerPort": PORT}, {"containerPort": DEBUG_PORT}],
                "healthCheck": {"command": ["CMD-SHELL", f"wget -q http://localhost:{PORT}/readyz"]},
            }
        ],
    )
    asked = {
        "cluster": "prod",
        "serviceName": "api",
        "taskDefinition": "api",
        "desiredCount": 3,
        "deploymentConfiguration": {
            "minimumHealthyPercent": 100,
            "maximumPercent": 134,
            "deploymentCircuitBreaker": {"enable": True, "rollback": True},
        },
        "loadBalancers": [{"targetGroupArn": "arn:tg", "containerName": "app", "containerPort": PORT}],
        "tags": [{"key": "app", "value": "api"}],
        **changes,
    }
    client.create_service(**asked)


def a_policy(**spec: Any) -> dict[str, Any]:
    """The story's policy for ECS; keyword arguments replace whole fields of its spec."""
    return {
        "apiVersion": "bilgepump.dev/v1alpha1",
        "kind": "MemoryPolicy",
        "metadata": {"name": "api", "namespace": "shop"},
        "spec": {
            "mode": "Remediate",
            "target": {
                "ecs": {"region": "eu-west-1", "cluster": "prod", "services": ["api"]},
                "containers": ["app"],
            },
            "detection": {"threshold": {"percent": 70}, "lookback": "10m", "minimumAge": "30s"},
            "evidence": {"pprof": [{"container": "app", "port": DEBUG_PORT}]},
            "remediation": {"leadTime": "10s", "cooldown": "10m"},
            "verification": {"progressDeadline": "2m", "soak": "20s"},
            **spec,
        },
    }


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What the load generator counted."""

    sent: int
    failed: int


class Load:
    """Requests through the load balancer, counted by the one who sends them."""

    def __init__(self, log: Path, process: subprocess.Popen[bytes]) -> None:
        self._log = log
        self._process = process

    def result(self) -> LoadResult:
        """The sum of its lines so far."""
        sent = failed = 0
        for line in self._log.read_text().splitlines():
            second = json.loads(line) if line.startswith("{") and line.endswith("}") else {}
            if "sent" in second and not second.get("summary"):
                sent += second["sent"]
                failed += sum(second["failed"].values())
        return LoadResult(sent, failed)


@contextmanager
def load(ecs: EcsStandIn, log: Path, *, rps: int = 60) -> Iterator[Load]:
    """Load until the end of the block."""
    assert ecs.balancer is not None
    command = [str(story_binary()), "load", "-target", ecs.balancer.url, "-rps", str(rps), "-duration", "30m"]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        try:
            yield Load(log, process)
        finally:
            process.terminate()
            process.wait(timeout=30)


@contextmanager
def controller(
    folder: Path, environment: dict[str, str], *more: str, **spec: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """
    `bilgepump ecs` as a process, until the end of the block; its state is `folder`/state.

    Keyword arguments replace whole fields of its policy's spec.
    """
    folder.mkdir(parents=True, exist_ok=True)
    policy = folder / "policy.yaml"
    policy.write_text(yaml.safe_dump(a_policy(**spec), sort_keys=False))
    command = [
        str(Path(sys.executable).parent / "bilgepump"),
        "ecs",
        *("--policy", str(policy)),
        *("--state", str(folder / "state")),
        *("--interval", "5s", "--sample-interval", "5s"),
        "--allow-short-lookback",
        "--allow-loopback",
        *more,
    ]
    with (folder / "controller.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=30)


def only_incident(folder: Path) -> dict[str, Any] | None:
    """The document of the incident that the controller keeps in `folder`; None before there is one."""
    paths = sorted((folder / "state" / "incidents").glob("*/*.json"))
    if not paths:
        return None
    document: dict[str, Any] = json.loads(paths[0].read_text())
    return document
