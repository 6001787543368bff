"""
Writes the alert and recording rules the chart ships, and `docs/alerts.md`, from the list below.

Run `python -m docs.generators` after a change of it or of the reasons that need a person; a test fails until
then. `tests/chart/alerts.test.yaml` holds promtool's tests of every rule.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from controller.reporting.reasons import HOLDS, Tone, hold_tone

REPOSITORY = Path(__file__).parents[2]
RULES = REPOSITORY / "charts" / "bilgepump" / "files" / "rules"
ALERT_RULES = RULES / "alerts.yaml"
RECORDING_RULES = RULES / "recording.yaml"
PAGE = REPOSITORY / "docs" / "alerts.md"
RUNBOOK = "https://bilgepump.dev/alerts/"
"""Where `docs/alerts.md` is published; the chart's value `prometheusRule.runbookUrl` replaces it."""

_WORKLOAD = "{{ $labels.kind }} {{ $labels.namespace }}/{{ $labels.name }}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert, and what the person it wakes should do."""

    name: str
    severity: str
    """`critical` wakes somebody, `warning` is for working hours."""
    expression: str
    lasting: str
    summary: str
    meaning: str
    what_to_do: str


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording rule: name and expression."""

    name: str
    expression: str


def reasons_for_people() -> tuple[str, ...]:
    """Hold reasons that only a person can end."""
    return tuple(reason.value for reason in HOLDS if hold_tone(reason) is Tone.WARNING)


def alerts() -> tuple[Alert, ...]:
    """All alerts, the gravest about the controller itself first."""
    return (
        Alert(
            name="BilgepumpAbsent",
            severity="critical",
            expression="absent(bilgepump_last_sweep_timestamp_seconds)",
            lasting="15m",
            summary="Bilgepump's own metrics are gone",
            meaning="No controller is scraped: it is not running, or Prometheus does not find it. "
            "No leak is seen and none is restarted.",
            what_to_do="`kubectl -n bilgepump get pods`, then the ServiceMonitor's labels and the target "
            "in Prometheus.",
        ),
        Alert(
            name="BilgepumpControllerBlind",
            severity="critical",
            expression="time() - max(bilgepump_last_sweep_timestamp_seconds)\n"
            "  > clamp_min(10 * max(bilgepump_sweep_interval_seconds), 300)",
            lasting="5m",
            summary="Bilgepump has not looked at memory for {{ $value | humanizeDuration }}",
            meaning="The controller runs and no sweep ends: no leak is seen and none is restarted.",
            what_to_do="Its logs say why a sweep ended early (`kubectl -n bilgepump logs deploy/bilgepump`): "
            "usually the API server refuses or does not answer.",
        ),
        Alert(
            name="BilgepumpNoLeader",
            severity="critical",
            expression="max(bilgepump_leader) == 0",
            lasting="5m",
            summary="No Bilgepump controller holds the Lease",
            meaning="Only the holder of the Lease looks and acts.",
            what_to_do="`kubectl -n bilgepump describe lease` and the logs: the Role `…-lease` may be "
            "missing, or a controller that is gone was not followed yet.",
        ),
        Alert(
            name="BilgepumpMetricsSourceUnavailable",
            severity="critical",
            expression="max by (source) (bilgepump_metrics_source_available) == 0",
            lasting="15m",
            summary="Bilgepump gets no whole and fresh answers from metrics source {{ $labels.source }}",
            meaning="Policies that use this source judge nothing and restart nothing; their condition "
            "`MetricsAvailable` says what was answered.",
            what_to_do="`kubectl describe memorypolicies -A` shows the source's own words. Check its URL, "
            "credentials and that it has `container_memory_*` of the last minutes.",
        ),
        Alert(
            name="BilgepumpSweepsFail",
            severity="warning",
            expression="sum by (part) (increase(bilgepump_sweep_failures_total[30m])) > 3",
            lasting="15m",
            summary="Bilgepump's sweeps keep failing in part {{ $labels.part }}",
            meaning="`platform`: the API server could not be read. `workload`, `incident`: the part of one "
            "ended in an error, the others went on. `step`: a replica could not be replaced, which is tried "
            "again until the deadline. `sweep`: a whole sweep ended in an error.",
            what_to_do="Look for the error in the logs. An exception there is a bug: please report it.",
        ),
        Alert(
            name="BilgepumpSweepsSlow",
            severity="warning",
            expression="sum(rate(bilgepump_sweep_duration_seconds_sum[30m]))\n"
            "  / sum(rate(bilgepump_sweep_duration_seconds_count[30m]))\n"
            "  > max(bilgepump_sweep_interval_seconds)",
            lasting="30m",
            summary="A sweep of Bilgepump takes {{ $value | humanizeDuration }}, longer than its interval",
            meaning="Judgements and restarts come later than they should.",
            what_to_do="See sizing: a longer `sweepInterval`, more CPU, or a faster metrics engine.",
        ),
        Alert(
            name="BilgepumpPolicyRejected",
            severity="warning",
            expression='max(bilgepump_policies{accepted="false"}) > 0',
            lasting="30m",
            summary="{{ $value }} memory policies are not accepted, and govern nothing",
            meaning="A field of the policy cannot be used; its condition `Accepted` names it.",
            what_to_do="`kubectl get memorypolicies -A`, then `kubectl describe` that one.",
        ),
        Alert(
            name="BilgepumpRemediationFailed",
            severity="critical",
            expression="max by (namespace, kind, name) (bilgepump_workload_unacknowledged) == 1",
            lasting="1m",
            summary=f"The restart of {_WORKLOAD} because of a leak did not help",
            meaning="Its rollout got stuck, replicas did not become ready, or memory did not come down. "
            "Nothing more is done to this workload until somebody has looked.",
            what_to_do="`kubectl -n NAMESPACE describe memi` has the command to run. Then set the annotation "
            "`bilgepump.dev/acknowledged` that it names.",
        ),
        Alert(
            name="BilgepumpIncidentEscalated",
            severity="critical",
            expression="max by (namespace, kind, name, incident) "
            '(bilgepump_open_incident{phase="Escalated"}) == 1',
            lasting="5m",
            summary=f"{_WORKLOAD} leaks and its restarts are used up",
            meaning="The budget of the policy is spent: it leaks faster than restarts are allowed.",
            what_to_do="Fix the leak (the incident holds the diagnosis), raise the memory limit, or raise "
            "`remediation.budget`.",
        ),
        Alert(
            name="BilgepumpLeakNeedsPerson",
            severity="warning",
            expression="max by (namespace, reason) (\n"
            f'  bilgepump_held_workloads{{reason=~"{"|".join(reasons_for_people())}"}}\n) > 0',
            lasting="15m",
            summary="{{ $value }} leaking workloads in {{ $labels.namespace }} wait for a person: "
            "{{ $labels.reason }}",
            meaning="A restart is wanted, and a rule that only a person can satisfy holds it.",
            what_to_do="`kubectl -n NAMESPACE get memi` shows which; what to do about each reason stands in "
            "the [runbook](events.md).",
        ),
        Alert(
            name="BilgepumpThresholdNear",
            severity="critical",
            expression="max by (namespace, kind, name) (bilgepump_workload_threshold_seconds) < 1800\n"
            "  unless on (namespace, kind, name)\n"
            '    bilgepump_open_incident{phase=~"Restarting|Verifying"}',
            lasting="10m",
            summary=f"{_WORKLOAD} reaches its memory threshold in {{{{ $value | humanizeDuration }}}}, "
            "and nothing restarts it",
            meaning="It leaks, half an hour is left at most, and no restart is under way: the policy only "
            "observes, or something holds it. A negative time: the threshold is crossed already.",
            what_to_do="`bilgepump explain KIND/NAME -n NAMESPACE` shows every gate's answer. Restart it "
            "yourself if that is right: `kubectl -n NAMESPACE rollout restart KIND/NAME`.",
        ),
        Alert(
            name="BilgepumpProfilesFail",
            severity="warning",
            expression='sum(increase(bilgepump_captures_total{kind="heap",outcome="failed"}[6h])) > 2\n'
            "  unless\n"
            'sum(increase(bilgepump_captures_total{kind="heap",outcome="kept"}[6h])) > 0',
            lasting="15m",
            summary="Bilgepump could take no heap profile in six hours",
            meaning="Leaks are restarted without evidence, or held where `evidence.required` is true.",
            what_to_do="The incident's evidence says why each failed. Check port and path in "
            "`spec.evidence.pprof`, and NetworkPolicies towards the pods.",
        ),
        Alert(
            name="BilgepumpEvidenceStoreFull",
            severity="warning",
            expression="max(bilgepump_evidence_bytes) / max(bilgepump_evidence_limit_bytes) > 0.9",
            lasting="1h",
            summary="Bilgepump's evidence store is {{ $value | humanizePercentage }} full",
            meaning="Profiles and reports are removed to make room, the oldest first, before their age.",
            what_to_do="Raise `evidence.maximumBytes` (and the volume), or lower `evidence.maximumAge`.",
        ),
        Alert(
            name="BilgepumpRestartsOften",
            severity="warning",
            expression="sum by (namespace) (increase(bilgepump_remediations_total[1d])) > 10",
            lasting="15m",
            summary="{{ $value | humanize }} restarts because of leaks in {{ $labels.namespace }} in a day",
            meaning="The restarts keep the service up; they do not fix the leaks.",
            what_to_do="`bilgepump report` of the newest incidents says what holds the memory.",
        ),
    )


RECORDINGS = (
    Recording("verdict:bilgepump_workloads:sum", "sum by (verdict) (bilgepump_workloads)"),
    Recording(
        "namespace:bilgepump_workload_threshold_seconds:min",
        "min by (namespace) (bilgepump_workload_threshold_seconds)",
    ),
    Recording("reason:bilgepump_held_workloads:sum", "sum by (reason) (bilgepump_held_workloads)"),
    Recording("phase:bilgepump_incidents:sum", "sum by (phase) (bilgepump_incidents)"),
    Recording(
        "namespace:bilgepump_remediations:increase1d",
        "sum by (namespace) (increase(bilgepump_remediations_total[1d]))",
    ),
    Recording(
        "outcome:bilgepump_recoveries:increase1d",
        "sum by (outcome) (increase(bilgepump_recoveries_total[1d]))",
    ),
)
"""For many clusters: send these few series to the fleet's Prometheus instead of all of them."""


