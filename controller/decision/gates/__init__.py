"""
The safety rules between wanting a remediation and doing it.

Each gate is a pure function of the situation and answers with a `Hold` or with None. All are asked; the
first that holds names the reason. The order below is part of the contract: switches that people set come
first, then what the restart could not achieve, then the state of the workload, then limits in time and
number. `hold_beyond_mode` comes last, so that an observing policy still tells what else would have held.

The rules and who proved each is needed: docs/gates.md.
"""

from collections.abc import Callable, Sequence

from controller.decision.gates import (
    availability,
    capacity,
    limits,
    permission,
    switches,
    timing,
    usefulness,
    workload_state,
)
from controller.decision.outcome import Hold
from controller.decision.situation import Situation

Gate = Callable[[Situation], Hold | None]

GATES: Sequence[Gate] = (
    switches.hold_when_controller_suspended,
    switches.hold_when_policy_suspended,
    switches.hold_when_protected,
    switches.hold_when_workload_paused,
    switches.hold_when_policies_conflict,
    usefulness.hold_on_stale_metrics,
    usefulness.hold_on_implausible_metrics,
    usefulness.hold_while_unconfirmed,
    limits.hold_during_leak_storm,
    usefulness.hold_when_restart_cannot_free,
    usefulness.hold_when_baseline_above_threshold,
    usefulness.hold_when_restarts_do_not_help,
    usefulness.hold_until_acknowledged,
    workload_state.hold_while_rolling_out,
    workload_state.hold_when_restart_unsupported,
    availability.hold_while_throttled,
    availability.hold_without_capacity,
    capacity.hold_when_inputs_are_unreadable,
    capacity.hold_when_quota_is_exhausted,
    capacity.hold_under_node_pressure,
    capacity.hold_when_surge_is_impossible,
    capacity.hold_at_autoscaler_maximum,
    availability.hold_while_protected_from_stopping,
    workload_state.hold_while_not_ready,
    availability.hold_without_spare_replica,
    availability.hold_when_budgets_overlap,
    availability.hold_while_budget_is_shared,
    availability.hold_on_disruption_budget,
    timing.hold_while_too_young,
    timing.hold_after_recent_deploy,
    timing.hold_while_cooling_down,
    timing.hold_after_voided_order,
    limits.hold_when_budget_is_spent,
    timing.hold_while_alerts_fire,
    timing.hold_during_blackout,
    timing.hold_outside_maintenance_window,
    workload_state.hold_when_image_may_drift,
    limits.hold_while_too_many_at_once,
    limits.hold_while_namespace_is_busy,
    limits.hold_while_node_is_busy,
    limits.hold_when_hour_is_spent,
    permission.hold_without_evidence,
    permission.hold_without_approval,
    permission.hold_without_power,
    permission.hold_when_role_not_allowed,
    permission.hold_beyond_mode,
)
