"""State in S3 (moto's server, behind a door that makes its conditional writes whole): one writer wins."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controller.platforms.ecs.bucket import BucketState
from controller.platforms.ecs.lease import CLOCK_STEP, BucketLease
from controller.platforms.ecs.place import StateBucket, StateDirectory, parse_place
from controller.platforms.ecs.records import StateRecords
from controller.ports import PlatformUnavailable
from controller.reporting import incident_steps as steps
from controller.reporting.policy_status import PolicyFacts
from tests.ecs.cloud import a_client, moto_server
from tests.ecs.one_at_a_time import Door, one_at_a_time
from tests.ecs.test_records import an_incident
from tests.fakes import NOW

BUCKET = "state"
SHORT = timedelta(seconds=9)


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    with moto_server() as moto, one_at_a_time(moto) as door:
        yield door


@pytest.fixture
def s3(door: Door) -> Iterator[Any]:
    import requests

    requests.post(f"{door.url}/moto-api/reset", timeout=10)
    with closing(a_client("s3", door.url)) as client:
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        door.passed.clear()
        yield client


@pytest.fixture
def records(s3: Any) -> StateRecords:
    return StateRecords(BucketState(s3, BUCKET, "bilgepump"))


async def test_incident_comes_back_as_it_was_written(records: StateRecords, s3: Any) -> None:
    created = await records.create(an_incident())

    assert await records.incidents() == (created,)
    key = f"bilgepump/incidents/shop/{created.name}.json"
    document = json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    assert document["kind"] == "MemoryIncident"


async def test_of_many_writers_of_one_name_one_wins(s3: Any) -> None:
    def write(number: int) -> bool:
        state = BucketState(s3, BUCKET)
        return state.create("incidents/shop/api.json", {"writer": number}) is not None

    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(write, range(16)))

    assert sum(won) == 1
    kept = BucketState(s3, BUCKET).read("incidents/shop/api.json")
    assert kept is not None
    assert kept.document == {"writer": won.index(True)}


async def test_of_many_changes_of_one_version_one_wins(s3: Any) -> None:
    version = BucketState(s3, BUCKET).create("incidents/shop/api.json", {"writer": -1})
    assert version is not None

    def change(number: int) -> bool:
        state = BucketState(s3, BUCKET)
        return state.replace("incidents/shop/api.json", {"writer": number}, version) is not None

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(change, range(16))) == 1


async def test_writer_with_an_old_version_is_refused(records: StateRecords, s3: Any) -> None:
    first = await records.create(an_incident())
    other = StateRecords(BucketState(s3, BUCKET, "bilgepump"))
    await other.incidents()
    await other.update(steps.growth_ended(first, "over", NOW))

    with pytest.raises(PlatformUnavailable, match="changed by somebody else"):
        await records.update(steps.outcome_unknown(first, "?", NOW))


async def test_write_whose_answer_was_lost_is_known_as_our_own(records: StateRecords, door: Door) -> None:
    first = await records.create(an_incident())
    door.lose_answers = 1

    changed = await records.update(steps.growth_ended(first, "over", NOW))

    assert await records.incidents() == (changed,)


async def test_sweep_that_finds_nothing_new_reads_no_object_again(records: StateRecords, door: Door) -> None:
    for number in range(5):
        await records.create(replace(an_incident(), name=f"api-{number}"))
    await records.incidents()
    door.passed.clear()

    assert len(await records.incidents()) == 5

    assert door.passed == {"GET": 1}


async def test_what_another_copy_wrote_is_read(records: StateRecords, s3: Any) -> None:
    first = await records.create(an_incident())
    other = StateRecords(BucketState(s3, BUCKET, "bilgepump"))
    changed = await other.update(steps.growth_ended(first, "over", NOW))

    assert await records.incidents() == (changed,)


async def test_object_that_is_no_incident_is_left_alone(records: StateRecords, s3: Any) -> None:
    kept = await records.create(an_incident())
    contents = {
        "notes.json": b"{}",
        "half.json": b'{"spec":',
        "big.json": b"1" * 5_000_000,
        "deep.json": b"[" * 200_000,
    }
    for name, content in contents.items():
        s3.put_object(Bucket=BUCKET, Key=f"bilgepump/incidents/shop/{name}", Body=content)

    assert await records.incidents() == (kept,)


async def test_policy_status_is_written_when_it_differs(records: StateRecords, door: Door) -> None:
    await records.policy_status("shop", "api", PolicyFacts(generation=1, workloads=1), NOW)
    door.passed.clear()

    await records.policy_status("shop", "api", PolicyFacts(generation=1, workloads=1), NOW)
    assert door.passed["PUT"] == 0
    await records.policy_status("shop", "api", PolicyFacts(generation=1, workloads=2), NOW)
    assert door.passed["PUT"] == 1


async def test_bucket_that_does_not_answer_is_said() -> None:
    state = BucketState(a_client("s3", "http://127.0.0.1:9"), BUCKET)

    with pytest.raises(PlatformUnavailable, match="s3://state/"):
        state.create("incidents/shop/api.json", {})
    with pytest.raises(PlatformUnavailable, match="s3://state/"):
        list(state.keys("incidents"))


class Timer:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def a_lease(s3: Any, identity: str, timer: Timer | None = None) -> BucketLease:
    return BucketLease(s3, BUCKET, "bilgepump", identity=identity, duration=SHORT, timer=timer or Timer())


async def test_one_of_two_copies_leads(s3: Any) -> None:
    first, second = a_lease(s3, "first"), a_lease(s3, "second")

    assert await first.claim()
    assert not await second.claim()
    assert (await first.confirm(), await second.confirm()) == (True, False)


async def test_of_many_copies_that_begin_at_once_one_leads(s3: Any) -> None:
    leases = [a_lease(s3, f"copy-{number}") for number in range(12)]

    assert sum(await asyncio.gather(*(lease.claim() for lease in leases))) == 1


async def test_lease_that_was_given_up_is_free_at_once(s3: Any) -> None:
    first, second = a_lease(s3, "first"), a_lease(s3, "second")
    await first.claim()

    await first.release()

    assert await second.claim()


async def test_lease_of_a_dead_copy_runs_out(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await a_lease(s3, "dead").claim()
    living = a_lease(s3, "living")
    assert not await living.claim()

    aged(s3, SHORT + CLOCK_STEP + timedelta(seconds=2))

    assert await living.claim()


async def test_copy_that_slept_through_its_lease_does_not_act(s3: Any) -> None:
    timer = Timer()
    sleeper, other = a_lease(s3, "sleeper", timer), a_lease(s3, "other")
    await sleeper.claim()
    timer.now += 3 * SHORT.total_seconds()
    assert not sleeper.held
    assert not await sleeper.confirm()

    with_age = aged(s3, 3 * SHORT)
    assert await other.claim()
    with_age()

    assert not await sleeper.confirm()
    assert not await sleeper.claim()


async def test_lease_without_time_to_spare_confirms_nothing(s3: Any) -> None:
    lease = a_lease(s3, "first")
    await lease.claim()

    aged(s3, SHORT * 0.7)

    assert not await lease.confirm()


async def test_lost_answer_of_a_claim_is_known_as_our_own(s3: Any, door: Door) -> None:
    lease = a_lease(s3, "first")
    door.lose_answers = 1

    assert await lease.claim()
    assert await lease.confirm()


async def test_object_that_is_no_lease_is_left_alone(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="bilgepump/lease.json", Body=b"mine")

    with pytest.raises(PlatformUnavailable, match="no lease of ours"):
        await a_lease(s3, "first").claim()


@pytest.mark.parametrize("seconds", ["Infinity", "NaN", "0", "-60", "3601", "1e300"])
async def test_lease_of_an_impossible_duration_is_left_alone(s3: Any, seconds: str) -> None:
    body = f'{{"holder": "other", "turn": 1, "durationSeconds": "{seconds}"}}'
    s3.put_object(Bucket=BUCKET, Key="bilgepump/lease.json", Body=body.encode())
    lease = a_lease(s3, "first")

    with pytest.raises(PlatformUnavailable, match="no lease of ours"):
        await lease.claim()
    assert not await lease.confirm()


async def test_lease_of_an_impossible_turn_is_left_alone(s3: Any) -> None:
    body = b'{"holder": "other", "turn": 1e999, "durationSeconds": 60}'
    s3.put_object(Bucket=BUCKET, Key="bilgepump/lease.json", Body=body)

    with pytest.raises(PlatformUnavailable, match="no lease of ours"):
        await a_lease(s3, "first").claim()


def aged(s3: Any, by: timedelta) -> Any:
    """From now on S3 says that the lease was written so much earlier; call what it answers to end that."""

    def later(parsed: dict[str, Any], **_: Any) -> None:
        if "LastModified" in parsed:
            parsed["LastModified"] -= by

    s3.meta.events.register("after-call.s3.GetObject", later)
    return lambda: s3.meta.events.unregister("after-call.s3.GetObject", later)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("s3://state", StateBucket("state")),
        ("s3://state/teams/shop/", StateBucket("state", "teams/shop")),
    ],
)
def test_place_in_a_bucket(text: str, place: StateBucket) -> None:
    assert parse_place(text) == place


def test_anything_without_a_scheme_is_a_directory() -> None:
    assert isinstance(parse_place("/var/lib/bilgepump"), StateDirectory)


@pytest.mark.parametrize("text", ["s3://", "s3://A", "s3://state/../x", "s3://state/a//b", "gs://state", ""])
def test_other_places_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_place(text)


async def test_state_is_never_written_without_a_condition(records: StateRecords, s3: Any, door: Door) -> None:
    """The Fargate template's bucket refuses whatever has none (charts/ecs/bilgepump.yaml)."""
    door.without_condition.clear()
    lease = BucketLease(s3, BUCKET, "bilgepump", identity="a")

    assert await lease.claim()
    assert await lease.claim()
    await records.update(steps.growth_ended(await records.create(an_incident()), "over", NOW))
    for workloads in (1, 2):
        await records.policy_status("shop", "api", PolicyFacts(generation=1, workloads=workloads), NOW)
    await lease.release()

    assert door.passed["PUT"] > 5
    assert door.without_condition == []
