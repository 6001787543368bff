"""`bilgepump ecs` and `bilgepump incidents` as people call them, against stand-in and moto."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from controller.cli.ecs import ecs as ecs_command
from controller.cli.incidents import incidents
from controller.cli.report import report
from controller.clients.aws import Account, AwsClients
from controller.platforms.ecs.events import EcsEvents
from controller.platforms.ecs.lease import BucketLease
from controller.platforms.ecs.lock import DirectoryLock
from controller.reporting import notices
from tests.ecs.cloud import ContainerInsights, a_client, aws_environment, moto_server
from tests.ecs.server import EcsStandIn
from tests.ecs.story import a_leaking_service, a_policy
from tests.ecs.test_records import an_incident
from tests.ecs.waiting import until
from tests.fakes import NOW


@dataclass
class Stage:
    """What the command runs against."""

    ecs: EcsStandIn
    moto: str
    folder: Path

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def run(self, *arguments: str, policy: Any = None) -> Result:
        file = self.folder / "policy.yaml"
        file.write_text(yaml.safe_dump(policy or a_policy()))
        given = ["--policy", str(file), "--state", str(self.state), "--allow-short-lookback", *arguments]
        return CliRunner(env=aws_environment(self.ecs.url, self.moto)).invoke(ecs_command, given)


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def stage(ecs: EcsStandIn, moto: str, tmp_path: Path) -> Stage:
    a_leaking_service(a_client("ecs", ecs.url))
    until(lambda: ecs.settled("api"))
    ContainerInsights(ecs, moto).publish()
    return Stage(ecs, moto, tmp_path)


def test_once_shows_every_service_and_keeps_policy_status(stage: Stage) -> None:
    result = stage.run("--once")

    assert result.exit_code == 0, result.output
    assert "eu-west-1/prod/api" in result.output
    assert "3/3" in result.output
    status = json.loads((stage.state / "policies" / "shop" / "api.json").read_text())
    assert {one["type"]: one["status"] for one in status["conditions"]}["Accepted"] == "True"


def test_dry_run_writes_nothing_and_needs_no_lock(stage: Stage) -> None:
    other = DirectoryLock(stage.state)
    assert asyncio.run(other.claim())
    before = sorted(stage.state.rglob("*"))

    result = stage.run("--dry-run")

    assert result.exit_code == 0, result.output
    assert "eu-west-1/prod/api" in result.output
    assert sorted(stage.state.rglob("*")) == before


def test_second_copy_is_refused(stage: Stage) -> None:
    other = DirectoryLock(stage.state)
    assert asyncio.run(other.claim())

    result = stage.run("--once")

    assert result.exit_code == 1
    assert "another copy holds" in result.output


def test_state_in_a_bucket(stage: Stage) -> None:
    s3 = a_client("s3", stage.moto)
    s3.create_bucket(Bucket="state", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    place = "s3://state/shop"

    assert stage.run("--dry-run", "--state", place).exit_code == 0
    assert "Contents" not in s3.list_objects_v2(Bucket="state")
    result = stage.run("--once", "--state", place)

    assert result.exit_code == 0, result.output
    keys = {one["Key"] for one in s3.list_objects_v2(Bucket="state")["Contents"]}
    assert keys == {"shop/lease.json", "shop/policies/shop/api.json"}
    lease = json.loads(s3.get_object(Bucket="state", Key="shop/lease.json")["Body"].read())
    assert lease["holder"] == ""


def test_second_copy_over_a_bucket_is_refused(stage: Stage) -> None:
    s3 = a_client("s3", stage.moto)
    s3.create_bucket(Bucket="busy", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert asyncio.run(BucketLease(s3, "busy", identity="other").claim())

    result = stage.run("--once", "--state", "s3://busy")

    assert result.exit_code == 1
    assert "another copy holds s3://busy/lease.json" in result.output


def test_cost_and_calls_are_shown(stage: Stage) -> None:
    output = stage.run("--dry-run").output

    assert "calls of the ECS API" in output
    assert "3 metrics of CloudWatch; at the pace of now" in output
    assert "a month, about USD" in output


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ({"selector": {"matchLabels": {"app": "api"}}}, "`bilgepump ecs` governs ECS services only"),
        ({"ecs": {"region": "eu-west-1", "cluster": "prod"}}, "exactly one of `services` and `tags`"),
        ({"ecs": {"region": "Ireland", "cluster": "prod", "services": ["api"]}}, "the name of a region"),
        (
            {"ecs": {"region": "eu-west-1", "cluster": "arn:aws:ecs:x", "services": ["api"]}},
            "not its ARN",
        ),
        (
            {"ecs": {"region": "eu-west-1", "cluster": "prod", "services": ["api"], "externalId": "abc"}},
            "only with `assumeRoleArn`",
        ),
        (
            {"ecs": {"region": "eu-west-1", "cluster": "prod", "services": ["api"], "assumeRoleArn": "me"}},
            "the ARN of an IAM role",
        ),
    ],
    ids=["Kubernetes target", "neither", "no region", "cluster by ARN", "external id alone", "no role ARN"],
)
def test_policy_that_cannot_be_used_is_told_by_field(stage: Stage, target: Any, says: str) -> None:
    policy = a_policy(target=target, evidence={})

    result = stage.run("--once", policy=policy)

    assert result.exit_code == 2
    assert says in result.output


def test_aws_that_does_not_answer_ends_with_one_line(stage: Stage) -> None:
    stage.ecs.throttle("DescribeServices", times=5)

    result = stage.run("--once")

    assert result.exit_code == 1
    assert result.output.strip().splitlines()[-1].startswith("ECS describe_services: ")


async def test_incidents_are_listed_and_told(tmp_path: Path) -> None:
    from controller.platforms.ecs.records import StateRecords
    from controller.platforms.ecs.state import DirectoryState

    kept = await StateRecords(DirectoryState(tmp_path)).create(an_incident())
    runner = CliRunner()

    table = runner.invoke(incidents, ["--state", str(tmp_path)]).output
    story = runner.invoke(incidents, ["--state", str(tmp_path), kept.name]).output
    document = json.loads(
        runner.invoke(incidents, ["--state", str(tmp_path), kept.name, "-o", "json"]).output
    )
    missing = runner.invoke(incidents, ["--state", str(tmp_path), "other"])

    assert kept.name in table
    assert "eu-west-1/prod/api" in table
    assert "Leaking" in story
    assert document["kind"] == "MemoryIncident"
    assert missing.exit_code == 1
    assert kept.name in missing.output


@pytest.mark.parametrize("command", [[incidents], [report, "api-1"]], ids=["incidents", "report"])
@pytest.mark.parametrize(
    ("place", "why"), [("missing", "No such file or directory"), ("file", "Not a directory")]
)
def test_wrong_state_is_not_a_state_without_incidents(
    tmp_path: Path, command: list[Any], place: str, why: str
) -> None:
    (tmp_path / "file").write_text("")

    result = CliRunner().invoke(command[0], [*command[1:], "--state", str(tmp_path / place)])

    assert result.exit_code == 1
    assert f"{tmp_path / place} cannot be read: {why}" in result.output


def test_state_without_incidents_is_an_empty_table(tmp_path: Path) -> None:
    result = CliRunner().invoke(incidents, ["--state", str(tmp_path)])

    assert (result.exit_code, len(result.output.splitlines())) == (0, 1)


async def test_incidents_in_a_bucket_are_listed(moto: str) -> None:
    from controller.platforms.ecs.bucket import BucketState
    from controller.platforms.ecs.records import StateRecords

    s3 = a_client("s3", moto)
    s3.create_bucket(Bucket="listed", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    kept = await StateRecords(BucketState(s3, "listed", "shop")).create(an_incident())
    runner = CliRunner(env=aws_environment(moto, moto))

    table = runner.invoke(incidents, ["--state", "s3://listed/shop", "--state-region", "eu-west-1"])
    missing = runner.invoke(incidents, ["--state", "s3://nowhere", "--state-region", "eu-west-1"])

    assert kept.name in table.output
    assert missing.exit_code == 1
    assert "s3://nowhere/" in missing.output


async def test_events_reach_a_rule_on_our_source(moto: str) -> None:
    bus, queues = a_client("events", moto), a_client("sqs", moto)
    queue = queues.create_queue(QueueName="told")["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    bus.put_rule(Name="ours", EventPattern='{"source": ["bilgepump.dev"]}')
    bus.put_targets(Rule="ours", Targets=[{"Id": "1", "Arn": arn}])

    await EcsEvents(bus, bus="default").announce(notices.restart_started(an_incident(), NOW))

    (message,) = queues.receive_message(QueueUrl=queue, WaitTimeSeconds=2)["Messages"]
    event = json.loads(message["Body"])
    assert event["source"] == "bilgepump.dev"
    assert event["detail-type"] == "LeakRestartStarted"
    assert event["detail"]["version"] == 1
    assert event["detail"]["regarding"]["name"] == "eu-west-1/prod/api"
    assert event["detail"]["related"]["kind"] == "MemoryIncident"


async def test_bus_that_does_not_answer_stops_nothing() -> None:
    bus = a_client("events", "http://127.0.0.1:9")

    await EcsEvents(bus, bus="default").announce(notices.restart_started(an_incident(), NOW))


def test_role_of_another_account_is_assumed_with_its_external_id(
    moto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in aws_environment(moto, moto).items():
        monkeypatch.setenv(key, value)
    role = "arn:aws:iam::210987654321:role/bilgepump"
    account = Account(region="eu-west-1", role_arn=role, external_id="shop-1")

    identity: Any = AwsClients().reader(account, "sts")

    assert identity.get_caller_identity()["Arn"].startswith(
        "arn:aws:sts::210987654321:assumed-role/bilgepump"
    )
    assert identity.meta.region_name == "eu-west-1"


def test_what_changes_something_is_sent_once() -> None:
    clients = AwsClients()
    account = Account(region="eu-west-1")

    assert clients.writer(account, "ecs").meta.config.retries == {"mode": "standard", "total_max_attempts": 1}
    assert clients.reader(account, "ecs").meta.config.retries == {"mode": "adaptive", "total_max_attempts": 5}


def test_policies_come_from_the_environment_too(stage: Stage) -> None:
    environment = aws_environment(stage.ecs.url, stage.moto) | {
        "BILGEPUMP_POLICY": yaml.safe_dump(a_policy()),
        "BILGEPUMP_STATE": str(stage.state),
    }

    result = CliRunner(env=environment).invoke(ecs_command, ["--once", "--allow-short-lookback"])

    assert result.exit_code == 0, result.output
    assert "eu-west-1/prod/api" in result.output


def test_without_any_policy_it_says_how_to_give_one(tmp_path: Path) -> None:
    result = CliRunner().invoke(ecs_command, ["--state", str(tmp_path), "--once"])

    assert result.exit_code == 2
    assert "BILGEPUMP_POLICY" in result.output


@pytest.mark.parametrize("content", [b"\xff\xfe", b"made: 2026-99-99"], ids=["not UTF-8", "impossible date"])
def test_policy_file_that_is_no_text_or_no_yaml_is_exit_code_two(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "policy.yaml"
    file.write_bytes(content)

    result = CliRunner().invoke(
        ecs_command, ["--policy", str(file), "--state", str(tmp_path / "state"), "--once"]
    )

    assert result.exit_code == 2
    assert f"{file}: must be YAML" in result.output


def test_cluster_of_two_accounts_is_refused(stage: Stage) -> None:
    other = a_policy()
    other["metadata"]["name"] = "other"
    other["spec"]["target"]["ecs"]["assumeRoleArn"] = "arn:aws:iam::210987654321:role/bilgepump"
    texts = yaml.safe_dump_all([a_policy(), other])

    result = CliRunner().invoke(
        ecs_command,
        ["--policy-text", texts, "--state", str(stage.state), "--once", "--allow-short-lookback"],
    )

    assert result.exit_code == 2
    assert "one namespace for each account" in result.output


def test_error_ratio_without_a_prometheus_is_refused(stage: Stage) -> None:
    policy = a_policy()
    counter = {"metric": "http_requests_total"}
    errors = {**counter, "matchPatterns": {"code": "5.."}}
    policy["spec"]["verification"] = {"errorRatio": {"requests": counter, "errors": errors}}

    result = CliRunner().invoke(
        ecs_command,
        [
            "--policy-text",
            yaml.safe_dump(policy),
            "--state",
            str(stage.state),
            "--once",
            "--allow-short-lookback",
        ],
    )

    assert result.exit_code == 2
    assert "`errorRatio` and `latency` need --prometheus" in result.output
