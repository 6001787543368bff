"""`bilgepump leaks`: what leaks or is suspect in a namespace or the cluster, the least time left first."""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from controller.cli.by_hand.access import Caller, Where, as_caller, cluster_options
from controller.cli.plain_cells import WIDE, add_plain_row, age_text
from controller.decision.wording import growth_text
from controller.platforms.kubernetes.api import ApiRefusal, Document
from controller.platforms.kubernetes.paths import CLUSTER_POLICIES, POLICIES, in_namespace
from controller.platforms.kubernetes.records import KubernetesRecords
from controller.reporting.conditions import ConditionStatus, ConditionType
from controller.reporting.growing import Growing
from controller.reporting.incident import Incident
from controller.reporting.policy_status import PolicyStatus, read_policy_status

_NEEDED = (ConditionType.ACCEPTED, ConditionType.METRICS_AVAILABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """One workload that leaks or is suspect: from its incident, or, without one, from its policy's status."""

    namespace: str
    workload: str
    """Kind and name."""
    policy: str
    verdict: str = ""
    growth_class: str = ""
    growth_bytes_per_hour: int | None = None
    used_bytes: int | None = None
    limit_bytes: int | None = None
    crosses_threshold_at: datetime | None = None
    message: str = ""
    incident: str = ""
    """Empty where there is none."""
    phase: str = ""
    because: str = ""
    open: bool = True
    """False: of a closed incident."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What policies' status says about now."""

    statuses: tuple[tuple[str, PolicyStatus], ...]
    """By the policy's name."""
    unread: str = ""
    """Why some could not be read; empty where all were."""

    @property
    def unlisted(self) -> int:
        """Workloads that are counted, but for which there was no room."""
        counted = sum(one.leaking + one.suspect for _, one in self.statuses)
        return max(counted - sum(len(one.growing) for _, one in self.statuses), 0)


@click.command()
@cluster_options
@click.option("-A", "--all-namespaces", is_flag=True, help="Of every namespace.")
@click.option("--closed", is_flag=True, help="Also incidents that are closed.")
@click.option(
    "-o", "--output", type=click.Choice(["table", "wide", "json"]), default="table", show_default=True
)
def leaks(where: Where, all_namespaces: bool, closed: bool, output: str) -> None:
    """
    List what leaks or is suspect now, by the time that is left until the threshold.

    Open MemoryIncidents, and what policies' status names beside them: a `Suspect` has no incident until it is
    one. You need the right to list both (the role `bilgepump-view`).

    Example: bilgepump leaks -A

    Exit codes: 0 listed, 1 could not be read, 2 wrong usage.
    """

    async def listed(caller: Caller) -> tuple[tuple[Incident, ...], Stated]:
        namespace = "" if all_namespaces else caller.namespace
        records = KubernetesRecords(caller.api, namespaces=(namespace,) if namespace else ())
        return await records.incidents(), await _stated(caller, namespace)

    incidents, stated = as_caller(listed, where)
    namespace = "" if all_namespaces else where.namespace
    found = found_leaks(incidents, stated.statuses, namespace)
    chosen = by_time_left([one for one in found if closed or one.open])
    if output == "json":
        click.echo(json.dumps([document(one) for one in chosen], indent=2, ensure_ascii=False))
    elif chosen:
        now = datetime.now(UTC)  # noqa: TID251  (a person's clock)
        Console(width=None if sys.stdout.isatty() else WIDE).print(
            table(chosen, now, all_namespaces=all_namespaces, wide=output == "wide")
        )
    for remark in remarks(chosen, stated):
        click.echo(remark, err=True)


def remarks(chosen: Sequence[Leak], stated: Stated) -> list[str]:
    """What the list alone would hide: an empty one is good news only where somebody looked."""
    watched = sum(status.workloads for _, status in stated.statuses)
    said = [
        f"policy {policy}: {condition.reason}: {condition.message}"
        for policy, status in stated.statuses
        for condition in status.conditions
        if condition.type in _NEEDED and condition.status is ConditionStatus.FALSE
    ]
    if stated.unlisted:
        said.append(f"{stated.unlisted} more are counted in policies' status and not listed there")
    elif not watched:
        said.append("no workload is watched: no policy governs one (docs/policy.md)")
    elif not chosen and not said:
        unjudged = sum(status.unjudged for _, status in stated.statuses)
        waits = f", of which {unjudged} could not be judged yet (`bilgepump explain`)" if unjudged else ""
        said.append(f"nothing leaks; workloads watched: {watched}{waits}")
    return [*said, stated.unread] if stated.unread else said


async def _stated(caller: Caller, namespace: str) -> Stated:
    """The status of all policies that may say something about `namespace`; empty means every one."""
    own = in_namespace(POLICIES, namespace, "memorypolicies") if namespace else f"{POLICIES}/memorypolicies"
    documents, unread = await caller.api.items(own), ""
    try:
        documents += await caller.api.items(CLUSTER_POLICIES)
    except ApiRefusal as refusal:
        if refusal.status not in (403, 404):
            raise
        if refusal.status == 403:
            unread = "suspects that only a ClusterMemoryPolicy governs are left out: you may not read those"
    return Stated(tuple(_status(one) for one in documents), unread)


def _status(document: Document) -> tuple[str, PolicyStatus]:
    metadata = document["metadata"]
    name = "/".join(part for part in (metadata.get("namespace"), metadata["name"]) if part)
    return name, read_policy_status(document.get("status") or {})


def found_leaks(
    incidents: Iterable[Incident], statuses: Iterable[tuple[str, PolicyStatus]], namespace: str
) -> list[Leak]:
    """Incidents, and growing workloads of `namespace` (empty: of all) that have no open one."""
    leaks = [_of_incident(one) for one in incidents]
    told = {(one.namespace, one.workload) for one in leaks if one.open}
    for policy, status in statuses:
        for one in status.growing:
            here = namespace in ("", one.namespace)
            if here and (one.namespace, f"{one.kind}/{one.name}") not in told:
                leaks.append(_of_status(one, policy))
    return leaks


def _of_incident(incident: Incident) -> Leak:
    status, workload, assessment = incident.status, incident.spec.workload, incident.status.assessment
    leak = Leak(
        namespace=incident.namespace,
        workload=f"{workload.kind}/{workload.name}",
        policy=str(incident.spec.policy),
        message=status.diagnosis.summary if status.diagnosis else status.message,
        incident=incident.name,
        phase=status.phase.value,
        because=status.because,
        open=incident.open,
    )
    if assessment is None:
        return leak
    return replace(
        leak,
        verdict=assessment.verdict.value,
        growth_class=assessment.growth_class.value,
        growth_bytes_per_hour=assessment.growth_bytes_per_hour,
        used_bytes=assessment.used_bytes,
        limit_bytes=assessment.limit_bytes,
        crosses_threshold_at=assessment.crosses_threshold_at,
    )


def _of_status(one: Growing, policy: str) -> Leak:
    return Leak(
        namespace=one.namespace,
        workload=f"{one.kind}/{one.name}",
        policy=policy,
        verdict=one.verdict.value,
        growth_class=one.growth_class.value,
        growth_bytes_per_hour=one.growth_bytes_per_hour,
        used_bytes=one.used_bytes,
        limit_bytes=one.limit_bytes,
        crosses_threshold_at=one.crosses_threshold_at,
        message=one.message,
    )


def by_time_left(leaks: Sequence[Leak]) -> list[Leak]:
    """Open ones first, then those that reach the threshold soonest; what is not projected comes last."""

    def urgency(leak: Leak) -> tuple[bool, float, str, str]:
        at = leak.crosses_threshold_at
        left = at.timestamp() if at else float("inf")
        return not leak.open, left, leak.namespace, leak.incident or leak.workload

    return sorted(leaks, key=urgency)


def table(leaks: Sequence[Leak], now: datetime, *, all_namespaces: bool, wide: bool) -> Table:
    """What people look at. Colour only repeats what the words say."""
    columns = ["WORKLOAD", "VERDICT", "CLASS", "GROWTH", "USED/LIMIT", "LEFT", "PHASE", "BECAUSE", "INCIDENT"]
    if all_namespaces:
        columns.insert(0, "NAMESPACE")
    if wide:
        columns += ["POLICY", "SUMMARY"]
    made = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for one in leaks:
        cells = [
            one.workload,
            one.verdict,
            one.growth_class,
            growth_text(one.growth_bytes_per_hour),
            _used(one),
            _left(one, now),
            one.phase or "–",
            one.because,
            one.incident or "–",
        ]
        if all_namespaces:
            cells.insert(0, one.namespace)
        if wide:
            cells += [one.policy, one.message]
        add_plain_row(made, *cells)
    return made


def document(leak: Leak) -> dict[str, Any]:
    """One leak for programs; the whole incident is `kubectl get memi NAME -o json`."""
    kind, _, name = leak.workload.partition("/")
    at = leak.crosses_threshold_at
    return {
        "namespace": leak.namespace,
        "kind": kind,
        "name": name,
        "policy": leak.policy,
        "verdict": leak.verdict or None,
        "class": leak.growth_class or None,
        "growthBytesPerHour": leak.growth_bytes_per_hour,
        "usedBytes": leak.used_bytes,
        "limitBytes": leak.limit_bytes,
        "crossesThresholdAt": f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else None,
        "message": leak.message,
        "incident": leak.incident or None,
        "phase": leak.phase or None,
        "because": leak.because or None,
        "open": leak.open,
    }


def _used(leak: Leak) -> str:
    if not leak.used_bytes or not leak.limit_bytes:
        return ""
    used, limit = leak.used_bytes, leak.limit_bytes
    return f"{used / 2**20:.0f}/{limit / 2**20:.0f} MiB {used / limit:.0%}"


def _left(leak: Leak, now: datetime) -> str:
    if not leak.open or leak.crosses_threshold_at is None:
        return "–"
    left = leak.crosses_threshold_at - now
    return "reached" if left <= timedelta() else age_text(left)
