"""The strict score: one outcome per unit and detector, and what a set of outcomes adds up to."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tests.benchmarks.detection.detector import LEAKING, REMEDIATE, SUSPECT, Key, Transition
from tests.benchmarks.detection.labels import THRESHOLD, Label, Truth, first_crossing
from tests.benchmarks.detection.recording import WORKING_SET, Recording

HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one detector made of one unit. Times are epoch seconds; None where it did not happen.

    `found` and `false` are the strict rule: a leak is found if `Leaking` is said between its onset and
    its deadline; anything else is false if `Leaking` is ever said (for futile growth: with a class that
    is not its own), and a leak is false too if `Leaking` was said before its onset. `in_time` says
    whether a leak that reaches critical was remediated before; `covered` and `width` judge the interval
    stated with the verdict.
    """

    family: str
    hostile: bool
    seed: int
    truth: Truth
    found: bool
    false: bool
    suspected: bool
    false_act: bool
    in_time: bool | None
    lead_hours: float | None
    lead_share: float | None
    covered: bool | None
    width: float | None
    class_right: bool | None
    seconds: float


def judge(
    label: Label,
    transitions: Mapping[Key, Sequence[Transition]],
    recordings: Mapping[Key, Recording],
    *,
    family: str,
    hostile: bool,
    seed: int,
    seconds: float = 0.0,
) -> Outcome:
    """Score one unit. `transitions` and `recordings` hold at least the label's containers.

    A remediation is one act on a workload, so it counts for every leaking replica of it.
    """
    said = sorted((t.at, key, t) for key in label.containers for t in transitions.get(key, ()))
    leaking = [(at, key, t) for at, key, t in said if t.verdict == LEAKING]
    first = leaking[0] if leaking else None
    is_leak = label.truth is Truth.LEAK
    found = is_leak and any(label.onset <= at < label.deadline for at, _, _ in leaking)
    premature = bool(is_leak and first is not None and first[0] < label.onset)
    found = found and not premature
    lead_hours, lead_share = _lead(label, first[0] if found else None)
    covered, width = _interval(recordings[first[1]], first[2]) if found else (None, None)
    return Outcome(
        family=family,
        hostile=hostile,
        seed=seed,
        truth=label.truth,
        found=found,
        false=premature or _false(label, leaking),
        suspected=any(t.verdict == SUSPECT for _, _, t in said),
        false_act=_false_act(label, [t for _, _, t in said]),
        in_time=_in_time(label, _of_its_workload(label, transitions)),
        lead_hours=lead_hours,
        lead_share=lead_share,
        covered=covered,
        width=width,
        class_right=_class_right(label, [t for _, _, t in said]),
        seconds=seconds,
    )


def _false(label: Label, leaking: Sequence[tuple[float, Key, Transition]]) -> bool:
    if label.truth is Truth.LEAK:
        return False
    if label.truth is Truth.FUTILE:
        return any(t.growth_class not in label.classes for _, _, t in leaking)
    return bool(leaking)


def _false_act(label: Label, said: Sequence[Transition]) -> bool:
    """A remediation of what does not leak, or of a leak before its onset."""
    acts = [t.at for t in said if t.action == REMEDIATE]
    if label.truth is Truth.LEAK:
        return any(at < label.onset for at in acts)
    return bool(acts)


def _of_its_workload(label: Label, transitions: Mapping[Key, Sequence[Transition]]) -> list[Transition]:
    """What was said of the same container in all pods of the same template."""
    namespace, pod, container = label.containers[0]
    template = pod.rpartition("-")[0]
    return [
        t
        for key, said in transitions.items()
        if (key[0], key[1].rpartition("-")[0], key[2]) == (namespace, template, container)
        for t in said
    ]


def _in_time(label: Label, said: Sequence[Transition]) -> bool | None:
    if label.truth is not Truth.LEAK or label.critical is None:
        return None
    return any(t.action == REMEDIATE and label.onset <= t.at < label.critical for t in said)


def _lead(label: Label, said_at: float | None) -> tuple[float | None, float | None]:
    """Hours before the crossing and their share of onset to crossing; a leak not found has led by nothing."""
    if label.truth is not Truth.LEAK or label.crossing is None:
        return None, None
    if said_at is None:
        return 0.0, 0.0
    lead = label.crossing - said_at
    return lead / HOUR, lead / max(label.crossing - label.onset, 1.0)


