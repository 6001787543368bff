"""What each hold says, word for word and number for number: people act on it."""

import time
from datetime import datetime, timedelta

import pytest

from controller.decision.decide import decide
from controller.decision.situation import Captured, Situation
from controller.decision.wording import clock_text, growth_text, mebibytes_text, span_text
from tests.decision.test_gates import REFUSALS
from tests.fakes import MIB, NOW, a_judgement, a_leaking_situation

SAYS: dict[str, tuple[str, str]] = {
    "controller suspended": (
        "the controller is suspended: maintenance",
        "",
    ),
    "policy suspended": (
        "policy shop/api has `suspend: true`",
        "",
    ),
    "never acted on": (
        "kube-system",
        "",
    ),
    "workload paused": (
        "paused by annotation bilgepump.dev/paused: 'ann: load test'",
        "",
    ),
    "two policies claim it": (
        "several policies claim it: shop/api, shop/other; name it in exactly one of them",
        "",
    ),
    "judgement six minutes old": (
        "the newest judgement is 6m old",
        "",
    ),
    "metrics and pod name different limits": (
        "metrics say that container app is limited to 500 MiB, its pod says 512 MiB",
        "",
    ),
    "more in use than the limit": (
        "metrics say that container app uses 540 MiB, more than its limit of 512 MiB",
        "",
    ),
    "the first look": (
        "wanted by 1 of the 2 sweeps in a row that must agree",
        "",
    ),
    "changed meanwhile, whoever asks": (
        "policy api was changed while it was looked at: the next sweep judges anew",
        "",
    ),
    "page cache grows": (
        "what grows is pageCache memory, which a restart does not give back",
        "",
    ),
    "young floor near the threshold": (
        (
            "soon after its start it already holds 330 MiB, the threshold is 358 MiB: raise"
            " the limit or the threshold"
        ),
        "",
    ),
    "young floor at exactly nine tenths of the threshold": (
        (
            "soon after its start it already holds 360 MiB, the threshold is 400 MiB: raise"
            " the limit or the threshold"
        ),
        "",
    ),
    "of many runs the last three are told": (
        (
            "a restart does not cure this: the threshold was reached after 100h, 45h, "
            "20h25m; acknowledge the incident to let it restart again"
        ),
        "",
    ),
    "memory came back in less than half the time, twice": (
        (
            "a restart does not cure this: the threshold was reached after 100h, 45h, "
            "20h25m; acknowledge the incident to let it restart again"
        ),
        "",
    ),
    "memory came back too soon, and nobody has acknowledged it": (
        (
            "a restart does not cure this: the threshold was reached after 20h25m; "
            "acknowledge the incident to let it restart again"
        ),
        "",
    ),
    "an earlier incident failed": (
        (
            "incident api-old ended badly; a person clears it with the annotation "
            "bilgepump.dev/acknowledged: api-old"
        ),
        "",
    ),
    "rollout paused": (
        "its rollout is Paused",
        "",
    ),
    "rollout under way": (
        "its rollout is Progressing",
        "",
    ),
    "rollout stuck": (
        "its rollout is Failed",
        "",
    ),
    "OnDelete": (
        "OnDelete",
        "",
    ),
    "calls are throttled": (
        "the account's API calls are being throttled",
        "",
    ),
    "no room for a task": (
        "unable to place a task",
        "",
    ),
    "quotas may not be listed": (
        "the controller may not list resourcequotas: see docs/permissions.md",
        "",
    ),
    "quota spent": (
        "ResourceQuota q has 0 of pods left",
        "",
    ),
    "a range refuses every new pod": (
        "LimitRange l: too much",
        "",
    ),
    "node under pressure": (
        "node n reports MemoryPressure",
        "",
    ),
    "a volume that only one replica can have": (
        "volume claim c can be mounted on one node only",
        "",
    ),
    "autoscaler at its maximum": (
        (
            "HorizontalPodAutoscaler api wants more than its maximum of 9 replicas, and a "
            "rolling restart may take away 1"
        ),
        "",
    ),
    "a task is protected": (
        "task api-1 is protected until 2026-03-02 13:00Z",
        "2026-03-02T13:00:00",
    ),
    "the one that is to be replaced is protected": (
        "task api-1 is protected until 2026-03-02 13:00Z",
        "2026-03-02T13:00:00",
    ),
    "one replica missing": (
        "1 of 2 replicas are ready",
        "",
    ),
    "scaled to nothing": (
        "0 of 0 replicas are ready",
        "",
    ),
    "the only replica would go first": (
        ("its only replica would be stopped before a new one is up; run two, or allow a surge"),
        "",
    ),
    "two budgets on one pod": (
        "several PodDisruptionBudgets cover the same pod: all, api; leave one",
        "",
    ),
    "a workload under the same budget is being restarted": (
        "Deployment shop/cart, under way, shares PodDisruptionBudget api",
        "",
    ),
    "budget allows nothing": (
        "PodDisruptionBudget api allows no disruption now",
        "",
    ),
    "budget's status lags behind": (
        "PodDisruptionBudget api has not been brought up to date yet",
        "",
    ),
    "one minute too young": (
        "it has run for 29m, less than 30m",
        "2026-03-02T12:01:00",
    ),
    "the newest template is one minute too young": (
        "deployed 29m ago, less than 30m",
        "2026-03-02T12:01:00",
    ),
    "within the cooldown": (
        "remediated less than 6h ago",
        "2026-03-02T12:06:00",
    ),
    "just refused": (
        "the last order was not carried out: denied",
        "2026-03-02T12:00:06",
    ),
    "refused twice": (
        "the last order was not carried out: denied",
        "2026-03-02T12:00:06",
    ),
    "refused again and again": (
        "the last order was not carried out: denied",
        "2026-03-02T12:00:06",
    ),
    "three in a day": (
        (
            "remediated 3 times within 24h: the leak needs a fix; acknowledge the incident "
            "to begin a new budget"
        ),
        "",
    ),
    "the budget was spent, and nobody has acknowledged it": (
        (
            "remediated 3 times within 24h: the leak needs a fix; acknowledge the incident "
            "to begin a new budget"
        ),
        "",
    ),
    "a blocking alert fires": (
        "firing: HighErrorRate",
        "",
    ),
    "two blocking alerts fire": (
        "firing: HighErrorRate, HighLatency",
        "",
    ),
    "whether a blocking alert fires is not known": (
        "whether a blocking alert fires is not known: nobody answers",
        "",
    ),
    "during a blackout": (
        "a blackout lasts until 2026-03-02 13:00Z",
        "2026-03-02T13:00:00",
    ),
    "outside the window": (
        "outside the maintenance windows",
        "2026-03-03T02:00:00",
    ),
    "above critical, and nobody lets that override the window": (
        "outside the maintenance windows",
        "2026-03-03T02:00:00",
    ),
    "critical may override the window, and is not reached": (
        "outside the maintenance windows",
        "2026-03-03T02:00:00",
    ),
    "too little of the window left": (
        "the window closes at 2026-03-02 13:00Z; rollout and soak need 1h1m",
        "2026-03-09T11:00:00",
    ),
    "mutable tag, pulled at every start": (
        (
            "container app pulls 'registry.example/api:1' at every start and the tag may "
            "have moved; pin a digest or set `remediation.allowImageDrift: true`"
        ),
        "",
    ),
    "another restart under way": (
        "under way already: Deployment shop/cart",
        "",
    ),
    "another restart under way in the namespace": (
        "under way already in namespace shop: Deployment shop/cart",
        "",
    ),
    "another restart under way on a node": (
        "under way already on node n2: Deployment shop/cart",
        "",
    ),
    "six restarts of any workloads within the hour": (
        "6 remediations of all workloads within the hour; 6 are allowed",
        "2026-03-02T12:01:00",
    ),
    "half of the workloads were found to leak within the hour": (
        (
            "5 of 10 workloads of all policies were found to leak within 1h: look for bad "
            "metrics or a common cause"
        ),
        "2026-03-02T12:01:00",
    ),
    "a storm in the second of two groups": (
        (
            "5 of 10 workloads of all policies were found to leak within 1h: look for bad "
            "metrics or a common cause"
        ),
        "2026-03-02T12:01:00",
    ),
    "required evidence missing": (
        "`evidence.required` is true and no heap profile could be kept",
        "",
    ),
    "nobody has approved": (
        (
            "approve it with: kubectl -n shop annotate --overwrite memi  "
            'bilgepump.dev/approved=9a0c5719bc30 bilgepump.dev/approved-by="$(kubectl auth '
            'whoami -o jsonpath={.status.userInfo.username})" '
            'bilgepump.dev/approved-until="$(date -u -d +1hour +%Y-%m-%dT%H:%M:%SZ)"'
        ),
        "",
    ),
    "approved for another situation": (
        (
            "the approval by ann is void: the situation has changed since; approve anew "
            "with: kubectl -n shop annotate --overwrite memi api-1 "
            'bilgepump.dev/approved=645946f60319 bilgepump.dev/approved-by="$(kubectl auth '
            'whoami -o jsonpath={.status.userInfo.username})" '
            'bilgepump.dev/approved-until="$(date -u -d +1hour +%Y-%m-%dT%H:%M:%SZ)"'
        ),
        "",
    ),
    "the approval has ended": (
        (
            "the approval by ann is void: it ended at 2026-03-02 12:00:00Z; approve anew "
            "with: kubectl -n shop annotate --overwrite memi api-1 "
            'bilgepump.dev/approved=645946f60319 bilgepump.dev/approved-by="$(kubectl auth '
            'whoami -o jsonpath={.status.userInfo.username})" '
            'bilgepump.dev/approved-until="$(date -u -d +1hour +%Y-%m-%dT%H:%M:%SZ)"'
        ),
        "",
    ),
    "approved until no time": (
        (
            "the approval by ann is void: `bilgepump.dev/approved-until` is not a time such"
            " as 2026-03-02T12:00:00Z; approve anew with: kubectl -n shop annotate "
            "--overwrite memi api-1 bilgepump.dev/approved=645946f60319 "
            'bilgepump.dev/approved-by="$(kubectl auth whoami -o '
            'jsonpath={.status.userInfo.username})" bilgepump.dev/approved-until="$(date -u'
            ' -d +1hour +%Y-%m-%dT%H:%M:%SZ)"'
        ),
        "",
    ),
    "approved for too long": (
        (
            "the approval by ann is void: it would last for more than 24 hours; approve "
            "anew with: kubectl -n shop annotate --overwrite memi api-1 "
            'bilgepump.dev/approved=645946f60319 bilgepump.dev/approved-by="$(kubectl auth '
            'whoami -o jsonpath={.status.userInfo.username})" '
            'bilgepump.dev/approved-until="$(date -u -d +1hour +%Y-%m-%dT%H:%M:%SZ)"'
        ),
        "",
    ),
    "installed without the power": (
        ("this controller was installed without the power to restart (chart value remediate.enabled)"),
        "",
    ),
    "role may look and not act": (
        "may look as that role but not act",
        "",
    ),
    "mode Capture": (
        "the policy's mode is Capture",
        "",
    ),
    "mode Observe": (
        "the policy's mode is Observe",
        "",
    ),
}
"""By the id of the refusal: the message, and when its answer may change (UTC)."""


