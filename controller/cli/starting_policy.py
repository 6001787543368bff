"""
The starting policy that `bilgepump try` writes: what leaks, by name, with the reasons as comments.

It begins in mode Observe, whatever was found: what restarting would have done in the time that was replayed
stands in the comments, and the step to it is one word.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from controller.cli.replay import ContainerResult
from controller.cli.scan_table import Finding, crossing_text, growth_text, usage_text
from controller.detection.assessment import Verdict
from controller.inventory.workload import WorkloadRef
from controller.policy.section import MOST_ENTRIES
from controller.policy.target import MOST_WORKLOADS

HIGH_WHEN_YOUNG = 0.9
"""A workload that starts above this share of its threshold has no room for a leak, or for anything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What was found about one workload, and what a policy in mode Remediate would have done about it."""

    workload: WorkloadRef
    now: tuple[Finding, ...] = ()
    """One for each of its containers."""
    found: tuple[datetime, ...] = ()
    """When it was found to leak, in the time that was replayed."""
    restarts: tuple[datetime, ...] = ()
    unforeseen: bool = False
    """A container was above the threshold before anything would have been done."""

    @property
    def leaks_now(self) -> bool:
        """At least one replica does."""
        return any(one.leaking for one in self.now)

    @property
    def leaks(self) -> bool:
        """It leaks now, or was found to within the time that was replayed."""
        return bool(self.found) or self.leaks_now


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Under which everything was looked at."""

    source: str
    since: str
    threshold_percent: int
    now: datetime
    namespaces: tuple[str, ...]


def trial_of(workload: WorkloadRef, now: Sequence[Finding], results: Sequence[ContainerResult]) -> Trial:
    """What is known about one workload: from the scan of now, and from the replay."""
    found: set[datetime] = set()
    restarts: set[datetime] = set()
    for one in results:
        verdict = None
        for transition in one.transitions:
            if transition.assessment.verdict is Verdict.LEAKING is not verdict:
                found.add(transition.at)
            verdict = transition.assessment.verdict
        restarts.update(one.remediated_at)
    return Trial(
        workload=workload,
        now=tuple(now),
        found=tuple(sorted(found)),
        restarts=tuple(sorted(restarts)),
        unforeseen=any(one.crossed_unremediated for one in results),
    )


def policy_text(trials: Sequence[Trial], conditions: Conditions) -> str:
    """One document for each namespace in which something leaks; where nothing does, one that watches all."""
    by_namespace: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        if trial.leaks:
            by_namespace[trial.workload.namespace].append(trial)
    parts = ["\n".join(_head(trials, conditions))]
    for namespace, leaking in sorted(by_namespace.items()):
        parts.append("\n".join(_policy(namespace, leaking[:MOST_WORKLOADS], conditions)))
    if not by_namespace:
        parts.append("\n".join(_watch_all(conditions)))
    return "\n---\n".join(parts) + "\n"


def _head(trials: Sequence[Trial], conditions: Conditions) -> Iterator[str]:
    restarts = sum(len(trial.restarts) for trial in trials)
    leaking = sum(trial.leaks for trial in trials)
    yield f"# Written by `bilgepump try` on {conditions.now:%Y-%m-%d %H:%MZ} from {conditions.source},"
    yield f"# which was looked at over the last {conditions.since}:"
    yield f"# {_times(len(trials), 'workload')}, of which {leaking} leak now or leaked in that time."
    yield f"# In mode Remediate there would have been {_times(restarts, 'restart')} in that time."
    yield "# How many of these would have been false alarms cannot be known from memory alone: look at what"
    yield "# is found (`bilgepump diagnose`) before `mode: Remediate`. What a restart changes is not"
    yield "# replayed: the recorded memory goes on as it did."


