from dataclasses import replace
from datetime import datetime, timedelta

from controller.decision.mechanism import Choice, Mechanism
from controller.detection.assessment import Verdict
from controller.inventory.workload import DisruptionBudget, Workload
from controller.remediation.order import Receipt, ReceiptOutcome, order_remediation
from controller.reporting import incident_steps as steps
from controller.reporting.incident import Incident
from controller.reporting.past import remediation_history
from controller.sweep.alerts import AlertBoard, BlockingAlerts
from controller.sweep.fleet import FleetLedger
from controller.sweep.judging import Covered
from tests.fakes import NOW, a_judgement, a_policy, a_replica, a_workload

NO_ALERTS = AlertBoard(BlockingAlerts())


def named(name: str, **changes: object) -> Workload:
    workload = a_workload(**changes)
    return replace(workload, ref=replace(workload.ref, name=name), uid=f"uid-{name}")


def an_open_incident(workload: Workload, at: datetime) -> Incident:
    return steps.open_incident(a_policy(), workload, a_judgement(), None, at)


def remediated(workload: Workload, at: datetime) -> Incident:
    incident = an_open_incident(workload, at)
    choice = Choice(mechanism=Mechanism.ROLLING_RESTART, because="all leak")
    order = order_remediation(workload, choice, incident=incident.name, memory_before_bytes=None, now=at)
    receipt = Receipt(outcome=ReceiptOutcome.DONE, at=at, generation=4)
    return steps.carried_out(steps.ordered(incident, order, "ThresholdNear", choice.because, at), receipt, at)


CART = named(
    "cart",
    replicas=(a_replica(node="n1"), a_replica("api-2", node="n2")),
    disruption_budgets=(DisruptionBudget(name="cart", disruptions_allowed=1),),
)


def test_what_is_under_way_is_told_to_others_with_nodes_and_budgets() -> None:
    ledger = FleetLedger([], [remediated(CART, NOW)], [CART, a_workload()], NOW, NO_ALERTS)

    (other,) = ledger.beside(a_workload(), a_policy()).under_way

    assert (other.workload, other.namespace) == ("Deployment shop/cart", "shop")
    assert other.nodes == {"n1", "n2"}
    assert other.disruption_budgets == {"cart"}
    assert ledger.beside(CART, a_policy()).under_way == ()


def test_order_that_was_voided_no_longer_counts_towards_the_hour() -> None:
    ledger = FleetLedger([], [], [CART, a_workload()], NOW, NO_ALERTS)
    incident = remediated(CART, NOW)

    ledger.note(incident, CART)
    assert ledger.beside(a_workload(), a_policy()).remediated_at == (NOW,)

    ledger.note(steps.order_voided(incident, "refused", NOW), CART)
    assert ledger.beside(a_workload(), a_policy()).remediated_at == ()


def test_slot_is_taken_and_given_back_within_a_sweep() -> None:
    ledger = FleetLedger([], [], [CART, a_workload()], NOW, NO_ALERTS)
    incident = remediated(CART, NOW)

    ledger.note(incident, CART)
    assert len(ledger.beside(a_workload(), a_policy()).under_way) == 1

    ledger.note(steps.rolled_out(incident, NOW), CART)
    assert ledger.beside(a_workload(), a_policy()).under_way == ()


def test_remediations_of_the_hour_are_counted_once_from_incidents_and_templates() -> None:
    at = NOW - timedelta(minutes=30)
    marked = replace(CART, remediated_at=at)
    only_marked = named("mark", remediated_at=NOW - timedelta(minutes=10))
    long_ago = named("old", remediated_at=NOW - timedelta(hours=1))

    ledger = FleetLedger([], [remediated(marked, at)], [marked, only_marked, long_ago], NOW, NO_ALERTS)

    assert ledger.beside(a_workload(), a_policy()).remediated_at == (at, NOW - timedelta(minutes=10))


def test_template_that_was_restarted_in_the_future_counts_for_nobody() -> None:
    ahead = [named(f"w{year}", remediated_at=NOW.replace(year=year)) for year in (2098, 2099)]
    soon = named("soon", remediated_at=NOW + timedelta(minutes=1))

    ledger = FleetLedger([], [], [*ahead, soon], NOW, NO_ALERTS)

    assert ledger.beside(a_workload(), a_policy()).remediated_at == (NOW + timedelta(minutes=1),)
    assert remediation_history(ahead[0], [], NOW).last is None


def test_outbreaks_are_counted_for_the_policy_and_for_all() -> None:
    mine, other, healthy = named("a"), named("b"), named("c")
    unjudged = named("d")
    policy, elsewhere = a_policy(), a_policy(namespace="bank")
    found_at = NOW - timedelta(minutes=20)
    judged = [
        (Covered(mine, policy), a_judgement()),
        (Covered(other, elsewhere), a_judgement()),
        (Covered(healthy, policy), a_judgement(verdict=Verdict.HEALTHY)),
        (Covered(unjudged, policy), a_judgement(verdict=Verdict.INSUFFICIENT_DATA)),
        (Covered(named("e"), policy), None),
    ]

    ledger = FleetLedger(judged, [an_open_incident(mine, found_at)], [mine, other, healthy], NOW, NO_ALERTS)

    own, everywhere = ledger.beside(mine, policy).outbreaks
    assert (own.among, own.judged, own.detected_at) == ("policy shop/api", 2, (found_at,))
    assert (everywhere.among, everywhere.judged) == ("all policies", 3)
    assert everywhere.detected_at == (found_at, NOW)
