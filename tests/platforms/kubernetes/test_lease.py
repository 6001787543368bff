from datetime import timedelta
from typing import Any

from controller.platforms.kubernetes.api import ApiRefusal
from controller.platforms.kubernetes.lease import Lease
from controller.ports import PlatformUnavailable
from tests.fakes import FakeClock

DURATION = timedelta(seconds=15)


class FakeApi:
    """One Lease object with real conflicts: a patch with an old resourceVersion is refused."""

    def __init__(self) -> None:
        self.document: dict[str, Any] | None = None
        self.down = False

    async def find(self, path: str) -> dict[str, Any] | None:
        if self.down:
            raise PlatformUnavailable("down")
        return None if self.document is None else {**self.document}

    async def create(self, path: str, document: dict[str, Any]) -> dict[str, Any]:
        if self.document is not None:
            raise ApiRefusal(409, "AlreadyExists", "")
        self.document = {**document, "metadata": {**document["metadata"], "resourceVersion": "1"}}
        return self.document

    async def patch(self, path: str, patch: dict[str, Any], **_: str) -> dict[str, Any]:
        assert self.document is not None
        if patch["metadata"]["resourceVersion"] != self.document["metadata"]["resourceVersion"]:
            raise ApiRefusal(409, "Conflict", "")
        version = str(int(self.document["metadata"]["resourceVersion"]) + 1)
        self.document = {
            **self.document,
            "spec": {**self.document["spec"], **patch["spec"]},
            "metadata": {**self.document["metadata"], "resourceVersion": version},
        }
        return self.document


def a_lease(api: FakeApi, clock: FakeClock, identity: str = "one") -> Lease:
    return Lease(
        api,  # type: ignore[arg-type]
        namespace="bilgepump",
        name="bilgepump",
        identity=identity,
        duration=DURATION,
        clock=lambda: clock.now,
    )


async def test_first_one_holds_and_the_second_waits() -> None:
    api, clock = FakeApi(), FakeClock()
    one, two = a_lease(api, clock, "one"), a_lease(api, clock, "two")

    assert await one.claim()
    assert not await two.claim()
    assert (one.held, two.held) == (True, False)
    assert await one.confirm()
    assert not await two.confirm()


async def test_second_takes_over_when_the_first_is_silent() -> None:
    api, clock = FakeApi(), FakeClock()
    one, two = a_lease(api, clock, "one"), a_lease(api, clock, "two")
    await one.claim()

    clock.pass_time(DURATION + timedelta(seconds=1))

    assert not one.held
    assert await two.claim()
    assert not await one.confirm()


async def test_paused_leader_that_wakes_up_late_may_not_act() -> None:
    api, clock = FakeApi(), FakeClock()
    one = a_lease(api, clock)
    await one.claim()

    clock.pass_time(DURATION * 0.7)

    assert one.held
    assert not await one.confirm(), "less than a third of the lease is left"


async def test_of_two_that_claim_at_once_one_wins() -> None:
    api, clock = FakeApi(), FakeClock()
    one, two = a_lease(api, clock, "one"), a_lease(api, clock, "two")
    await one.claim()
    clock.pass_time(DURATION * 2)
    stale = await api.find("")

    assert await two.claim()
    api_find = api.find

    async def sees_the_old(path: str) -> Any:
        return stale

    api.find = sees_the_old  # type: ignore[method-assign]
    assert not await one.claim()
    api.find = api_find  # type: ignore[method-assign]
    assert await two.confirm()


async def test_unreachable_api_server_confirms_nothing() -> None:
    api, clock = FakeApi(), FakeClock()
    one = a_lease(api, clock)
    await one.claim()

    api.down = True

    assert not await one.confirm()


async def test_released_lease_is_free_at_once() -> None:
    api, clock = FakeApi(), FakeClock()
    one, two = a_lease(api, clock, "one"), a_lease(api, clock, "two")
    await one.claim()

    await one.release()

    assert not one.held
    assert await two.claim()
