"""Whether requests are served worse than before a remediation, and what is said where that is not known."""

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.metrics.service_level import ServiceLevel
from controller.policy.memory_policy import ErrorRatioRule, LatencyRule, Series, VerificationRules
from controller.verification.recovery import RecoveryFacts, RecoveryOutcome, check_recovery
from controller.verification.service_level import compare
from tests.fakes import MIB, NOW, a_workload

SOAK = timedelta(minutes=10)
COUNTER = Series(metric="http_requests_total")
RULES = VerificationRules(
    soak=SOAK,
    error_ratio=ErrorRatioRule(
        requests=COUNTER, errors=replace(COUNTER, metric="http_errors_total"), maximum_increase=0.01
    ),
    latency=LatencyRule(histogram=Series(metric="http_request_duration_seconds"), maximum_ratio=1.5),
)


def served(
    error_ratio: float | None = 0.001, latency_seconds: float | None = 0.2, because: str = ""
) -> ServiceLevel:
    return ServiceLevel(
        window=SOAK,
        requests=5000,
        error_ratio=error_ratio,
        latency_seconds=latency_seconds,
        unmeasured_because=because,
    )


NO_DATA = ServiceLevel(window=SOAK, unmeasured_because="nobody answers")


@pytest.mark.parametrize(
    ("after", "worse"),
    [
        (served(), []),
        (served(error_ratio=0.0, latency_seconds=0.1), []),
        (served(error_ratio=0.011), []),
        (served(error_ratio=0.012), ["error ratio 1.2 %, 0.1 % before, at most 1.1 % is allowed"]),
        (served(latency_seconds=0.3), []),
        (served(latency_seconds=0.31), ["latency 310 ms, 200 ms before, at most 300 ms is allowed"]),
        (served(error_ratio=1.0, latency_seconds=30.0), ["100 %", "30.00 s"]),
    ],
)
def test_what_got_worse_is_told_with_its_numbers(after: ServiceLevel, worse: list[str]) -> None:
    compared = compare(RULES, served(), after)
    assert len(compared.worse) == len(worse)
    assert all(part in told for part, told in zip(worse, compared.worse, strict=True))
    assert len(compared.worse) + len(compared.as_good) == 2


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (None, served(), "error ratio not compared: before: the policy did not ask for it"),
        (NO_DATA, served(), "latency not compared: before: nobody answers"),
        (served(), NO_DATA, "latency not compared: after: nobody answers"),
        (served(), None, "error ratio not compared: after"),
        (served(), served(latency_seconds=None, because="latency: no data"), "after: latency: no data"),
    ],
)
def test_what_is_not_known_is_neither_worse_nor_as_good(
    before: ServiceLevel | None, after: ServiceLevel | None, told: str
) -> None:
    compared = compare(RULES, before, after)
    assert not compared.worse
    assert any(told in one for one in compared.unknown)


def test_only_what_the_policy_asks_for_is_compared() -> None:
    assert str(compare(replace(RULES, latency=None), served(), served(latency_seconds=9.0))) == (
        "error ratio 0.1 %, 0.1 % before"
    )
    assert str(compare(VerificationRules(), served(), served(1.0))) == ""


def facts(before: ServiceLevel | None, after: ServiceLevel | None, soaked_minutes_ago: int) -> RecoveryFacts:
    return RecoveryFacts(
        issued_at=NOW - timedelta(hours=2),
        rolled_out_at=NOW - SOAK - timedelta(minutes=soaked_minutes_ago),
        workload=a_workload(),
        rules=RULES,
        memory_before_bytes=100 * MIB,
        memory_after_bytes=100 * MIB,
        service_before=before,
        service_after=after,
    )


@pytest.mark.parametrize(
    ("before", "after", "soaked_minutes_ago", "outcome"),
    [
        pytest.param(served(), served(), 0, RecoveryOutcome.RECOVERED, id="as good"),
        pytest.param(served(), served(0.5), 0, RecoveryOutcome.SERVICE_DEGRADED, id="worse"),
        pytest.param(
            served(),
            served(0.5, None, "latency: no data"),
            0,
            RecoveryOutcome.SERVICE_DEGRADED,
            id="worse, as far as it is known",
        ),
        pytest.param(served(), NO_DATA, 14, RecoveryOutcome.SOAKING, id="late data are waited for"),
        pytest.param(served(), NO_DATA, 15, RecoveryOutcome.RECOVERED, id="not for ever"),
        pytest.param(
            served(), served(None, None, "too few"), 0, RecoveryOutcome.RECOVERED, id="few requests stay few"
        ),
        pytest.param(NO_DATA, NO_DATA, 0, RecoveryOutcome.RECOVERED, id="nothing to compare with"),
        pytest.param(None, NO_DATA, 0, RecoveryOutcome.RECOVERED, id="asked for after the order"),
    ],
)
def test_recovery_depends_on_how_requests_are_served(
    before: ServiceLevel | None,
    after: ServiceLevel | None,
    soaked_minutes_ago: int,
    outcome: RecoveryOutcome,
) -> None:
    recovery = check_recovery(facts(before, after, soaked_minutes_ago), NOW)
    assert recovery.outcome is outcome
    told = str(compare(RULES, before, after))
    assert outcome is RecoveryOutcome.SOAKING or told in recovery.message


def test_memory_that_did_not_come_down_is_told_first() -> None:
    full = replace(facts(served(), served(0.5), 0), memory_after_bytes=300 * MIB)
    assert check_recovery(full, NOW).outcome is RecoveryOutcome.MEMORY_NOT_RECOVERED
