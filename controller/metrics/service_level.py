"""How a workload serves its requests, as its own metrics tell it."""

from dataclasses import dataclass, replace
from datetime import timedelta

from controller.policy.units import format_duration

FEWEST_REQUESTS = 100
"""Of fewer, one request that fails by chance is more than a percentage point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLevel:
    """How requests were served in a window, by all replicas together; None is not known."""

    window: timedelta
    rules: str = ""
    """Digest of the rules it was measured for; empty where that was not noted."""
    requests: int | None = None
    """How many there were: by the counter of the error ratio, else by the histogram."""
    error_ratio: float | None = None
    """Those that failed, 0..1."""
    latency_seconds: float | None = None
    """The policy's quantile."""
    unmeasured_because: str = ""
    """Why something that the policy asks for is not known; empty where all of it is."""

    @property
    def may_come(self) -> bool:
        """It was not measured at all: the metrics source may only be late."""
        return bool(self.unmeasured_because) and self.requests is None

    def comparable(self, after: "ServiceLevel") -> bool:
        """Whether `after` was measured for the same rules, as far as that was noted."""
        return not self.rules or self.rules == after.rules


def with_errors(level: ServiceLevel, requests: float | None, errors: float | None) -> ServiceLevel:
    """
    `level` with the error ratio of these counts; None where there are no data.

    A counter of errors that has no data counts nothing: many are not there before the first error.
    """
    why = _too_few(level, requests)
    if requests is None or why:
        return _unmeasured(level, f"error ratio: {why}", requests)
    return replace(level, requests=round(requests), error_ratio=min((errors or 0.0) / requests, 1.0))


def with_latency(level: ServiceLevel, observations: float | None, seconds: float | None) -> ServiceLevel:
    """`level` with the latency of so many observations; None where there are no data."""
    why = _too_few(level, observations) or ("" if seconds is not None else "no such histogram")
    if why:
        return _unmeasured(level, f"latency: {why}", observations)
    requests = level.requests if level.requests is not None else round(observations or 0)
    return replace(level, requests=requests, latency_seconds=seconds)


def _unmeasured(level: ServiceLevel, why: str, requests: float | None) -> ServiceLevel:
    known = level.requests if level.requests is not None or requests is None else round(requests)
    told = "; ".join(part for part in (level.unmeasured_because, why) if part)
    return replace(level, requests=known, unmeasured_because=told)


def _too_few(level: ServiceLevel, requests: float | None) -> str:
    span = format_duration(level.window)
    if requests is None:
        return f"no data of its requests in {span}"
    if requests < FEWEST_REQUESTS:
        return f"only {requests:.0f} requests in {span}, at least {FEWEST_REQUESTS} are needed"
    return ""
