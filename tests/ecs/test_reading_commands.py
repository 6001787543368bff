"""`bilgepump scan --ecs` and `bilgepump report --state`: what people read without any Kubernetes."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from controller.cli.report import report
from controller.cli.scan import LEAKS_FOUND, scan
from controller.clients.aws import AwsClients
from controller.clients.reporter import CHECKSUMS, REPORT
from controller.ecs_wiring import evidence_at, state_store
from controller.evidence.retention import EvidenceLimits
from controller.platforms.ecs.place import StatePlace, parse_place
from controller.platforms.ecs.records import StateRecords
from tests.ecs.cloud import a_client, aws_environment, moto_server, remembered
from tests.ecs.server import EcsStandIn
from tests.ecs.story import a_leaking_service
from tests.ecs.test_records import an_incident
from tests.ecs.waiting import until
from tests.fakes import NOW

LIMITS = EvidenceLimits(maximum_bytes=2**30, maximum_age=timedelta(days=30))


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def services(ecs: EcsStandIn, moto: str) -> EcsStandIn:
    """`api` leaks, in whole megabytes; `cart` does not."""
    for name in ("api", "cart"):
        a_leaking_service(a_client("ecs", ecs.url), serviceName=name, desiredCount=1)
    until(lambda: ecs.settled("api") and ecs.settled("cart"))
    remembered(ecs, moto, "api", (20, 80))
    remembered(ecs, moto, "cart", (30, 30))
    return ecs


def scanned(ecs: EcsStandIn, moto: str, *arguments: str) -> Result:
    given = ["--ecs", "--region", "eu-west-1", *arguments]
    return CliRunner(env=aws_environment(ecs.url, moto)).invoke(scan, given)


def test_leaking_service_is_found_and_the_quiet_one_is_not(services: EcsStandIn, moto: str) -> None:
    found = scanned(services, moto, "--cluster", "prod")

    assert found.exit_code == LEAKS_FOUND, found.output
    assert "Service eu-west-1/prod/api" in found.output
    assert "prod/cart" not in found.output
    assert "1 of 2 containers leak." in found.output
    assert services.calls["StopTask"] == services.calls["UpdateService"] == 0


def test_one_service_as_json(services: EcsStandIn, moto: str) -> None:
    found = scanned(services, moto, "--cluster", "prod", "--service", "cart", "-o", "json")

    assert found.exit_code == 0, found.output
    (result,) = json.loads(found.stdout)["results"]
    assert result["workload"] == "Service eu-west-1/prod/cart/app"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--cluster", "gone"], 1, "Cluster not found"),
        (["--cluster", "prod", "--service", "gone"], 1, "no service called gone"),
        ([], 2, "--ecs.cluster"),
        (["--cluster", "arn:aws:ecs:x"], 2, "not its ARN"),
        (["--cluster", "prod", "--prometheus", "http://p"], 2, "exactly one of --prometheus and --ecs"),
        (["--cluster", "prod", "--namespace", "shop"], 2, "--service is for --ecs"),
    ],
)
def test_what_cannot_be_scanned_is_said(
    services: EcsStandIn, moto: str, arguments: list[str], code: int, says: str
) -> None:
    found = scanned(services, moto, *arguments)

    assert found.exit_code == code, found.output
    assert says in found.output


@pytest.fixture(params=["directory", "bucket"])
def place(request: Any, moto: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StatePlace:
    for key, value in aws_environment(moto, moto).items():
        monkeypatch.setenv(key, value)
    if request.param == "directory":
        return parse_place(str(tmp_path / "state"))
    bucket = f"kept-{tmp_path.name}".replace("_", "-").lower()[:60]
    location = {"LocationConstraint": "eu-west-1"}
    a_client("s3", moto).create_bucket(Bucket=bucket, CreateBucketConfiguration=location)
    return parse_place(f"s3://{bucket}/shop")


async def test_report_and_files_come_from_the_state(place: StatePlace, tmp_path: Path) -> None:
    region = "eu-west-1"
    kept = await StateRecords(state_store(place, AwsClients(), region)).create(an_incident())
    store = evidence_at(place, region, LIMITS)
    store.write(kept.folder, REPORT, b"<html>story</html>", NOW)
    heap = store.write(kept.folder, "early-heap.pb.gz", b"profile", NOW)
    store.write(kept.folder, CHECKSUMS, f"{heap.sha256}  early-heap.pb.gz\n".encode(), NOW)
    page, files = tmp_path / "page.html", tmp_path / "files"
    at = ["--state", str(place), "--state-region", region]

    found = CliRunner().invoke(report, [kept.name, *at, "--out", str(page), "--files", str(files)])
    missing = CliRunner().invoke(report, ["other", *at])

    assert found.exit_code == 0, found.output
    assert page.read_text() == "<html>story</html>"
    assert (files / "early-heap.pb.gz").read_bytes() == b"profile"
    assert missing.exit_code == 1
    assert "no incident is called 'other'" in missing.output
