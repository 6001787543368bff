"""What is made of the API server's answers; the real one is asked in tests/e2e/test_report.py."""

from typing import Any

import pytest

from controller.evidence.replica_context import (
    ContextPlan,
    LogLimits,
    Told,
    plan_context,
)
from controller.platforms.kubernetes import context
from controller.platforms.kubernetes.api import ApiRefusal
from controller.platforms.kubernetes.context import KubernetesContext
from controller.ports import PlatformUnavailable
from tests.fakes import a_judgement, a_workload

KILLED = {"reason": "OOMKilled", "exitCode": 137, "finishedAt": "2026-03-02T11:00:00Z"}


class FakeApi:
    """One pod, its log and some Events."""

    def __init__(self) -> None:
        self.lines: list[bytes] = [f"line {number}\n".encode() for number in range(500)]
        self.last_state: dict[str, Any] = {}
        self.uid = "uid-api-1"
        self.events: list[dict[str, Any]] = []
        self.refused = ""
        self.asked: list[dict[str, str]] = []

    async def items(self, path: str, **query: str) -> list[dict[str, Any]]:
        if path.endswith("/events"):
            if self.refused == "events":
                raise ApiRefusal(403, "Forbidden", "events is forbidden")
            uid = query["fieldSelector"].partition("=")[2]
            return [one for one in self.events if one["involvedObject"]["uid"] == uid]
        assert query == {"fieldSelector": "metadata.name=api-1"}
        status = {"name": "app", "restartCount": 2, "lastState": self.last_state}
        return [{"metadata": {"uid": self.uid}, "status": {"containerStatuses": [status]}}]

    async def raw(self, path: str, **query: str) -> bytes:
        assert path == "/api/v1/namespaces/shop/pods/api-1/log"
        self.asked.append(query)
        if self.refused == "pods/log":
            raise ApiRefusal(403, "Forbidden", 'pods "api-1" is forbidden')
        wanted = self.lines[-int(query["tailLines"]) :]
        return b"".join(wanted)[: int(query["limitBytes"])]


def an_event(uid: str, at: str, **changes: Any) -> dict[str, Any]:
    about = {"uid": uid, "kind": "Pod", "name": "api-1"}
    event = {"involvedObject": about, "reason": "BackOff", "message": "m" * 900, "lastTimestamp": at}
    return {"metadata": {}, "type": "Warning", "count": 4, **event, **changes}


async def read(api: FakeApi, limits: LogLimits = LogLimits()) -> Told:  # noqa: B008  (frozen)
    plan = plan_context(a_workload(), a_judgement(), "shop/api-x", "late")
    assert isinstance(plan, ContextPlan)
    return await KubernetesContext(api, limits).read(plan)  # type: ignore[arg-type]  # the verbs it uses


async def test_last_lines_are_asked_for_with_bounds() -> None:
    api = FakeApi()
    told = await read(api, LogLimits(lines=3, maximum_bytes=1000))

    assert told.log == b"line 497\nline 498\nline 499\n"
    assert told.previous_log is None
    (asked,) = api.asked
    assert (asked["tailLines"], asked["limitBytes"], asked["previous"]) == ("3", "1048576", "false")


async def test_long_lines_are_asked_for_in_smaller_numbers_until_the_end_arrives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(context, "LARGEST_ANSWER_BYTES", 1000)
    api = FakeApi()
    api.lines = [f"{number:03}{'x' * 300}\n".encode() for number in range(50)]

    told = await read(api, LogLimits(lines=50, maximum_bytes=700))

    assert told.log is not None
    assert told.log.endswith(api.lines[-1])
    assert len(told.log) <= 700
    assert [one["tailLines"] for one in api.asked] == ["50", "25", "12", "6", "3"]


async def test_way_the_container_ended_before_is_told_with_its_log() -> None:
    api = FakeApi()
    api.last_state = {"terminated": KILLED}

    told = await read(api)

    ended = told.context.previous_termination
    assert ended is not None
    assert (ended.reason, ended.exit_code, str(ended.finished_at)) == (
        "OOMKilled",
        137,
        "2026-03-02 11:00:00+00:00",
    )
    assert told.context.restart_count == 2
    assert [one["previous"] for one in api.asked] == ["false", "true"]
    assert told.previous_log


async def test_events_of_pod_and_workload_are_the_newest_and_not_our_own() -> None:
    api = FakeApi()
    api.events = [an_event("uid-api-1", f"2026-03-02T10:{minute:02}:00Z") for minute in range(30)]
    api.events += [
        an_event("workload-uid", "2026-03-02T11:00:00Z", reason="ScalingReplicaSet", type="Normal"),
        an_event("uid-api-1", "2026-03-02T11:01:00Z", source={"component": "bilgepump"}),
        an_event("another", "2026-03-02T11:02:00Z"),
        an_event("uid-api-1", "", lastTimestamp=None, eventTime="2026-03-02T11:03:00.123456Z"),
        an_event("uid-api-1", "", lastTimestamp=None),
    ]

    events = (await read(api)).context.events

    assert len(events) == 20
    assert [one.reason for one in events[-2:]] == ["ScalingReplicaSet", "BackOff"]
    assert (events[0].about, events[0].count, events[0].warning) == ("Pod/api-1", 4, True)
    assert len(events[0].message) == 500


@pytest.mark.parametrize("refused", ["pods/log", "events"])
async def test_right_that_is_missing_is_told_and_the_rest_goes_on(refused: str) -> None:
    api = FakeApi()
    api.refused = refused
    told = await read(api)

    (missing,) = told.context.missing
    assert "403 Forbidden" in missing
    assert (told.log is None) == (refused == "pods/log")


async def test_container_that_wrote_nothing_is_told() -> None:
    api = FakeApi()
    api.lines = []

    assert (await read(api)).context.missing == ("log: the container wrote nothing",)


async def test_without_lines_no_log_is_asked_for() -> None:
    api = FakeApi()
    api.last_state = {"terminated": KILLED}

    told = await read(api, LogLimits(lines=0))

    assert (told.log, told.previous_log, api.asked, told.context.missing) == (None, None, [], ())


async def test_pod_of_the_same_name_is_another_one() -> None:
    api = FakeApi()
    api.uid = "another"

    with pytest.raises(PlatformUnavailable, match="pod api-1 is gone"):
        await read(api)