CASES = [pytest.param(case.values[0], case.id, id=case.id) for case in REFUSALS]


def test_every_refusal_has_its_words() -> None:
    assert {case.id for case in REFUSALS} == set(SAYS)


@pytest.mark.parametrize(("situation", "case"), CASES)
def test_hold_says_why_with_its_numbers(situation: Situation, case: str) -> None:
    first = decide(situation).holds[0]

    message, retry_at = SAYS[case]
    assert first.message == message
    assert first.retry_at == (datetime.fromisoformat(f"{retry_at}+00:00") if retry_at else None)


def test_leak_that_may_wait_says_until_when() -> None:
    crossing = a_judgement().worst.crossing
    assert crossing is not None
    far = a_judgement(
        crossing=crossing.__class__(
            earliest=NOW + timedelta(hours=9), likely=NOW + timedelta(hours=10), latest=None
        )
    )
    hold = decide(a_leaking_situation(judgement=far, captured=Captured.EARLY)).holds[0]
    unseen = decide(a_leaking_situation(judgement=a_judgement(crossing=None), captured=Captured.EARLY))

    assert hold.message == "the threshold is reached 2026-03-02 21:00Z at the earliest"
    assert hold.retry_at == NOW + timedelta(hours=8, minutes=30)
    assert (unseen.message, unseen.retry_at) == ("the threshold is not in sight", None)


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(0), "0s"),
        (timedelta(seconds=59), "59s"),
        (timedelta(seconds=60), "1m"),
        (timedelta(minutes=59, seconds=59), "59m"),
        (timedelta(minutes=60), "1h"),
        (timedelta(minutes=61), "1h1m"),
        (timedelta(hours=25, minutes=59), "25h59m"),
    ],
)
def test_spans_are_written_short(span: timedelta, text: str) -> None:
    assert span_text(span) == text


@pytest.mark.parametrize(
    ("bytes_per_hour", "text"),
    [
        (None, ""),
        (10 * MIB, "10 MiB/h"),
        (38.4 * MIB, "38 MiB/h"),
        (9.96 * MIB, "10.0 MiB/h"),
        (0.25 * MIB, "0.2 MiB/h"),
    ],
)
def test_growth_is_written_with_as_many_digits_as_tell_something(
    bytes_per_hour: float | None, text: str
) -> None:
    assert growth_text(bytes_per_hour) == text


def test_moments_are_written_in_utc_and_sizes_in_mebibytes() -> None:
    kolkata = datetime.fromisoformat("2026-03-02T17:30:00+05:30")

    assert clock_text(kolkata) == "2026-03-02 12:00Z"
    assert (mebibytes_text(358 * MIB), mebibytes_text(MIB // 2 + 1)) == ("358 MiB", "1 MiB")


def test_moments_are_written_in_utc_also_on_a_machine_in_another_zone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        assert clock_text(NOW) == "2026-03-02 12:00Z"
    finally:
        monkeypatch.undo()
        time.tzset()
