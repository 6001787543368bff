"""
The API server fails in every way it can, while there is a leak to act on.

While it fails nothing wrong is done; when it is well again the same process goes on, and the restart has
happened once.
"""

from datetime import timedelta

import pytest

from tests.faults.conftest import Stage
from tests.faults.proxy import Asked, Fault

pytestmark = pytest.mark.apiserver


def status(code: int, reason: str, *, although_done: bool = False) -> Fault:
    name = f"{code} {reason}" + (" although it was done" if although_done else "")
    body = f'{{"kind":"Status","status":"Failure","code":{code},"reason":"{reason}","message":"by the test"}}'
    return Fault(name=name, status=code, body=body.encode(), asks_first=although_done)


FAULTS = [
    Fault(name="slower than the timeout", delay_seconds=2.5),
    Fault(name="reset before the answer", reset="before"),
    Fault(name="reset after it was done", reset="after"),
    Fault(name="half of an answer", keep_share=0.5),
    Fault(name="a page instead of JSON", status=200, body=b"<html>log in</html>", content_type="text/html"),
    Fault(name="a list where an object belongs", status=200, body=b"[]"),
    Fault(name="deeper than any parser goes", status=200, body=b"[" * 200_000),
    Fault(name="an empty object", status=200, body=b"{}"),
    status(401, "Unauthorized"),
    status(403, "Forbidden"),
    status(404, "NotFound"),
    status(409, "Conflict"),
    status(410, "Expired"),
    status(422, "Invalid"),
    status(429, "TooManyRequests"),
    status(500, "InternalError"),
    status(503, "ServiceUnavailable"),
    status(504, "Timeout"),
    status(504, "Timeout", although_done=True),
]


def everything(_: Asked) -> bool:
    return True


def reads(asked: Asked) -> bool:
    return asked.verb == "GET"


def the_act(asked: Asked) -> bool:
    return asked.verb == "PATCH" and "/deployments/api?" in asked.path and "dryRun" not in asked.path


def the_rehearsal(asked: Asked) -> bool:
    return asked.verb == "PATCH" and "/deployments/api?" in asked.path and "dryRun" in asked.path


def records(asked: Asked) -> bool:
    return "/memoryincidents" in asked.path and asked.verb != "GET"


def events(asked: Asked) -> bool:
    return "/events" in asked.path


def budgets(asked: Asked) -> bool:
    return "/poddisruptionbudgets" in asked.path


def pods(asked: Asked) -> bool:
    return asked.path.partition("?")[0].endswith("/pods")


@pytest.mark.parametrize("hits", [everything, the_act], ids=lambda hits: hits.__name__)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_nothing_wrong_is_done_and_it_goes_on_by_itself(
    stage: Stage, fault: Fault, hits: object
) -> None:
    await fails_and_recovers(stage, fault, hits)


@pytest.mark.long
@pytest.mark.parametrize(
    "hits", [reads, the_rehearsal, records, events, budgets, pods], ids=lambda hits: hits.__name__
)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_the_same_for_each_kind_of_request(stage: Stage, fault: Fault, hits: object) -> None:
    await fails_and_recovers(stage, fault, hits)


async def fails_and_recovers(stage: Stage, fault: Fault, hits: object) -> None:
    with stage.server.broken(fault, hits):  # type: ignore[arg-type]
        await stage.sweep(times=2)
        restarts = stage.restarts
    assert restarts <= (1 if fault.lets_through or hits not in (everything, reads, the_act) else 0)
    assert len(stage.server.asked) < 200, "retries are bounded"

    # A refused order is tried again after a minute at the earliest.
    stage.ahead = timedelta(seconds=70)
    await stage.sweep_until_rolled_out()

    assert stage.restarts == 1
