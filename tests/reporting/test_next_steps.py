from dataclasses import replace

import pytest

from controller.decision.mechanism import Choice, Mechanism
from controller.inventory.workload import Platform, WorkloadRef
from controller.remediation.order import order_remediation
from controller.reporting import incident_steps as steps
from controller.reporting import notices
from controller.reporting.incident import Incident
from controller.reporting.next_steps import after_failure
from controller.verification.recovery import Recovery, RecoveryOutcome
from tests.fakes import NOW, a_workload
from tests.reporting.test_incident_document import an_incident

SERVICE = WorkloadRef(platform=Platform.ECS, namespace="shop", kind="Service", name="eu-west-1/shop/api")
FAILURES = [one for one in RecoveryOutcome if one.final and one is not RecoveryOutcome.RECOVERED]


def restarted(mechanism: Mechanism = Mechanism.ROLLING_RESTART, *, ecs: bool = False) -> Incident:
    replicas = () if mechanism is Mechanism.ROLLING_RESTART else ("api-1",)
    choice = Choice(mechanism=mechanism, because="it leaks", replicas=replicas)
    order = order_remediation(a_workload(), choice, incident="x", memory_before_bytes=1, now=NOW)
    incident = steps.ordered(an_incident(), order, "ThresholdNear", choice.because, NOW)
    return replace(incident, spec=replace(incident.spec, workload=SERVICE)) if ecs else incident


@pytest.mark.parametrize(
    ("outcome", "commands"),
    [
        pytest.param(
            RecoveryOutcome.ROLLOUT_STUCK,
            ("kubectl -n shop rollout status deployment/api", "kubectl -n shop rollout undo deployment/api"),
            id="stuck",
        ),
        pytest.param(
            RecoveryOutcome.OTHER_REVISION, ("kubectl -n shop describe deployment/api",), id="other"
        ),
        pytest.param(
            RecoveryOutcome.REPLICAS_NOT_READY,
            ("kubectl -n shop get pods", "kubectl -n shop describe pod POD"),
            id="not ready",
        ),
        pytest.param(
            RecoveryOutcome.CRASH_LOOPING,
            ("kubectl -n shop get pods", "kubectl -n shop logs POD -c app --previous"),
            id="crash loop",
        ),
        pytest.param(RecoveryOutcome.MEMORY_NOT_RECOVERED, ("bilgepump report NAME -n shop",), id="memory"),
        pytest.param(
            RecoveryOutcome.MEMORY_UNMEASURED,
            ("bilgepump explain deployment/api -n shop", "kubectl -n shop top pods"),
            id="unmeasured",
        ),
    ],
)
def test_person_is_told_to_look_and_then_to_acknowledge(
    outcome: RecoveryOutcome, commands: tuple[str, ...]
) -> None:
    incident = restarted()

    told = after_failure(incident, outcome).replace(incident.name, "NAME")

    assert all(command in told for command in commands)
    assert told.endswith("bilgepump acknowledge NAME -n shop --why '...'")


def test_restart_of_an_argo_rollout_is_nothing_that_kubectl_could_undo() -> None:
    incident = restarted()
    rollout = replace(incident.spec.workload, kind="Rollout")
    incident = replace(incident, spec=replace(incident.spec, workload=rollout))

    told = after_failure(incident, RecoveryOutcome.ROLLOUT_STUCK)

    assert "kubectl -n shop describe rollout/api" in told
    assert "undo" not in told


@pytest.mark.parametrize("outcome", [one for one in FAILURES if one is not RecoveryOutcome.WORKLOAD_GONE])
def test_person_is_told_the_commands_of_ecs(outcome: RecoveryOutcome) -> None:
    incident = restarted(ecs=True)

    told = after_failure(incident, outcome)

    assert "kubectl" not in told
    assert "aws ecs tag-resource --region eu-west-1 " in told
    assert told.endswith(f"key=bilgepump:acknowledged,value={incident.name}")


@pytest.mark.parametrize("mechanism", [Mechanism.REPLACE, Mechanism.EVICT])
def test_single_replicas_have_no_revision_to_undo(mechanism: Mechanism) -> None:
    told = after_failure(restarted(mechanism), RecoveryOutcome.ROLLOUT_STUCK)

    assert "undo" not in told
    assert "kubectl -n shop describe deployment/api" in told


def test_workload_that_is_gone_leaves_nothing_to_undo_and_is_acknowledged_on_the_incident() -> None:
    incident, ecs = restarted(), restarted(ecs=True)

    told = after_failure(incident, RecoveryOutcome.WORKLOAD_GONE)
    assert "undo with" not in told
    assert told.endswith(f"bilgepump acknowledge {incident.name} -n shop --why '...'")
    told = after_failure(ecs, RecoveryOutcome.WORKLOAD_GONE)
    assert f"bilgepump.dev/acknowledged={ecs.name} on the incident" in told


@pytest.mark.parametrize("outcome", [one for one in RecoveryOutcome if one not in FAILURES])
def test_nothing_is_asked_of_anybody_where_nothing_failed(outcome: RecoveryOutcome) -> None:
    assert after_failure(restarted(), outcome) == ""


@pytest.mark.parametrize("ecs", [False, True], ids=["Kubernetes", "ECS"])
@pytest.mark.parametrize("outcome", FAILURES)
def test_incident_and_event_both_tell_it(outcome: RecoveryOutcome, *, ecs: bool) -> None:
    incident = restarted(ecs=ecs)
    recovery = Recovery(outcome=outcome, message="it failed")
    expected = f"it failed; {after_failure(incident, outcome)}"

    closed = steps.recovered(incident, recovery, a_workload(), NOW)
    (notice,) = notices.recovery_told(closed, recovery, NOW)

    assert closed.status.message == expected
    assert notice.message.startswith(expected)
