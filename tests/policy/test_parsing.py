from datetime import time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.policy.memory_policy import (
    ApprovalRule,
    Budget,
    Day,
    DetectionRules,
    ErrorRatioRule,
    EvidenceRules,
    LabelExpression,
    LabelSelector,
    LatencyRule,
    MemoryPolicy,
    MetricsRules,
    Mode,
    NamedWorkload,
    Operator,
    PprofRule,
    RemediationRules,
    RequestRate,
    Scheme,
    Sensitivity,
    Series,
    Strategy,
    SuspectAboveCritical,
    Target,
    Threshold,
    VerificationRules,
    Window,
    WorkloadKind,
)
from controller.policy.parsing import parse_policy
from controller.policy.problem import PolicyProblem
from tests.policy.corpus import POLICIES, read


def a_document(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "bilgepump.dev/v1alpha1",
        "kind": "MemoryPolicy",
        "metadata": {"name": "api", "namespace": "shop"},
        "spec": {"target": {"selector": {"matchLabels": {"app": "api"}}}} | spec,
    }


def problems_of(document: Any, **options: bool) -> list[tuple[str, str]]:
    parsed = parse_policy(document, **options)
    return [(problem.field, problem.message) for problem in parsed] if isinstance(parsed, tuple) else []


def test_smallest_policy_has_the_defaults() -> None:
    assert parse_policy(a_document()) == MemoryPolicy(
        namespace="shop",
        name="api",
        uid="",
        generation=0,
        target=Target(selector=LabelSelector(match_labels=(("app", "api"),))),
        mode=Mode.OBSERVE,
        metrics=MetricsRules(),
        detection=DetectionRules(),
        evidence=EvidenceRules(),
        remediation=RemediationRules(),
        verification=VerificationRules(),
        suspend=False,
    )


def test_every_field_is_read() -> None:
    weekdays = (Day.MON, Day.TUE)
    assert parse_policy(read(POLICIES / "good" / "everything.yaml")) == MemoryPolicy(
        namespace="shop",
        name="everything",
        uid="",
        generation=0,
        mode=Mode.REMEDIATE,
        suspend=True,
        target=Target(
            selector=LabelSelector(
                match_labels=(("app.kubernetes.io/name", "api"),),
                match_expressions=(
                    LabelExpression(key="tier", operator=Operator.IN, values=("web", "edge")),
                    LabelExpression(key="experimental", operator=Operator.DOES_NOT_EXIST),
                ),
            ),
            containers=("app", "worker"),
        ),
        metrics=MetricsRules(
            source="mimir",
            request_rate=RequestRate(metric="http_requests_total", match_labels=(("handler", "/orders"),)),
        ),
        detection=DetectionRules(
            threshold=Threshold(ratio=None, value_bytes=800 * 2**20),
            critical_ratio=0.9,
            sensitivity=Sensitivity.CONSERVATIVE,
            lookback=timedelta(hours=36),
            minimum_age=timedelta(hours=1, minutes=30),
        ),
        evidence=EvidenceRules(
            pprof=(
                PprofRule(container="app", port=6060, path="/internal/debug/pprof", scheme=Scheme.HTTPS),
                PprofRule(container="worker", port=6061),
            ),
            required=True,
        ),
        remediation=RemediationRules(
            strategy=Strategy.ROLLING_RESTART,
            lead_time=timedelta(minutes=45),
            cooldown=timedelta(hours=12),
            budget=Budget(remediations=2, period=timedelta(hours=48)),
            maintenance_windows=(
                Window(days=weekdays, start=time(22), end=time(5), time_zone=ZoneInfo("Asia/Kolkata")),
                Window(days=tuple(Day), start=time(12), end=time(12, 30), time_zone=ZoneInfo("UTC")),
            ),
            blackouts=(
                Window(days=(Day.SUN,), start=time(0), end=time(0), time_zone=ZoneInfo("Europe/Berlin")),
            ),
            critical_overrides_windows=True,
            suspect_above_critical=SuspectAboveCritical.REMEDIATE,
            allow_image_drift=True,
            approval=ApprovalRule.REQUIRED,
            blocking_alerts=("HighErrorRate", "node:down"),
        ),
        verification=VerificationRules(
            progress_deadline=timedelta(minutes=20),
            soak=timedelta(minutes=5, seconds=30),
            maximum_memory_ratio=1.3,
            error_ratio=ErrorRatioRule(
                requests=Series(metric="http_requests_total", match_labels=(("handler", "/orders"),)),
                errors=Series(
                    metric="http_requests_total",
                    match_labels=(("handler", "/orders"),),
                    match_patterns=(("code", "5.."),),
                ),
                maximum_increase=0.02,
            ),
            latency=LatencyRule(
                histogram=Series(metric="http_request_duration_seconds"), quantile=0.99, maximum_ratio=2.0
            ),
        ),
        labels=(("team", "checkout"),),
    )


def test_workloads_are_read_by_kind_and_name() -> None:
    policy = parse_policy(read(POLICIES / "good" / "by-name.yaml"))
    assert isinstance(policy, MemoryPolicy)
    assert policy.target.selector is None
    assert policy.target.workloads == (
        NamedWorkload(kind=WorkloadKind.DEPLOYMENT, name="api"),
        NamedWorkload(kind=WorkloadKind.STATEFUL_SET, name="orders-db"),
        NamedWorkload(kind=WorkloadKind.DAEMON_SET, name="node.agent"),
        NamedWorkload(kind=WorkloadKind.ROLLOUT, name="checkout"),
    )


