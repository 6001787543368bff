"""What people do by hand: what is listed, how a request's outcome is read, and what the help says."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import click
import pytest
from click.testing import CliRunner

from controller.cli.by_hand.access import NotDone, kind_and_name
from controller.cli.by_hand.approving import pending, summary
from controller.cli.by_hand.asking import outcome_of
from controller.cli.by_hand.leaks import Leak, Stated, by_time_left, document, found_leaks, remarks, table
from controller.cli.kubectl import complete, plugin
from controller.cli.main import BY_HAND, COMMANDS, main
from controller.decision.outcome import Hold, HoldReason
from controller.detection.assessment import GrowthClass, Verdict
from controller.evidence.kept import FileKind, KeptFile
from controller.inventory.request import Request, RequestKind
from controller.inventory.workload import Platform, WorkloadRef
from controller.remediation.order import Mechanism, Order
from controller.reporting.conditions import Condition, ConditionStatus, ConditionType
from controller.reporting.growing import Growing
from controller.reporting.incident import Incident, Phase, TimelineEntry
from controller.reporting.policy_status import PolicyStatus
from tests.clients.notifications.standin import NOW, an_incident

ASKED = Request(kind=RequestKind.RESTART, at=NOW, who="jane", why="slow")


def with_entry(incident: Incident, request: Request, **changes: Any) -> Incident:
    entry = TimelineEntry(at=NOW, what="RestartRequested", message=request.text)
    status = replace(incident.status, timeline=(*incident.status.timeline, entry), **changes)
    return replace(incident, status=status)


def crossing_in(name: str, hours: float | None, **changes: Any) -> Incident:
    incident = an_incident(**changes)
    assert incident.status.assessment is not None
    at = NOW + timedelta(hours=hours) if hours is not None else None
    assessment = replace(incident.status.assessment, crosses_threshold_at=at)
    return replace(incident, name=name, status=replace(incident.status, assessment=assessment))


def test_least_time_left_comes_first_and_what_is_closed_last() -> None:
    incidents = [
        crossing_in("closed", 0.1, phase=Phase.RESOLVED, because="Recovered", closed=True),
        crossing_in("unknown", None),
        crossing_in("late", 9),
        crossing_in("soon", 0.5),
        crossing_in("past", -1),
    ]
    ordered = by_time_left(found_leaks(incidents, (), ""))
    assert [one.incident for one in ordered] == ["past", "soon", "late", "unknown", "closed"]


def test_table_says_what_is_left() -> None:
    incidents = [crossing_in("past", -1), crossing_in("soon", 0.5), crossing_in("unknown", None)]
    columns = columns_of(found_leaks(incidents, (), ""))
    assert columns["LEFT"] == ["reached", "30m", "–"]
    assert columns["NAMESPACE"] == ["shop"] * 3
    assert columns["USED/LIMIT"][0] == "350/512 MiB 68%"


def columns_of(found: list[Leak]) -> dict[str, list[str]]:
    made = table(found, NOW, all_namespaces=True, wide=True)
    return {str(column.header): [str(cell) for cell in column.cells] for column in made.columns}


def a_suspect(name: str = "worker", hours: float = 2, **changes: Any) -> Growing:
    return replace(
        Growing(
            namespace="shop",
            kind="Deployment",
            name=name,
            container="app",
            verdict=Verdict.SUSPECT,
            growth_class=GrowthClass.HEAP,
            message="it grows, and may stop",
            growth_bytes_per_hour=20 * 2**20,
            used_bytes=100 * 2**20,
            limit_bytes=400 * 2**20,
            crosses_threshold_at=NOW + timedelta(hours=hours),
        ),
        **changes,
    )


def a_status(*growing: Growing, **changes: Any) -> PolicyStatus:
    status = PolicyStatus(
        observed_generation=1, workloads=3, suspect=len(growing), growing=growing, conditions=()
    )
    return replace(status, **changes)


def test_suspect_without_an_incident_stands_where_its_time_left_puts_it() -> None:
    incidents = [crossing_in("soon", 0.5), crossing_in("late", 9)]
    found = by_time_left(found_leaks(incidents, [("shop/all", a_status(a_suspect()))], ""))
    columns = columns_of(found)
    assert columns["INCIDENT"] == ["soon", "–", "late"]
    assert columns["WORKLOAD"][1] == "Deployment/worker"
    assert [columns[name][1] for name in ("VERDICT", "CLASS", "GROWTH", "USED/LIMIT", "LEFT", "POLICY")] == [
        "Suspect",
        "heap",
        "20 MiB/h",
        "100/400 MiB 25%",
        "2h",
        "shop/all",
    ]
    shown = document(found[1])
    assert (shown["verdict"], shown["incident"], shown["open"]) == ("Suspect", None, True)
    assert shown["crossesThresholdAt"] == f"{NOW + timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}"


def test_workload_with_an_open_incident_is_told_once() -> None:
    incident = an_incident()
    same = a_suspect(incident.spec.workload.name)
    assert [one.incident for one in found_leaks([incident], [("p", a_status(same))], "")] == [incident.name]
    closed = replace(incident, status=replace(incident.status, closed_at=NOW, phase=Phase.RESOLVED))
    assert len(found_leaks([closed], [("p", a_status(same))], "")) == 2


def test_other_namespaces_of_a_cluster_wide_policy_are_left_out() -> None:
    status = a_status(a_suspect(), a_suspect(namespace="other"))
    assert [one.namespace for one in found_leaks([], [("default", status)], "other")] == ["other"]
    assert len(found_leaks([], [("default", status)], "")) == 2


BLIND = Condition(
    type=ConditionType.METRICS_AVAILABLE,
    status=ConditionStatus.FALSE,
    reason="MetricsUnavailable",
    message="nobody answers",
    observed_generation=1,
    last_transition_time=NOW,
)


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        (Stated((("shop/all", a_status()),)), ["nothing leaks; workloads watched: 3"]),
        (
            Stated((("shop/all", a_status(unjudged=2)),)),
            ["nothing leaks; workloads watched: 3, of which 2 could not be judged yet (`bilgepump explain`)"],
        ),
        (Stated(()), ["no workload is watched: no policy governs one (docs/policy.md)"]),
        (
            Stated((("shop/all", a_status(conditions=(BLIND,))),)),
            ["policy shop/all: MetricsUnavailable: nobody answers"],
        ),
        (
            Stated((("shop/all", a_status(suspect=40)),)),
            ["40 more are counted in policies' status and not listed there"],
        ),
    ],
    ids=["watched", "not judged", "not watched", "blind", "too many"],
)
def test_empty_list_is_good_news_only_where_somebody_looked(stated: Stated, said: list[str]) -> None:
    assert remarks([], stated) == said


def test_request_that_is_not_heard_yet_has_no_outcome() -> None:
    assert outcome_of(an_incident(), ASKED) is None


def test_what_was_held_before_is_no_answer_until_a_gate_holds_the_request() -> None:
    waiting = with_entry(an_incident(Phase.HELD, "NotYetNeeded"), ASKED)
    assert outcome_of(waiting, ASKED) is None
    gates = (Hold(reason=HoldReason.BLACKOUT, message="until 18:00"),)
    held = with_entry(an_incident(Phase.HELD, "Blackout", gates=gates), ASKED)
    outcome = outcome_of(held, ASKED)
    assert outcome is not None
    assert (outcome.done, outcome.reasons) == (False, ("Blackout",))
    assert outcome.waits_until == NOW + timedelta(hours=1)


@pytest.mark.parametrize(("minutes", "done"), [(-1, None), (1, True)])
def test_only_an_order_after_the_request_answers_it(minutes: int, done: bool | None) -> None:
    order = Order(
        id="api",
        mechanism=Mechanism.ROLLING_RESTART,
        workload=WorkloadRef(Platform.KUBERNETES, "shop", "Deployment", "api"),
        workload_uid="w",
        expected_generation=1,
        issued_at=NOW + timedelta(minutes=minutes),
        memory_before_bytes=None,
    )
    incident = with_entry(an_incident(Phase.RESTARTING, "Requested"), ASKED, order=order)
    outcome = outcome_of(incident, ASKED)
    assert (outcome.done if outcome else None) is done


@pytest.mark.parametrize(("uri", "failure"), [("file:///heap", ""), ("", "Timeout: nobody answered")])
def test_profiles_that_were_asked_for_are_told_by_their_label(uri: str, failure: str) -> None:
    request = replace(ASKED, kind=RequestKind.CAPTURE)
    file = KeptFile(
        kind=FileKind.HEAP,
        label=request.label,
        replica="api-1",
        container="app",
        captured_at=NOW,
        uri=uri,
        failure=failure,
    )
    other = replace(file, label="early", uri="file:///early")
    assert outcome_of(with_entry(an_incident(evidence=(other,)), request), request) is None
    outcome = outcome_of(with_entry(an_incident(evidence=(other, file)), request), request)
    assert outcome is not None
    assert outcome.done is bool(uri)
    assert outcome.files == ((uri,) if uri else ())
    assert failure in outcome.message


@pytest.mark.parametrize("given", ["deploy/api", "deployment/api", "deployments/api", "Deployment/api"])
def test_workload_is_named_as_for_kubectl(given: str) -> None:
    assert kind_and_name(given) == ("Deployment", "api")


@pytest.mark.parametrize("given", ["api", "pod/api", "deploy/", "deploy/a/b", "/api"])
def test_anything_else_says_what_is_allowed(given: str) -> None:
    with pytest.raises(click.UsageError, match="must be one of Deployment, StatefulSet, DaemonSet, Rollout"):
        kind_and_name(given)


@pytest.mark.parametrize("word", sorted(COMMANDS))
def test_help_says_what_it_does_an_example_and_every_exit_code(word: str) -> None:
    result = CliRunner().invoke(main, [word, "--help"], terminal_width=110)
    assert result.exit_code == 0
    text = " ".join(result.output.split())
    assert "Example" in text
    assert "Exit codes: 0 " in text


@pytest.mark.parametrize("group", [main, plugin], ids=["bilgepump", "kubectl bilgepump"])
def test_list_of_commands_has_a_whole_line_for_each(group: click.Group) -> None:
    shown = CliRunner().invoke(group, ["--help"], terminal_width=80).output
    for name in group.list_commands(click.Context(group)):
        assert f"{COMMANDS[name].summary}\n" in shown


@pytest.mark.parametrize("word", sorted(BY_HAND))
def test_plugin_has_the_same_words_with_the_same_help(word: str) -> None:
    ours = CliRunner().invoke(main, [word, "--help"]).output
    plugins = CliRunner().invoke(plugin, [word, "--help"], prog_name="bilgepump").output
    assert plugins.partition("\n")[2].replace("plugin", "main") == ours.partition("\n")[2]


@pytest.mark.parametrize("word", ["restart", "capture", "pause", "approve", "acknowledge", "resume"])
def test_whoever_changes_something_is_told_which_right_it_needs(word: str) -> None:
    text = " ".join(CliRunner().invoke(main, [word, "--help"]).output.split())
    assert "You need the right to" in text


@pytest.mark.parametrize("word", ["restart", "capture", "pause", "acknowledge"])
def test_nothing_is_done_without_a_why(word: str) -> None:
    result = CliRunner().invoke(main, [word, "deploy/api"])
    assert result.exit_code == 2
    assert "--why" in result.output


@pytest.mark.parametrize(
    ("words", "offered"),
    [(["le"], "leaks"), (["restart", "--w"], "--why"), ([""], "restart"), (["leaks", "-o", "j"], "json")],
)
def test_kubectl_completes_words_and_options(
    words: list[str], offered: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["kubectl_complete-bilgepump", *words])
    complete()
    *lines, directive = capsys.readouterr().out.splitlines()
    assert offered in {line.partition("\t")[0] for line in lines}
    assert directive == ":4"


def test_missing_kubeconfig_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "Config"}))
    result = CliRunner().invoke(main, ["leaks", "--kubeconfig", str(path)])
    assert result.exit_code == 1
    assert "no usable kubeconfig" in result.output


@pytest.mark.parametrize(
    "content",
    [
        b"{clusters: [",
        b"\xff\xfe",
        b"just words",
        b"[1, 2]",
        b"clusters: 5",
        b"contexts: [{context: {}}]",
        b"",
    ],
    ids=["broken YAML", "not UTF-8", "text", "a list", "a number of clusters", "no name", "empty"],
)
@pytest.mark.parametrize("named", [True, False], ids=["by option", "by environment"])
def test_unusable_kubeconfig_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, content: bytes, named: bool
) -> None:
    path = tmp_path / "kubeconfig"
    path.write_bytes(content)
    # The client reads KUBECONFIG once, when it is imported.
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(path))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    result = CliRunner().invoke(main, ["leaks", *(["--kubeconfig", str(path)] if named else [])])
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 1
    assert "usable kubeconfig: " in result.output
    assert len(result.output.splitlines()) == 1


def waiting(*holds: Hold) -> Incident:
    return an_incident(Phase.HELD, "ApprovalRequired", gates=holds)


COMMAND = (
    "approve it with: kubectl -n shop annotate --overwrite memi api bilgepump.dev/approved=1f0c5b8e9a77 more"
)


def test_what_is_approved_is_the_digest_that_the_gate_names() -> None:
    other = Hold(reason=HoldReason.BLACKOUT, message="until 18:00")
    found = pending(waiting(other, Hold(reason=HoldReason.APPROVAL_REQUIRED, message=COMMAND)))
    assert found.digest == "1f0c5b8e9a77"
    told = summary(found.incident)
    assert "Deployment shop/api" in told
    assert "held by other gates too: Blackout" in told


@pytest.mark.parametrize(
    "holds",
    [
        (),
        (Hold(reason=HoldReason.BLACKOUT, message=COMMAND),),
        (Hold(reason=HoldReason.APPROVAL_REQUIRED, message="?"),),
    ],
)
def test_incident_that_waits_for_nobody_says_what_it_does(holds: tuple[Hold, ...]) -> None:
    with pytest.raises(NotDone, match="does not wait for an approval: Held"):
        pending(waiting(*holds))


@pytest.mark.parametrize("period", ["soon", "25h", "10s"])
def test_approval_is_for_a_day_at_most(period: str) -> None:
    result = CliRunner().invoke(main, ["approve", "api", "--for", period])
    assert result.exit_code == 2
    assert "--for" in result.output
