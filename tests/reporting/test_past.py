"""What kept incidents tell of a workload's past."""

from dataclasses import replace

import pytest

from controller.decision.mechanism import Mechanism
from controller.remediation.order import Order, Receipt, ReceiptOutcome
from controller.reporting import incident_steps as steps
from controller.reporting.incident import Incident, LeakingRun, Phase
from controller.reporting.past import remediation_history
from tests.fakes import NOW, a_judgement, a_policy, a_workload


def a_remediation(phase: Phase, *leaking: str) -> Incident:
    """One that was carried out, of a workload whose containers `leaking` were found to leak."""
    workload = a_workload()
    incident = steps.open_incident(a_policy(), workload, a_judgement(), None, NOW)
    order = Order(
        id=incident.name,
        mechanism=Mechanism.ROLLING_RESTART,
        workload=workload.ref,
        workload_uid=workload.uid,
        expected_generation=workload.generation,
        issued_at=NOW,
    )
    status = replace(
        incident.status,
        phase=phase,
        order=order,
        receipt=Receipt(outcome=ReceiptOutcome.DONE, at=NOW, generation=2),
        leaking_runs=tuple(LeakingRun(replica="api-1", container=one, found_at=NOW) for one in leaking),
    )
    return replace(incident, status=status)


@pytest.mark.parametrize(
    ("phase", "leaking", "known"),
    [
        pytest.param(Phase.RESOLVED, ("app",), {"app"}, id="came down"),
        pytest.param(Phase.RESOLVED, (), set(), id="asked for by a person, no leak"),
        pytest.param(Phase.FAILED, ("app",), set(), id="did not come down"),
    ],
)
def test_container_leaked_before_where_a_remediation_brought_its_memory_down(
    phase: Phase, leaking: tuple[str, ...], known: set[str]
) -> None:
    history = remediation_history(a_workload(), [a_remediation(phase, *leaking)], NOW)

    assert history.last == NOW
    assert history.leaked_before == known