def test_uid_and_generation_are_those_of_the_object() -> None:
    document = a_document()
    document["metadata"] |= {"uid": "5f0c", "generation": 7}
    policy = parse_policy(document)
    assert isinstance(policy, MemoryPolicy)
    assert (policy.key, policy.uid, policy.generation) == ("shop/api", "5f0c", 7)


def test_null_means_the_default() -> None:
    assert parse_policy(
        a_document(mode=None, detection=None, remediation={"cooldown": None})
    ) == parse_policy(a_document())


def test_whole_number_may_have_a_decimal_point() -> None:
    assert parse_policy(a_document(detection={"threshold": {"percent": 60.0}})) == parse_policy(
        a_document(detection={"threshold": {"percent": 60}})
    )


def test_all_problems_are_told_at_once_in_the_order_of_the_document() -> None:
    document = a_document(
        mode="Fix",
        target={"selector": {}},
        detection={"threshold": {"percent": 0.7}, "lookback": "2d"},
        remediation={"strategy": "Reboot"},
    )
    assert [field for field, _ in problems_of(document)] == [
        "spec.mode",
        "spec.target.selector",
        "spec.detection.threshold.percent",
        "spec.detection.lookback",
        "spec.remediation.strategy",
    ]


def test_problem_shows_field_allowed_and_found_in_one_line() -> None:
    parsed = parse_policy(a_document(detection={"threshold": {"percent": 0.7}}))
    assert isinstance(parsed, tuple)
    assert [str(problem) for problem in parsed] == [
        "spec.detection.threshold.percent: must be a whole number of percent from 1 to 99 (is 0.7)"
    ]


def test_problem_without_a_value_ends_with_what_is_allowed() -> None:
    assert (
        str(PolicyProblem(field="spec.target", value="", message="is required")) == "spec.target: is required"
    )


@pytest.mark.parametrize(
    "start",
    [pytest.param(1320, id="22:00 without quotes, as YAML 1.1 reads it"), "9:00", "22:60", "22.00"],
)
def test_time_of_day_must_be_quoted_and_padded(start: object) -> None:
    document = a_document(remediation={"blackouts": [{"start": start, "end": "05:00"}]})
    ((field, message),) = problems_of(document)
    assert field == "spec.remediation.blackouts[0].start"
    assert "in quotes" in message


@pytest.mark.parametrize(
    "zone", ["Mars/Olympus", "IST", "../../etc/passwd", "/etc/localtime", "Asia", "", "zone.tab"]
)
def test_time_zone_must_be_one_of_the_database(zone: str) -> None:
    window = {"start": "02:00", "end": "05:00", "timeZone": zone}
    ((field, message),) = problems_of(a_document(remediation={"maintenanceWindows": [window]}))
    assert field == "spec.remediation.maintenanceWindows[0].timeZone"
    assert "IANA" in message


def test_days_are_read_in_the_order_of_the_week() -> None:
    window = {"days": ["Sun", "Mon"], "start": "02:00", "end": "05:00"}
    policy = parse_policy(a_document(remediation={"blackouts": [window]}))
    assert isinstance(policy, MemoryPolicy)
    assert policy.remediation.blackouts[0].days == (Day.MON, Day.SUN)


@pytest.mark.parametrize(
    ("mode", "lookback", "allowed", "accepted"),
    [
        pytest.param("Remediate", "1h59m", False, False, id="remediates on too little"),
        pytest.param("Remediate", "2h", False, True, id="remediates on just enough"),
        pytest.param("Remediate", "10m", True, True, id="the controller allows short lookbacks"),
        pytest.param("Capture", "10m", False, True, id="only captures"),
        pytest.param("Observe", "10m", False, True, id="only observes"),
    ],
)
def test_short_lookback_may_remediate_only_with_the_controllers_leave(
    mode: str, lookback: str, allowed: bool, accepted: bool
) -> None:
    document = a_document(mode=mode, detection={"lookback": lookback})
    fields = [field for field, _ in problems_of(document, allow_short_lookback=allowed)]
    assert fields == ([] if accepted else ["spec.detection.lookback"])


@pytest.mark.parametrize("document", [None, 3, "policy", [], {}, {"spec": []}, {"spec": {"target": "api"}}])
def test_what_is_no_policy_at_all_has_problems(document: Any) -> None:
    assert problems_of(document)


def test_lists_are_bounded() -> None:
    workloads = [{"kind": "Deployment", "name": f"api-{number}"} for number in range(65)]
    ((field, message),) = problems_of(a_document(target={"workloads": workloads}))
    assert (field, message) == ("spec.target.workloads", "must have at most 64 entries")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [path] + [deeper for key, inner in entries for deeper in paths(inner, (*path, key))]


def replaced(value: Any, path: tuple[Any, ...], replacement: Any) -> Any:
    if not path:
        return replacement
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], replacement)
    return copy


EVERYTHING = read(POLICIES / "good" / "everything.yaml")


@given(path=st.sampled_from(paths(EVERYTHING)), replacement=JSON)
def test_no_value_anywhere_raises(path: tuple[str | int, ...], replacement: Any) -> None:
    parsed = parse_policy(replaced(EVERYTHING, path, replacement))
    assert isinstance(parsed, MemoryPolicy | tuple)
