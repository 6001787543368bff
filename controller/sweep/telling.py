"""What policies are told: their status, and an Event when something about them changed."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from controller.policy.book import PolicyBook, RejectedPolicy
from controller.policy.memory_policy import MemoryPolicy
from controller.ports import World
from controller.reporting.census import Seen, policy_facts
from controller.reporting.notices import policy_told
from controller.reporting.policy_status import PolicyFacts
from controller.reporting.reasons import EventReason


class PolicyTelling:
    """Remembers what each policy was told last; may be forgotten at any time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._told: dict[str, EventReason | None] = {}

    async def tell(
        self,
        book: PolicyBook,
        seen: Sequence[Seen],
        missing: Mapping[str, str],
        unread: Mapping[str, str],
        now: datetime,
    ) -> None:
        """Status and Events for every policy; the last two say what could not be read."""
        for policy in book.documents:
            facts = policy_facts(policy, seen, missing, unread)
            reason, why = _trouble(facts)
            await self._tell(policy, facts, reason, why, now)
        for rejected in book.rejected:
            facts = PolicyFacts(
                generation=rejected.generation,
                rejected_because=rejected.problems,
                rejection_reason=rejected.reason,
            )
            await self._tell(rejected, facts, EventReason.POLICY_INVALID, rejected.problems, now)
        known = {policy.uid for policy in book.documents} | {policy.uid for policy in book.rejected}
        self._told = {uid: told for uid, told in self._told.items() if uid in known}

    async def _tell(
        self,
        policy: MemoryPolicy | RejectedPolicy,
        facts: PolicyFacts,
        reason: EventReason | None,
        message: str,
        now: datetime,
    ) -> None:
        await self._world.records.policy_status(policy.namespace, policy.name, facts, now)
        before = self._told.get(policy.uid)
        self._told[policy.uid] = reason
        if reason is before:
            return
        if reason is None:
            reason, message = _AFTER[before], "it is as it should be again"
        await self._world.announcer.announce(
            (policy_told(reason, policy.namespace, policy.name, policy.uid, message, now),)
        )


def _trouble(facts: PolicyFacts) -> tuple[EventReason | None, str]:
    if facts.unread_because:
        return EventReason.PLATFORM_UNAVAILABLE, facts.unread_because
    if facts.metrics_missing_because:
        return EventReason.METRICS_UNAVAILABLE, facts.metrics_missing_because
    return None, ""


_AFTER: dict[EventReason | None, EventReason] = {
    EventReason.METRICS_UNAVAILABLE: EventReason.METRICS_RESTORED,
    EventReason.PLATFORM_UNAVAILABLE: EventReason.PLATFORM_RESTORED,
    EventReason.POLICY_INVALID: EventReason.POLICY_ACCEPTED,
}