def _policy(namespace: str, trials: Sequence[Trial], conditions: Conditions) -> Iterator[str]:
    restarts = sum(len(trial.restarts) for trial in trials)
    yield "apiVersion: bilgepump.dev/v1alpha1"
    yield "kind: MemoryPolicy"
    yield f"metadata: {{name: leaks, namespace: {_scalar(namespace)}}}"
    yield "spec:"
    yield "  # Watches and tells."
    yield f"  # In the last {conditions.since} `Remediate` would have restarted {_times(restarts, 'time')}."
    yield "  mode: Observe"
    yield "  target:"
    yield "    workloads:"
    for trial in trials:
        yield from (f"      # {line}" for line in reasons(trial, conditions))
        yield f"      - {{kind: {trial.workload.kind}, name: {_scalar(trial.workload.name)}}}"
    yield "  detection:"
    yield "    # The line that must not be crossed, in percent of the memory limit."
    yield f"    threshold: {{percent: {conditions.threshold_percent}}}"
    yield from _critical(conditions)
    yield "  # Metrics do not say where pprof is served. With it, the evidence is kept before it is gone:"
    yield "  # evidence:"
    yield "  #   pprof: [{container: app, port: 6060}]"


def _critical(conditions: Conditions) -> Iterator[str]:
    """The critical line stands above the threshold; its default is 85."""
    if conditions.threshold_percent >= 85:
        yield f"    criticalPercent: {min(conditions.threshold_percent + 5, 100)}"


def reasons(trial: Trial, conditions: Conditions) -> Iterator[str]:
    """Why a workload is named, in lines without `#`."""
    for finding in trial.now:
        worst = finding.worst
        if not finding.leaking:
            continue
        yield (
            f"container {worst.key.container} leaks now in {finding.leaking} of {finding.replicas} replicas: "
            f"{growth_text(worst)}/h,"
        )
        yield f"{usage_text(worst)}, threshold {crossing_text(worst, conditions.now)}."
        young, threshold = worst.young_floor_bytes, worst.threshold_bytes
        if young and threshold and young >= HIGH_WHEN_YOUNG * threshold:
            yield f"It starts at {young / threshold:.0%} of its threshold: raise its limit."
    if not trial.leaks_now:
        yield "It leaked, and does not now: was it fixed, or just restarted?"
    if trial.found:
        yield f"Found to leak {_times(len(trial.found), 'time')}, first at {_minute(trial.found[0])}."
    if trial.restarts:
        yield f"Would have been restarted at {_minute(trial.restarts[0])}"
        again = len(trial.restarts) - 1
        yield f"and, as the recording goes on, {_times(again, 'time')} more." if again else "and not again."
    elif trial.found:
        yield "No restart would have been needed: it never came near the line."
    if trial.unforeseen:
        yield "It was above the threshold before it was known to leak: it grew too fast, or is high anyway."


def _watch_all(conditions: Conditions) -> Iterator[str]:
    names = ", ".join(_scalar(one) for one in conditions.namespaces)
    yield "# Nothing leaked: this one watches every workload of these namespaces, and tells when one does."
    yield "apiVersion: bilgepump.dev/v1alpha1"
    yield "kind: ClusterMemoryPolicy"
    yield "metadata: {name: default}"
    yield "spec:"
    yield "  mode: Observe"
    if len(conditions.namespaces) > MOST_ENTRIES:
        yield "  namespaceSelector: {}  # more namespaces were looked at than can be named here"
    else:
        yield "  namespaceSelector:"
        yield "    matchExpressions:"
        yield f"      - {{key: kubernetes.io/metadata.name, operator: In, values: [{names}]}}"
    yield "  detection:"
    yield f"    threshold: {{percent: {conditions.threshold_percent}}}"
    yield from _critical(conditions)


def _scalar(name: str) -> str:
    """In quotes: `1234`, `on` and `1e3` are good names, and numbers or booleans to some reader of YAML."""
    return json.dumps(name)


def _minute(at: datetime) -> str:
    return f"{at.astimezone(UTC):%a %Y-%m-%d %H:%MZ}"


def _times(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
