"""Which metrics of its requests a policy names: names and labels, never a query."""

import re

from controller.policy.memory_policy import ErrorRatioRule, LatencyRule, Series
from controller.policy.section import Section
from controller.policy.syntax import METRIC_LABEL, METRIC_NAME

_FILLED_IN = ("namespace", "pod")


def parse_series(series: Section, what: str, *, with_patterns: bool = True) -> Series:
    """The series that `series` describes, of which the metric is `what`; its problems are noted in it."""
    series.require("metric")
    parsed = Series(
        metric=series.text("metric", METRIC_NAME, f"the name of {what}, never a query", longest=200),
        match_labels=series.labels("matchLabels", METRIC_LABEL, r"(?s).{0,256}"),
        match_patterns=_patterns(series) if with_patterns else (),
    )
    for field, given in (("matchLabels", parsed.match_labels), ("matchPatterns", parsed.match_patterns)):
        for name, value in given:
            if name in _FILLED_IN:
                series.refuse(f"{field}.{name}", "may not be given: the controller fills it in", value)
    series.refuse_unknown()
    return parsed


def _patterns(series: Section) -> tuple[tuple[str, str], ...]:
    patterns = series.labels("matchPatterns", METRIC_LABEL, r"(?s).{1,256}")
    for name, pattern in patterns:
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            series.refuse(f"matchPatterns.{name}", f"must be a regular expression: {error}", pattern)
    return patterns


def parse_error_ratio(rule: Section) -> ErrorRatioRule:
    """The rule that `rule` describes; its problems are noted in it."""
    rule.require("requests", "errors")
    default = ErrorRatioRule(requests=Series(metric=""), errors=Series(metric=""))
    parsed = ErrorRatioRule(
        requests=parse_series(rule.section("requests"), "a counter")
        if "requests" in rule
        else Series(metric=""),
        errors=parse_series(rule.section("errors"), "a counter") if "errors" in rule else Series(metric=""),
        maximum_increase=rule.ratio(
            "maximumIncreasePercent", default.maximum_increase, lowest=0, highest=100
        ),
    )
    if parsed.requests == parsed.errors and parsed.requests.metric:
        rule.refuse("errors", "must differ from `requests`: every request would have failed")
    rule.refuse_unknown()
    return parsed


def parse_latency(rule: Section) -> LatencyRule:
    """The rule that `rule` describes; its problems are noted in it."""
    rule.require("histogram")
    default = LatencyRule(histogram=Series(metric=""))
    histogram = rule.section("histogram")
    parsed = LatencyRule(
        histogram=parse_series(histogram, "a histogram") if "histogram" in rule else default.histogram,
        quantile=rule.ratio("percentile", default.quantile, lowest=50, highest=99),
        maximum_ratio=rule.ratio("maximumRatioPercent", default.maximum_ratio, lowest=100, highest=1000),
    )
    if parsed.histogram.metric.endswith("_bucket"):
        histogram.refuse("metric", "must be without `_bucket`", parsed.histogram.metric)
    rule.refuse_unknown()
    return parsed
