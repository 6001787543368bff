from dataclasses import replace
from typing import Any

import pytest

from controller.decision.mechanism import Choice, Mechanism
from controller.inventory.workload import DisruptionBudget, Replica, RolloutState, Workload
from controller.remediation.order import Order, order_remediation
from controller.remediation.stepping import Act, begun, next_step
from tests.fakes import NOW, a_replica, a_workload

NAMES = ("api-1", "api-2", "api-3")


def three(*changed: Replica, **changes: Any) -> Workload:
    """Three ready replicas; `changed` stand instead of those of the same uid, or beside them."""
    replicas = {one.uid: one for one in (*(a_replica(name) for name in NAMES), *changed)}
    workload = a_workload(
        desired_replicas=3,
        ready_replicas=3,
        available_replicas=3,
        template_revision="r1",
        replicas=tuple(replicas.values()),
    )
    return replace(workload, **changes)


def without(workload: Workload, *names: str) -> Workload:
    return replace(workload, replicas=tuple(one for one in workload.replicas if one.name not in names))


def an_order(*replicas: str, mechanism: Mechanism = Mechanism.REPLACE) -> Order:
    choice = Choice(mechanism=mechanism, because="they leak", replicas=replicas)
    return order_remediation(three(), choice, incident="api-1a", memory_before_bytes=1, now=NOW)


ORDER = an_order("api-2", "api-1")
RELEASED = a_replica("api-2", released_for="api-1a")
YOUNG = a_replica("api-4", ready=False)
GROWN = a_replica("api-4")

REPLACING = [
    pytest.param(three(), Act.RELEASE, "api-2", id="the worst is released first"),
    pytest.param(three(RELEASED), Act.WAIT, "2 of 3", id="its replacement is not there yet"),
    pytest.param(three(RELEASED, YOUNG), Act.WAIT, "2 of 3", id="its replacement is not ready yet"),
    pytest.param(
        three(RELEASED, GROWN, available_replicas=2), Act.WAIT, "replacement", id="not ready for long enough"
    ),
    pytest.param(three(RELEASED, GROWN), Act.DELETE, "api-2", id="its replacement is ready"),
    pytest.param(
        three(replace(RELEASED, terminating=True), GROWN), Act.WAIT, "api-2 is on its way out", id="it ends"
    ),
    pytest.param(without(three(GROWN), "api-2"), Act.RELEASE, "api-1", id="the next one"),
    pytest.param(without(three(), "api-2"), Act.WAIT, "2 of 3", id="not while anything is missing"),
    pytest.param(
        without(three(GROWN, a_replica("api-5")), "api-1", "api-2"), Act.NONE, "", id="nothing is left"
    ),
    pytest.param(
        three(rollout=RolloutState.PROGRESSING, rollout_message="1 of 3 replicas are updated"),
        Act.WAIT,
        "1 of 3 replicas are updated",
        id="not during a rollout",
    ),
    pytest.param(three(template_revision="r2"), Act.WAIT, "deployed meanwhile", id="not after a deploy"),
    pytest.param(
        three(disruption_budgets=(DisruptionBudget(name="api", disruptions_allowed=0),)),
        Act.WAIT,
        "PodDisruptionBudget api",
        id="not against a budget",
    ),
    pytest.param(
        three(disruption_budgets=(DisruptionBudget(name="api", disruptions_allowed=1, current=False),)),
        Act.WAIT,
        "PodDisruptionBudget api",
        id="not while a budget lags behind",
    ),
    pytest.param(
        three(RELEASED, GROWN, disruption_budgets=(DisruptionBudget(name="api", disruptions_allowed=0),)),
        Act.DELETE,
        "api-2",
        id="what is released is finished whatever the budget says: nobody is missing",
    ),
    pytest.param(
        three(replace(RELEASED, released_for="cart-2b"), GROWN),
        Act.WAIT,
        "incident cart-2b",
        id="never two at once",
    ),
]


@pytest.mark.parametrize(("workload", "act", "says"), REPLACING)
def test_next_step_of_a_replacement(workload: Workload, act: Act, says: str) -> None:
    step = next_step(ORDER, workload)

    assert step.act is act
    assert says in (step.replica.name if step.replica else step.waits_for)


def test_eviction_goes_on_when_the_one_of_the_same_name_is_ready() -> None:
    order = an_order("api-3", "api-1", mechanism=Mechanism.EVICT)
    assert next_step(order, three()).replica == a_replica("api-3")

    replaced = replace(a_replica("api-3"), uid="another")
    starting = replace(without(three(), "api-3"), replicas=(*without(three(), "api-3").replicas, replaced))
    assert next_step(order, starting).replica == a_replica("api-1")
    waiting = replace(
        starting, replicas=tuple(replace(one, ready=one.uid != "another") for one in starting.replicas)
    )
    assert next_step(order, waiting).act is Act.WAIT


def test_eviction_waits_where_budgets_overlap_and_a_replacement_does_not() -> None:
    overlapping = three(overlapping_budgets=("api", "web"))

    step = next_step(an_order("api-3", mechanism=Mechanism.EVICT), overlapping)

    assert (step.act, "api, web" in step.waits_for) == (Act.WAIT, True)
    assert next_step(an_order("api-3"), overlapping).act is Act.RELEASE


@pytest.mark.parametrize(
    ("workload", "has_begun"),
    [
        pytest.param(three(), False, id="all stand"),
        pytest.param(three(RELEASED), True, id="one is released"),
        pytest.param(three(a_replica("api-1", terminating=True)), True, id="one is on its way out"),
        pytest.param(without(three(), "api-1"), True, id="one is gone"),
        pytest.param(without(three(), "api-3"), False, id="another one is gone"),
    ],
)
def test_what_has_begun_is_seen(workload: Workload, has_begun: bool) -> None:
    assert begun(ORDER, workload) is has_begun


def test_order_that_is_cut_short_keeps_what_is_gone_or_on_its_way() -> None:
    cut = ORDER.cut_short(three(RELEASED, YOUNG))

    assert (cut.replicas, cut.replica_uids) == (("api-2",), ("uid-api-2",))
    assert not ORDER.cut_short(three()).stepwise


def test_rolling_restart_supersedes_by_revision_so_that_clocks_may_differ() -> None:
    choice = Choice(mechanism=Mechanism.ROLLING_RESTART, because="all leak")
    order = order_remediation(three(), choice, incident="api-1a", memory_before_bytes=1, now=NOW)

    assert order.supersedes(a_replica(created_at=NOW.replace(year=2030)))
    assert not order.supersedes(a_replica(revision="r2", created_at=NOW.replace(year=2020)))
