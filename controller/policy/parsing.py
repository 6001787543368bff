"""From a MemoryPolicy or ClusterMemoryPolicy document to the policy, or to all that is wrong with it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from controller.policy.cluster_target import parse_cluster_target
from controller.policy.memory_policy import (
    DetectionRules,
    EvidenceRules,
    MemoryPolicy,
    MetricsRules,
    Mode,
    PprofRule,
    RequestRate,
    Threshold,
    VerificationRules,
)
from controller.policy.problem import PolicyProblem
from controller.policy.remediation import parse_remediation
from controller.policy.section import Section
from controller.policy.service_level import parse_error_ratio, parse_latency, parse_series
from controller.policy.syntax import CLOUDWATCH, DNS_LABEL, DNS_NAME, ECS_NAME, PPROF_PATH
from controller.policy.target import parse_selector, parse_target
from controller.policy.units import DAY, MINUTE, MONTH, QUANTITY, parse_bytes

API_GROUP = "bilgepump.dev"
API_VERSION = f"{API_GROUP}/v1alpha1"
KIND = "MemoryPolicy"
CLUSTER_KIND = "ClusterMemoryPolicy"

SHORTEST_REMEDIATING_LOOKBACK = timedelta(hours=2)
"""Less is too little to restart on, unless the controller runs with `--allow-short-lookback`."""


def parse_policy(
    document: Mapping[str, Any], *, allow_short_lookback: bool = False, on_ecs: bool = False
) -> MemoryPolicy | tuple[PolicyProblem, ...]:
    """
    The policy that `document` describes, or all of its problems in the document's order. Never raises.

    `allow_short_lookback` is the controller's flag of that name: with it a policy may remediate on a lookback
    below two hours. `on_ecs`: it is read for `bilgepump ecs`.
    """
    problems: list[PolicyProblem] = []
    root = Section(document, "", problems)
    cluster_wide = root.raw("kind") == CLUSTER_KIND and not on_ecs
    _check_type(root, CLUSTER_KIND if cluster_wide else KIND)
    metadata = root.section("metadata")
    metadata.require("name")
    spec = root.section("spec")
    root.raw("status")
    if cluster_wide:
        spec.require("namespaceSelector")
        if metadata.raw("namespace"):
            metadata.refuse("namespace", f"must be absent: a {CLUSTER_KIND} is in none")
    policy = MemoryPolicy(
        namespace=""
        if cluster_wide
        else metadata.text("namespace", DNS_LABEL, "the name of a namespace", default="default"),
        name=metadata.text("name", DNS_NAME, "a lowercase name of letters, digits, `-` and `.`"),
        uid=str(metadata.raw("uid") or ""),
        generation=metadata.whole_number("generation", lowest=0, highest=2**63 - 1),
        mode=spec.choice("mode", Mode.OBSERVE),
        target=(
            target := parse_cluster_target(spec.section("target"))
            if cluster_wide
            else parse_target(spec.section("target"), on_ecs=on_ecs)
        ),
        metrics=_metrics(spec.section("metrics")),
        detection=_detection(spec.section("detection")),
        evidence=_evidence(spec.section("evidence"), ECS_NAME if target.ecs or on_ecs else DNS_LABEL),
        remediation=parse_remediation(spec.section("remediation"), on_ecs=on_ecs),
        verification=_verification(spec.section("verification")),
        suspend=spec.boolean("suspend", False),
        labels=_own_labels(metadata),
        namespace_selector=parse_selector(spec.section("namespaceSelector"), may_be_empty=True)
        if cluster_wide
        else None,
    )
    spec.refuse_unknown()
    root.refuse_unknown()
    _check_across(policy, spec, allow_short_lookback)
    return tuple(problems) or policy


def _own_labels(metadata: Section) -> tuple[tuple[str, str], ...]:
    """As they stand: what a label may be is the API server's affair."""
    labels = metadata.raw("labels")
    if not isinstance(labels, Mapping):
        return ()
    return tuple(sorted((str(key), str(value)) for key, value in labels.items()))


def _check_type(root: Section, kind: str) -> None:
    for name, expected in (("apiVersion", API_VERSION), ("kind", kind)):
        if root.raw(name) != expected:
            root.refuse(name, f"must be {expected}", root.raw(name))


def _check_across(policy: MemoryPolicy, spec: Section, allow_short_lookback: bool) -> None:
    """What only several sections together can say."""
    if policy.cluster_wide and policy.mode is Mode.REMEDIATE:
        spec.refuse(
            "mode",
            "must be Observe or Capture: only a namespace's own MemoryPolicy lets workloads be restarted",
            policy.mode.value,
        )
    if (
        policy.mode is Mode.REMEDIATE
        and policy.detection.lookback < SHORTEST_REMEDIATING_LOOKBACK
        and not allow_short_lookback
    ):
        spec.refuse(
            "detection.lookback",
            "must be at least 2h in mode Remediate; the controller's setting `allowShortLookback` lifts this",
            spec.section("detection").raw("lookback"),
        )
    if policy.verification.compares_service and policy.target.ecs and policy.metrics.source == CLOUDWATCH:
        spec.refuse(
            "metrics.source",
            "must be a Prometheus with `verification.errorRatio` or `latency`: CloudWatch does not tell them",
            policy.metrics.source,
        )
    judged = policy.target.containers
    for index, rule in enumerate(policy.evidence.pprof):
        if judged and rule.container and rule.container not in judged:
            spec.refuse(
                f"evidence.pprof[{index}].container",
                f"must be one of `spec.target.containers` ({', '.join(judged)}), which is set",
                rule.container,
            )


