from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controller.decision.mechanism import Choice, Mechanism
from controller.inventory.workload import RolloutState
from controller.policy.memory_policy import VerificationRules
from controller.remediation.order import order_remediation
from controller.verification.recovery import RecoveryFacts, RecoveryOutcome, check_recovery, rolled_out
from tests.fakes import MIB, NOW, a_replica, a_workload

RESTART = Choice(mechanism=Mechanism.ROLLING_RESTART, because="all leak")
RULES = VerificationRules(
    progress_deadline=timedelta(minutes=15), soak=timedelta(minutes=10), maximum_memory_ratio=1.2
)


def facts(**changes: Any) -> RecoveryFacts:
    """A rollout that was complete an hour ago, with memory as it was."""
    known = RecoveryFacts(
        issued_at=NOW - timedelta(hours=1, minutes=1),
        rolled_out_at=NOW - timedelta(hours=1),
        workload=a_workload(),
        rules=RULES,
        memory_before_bytes=100 * MIB,
        memory_after_bytes=100 * MIB,
    )
    return replace(known, **changes)


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        pytest.param({}, RecoveryOutcome.RECOVERED, id="everything is well"),
        pytest.param({"memory_after_bytes": 120 * MIB}, RecoveryOutcome.RECOVERED, id="exactly at the ratio"),
        pytest.param(
            {"memory_after_bytes": 121 * MIB}, RecoveryOutcome.MEMORY_NOT_RECOVERED, id="above the ratio"
        ),
        pytest.param(
            {"memory_after_bytes": 190 * MIB, "memory_at_restart_bytes": 370 * MIB},
            RecoveryOutcome.RECOVERED,
            id="two thirds of the growth given back, under more traffic",
        ),
        pytest.param(
            {"memory_after_bytes": 191 * MIB, "memory_at_restart_bytes": 370 * MIB},
            RecoveryOutcome.MEMORY_NOT_RECOVERED,
            id="less than two thirds given back",
        ),
        pytest.param({"workload": None}, RecoveryOutcome.WORKLOAD_GONE, id="deleted meanwhile"),
        pytest.param({"container_restarts": 1}, RecoveryOutcome.RECOVERED, id="one crash may be bad luck"),
        pytest.param({"container_restarts": 2}, RecoveryOutcome.CRASH_LOOPING, id="two crashes"),
        pytest.param(
            {"rolled_out_at": NOW - timedelta(minutes=9)}, RecoveryOutcome.SOAKING, id="within the soak"
        ),
        pytest.param(
            {"rolled_out_at": None, "issued_at": NOW - timedelta(minutes=14)},
            RecoveryOutcome.ROLLING_OUT,
            id="rolling out in time",
        ),
        pytest.param(
            {"rolled_out_at": None, "issued_at": NOW - timedelta(minutes=15)},
            RecoveryOutcome.ROLLOUT_STUCK,
            id="past the progress deadline",
        ),
        pytest.param(
            {
                "rolled_out_at": None,
                "issued_at": NOW - timedelta(minutes=40),
                "cut_short_at": NOW - timedelta(minutes=14),
            },
            RecoveryOutcome.ROLLING_OUT,
            id="cut short: the last replica that was begun has its whole time",
        ),
        pytest.param(
            {
                "rolled_out_at": None,
                "issued_at": NOW - timedelta(minutes=40),
                "cut_short_at": NOW - timedelta(minutes=15),
            },
            RecoveryOutcome.ROLLOUT_STUCK,
            id="cut short, and that replica never became ready",
        ),
        pytest.param(
            {"workload": a_workload(ready_replicas=1), "rolled_out_at": NOW - timedelta(minutes=11)},
            RecoveryOutcome.SOAKING,
            id="a replica is not ready after the soak",
        ),
        pytest.param(
            {"workload": a_workload(ready_replicas=1)}, RecoveryOutcome.REPLICAS_NOT_READY, id="and stays so"
        ),
        pytest.param(
            {"memory_after_bytes": None, "rolled_out_at": NOW - timedelta(minutes=11)},
            RecoveryOutcome.SOAKING,
            id="memory not measured yet",
        ),
        pytest.param({"memory_before_bytes": None}, RecoveryOutcome.MEMORY_UNMEASURED, id="never measured"),
    ],
)
def test_recovery_is(changes: dict[str, Any], outcome: RecoveryOutcome) -> None:
    recovery = check_recovery(facts(**changes), NOW)

    assert recovery.outcome is outcome
    assert recovery.message


@pytest.mark.parametrize(
    ("changes", "complete"),
    [
        pytest.param({}, True, id="all replicas are new and ready"),
        pytest.param({"rollout": RolloutState.PROGRESSING}, False, id="still progressing"),
        pytest.param({"ready_replicas": 1}, False, id="one is not ready"),
        pytest.param(
            {"replicas": (a_replica(created_at=NOW), a_replica("old", created_at=NOW - timedelta(days=1)))},
            False,
            id="an old replica is left",
        ),
        pytest.param(
            {
                "replicas": (
                    a_replica(created_at=NOW),
                    a_replica("new", created_at=NOW),
                    a_replica("old", created_at=NOW - timedelta(days=1), terminating=True),
                )
            },
            True,
            id="an old replica is on its way out",
        ),
    ],
)
def test_rollout_is_complete(changes: dict[str, Any], complete: bool) -> None:
    replicas = (a_replica(created_at=NOW), a_replica("api-2", created_at=NOW))

    order = order_remediation(a_workload(), RESTART, incident="api-1", memory_before_bytes=None, now=NOW)

    assert rolled_out(a_workload(**{"replicas": replicas, **changes}), order) == complete
