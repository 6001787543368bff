"""Conditions of an incident, for programs: `kubectl wait --for=condition=Recovered memi/…`."""

from typing import Any

from controller.reporting.incident import Incident, Phase


def incident_conditions(incident: Incident) -> list[dict[str, Any]]:
    """
    `Closed` and `Recovered`, derived from the rest of the status and never stored beside it.

    And `ServiceCompared` where the policy asks how requests are served: False as long as part of it is not
    known, so that nobody takes what was not measured for as good as before.
    """
    status = incident.status
    since = (status.closed_at or incident.spec.opened_at).isoformat()
    reason = status.because or "Open"

    def condition(kind: str, holds: str) -> dict[str, Any]:
        return {
            "type": kind,
            "status": holds,
            "reason": reason,
            "message": status.message,
            "lastTransitionTime": since,
        }

    compared = _service_compared(incident)
    return [
        condition("Closed", "False" if incident.open else "True"),
        condition("Recovered", _recovered(incident)),
        *([condition("ServiceCompared", compared)] if compared else []),
    ]


def _service_compared(incident: Incident) -> str:
    """Empty where nobody asks."""
    before = incident.status.order.service_before if incident.status.order else None
    after = incident.status.recovery.service_after if incident.status.recovery else None
    if before is None and after is None:
        return ""
    if incident.open:
        return "Unknown"
    if before is None or after is None or not before.comparable(after):
        return "False"
    return "False" if before.unmeasured_because or after.unmeasured_because else "True"


def _recovered(incident: Incident) -> str:
    if incident.open or not incident.ordered:
        return "Unknown"
    return "True" if incident.status.phase is Phase.RESOLVED else "False"