def _metrics(metrics: Section) -> MetricsRules:
    rules = MetricsRules(
        source=metrics.text(
            "source",
            DNS_LABEL,
            "the name of a source configured in the controller, never a URL",
            default=MetricsRules().source,
            longest=63,
        ),
        request_rate=_request_rate(metrics.section("requestRate")) if "requestRate" in metrics else None,
    )
    metrics.refuse_unknown()
    return rules


def _request_rate(rate: Section) -> RequestRate:
    series = parse_series(rate, "a counter", with_patterns=False)
    return RequestRate(metric=series.metric, match_labels=series.match_labels)


def _detection(detection: Section) -> DetectionRules:
    default = DetectionRules()
    rules = DetectionRules(
        threshold=_threshold(detection.section("threshold")) if "threshold" in detection else Threshold(),
        critical_ratio=detection.ratio("criticalPercent", default.critical_ratio, highest=100),
        sensitivity=detection.choice("sensitivity", default.sensitivity),
        lookback=detection.duration("lookback", default.lookback, lowest=5 * MINUTE, highest=MONTH),
        minimum_age=detection.duration("minimumAge", default.minimum_age, lowest=timedelta(), highest=DAY),
    )
    ratio = rules.threshold.ratio
    if ratio is not None and rules.critical_ratio <= ratio:
        detection.refuse(
            "criticalPercent",
            f"must be greater than `threshold.percent`, which is {round(ratio * 100)}",
            round(rules.critical_ratio * 100),
        )
    detection.refuse_unknown()
    return rules


def _threshold(threshold: Section) -> Threshold:
    value_bytes = threshold.text_as("value", parse_bytes, QUANTITY)
    if value_bytes is not None and value_bytes < 2**20:
        threshold.refuse("value", "must be at least 1Mi; is its unit missing?", threshold.raw("value"))
    if ("percent" in threshold) == ("value" in threshold):
        threshold.refuse("", "must have exactly one of `percent` and `value`")
    ratio = threshold.ratio("percent", 0.70, highest=99) if "percent" in threshold else None
    threshold.refuse_unknown()
    return Threshold(ratio=ratio, value_bytes=value_bytes)


def _evidence(evidence: Section, container_name: str) -> EvidenceRules:
    rules = EvidenceRules(
        pprof=tuple(_pprof(entry, container_name) for entry in evidence.sections("pprof")),
        required=evidence.boolean("required", False),
    )
    containers = [rule.container for rule in rules.pprof]
    if len(set(containers)) < len(containers):
        evidence.refuse("pprof", "must name each container once", containers)
    evidence.refuse_unknown()
    return rules


def _pprof(entry: Section, container_name: str) -> PprofRule:
    entry.require("container", "port")
    default = PprofRule(container="", port=0)
    rule = PprofRule(
        container=entry.text("container", container_name, "the name of a container"),
        port=entry.whole_number("port", lowest=1, highest=65535),
        path=entry.text(
            "path",
            PPROF_PATH,
            "a path that ends in /debug/pprof, without host, query or `..`",
            default=default.path,
        ),
        scheme=entry.choice("scheme", default.scheme),
    )
    entry.refuse_unknown()
    return rule


SHORTEST_COMPARED_SOAK = 2 * MINUTE
"""Less has too few samples of a counter to say how fast it rises."""


def _verification(verification: Section) -> VerificationRules:
    default = VerificationRules()
    rules = VerificationRules(
        progress_deadline=verification.duration(
            "progressDeadline", default.progress_deadline, lowest=MINUTE, highest=DAY
        ),
        soak=verification.duration("soak", default.soak, lowest=timedelta(), highest=DAY),
        maximum_memory_ratio=verification.ratio(
            "maximumMemoryRatioPercent", default.maximum_memory_ratio, lowest=100, highest=500
        ),
        error_ratio=parse_error_ratio(verification.section("errorRatio"))
        if "errorRatio" in verification
        else None,
        latency=parse_latency(verification.section("latency")) if "latency" in verification else None,
    )
    if rules.compares_service and rules.soak < SHORTEST_COMPARED_SOAK:
        verification.refuse(
            "soak", "must be at least 2m with `errorRatio` or `latency`", verification.raw("soak")
        )
    verification.refuse_unknown()
    return rules
