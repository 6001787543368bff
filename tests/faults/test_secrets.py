"""
After a run in which everything fails that has a credential, none of them is told anywhere.

Every place that the controller writes to is read: its log, Events, incidents, policies, what it keeps in its
bucket, its metrics and what it posts to receivers.
"""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.clients.notifications.standin import Vendor, vendor
from tests.ecs.cloud import a_client, aws_environment, moto_server
from tests.faults.proxy import Fault
from tests.faults.scenes import ROLLING_RESTART, Candidate, Play, Theatre

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(600)]

BUCKET = "secrets"
SECRETS = {
    "bearer-of-prometheus": "prom-bearer-7d1fb0c2",
    "password-of-prometheus": "prom-password-91ce44aa",
    "key-in-a-header": "header-key-5b0e2f77",
    "bearer-of-webhook": "webhook-bearer-c0ffee11",
    "signing-key-of-webhook": "whsec_" + base64.b64encode(b"webhook-signing-0123456789abcdef").decode(),
    "address-of-teams": "http://127.0.0.1:9/workflows/teams-address-3e9d",
    "token-of-slack": "xoxb-slack-token-66aa77",
    "routing-key-of-pagerduty": "b1a9e0c2d3f4a5b6c7d8e9f00a1b2c3d",
    "key-of-s3": "s3-secret-key-20f4c1d9",
}


class Vault:
    """The secrets in files, as a Secret is mounted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name, secret in SECRETS.items():
            (folder / name).write_text(f"{secret}\n")

    def __getitem__(self, name: str) -> str:
        return str(self._folder / name)


def settings(theatre: Theatre, vault: Vault, receiver: Vendor, moto: str) -> dict[str, Any]:
    source = {"url": theatre.metrics.url, "sampleInterval": "5s", "timeout": "3s"}
    receivers = [
        {
            "name": "hook",
            "type": "Webhook",
            "url": f"{receiver.url}/events",
            "bearerTokenFile": vault["bearer-of-webhook"],
            "secretFile": vault["signing-key-of-webhook"],
        },
        {
            "name": "chat",
            "type": "Slack",
            "tokenFile": vault["token-of-slack"],
            "channel": "C0123456789",
            "apiUrl": f"{receiver.url}/slack",
        },
        {"name": "teams", "type": "Teams", "urlFile": vault["address-of-teams"]},
        {
            "name": "pager",
            "type": "PagerDuty",
            "routingKeyFile": vault["routing-key-of-pagerduty"],
            "url": f"{receiver.url}/pager",
        },
    ]
    return {
        "metricsSources": [
            {
                "name": "default",
                "bearerTokenFile": vault["bearer-of-prometheus"],
                "headers": {"X-Api-Key": SECRETS["key-in-a-header"]},
                **source,
            },
            {
                "name": "other",
                "basicAuth": {"username": "me", "passwordFile": vault["password-of-prometheus"]},
                **source,
            },
        ],
        "notifications": {
            "receivers": receivers,
            "routes": [{"receivers": ["hook", "chat", "teams", "pager"], "atLeast": "Info"}],
        },
        "evidence": {"s3": {"bucket": BUCKET, "region": "eu-west-1", "endpointUrl": moto}},
    }


@contextmanager
def given(theatre: Theatre, folder: Path) -> Iterator[tuple[Candidate, Vendor, str]]:
    """The controller with a credential for everything, none of which it knows to be good."""
    with ExitStack() as stack:
        moto = stack.enter_context(moto_server())
        receiver = stack.enter_context(vendor((500, {}, b"by the test")))
        a_client("s3", moto).create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        environment = aws_environment(moto, moto) | {"AWS_SECRET_ACCESS_KEY": SECRETS["key-of-s3"]}
        chosen = settings(theatre, Vault(folder), receiver, moto)
        (candidate,) = stack.enter_context(theatre.controllers(environment=environment, **chosen))
        candidate.start()
        yield candidate, receiver, moto


def test_no_secret_is_told_anywhere(theatre: Theatre, tmp_path: Path) -> None:
    echo = Fault(name="an echo of the request", status=401, echoes=True)
    with given(theatre, tmp_path) as (candidate, receiver, moto), ExitStack() as stack:
        with theatre.metrics.broken(echo):
            play = stack.enter_context(theatre.play(ROLLING_RESTART))
            other = stack.enter_context(theatre.play(ROLLING_RESTART, metrics={"source": "other"}))
            for one in (play, other):
                one.until(
                    "it is said", lambda one=one: one.condition("MetricsAvailable").get("status") == "False"
                )
        refusal = b'{"kind":"Status","status":"Failure","code":401,"reason":"Unauthorized","message":"no"}'
        with candidate.server.broken(Fault(name="unauthorized", status=401, body=refusal)):
            play.until("that is said", lambda: "401 Unauthorized" in candidate.running.log)
        for one in (play, other):
            one.until_closed()
        play.until("every receiver was tried", lambda: len({one.path for one in receiver.received}) >= 3)
        play.until("the reports are kept", lambda: any(key.endswith(".html") for key in kept(moto)))

        used = {one.authorization.partition(" ")[0] for one in theatre.metrics.asked}
        assert used == {"Bearer", "Basic"}
        secrets = everything_secret(service_account_token(candidate))
        places = everything_told(candidate, play, other, moto)
        posted = "".join(one.raw.decode() for one in receiver.received if one.path != "/pager")
        found = [
            (place, secret)
            for place, text in {**places, "posted": posted}.items()
            for secret in secrets
            if secret in text
        ]
        assert found == []
        assert all(places.values()), "nothing was looked at in vain"


def everything_secret(token: str) -> list[str]:
    """The secrets, and what is sent in their place."""
    encoded = base64.b64encode(f"me:{SECRETS['password-of-prometheus']}".encode()).decode()
    return [one for one in (*SECRETS.values(), encoded, token) if one]


def service_account_token(candidate: Candidate) -> str:
    document = yaml.safe_load((candidate.folder / "kubeconfig").read_text())
    token: str = document["users"][0]["user"]["token"]
    return token


def kept(moto: str) -> list[str]:
    objects = a_client("s3", moto).list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return [one["Key"] for one in objects]


def everything_told(candidate: Candidate, play: Play, other: Play, moto: str) -> dict[str, str]:
    s3 = a_client("s3", moto)
    bodies = [
        s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode(errors="replace") for key in kept(moto)
    ]
    port = yaml.safe_load((candidate.folder / "settings.yaml").read_text())["http"]["port"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        metrics = answer.read().decode()
    cluster = play.theatre.cluster
    told = {"log": candidate.running.log, "kept": "".join(bodies), "metrics": metrics}
    for one in (play, other):
        told[f"incidents of {one.namespace}"] = json.dumps(one.incidents)
        told[f"policy of {one.namespace}"] = json.dumps(one.policy)
        told[f"events of {one.namespace}"] = cluster.get_text(f"/api/v1/namespaces/{one.namespace}/events")
    return told
