"""A person's consent to one remediation: who gave it, for which situation, until when."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.detection.judgement import Judgement
from controller.inventory.workload import Workload

LONGEST_APPROVAL = timedelta(hours=24)
"""Whoever approves further ahead cannot know what they approve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What an incident's annotations say. The admission policy vouches for the name, nobody for the rest."""

    by: str
    """The user who wrote it, as the API server knew them."""
    situation: str
    """The digest of the situation that they approved."""
    until: datetime | None
    """When it ends; None where the annotation is not a time."""

    def void_because(self, situation: str, now: datetime) -> str:
        """Why it does not permit a remediation in the situation with that digest; empty where it does."""
        if self.situation != situation:
            return "the situation has changed since"
        if self.until is None:
            return "`bilgepump.dev/approved-until` is not a time such as 2026-03-02T12:00:00Z"
        if now >= self.until:
            return f"it ended at {self.until:%Y-%m-%d %H:%M:%SZ}"
        if self.until - now > LONGEST_APPROVAL:
            return "it would last for more than 24 hours"
        return ""


def situation_digest(workload: Workload, judgement: Judgement, incident: str) -> str:
    """
    What an approval is bound to: the incident, the workload at its generation, what grows in which container.

    Not the numbers: they move with every sweep, and the same leak a few minutes later is the same situation.
    """
    worst = judgement.worst
    parts = (
        incident,
        workload.uid,
        str(workload.generation),
        workload.template_revision,
        worst.verdict,
        worst.growth_class,
        worst.key.container,
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
