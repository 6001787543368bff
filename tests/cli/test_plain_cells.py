"""What is not ours to choose (names, messages) stands in every table as it is: rich reads no markup in it."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console, RenderableType

from controller.cli import backtest, ecs, incidents, try_out
from controller.cli.by_hand import leaks
from controller.cli.replay import BacktestResult, ContainerResult, Transition
from controller.cli.scan_table import SPARKS, Finding
from controller.cli.scan_table import table as scan_table
from controller.cli.starting_policy import Trial
from controller.decision.outcome import Action
from controller.detection.reasons import AssessmentReason
from controller.inventory.workload import Platform, WorkloadRef
from controller.metrics.series import ContainerKey
from controller.reporting.census import Census, Seen
from controller.reporting.incident import Incident
from tests.clients.notifications.standin import an_incident
from tests.fakes import NOW, an_assessment
from tests.sweep.test_flow import a_leaking_world, a_quick_policy


def spoiled_incident(text: str) -> Incident:
    incident = an_incident(because=text)
    return replace(incident, name=text, status=replace(incident.status, growth_text=text, message=text))


def shown(table: RenderableType) -> None:
    Console(width=300).print(table)


def by_leaks(text: str) -> None:
    found = leaks.found_leaks([spoiled_incident(text)], (), "")
    shown(leaks.table(found, NOW, all_namespaces=True, wide=True))


def by_incidents(text: str) -> None:
    incidents._print_table([spoiled_incident(text)])


def by_scan(text: str) -> None:
    worst = an_assessment(key=ContainerKey("shop", text, "app"), reason=AssessmentReason.STEADY_GROWTH)
    finding = Finding(workload=text, worst=worst, leaking=1, replicas=1, sparkline="")
    shown(scan_table([finding], NOW, wide=True))


def by_backtest(text: str) -> None:
    key = ContainerKey("shop", text, "app")
    said = Transition(
        at=NOW,
        assessment=an_assessment(message=text),
        action=Action.NONE,
        action_reason="",
    )
    result = ContainerResult(key=key, workload=None, transitions=(said,))
    backtest._print(
        BacktestResult(results=(result,), evaluations=1, remediations=0, captures=0, begin=NOW, end=NOW)
    )


def by_try(text: str) -> None:
    workload = WorkloadRef(Platform.KUBERNETES, "shop", "Deployment", text)
    try_out._summarise([Trial(workload=workload, found=(NOW,))], "7d")


def by_ecs(text: str) -> None:
    (workload,) = a_leaking_world().inventory.standing.values()
    seen = Seen(
        policy=a_quick_policy(),
        workload=replace(workload, ref=replace(workload.ref, name=text)),
        judgement=None,
        decision=None,
        incident=spoiled_incident(text),
    )
    census = Census(
        accepted_policies=1,
        rejected_policies=0,
        workloads={},
        holds={},
        incidents={},
        threshold_seconds={},
        growing={},
        unacknowledged=(),
        open_incidents=(),
        sources={},
        decided=[seen],
    )
    ecs._print(ecs._Found(census=census, ecs_calls=1, spending=None))


WORKLOAD = "Deployment shop-production/checkout-payments/app"


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 160, 200])
def test_scan_is_cut_off_at_no_width(width: int, wide: bool, capsys: pytest.CaptureFixture[str]) -> None:
    worst = an_assessment(
        key=ContainerKey("shop", "api-1", "app"), reason=AssessmentReason.GROWS_DAY_OVER_DAY
    )
    finding = Finding(workload=WORKLOAD, worst=worst, leaking=2, replicas=6, sparkline="▁" * SPARKS)

    Console(width=width).print(scan_table([finding], NOW, wide=wide, width=width))

    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    because = AssessmentReason.GROWS_DAY_OVER_DAY.sentence if wide else AssessmentReason.GROWS_DAY_OVER_DAY
    told = ["2 of 6", "Leaking", "68%", "20 MiB (18 to", "2026-03-02 12:25Z,", *because.split()]
    assert [text for text in told if text not in "\n".join(lines)] == []


@pytest.mark.parametrize(("width", "headings"), [(110, ["BECAUSE"]), (120, ["CLASS", "BECAUSE"])])
def test_floors_are_left_out_before_class_and_class_before_the_table(
    width: int, headings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    finding = Finding(
        workload=WORKLOAD,
        worst=an_assessment(reason="CouldBeBounded"),
        leaking=2,
        replicas=6,
        sparkline="▁" * SPARKS,
    )

    Console(width=width).print(scan_table([finding], NOW, wide=False, width=width))

    heading = capsys.readouterr().out.splitlines()[0]
    assert [name for name in ("CLASS", "BECAUSE", "FLOORS") if name in heading] == headings


@pytest.mark.parametrize("width", [60, 80, 120])
def test_backtest_is_cut_off_at_no_width(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(backtest, "WIDE", width)

    by_backtest("grows 4.53 MiB/h over 30 h")

    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    told = ["2026-03-02T12:00:00Z", "Leaking", "grows", "MiB/h", "30"]
    assert [text for text in told if text not in "\n".join(lines)] == []


@pytest.mark.parametrize("text", ["a[/red]b", "[link=https://evil.example]x[/link]", "[red]x"])
@pytest.mark.parametrize("command", [by_leaks, by_incidents, by_scan, by_backtest, by_try, by_ecs])
def test_markup_in_names_and_messages_is_only_text(
    command: Callable[[str], None], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command(text)
    told = capsys.readouterr()
    assert text in told.out + told.err
