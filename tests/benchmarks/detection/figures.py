"""The figures the detector has to reach, the least and the aim, and whether it does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.benchmarks.detection.score import Outcome, Rate, Summary, rate, summary
from tests.benchmarks.detection.tables import number, table


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured share (or ratio) against its bounds; `upward` if more is better."""

    name: str
    value: float
    least: float
    aim: float
    upward: bool
    of: int

    @property
    def mark(self) -> str:
        """`aim`, `least`, `MISSED`, or a dash where nothing was measured."""
        if self.value != self.value:
            return "–"
        reaches = [
            self.value >= bound if self.upward else self.value <= bound for bound in (self.aim, self.least)
        ]
        return "aim" if reaches[0] else "least" if reaches[1] else "MISSED"


def _low(name: str, share: Rate, least: float, aim: float) -> Figure:
    return Figure(name=name, value=share.share, least=least, aim=aim, upward=False, of=share.of)


def _high(name: str, share: Rate, least: float, aim: float) -> Figure:
    return Figure(name=name, value=share.share, least=least, aim=aim, upward=True, of=share.of)


def figures(
    generated: Sequence[Outcome], real: Sequence[Outcome], calibration: Mapping[float, Rate]
) -> list[Figure]:
    """Measure the detector's own outcomes; parts that were not run give a dash."""
    total = summary(generated)
    injected = [o for o in real if o.family == "real-injected"]
    untouched = [o for o in real if o.family == "real-untouched"]
    noise = max(calibration.values(), key=lambda r: r.share, default=Rate(hits=0, of=0))
    return [
        _low("false remediation, healthy and undecidable, normal", total.act_normal, 0.005, 0.0),
        _low("the same, hostile", total.act_hostile, 0.03, 0.01),
        _low("false remediation where a restart cannot help", total.act_futile, 0.0, 0.0),
        _low("false Leaking at any look, normal", total.false_normal, 0.01, 0.002),
        _low("the same, hostile", total.false_hostile, 0.06, 0.03),
        _high("recall of decidable leaks before the threshold", total.recall, 0.90, 0.97),
        _worst(total),
        _high("leaks remediated before critical", total.in_time, 0.97, 0.99),
        _high("leak injected into real pods, found before", rate(o.found for o in injected), 0.70, 0.90),
        _low("real pods through time: Leaking", rate(o.false for o in untouched), 0.0, 0.0),
        _low("real pods through time: Suspect", rate(o.suspected for o in untouched), 1.0, 0.05),
        _ratio("median lead, share of onset to crossing", total.lead_share, 0.25, 0.40, upward=True),
        _high("crossing inside the stated interval", total.covered, 0.80, 0.90),
        _ratio("median width of the interval by time left", total.width, 0.5, 0.5, upward=False),
        _high("class right", total.class_right, 0.90, 0.97),
        _low("slope test on trend-free AR(1), phi <= 0.95, worst", noise, 0.03, 0.015),
    ]


def _worst(total: Summary) -> Figure:
    name = f"recall of the worst family ({total.worst_family or 'none'})"
    return _ratio(name, total.worst_recall, 0.60, 0.85, upward=True)


def _ratio(name: str, value: float, least: float, aim: float, *, upward: bool) -> Figure:
    return Figure(name=name, value=value, least=least, aim=aim, upward=upward, of=0)


def beaten(outcomes: Mapping[str, Sequence[Outcome]]) -> dict[str, bool]:
    """For each peer: whether ours has the better F1 and the lower false rate at once."""
    ours = summary(outcomes["ours"])
    return {name: _beats(ours, summary(said)) for name, said in outcomes.items() if name != "ours"}


def _beats(ours: Summary, peer: Summary) -> bool:
    return ours.f1 > peer.f1 and _false_share(ours) < max(_false_share(peer), 1e-9)


def _false_share(total: Summary) -> float:
    hits = total.false_normal.hits + total.false_hostile.hits
    return hits / max(total.false_normal.of + total.false_hostile.of, 1)


def report(measured: Sequence[Figure]) -> str:
    """Lay the figures out with their marks."""
    rows = [
        (f.name, number(f.value, 3), _bound(f, f.least), _bound(f, f.aim), str(f.of or ""), f.mark)
        for f in measured
    ]
    return table([("figure", "measured", "at least", "aim", "n", ""), *rows])


def _bound(figure: Figure, bound: float) -> str:
    return f"{'≥' if figure.upward else '≤'} {bound:g}"
