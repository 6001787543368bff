"""boto3's manners: own region, FIPS, dual-stack, other endpoints, roles that are assumed again in time."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.clients.aws import Account, AwsClients
from tests.ecs.cloud import aws_environment, moto_server

OWN = Account(region="eu-west-1")
ASSUMED = Account(
    region="eu-west-1", role_arn="arn:aws:iam::210987654321:role/bilgepump", external_id="shop-1"
)


@pytest.fixture(autouse=True)
def only_these(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Nothing of a real account, and no endpoint but AWS's own."""
    import os

    for key in [key for key in os.environ if key.startswith("AWS_")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return monkeypatch


def endpoint(service: str, account: Account = OWN) -> str:
    url: str = AwsClients().reader(account, service).meta.endpoint_url
    return url


@pytest.mark.parametrize("service", ["ecs", "sts", "monitoring", "events"])
def test_every_service_is_asked_in_the_accounts_region(service: str) -> None:
    names = {"monitoring": "cloudwatch"}

    assert endpoint(names.get(service, service)) == f"https://{service}.eu-west-1.amazonaws.com"


@pytest.mark.parametrize(
    ("variable", "service", "region", "url"),
    [
        ("AWS_USE_FIPS_ENDPOINT", "ecs", "us-east-1", "https://ecs-fips.us-east-1.amazonaws.com"),
        ("AWS_USE_DUALSTACK_ENDPOINT", "ecs", "eu-west-1", "https://ecs.eu-west-1.api.aws"),
        ("AWS_USE_DUALSTACK_ENDPOINT", "sts", "eu-west-1", "https://sts.eu-west-1.api.aws"),
    ],
)
def test_other_kinds_of_endpoint(
    only_these: pytest.MonkeyPatch, variable: str, service: str, region: str, url: str
) -> None:
    only_these.setenv(variable, "true")

    assert endpoint(service, Account(region=region)) == url


def test_endpoint_of_ones_own(only_these: pytest.MonkeyPatch) -> None:
    only_these.setenv("AWS_ENDPOINT_URL_ECS", "https://vpce-1.ecs.eu-west-1.vpce.amazonaws.com")

    assert endpoint("ecs") == "https://vpce-1.ecs.eu-west-1.vpce.amazonaws.com"
    assert endpoint("sts") == "https://sts.eu-west-1.amazonaws.com"


def test_accounts_share_no_client_and_calls_of_one_account_do() -> None:
    clients = AwsClients()

    assert clients.reader(OWN, "ecs") is clients.reader(OWN, "ecs")
    assert clients.reader(OWN, "ecs") is not clients.reader(ASSUMED, "ecs")
    assert clients.reader(OWN, "ecs") is not clients.writer(OWN, "ecs")


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_server() as url:
        yield url


def test_role_is_assumed_once_and_again_before_its_credentials_expire(
    moto: str, only_these: pytest.MonkeyPatch
) -> None:
    for key, value in aws_environment(moto, moto).items():
        only_these.setenv(key, value)
    client: Any = AwsClients().reader(ASSUMED, "sts")
    credentials = client._request_signer._credentials
    fetcher = credentials._refresh_using.__self__
    asked = Counter[str]()
    fetch = fetcher._get_credentials

    def counted() -> Any:
        asked["AssumeRole"] += 1
        return fetch()

    fetcher._get_credentials = counted
    for _ in range(3):
        assert client.get_caller_identity()["Account"] == "210987654321"
    assert asked["AssumeRole"] == 1
    first = credentials.get_frozen_credentials().access_key

    soon = datetime.now(UTC) + timedelta(minutes=5)
    credentials._expiry_time = soon
    for kept in fetcher._cache.values():
        kept["Credentials"]["Expiration"] = soon.isoformat()
    client.get_caller_identity()

    assert asked["AssumeRole"] == 2
    assert credentials.get_frozen_credentials().access_key != first
