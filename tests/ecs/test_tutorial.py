"""`docs/start/ecs.md` as a reader runs it, against the stand-in for ECS and moto instead of an account."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import REPOSITORY, blocks_of
from tests.ecs.cloud import ContainerInsights, a_client, aws_environment, moto_server
from tests.ecs.server import EcsStandIn
from tests.ecs.story import a_leaking_service
from tests.ecs.waiting import until

PAGE = REPOSITORY / "docs" / "start" / "ecs.md"
NOT_HERE = ("make demo-ecs", "make setup", "source .venv/bin/activate")
"""The story is tests/ecs/test_story.py; the rest is where these tests run already."""
STAYS = "bilgepump ecs --policy policy.yaml --state state"


@pytest.fixture
def account(ecs: EcsStandIn) -> Iterator[dict[str, str]]:
    """What a shell with credentials has: a cluster `prod` with the service `api`, and its memory."""
    with moto_server() as moto:
        a_leaking_service(a_client("ecs", ecs.url))
        until(lambda: ecs.settled("api"))
        ContainerInsights(ecs, moto).publish()
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        yield {**aws_environment(ecs.url, moto), "PATH": path, "COLUMNS": "160"}


def test_every_command_works(account: dict[str, str], tmp_path: Path) -> None:
    (policy,) = (block for block in blocks_of(PAGE) if block.language == "yaml")
    (tmp_path / policy.text.split()[1]).write_text(policy.text)
    commands = [
        line
        for block in blocks_of(PAGE)
        if block.language == "sh"
        for line in block.text.splitlines()
        if line not in NOT_HERE
    ]
    assert STAYS in commands
    assert len(commands) >= 4
    said = ""
    for command in commands:
        if command == STAYS:
            stay_until_it_has_looked(command, account, tmp_path)
            continue
        ran = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, env=account, capture_output=True, text=True, timeout=120
        )
        assert ran.returncode == 0, f"$ {command}\n{ran.stdout}{ran.stderr}"
        said += ran.stdout
    assert "eu-west-1/prod/api" in said
    assert "calls of the ECS API" in said


def stay_until_it_has_looked(command: str, account: dict[str, str], folder: Path) -> None:
    with subprocess.Popen(["bash", "-c", f"exec {command}"], cwd=folder, env=account) as process:
        status = folder / "state" / "policies" / "shop" / "api.json"
        until(status.exists, 90, "its first look")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
