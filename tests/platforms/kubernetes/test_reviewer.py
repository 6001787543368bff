from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from controller.platforms.kubernetes.reviewer import (
    ACCESS_REVIEWS,
    REMEMBERED_FOR,
    TOKEN_REVIEWS,
    Access,
    KubernetesReviewer,
)
from tests.fakes import FakeClock

MAY_READ = ("ana", "shop", "api-1")


class FakeApi:
    """Knows the tokens of ana and bob; ana may get one incident."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    async def create(self, path: str, document: Mapping[str, Any]) -> dict[str, Any]:
        self.paths.append(path)
        spec = document["spec"]
        if path == TOKEN_REVIEWS:
            known = spec["token"] in ("ana", "bob")
            user = {"user": {"username": spec["token"], "groups": ["people"], "uid": "1"}} if known else {}
            return {"status": {"authenticated": known, **user}}
        assert path == ACCESS_REVIEWS
        assert spec["groups"] == ["people"]
        asked = spec["resourceAttributes"]
        if asked["resource"] == "pods":
            assert (asked["group"], asked["subresource"], asked["verb"]) == ("", "log", "get")
            return {"status": {"allowed": (spec["user"], asked["namespace"]) == ("ana", "shop")}}
        assert (asked["group"], asked["resource"], asked["verb"]) == (
            "bilgepump.dev",
            "memoryincidents",
            "get",
        )
        return {"status": {"allowed": (spec["user"], asked["namespace"], asked["name"]) == MAY_READ}}


def a_reviewer(api: FakeApi, clock: FakeClock) -> KubernetesReviewer:
    return KubernetesReviewer(api, lambda: clock.now)  # type: ignore[arg-type]  # the verbs it uses


@pytest.mark.parametrize(
    ("token", "incident", "access"),
    [
        ("ana", "api-1", Access.ALLOWED),
        ("ana", "api-2", Access.FORBIDDEN),
        ("bob", "api-1", Access.FORBIDDEN),
        ("forged", "api-1", Access.UNKNOWN_TOKEN),
    ],
)
async def test_api_server_decides(token: str, incident: str, access: Access) -> None:
    review = await a_reviewer(FakeApi(), FakeClock()).may_get(token, "shop", incident)

    assert review.access is access


@pytest.mark.parametrize(
    ("token", "namespace", "access"),
    [
        ("ana", "shop", Access.ALLOWED),
        ("ana", "bank", Access.FORBIDDEN),
        ("bob", "shop", Access.FORBIDDEN),
        ("forged", "shop", Access.UNKNOWN_TOKEN),
    ],
)
async def test_right_to_logs_is_another(token: str, namespace: str, access: Access) -> None:
    reviewer = a_reviewer(FakeApi(), FakeClock())
    await reviewer.may_get(token, namespace, "api-1")

    assert (await reviewer.may_read_logs(token, namespace)).access is access


async def test_answer_is_remembered_for_a_moment_and_for_one_incident() -> None:
    api, clock = FakeApi(), FakeClock()
    reviewer = a_reviewer(api, clock)

    for _ in range(3):
        assert (await reviewer.may_get("ana", "shop", "api-1")).access is Access.ALLOWED
    assert len(api.paths) == 2
    assert (await reviewer.may_get("ana", "shop", "api-2")).access is Access.FORBIDDEN

    clock.pass_time(REMEMBERED_FOR + timedelta(milliseconds=1))
    await reviewer.may_get("ana", "shop", "api-1")
    assert len(api.paths) == 6