def alert_rules() -> str:
    """`alerts.yaml` as it must be."""
    rules = [
        {
            "alert": one.name,
            "expr": one.expression,
            "for": one.lasting,
            "labels": {"severity": one.severity},
            "annotations": {
                "summary": one.summary,
                "description": one.meaning,
                "runbook_url": f"{RUNBOOK}#{one.name.lower()}",
            },
        }
        for one in alerts()
    ]
    return _rules_file("bilgepump", rules)


def recording_rules() -> str:
    """`recording.yaml` as it must be."""
    return _rules_file(
        "bilgepump-recording", [{"record": one.name, "expr": one.expression} for one in RECORDINGS]
    )


def alerts_page() -> str:
    """`docs/alerts.md` as it must be."""
    lines = [
        "# Alerts",
        "",
        "<!-- Made by `python -m docs.generators`. Do not edit. -->",
        "",
        "What the chart brings with `prometheusRule.enabled=true`, for the Prometheus operator. For any",
        "other Prometheus, `charts/bilgepump/files/rules/alerts.yaml` is a plain rules file. Each rule is",
        "tested with `promtool test rules`. `critical` wakes somebody, `warning` is for working hours.",
        "",
        "The rules expect the label `namespace` to be the workload's. A scrape that is not made by the",
        "chart's ServiceMonitor or PodMonitor needs `honor_labels: true`.",
        "",
    ]
    for one in alerts():
        lines += [
            f"## {one.name}",
            "",
            f"{one.severity.capitalize()}, after {one.lasting}. {one.meaning}",
            "",
            f"**What to do:** {one.what_to_do}",
            "",
            "```promql",
            one.expression,
            "```",
            "",
        ]
    lines += [
        "## Recording rules",
        "",
        "A few series that sum up a cluster (`prometheusRule.recordingRules`): federate or remote-write",
        "these where a fleet has too many clusters to send everything.",
        "",
        "| series | expression |",
        "|---|---|",
        *(f"| `{one.name}` | `{one.expression}` |" for one in RECORDINGS),
        "",
    ]
    return "\n".join(lines)


class _Dumper(yaml.SafeDumper):
    pass


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def _rules_file(group: str, rules: list[dict[str, Any]]) -> str:
    text: str = yaml.dump(
        {"groups": [{"name": group, "rules": rules}]}, Dumper=_Dumper, sort_keys=False, width=1000
    )
    return f"# Made by `python -m docs.generators`. Do not edit.\n{text}"


if __name__ == "__main__":
    ALERT_RULES.write_text(alert_rules())
    RECORDING_RULES.write_text(recording_rules())
    PAGE.write_text(alerts_page())