def _interval(recording: Recording, verdict: Transition) -> tuple[bool | None, float | None]:
    """Whether the next crossing lies in the stated interval, and its width by the time left; None if
    never.
    """
    crossing = first_crossing(
        recording.time, recording.series[WORKING_SET], recording.limit, THRESHOLD, verdict.at
    )
    if crossing is None or crossing <= verdict.at:
        return None, None
    if verdict.earliest is None:
        return False, None
    latest = np.inf if verdict.latest is None else verdict.latest
    return bool(verdict.earliest <= crossing <= latest), (latest - verdict.earliest) / (crossing - verdict.at)


def _class_right(label: Label, said: Sequence[Transition]) -> bool | None:
    """Whether the class given with the first `Leaking` is right; without one, that of the last `Suspect`.

    None where the series do not show the class or nothing was said.
    """
    leaking = [t for t in said if t.verdict == LEAKING][:1]
    told = leaking or [t for t in said if t.verdict == SUSPECT][-1:]
    if not label.classes or not told:
        return None
    return told[0].growth_class in label.classes


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A count out of a count."""

    hits: int
    of: int

    @property
    def share(self) -> float:
        return self.hits / self.of if self.of else float("nan")

    @property
    def upper_bound(self) -> float:
        """Upper end of the 95 % Wilson interval; what a rate may be that was seen as `share`."""
        if not self.of:
            return float("nan")
        z, n, p = 1.96, self.of, self.share
        centre = p + z * z / (2 * n)
        return float((centre + z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))) / (1 + z * z / n))


def rate(flags: Iterable[bool | None]) -> Rate:
    """Count what is true among what is not None."""
    known = [flag for flag in flags if flag is not None]
    return Rate(hits=sum(known), of=len(known))


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What outcomes of one detector add up to. `normal` and `hostile` count healthy and undecidable units."""

    units: int
    precision: float
    recall: Rate
    f1: float
    false_normal: Rate
    false_hostile: Rate
    false_futile: Rate
    act_normal: Rate
    act_hostile: Rate
    act_futile: Rate
    suspect_healthy: Rate
    in_time: Rate
    lead_hours: float
    lead_share: float
    covered: Rate
    width: float
    class_right: Rate
    worst_family: str
    worst_recall: float
    milliseconds: float


def summary(outcomes: Sequence[Outcome]) -> Summary:
    """Add outcomes up."""
    leaks = [o for o in outcomes if o.truth is Truth.LEAK]
    quiet = [o for o in outcomes if o.truth in (Truth.HEALTHY, Truth.UNDECIDABLE)]
    normal, hostile = [o for o in quiet if not o.hostile], [o for o in quiet if o.hostile]
    futile = [o for o in outcomes if o.truth is Truth.FUTILE]
    recall = rate(o.found for o in leaks)
    false = sum(o.false for o in outcomes)
    precision = recall.hits / (recall.hits + false) if recall.hits + false else float("nan")
    worst = min(families(leaks).items(), key=lambda item: item[1].share, default=("", Rate(hits=0, of=0)))
    return Summary(
        units=len(outcomes),
        precision=precision,
        recall=recall,
        f1=2 * recall.hits / max(recall.hits + false + recall.of, 1) if recall.of else float("nan"),
        false_normal=rate(o.false for o in normal),
        false_hostile=rate(o.false for o in hostile),
        false_futile=rate(o.false for o in futile),
        act_normal=rate(o.false_act for o in normal),
        act_hostile=rate(o.false_act for o in hostile),
        act_futile=rate(o.false_act for o in futile),
        suspect_healthy=rate(o.suspected for o in quiet if o.truth is Truth.HEALTHY),
        in_time=rate(o.in_time for o in leaks),
        lead_hours=_median([o.lead_hours for o in leaks]),
        lead_share=_median([o.lead_share for o in leaks]),
        covered=rate(o.covered for o in leaks),
        width=_median([o.width for o in leaks]),
        class_right=rate(o.class_right for o in outcomes),
        worst_family=worst[0],
        worst_recall=worst[1].share,
        milliseconds=1000 * float(np.mean([o.seconds for o in outcomes])) if outcomes else float("nan"),
    )


def families(outcomes: Iterable[Outcome]) -> dict[str, Rate]:
    """Per family and variant: the share found of leaks, the share false of everything else."""
    flags: dict[str, list[bool]] = {}
    for outcome in outcomes:
        hit = outcome.found if outcome.truth is Truth.LEAK else outcome.false
        flags.setdefault(_kind(outcome), []).append(hit)
    return {name: rate(hits) for name, hits in flags.items()}


def _kind(outcome: Outcome) -> str:
    if outcome.family.startswith("leak-") and outcome.truth is not Truth.LEAK:
        return f"{outcome.family} (its {outcome.truth} pods)"
    return outcome.family + (" (hostile)" if outcome.hostile else "")


def _median(values: Iterable[float | None]) -> float:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else float("nan")
