import re
from dataclasses import replace

from controller.decision.situation import Alerts
from controller.policy.memory_policy import RemediationRules
from controller.ports import FiringAlert, MetricsUnavailable
from controller.sweep.alerts import BlockingAlerts, read_alerts
from tests.fakes import NOW, FakeAlerts, a_policy

NAMING = a_policy(remediation=RemediationRules(blocking_alerts=("HighErrorRate",)))


def source(*firing: tuple[str, str]) -> FakeAlerts:
    made = FakeAlerts()
    made.firing_now = tuple(FiringAlert(name=name, namespace=namespace) for name, namespace in firing)
    return made


async def test_settings_pattern_matches_the_whole_name_in_any_namespace() -> None:
    rule = BlockingAlerts(pattern=re.compile("Node.*|KubeAPIDown"))
    sources = {"default": source(("NodeDown", "infra"), ("MyNodeDown", ""), ("KubeAPIDownSoon", ""))}

    board = await read_alerts(sources, rule, [a_policy()], NOW)

    assert board.of(a_policy()) == Alerts(firing=("NodeDown",))


async def test_policys_alerts_count_for_its_namespace_and_for_none() -> None:
    sources = {"default": source(("HighErrorRate", "bank"), ("Other", "shop"))}
    board = await read_alerts(sources, BlockingAlerts(), [NAMING], NOW)
    assert board.of(NAMING) == Alerts()

    for namespace in ("shop", ""):
        sources = {"default": source(("HighErrorRate", namespace))}
        board = await read_alerts(sources, BlockingAlerts(), [NAMING, a_policy()], NOW)
        assert board.of(NAMING) == Alerts(firing=("HighErrorRate",))
        assert board.of(a_policy()) == Alerts()


async def test_source_that_cannot_say_holds_whoever_asked() -> None:
    failing = FakeAlerts()
    failing.failure = MetricsUnavailable("nobody answers")
    board = await read_alerts({"default": failing}, BlockingAlerts(), [NAMING, a_policy()], NOW)

    assert board.of(NAMING) == Alerts(unknown_because="nobody answers")
    assert board.of(a_policy()) == Alerts()

    elsewhere = replace(NAMING, metrics=replace(NAMING.metrics, source="thanos"))
    board = await read_alerts({"default": source()}, BlockingAlerts(), [elsewhere], NOW)
    assert "'thanos'" in board.of(elsewhere).unknown_because


async def test_nobody_is_asked_where_no_rule_names_an_alert() -> None:
    failing = FakeAlerts()
    failing.failure = AssertionError("was asked")

    board = await read_alerts({"default": failing}, BlockingAlerts(), [a_policy()], NOW)

    assert board.of(a_policy()) == Alerts()
