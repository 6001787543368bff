"""In how many sweeps in a row a remediation was wanted: one look may be wrong."""

from collections.abc import Sequence

from controller.detection.assessment import Verdict
from controller.detection.judgement import Judgement
from controller.policy.memory_policy import SuspectAboveCritical
from controller.reporting.incident import Incident
from controller.sweep.judging import Covered


class Looks:
    """Counts. What is forgotten is counted anew: a restarted controller acts later, never sooner."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def count(self, item: Covered, judgement: Judgement | None, incidents: Sequence[Incident]) -> int:
        """Takes in the newest look at a workload; how many in a row there are with it."""
        uid = item.workload.uid
        before = self._counts.get(uid, 0)
        self._counts[uid] = before + 1 if judgement and _condemns(item, judgement, incidents) else 0
        return self._counts[uid]

    def forget_all_but(self, uids: frozenset[str]) -> None:
        """Drops the counts of workloads that are gone."""
        self._counts = {uid: count for uid, count in self._counts.items() if uid in uids}


def _condemns(item: Covered, judgement: Judgement, incidents: Sequence[Incident]) -> bool:
    """Whether this look could lead to a remediation, by itself or after what was found before."""
    suspects = item.policy.remediation.suspect_above_critical is SuspectAboveCritical.REMEDIATE
    suspects = suspects or any(
        incident.open and incident.found_leaking(judgement.worst) for incident in incidents
    )
    return judgement.verdict is Verdict.LEAKING or (suspects and judgement.verdict is Verdict.SUSPECT)
