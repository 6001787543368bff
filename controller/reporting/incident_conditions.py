"""Conditions of an incident, for programs: `kubectl wait --for=condition=Recovered memi/…`."""

from typing import Any

from controller.reporting.incident import Incident, Phase


def incident_conditions(incident: Incident) -> list[dict[str, Any]]:
    """`Closed` and `Recovered`, derived from the rest of the status and never stored beside it."""
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

    return [
        condition("Closed", "False" if incident.open else "True"),
        condition("Recovered", _recovered(incident)),
    ]


def _recovered(incident: Incident) -> str:
    if incident.open or not incident.ordered:
        return "Unknown"
    return "True" if incident.status.phase is Phase.RESOLVED else "False"
