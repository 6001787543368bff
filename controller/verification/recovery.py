"""
Did the remediation help? Facts in, an outcome out; asked again at every sweep until it is final.

Not "the rollout finished" but: finished, ready through the soak, memory at equal age no higher than
`maximum_memory_ratio` times what it was before, and requests served as well as before where the policy asks.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from controller.inventory.workload import RolloutState, Workload
from controller.metrics.service_level import ServiceLevel
from controller.policy.memory_policy import VerificationRules
from controller.remediation.order import Order
from controller.verification.service_level import compare


class RecoveryOutcome(StrEnum):
    """How far a recovery is."""

    ROLLING_OUT = "RollingOut"
    SOAKING = "Soaking"
    RECOVERED = "Recovered"
    WORKLOAD_GONE = "WorkloadGone"
    ROLLOUT_STUCK = "RolloutStuck"
    OTHER_REVISION = "OtherRevision"
    REPLICAS_NOT_READY = "ReplicasNotReady"
    CRASH_LOOPING = "CrashLooping"
    MEMORY_NOT_RECOVERED = "MemoryNotRecovered"
    MEMORY_UNMEASURED = "MemoryUnmeasured"
    SERVICE_DEGRADED = "ServiceDegraded"

    @property
    def final(self) -> bool:
        """Nothing more will be found out."""
        return self not in (RecoveryOutcome.ROLLING_OUT, RecoveryOutcome.SOAKING)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryFacts:
    """What is known after a remediation."""

    issued_at: datetime
    rolled_out_at: datetime | None
    """When the rollout was first seen complete; None while it is not."""
    workload: Workload | None
    """None where it is gone."""
    rules: VerificationRules
    memory_before_bytes: int | None
    """Floor of the leaking replicas at the age the new ones have now."""
    memory_after_bytes: int | None
    """Floor of the fullest new replica now."""
    memory_at_restart_bytes: int | None = None
    """What was in use when the remediation was ordered."""
    container_restarts: int = 0
    """Restarts of containers of the new replicas."""
    expected_revision: str = ""
    """The template's revision that the new replicas must have; empty where any will do."""
    steps: int = 1
    """How many replicas are replaced one after another, each within the progress deadline."""
    cut_short_at: datetime | None = None
    """When it was decided to begin no further replica; None where it was not."""

    @property
    def rolled_out_by(self) -> datetime:
        """
        When every replica must be new.

        An order that was cut short has fewer steps than it had time for: the last one that was begun gets the
        whole deadline from then on.
        """
        over_at = self.issued_at + self.rules.progress_deadline * self.steps
        if self.cut_short_at is None:
            return over_at
        return max(over_at, self.cut_short_at + self.rules.progress_deadline)

    service_before: ServiceLevel | None = None
    """How requests were served before it was ordered; None where the policy did not ask."""
    service_after: ServiceLevel | None = None
    """The same over the soak; None before its end."""

    @property
    def soaked_at(self) -> datetime | None:
        """When the soak is over; None while the rollout is not."""
        return self.rolled_out_at + self.rules.soak if self.rolled_out_at else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What is said about it."""

    outcome: RecoveryOutcome
    message: str
    memory_before_bytes: int | None = None
    memory_after_bytes: int | None = None
    service_after: ServiceLevel | None = None
    """How requests were served over the soak; None where nobody asks."""

    @property
    def ratio(self) -> float | None:
        """Memory after over memory before, at equal age."""
        if not self.memory_before_bytes or self.memory_after_bytes is None:
            return None
        return self.memory_after_bytes / self.memory_before_bytes


GIVEN_BACK_RATIO = 2 / 3
"""Of the growth: so much is more than the noise of traffic, and less than a leak that comes back at once."""

CRASHES_ALLOWED = 1
"""One restart may be bad luck; a second within the soak is a loop."""


def rolled_out(workload: Workload, order: Order) -> bool:
    """Whether every replica that `order` supersedes is gone, all are ready, and nothing is under way."""
    living = [replica for replica in workload.replicas if not replica.terminating]
    return (
        workload.rollout is RolloutState.STEADY
        and workload.all_ready
        and len(living) >= workload.desired_replicas
        and not any(order.supersedes(replica) for replica in living)
    )


def check_recovery(facts: RecoveryFacts, now: datetime) -> Recovery:
    """The recovery as far as it is known at `now`."""
    if facts.workload is None:
        return Recovery(outcome=RecoveryOutcome.WORKLOAD_GONE, message="the workload was deleted")
    if facts.expected_revision and facts.workload.template_revision != facts.expected_revision:
        return Recovery(
            outcome=RecoveryOutcome.OTHER_REVISION,
            message=(
                f"it now runs {facts.workload.template_revision}, not {facts.expected_revision} that was "
                "restarted: it was deployed or rolled back meanwhile"
            ),
        )
    soaked_at = facts.soaked_at
    if soaked_at is None:
        return _while_rolling_out(facts, facts.workload, now)
    if facts.container_restarts > CRASHES_ALLOWED:
        return Recovery(
            outcome=RecoveryOutcome.CRASH_LOOPING,
            message=f"containers of the new replicas restarted {facts.container_restarts} times",
        )
    if now < soaked_at:
        return Recovery(
            outcome=RecoveryOutcome.SOAKING,
            message=f"all replicas are new and ready; watched until {soaked_at:%H:%M:%SZ}",
        )
    if not facts.workload.all_ready:
        return _while_not_ready(facts, facts.workload, now, soaked_at)
    recovery = _memory(facts, now, soaked_at)
    if recovery.outcome is RecoveryOutcome.RECOVERED and facts.rules.compares_service:
        return _service(recovery, facts, now, soaked_at)
    return recovery


def _service(recovery: Recovery, facts: RecoveryFacts, now: datetime, soaked_at: datetime) -> Recovery:
    """
    Whether requests are served as well as before, once memory came down.

    Where that is not known it counts as recovered, for lack of anything that speaks against it, and says so.
    """
    before, after = facts.service_before, facts.service_after
    comparable = before is not None and not before.may_come and (after is None or after.may_come)
    if comparable and now < soaked_at + facts.rules.progress_deadline:
        return Recovery(outcome=RecoveryOutcome.SOAKING, message="waiting for how requests are served now")
    compared = compare(facts.rules, before, after)
    if not compared.worse:
        return replace(recovery, message=f"{recovery.message}; {compared}", service_after=after)
    return replace(
        recovery,
        outcome=RecoveryOutcome.SERVICE_DEGRADED,
        message=f"requests are served worse than before: {compared}; {recovery.message}",
        service_after=after,
    )


def _while_rolling_out(facts: RecoveryFacts, workload: Workload, now: datetime) -> Recovery:
    progress = f"{workload.ready_replicas} of {workload.desired_replicas} replicas are ready"
    if now < facts.rolled_out_by:
        return Recovery(outcome=RecoveryOutcome.ROLLING_OUT, message=f"rolling out: {progress}")
    return Recovery(
        outcome=RecoveryOutcome.ROLLOUT_STUCK,
        message=(
            f"the rollout is not complete after {_minutes(facts.rolled_out_by - facts.issued_at)}: {progress}"
        ),
    )


def _while_not_ready(
    facts: RecoveryFacts, workload: Workload, now: datetime, soaked_at: datetime
) -> Recovery:
    progress = f"{workload.ready_replicas} of {workload.desired_replicas} replicas are ready"
    if now < soaked_at + facts.rules.progress_deadline:
        return Recovery(outcome=RecoveryOutcome.SOAKING, message=f"waiting for readiness: {progress}")
    return Recovery(outcome=RecoveryOutcome.REPLICAS_NOT_READY, message=f"after the restart only {progress}")


def _memory(facts: RecoveryFacts, now: datetime, soaked_at: datetime) -> Recovery:
    before, after = facts.memory_before_bytes, facts.memory_after_bytes
    if before is None or after is None:
        if now < soaked_at + facts.rules.progress_deadline:
            return Recovery(outcome=RecoveryOutcome.SOAKING, message="waiting for memory of the new replicas")
        return Recovery(
            outcome=RecoveryOutcome.MEMORY_UNMEASURED,
            message="memory of the new replicas could not be measured",
        )
    numbers = f"{after / 2**20:.0f} MiB now, {before / 2**20:.0f} MiB at the same age before"
    recovered = after <= before * facts.rules.maximum_memory_ratio or _gave_back(facts, before, after)
    return Recovery(
        outcome=RecoveryOutcome.RECOVERED if recovered else RecoveryOutcome.MEMORY_NOT_RECOVERED,
        message=f"memory came down: {numbers}" if recovered else f"memory did not come down: {numbers}",
        memory_before_bytes=before,
        memory_after_bytes=after,
    )


def _gave_back(facts: RecoveryFacts, before: int, after: int) -> bool:
    """
    Whether two thirds of what had grown since that age is free again.

    Equal age is not equal traffic: replicas that began idle, at night, were smaller at that age than their
    successors that begin under load.
    """
    peak = facts.memory_at_restart_bytes
    return peak is not None and peak > before and peak - after >= GIVEN_BACK_RATIO * (peak - before)


def _minutes(span: timedelta) -> str:
    return f"{span.total_seconds() / 60:g} minutes"
