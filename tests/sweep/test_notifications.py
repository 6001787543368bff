"""Notifications of a whole episode: from the flow, through the incident, to a receiver."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from controller.clients.notifications.courier import Courier
from controller.ports import PlatformUnavailable
from controller.reporting.incident import Incident
from controller.reporting.messages import Route, Stage, Urgency
from tests.clients.notifications.standin import Clock, Counts, settings, vendor
from tests.fakes import FakeWorld, a_policy
from tests.sweep.test_flow import a_leaking_world, a_quick_policy, a_sweeper, sweep_for


def a_told_world(*routes: Route) -> FakeWorld:
    world = a_leaking_world()
    world.messenger.routes = routes or (Route(receiver="team"),)
    return world


async def test_each_change_of_an_episode_is_one_message_in_one_thread() -> None:
    world = a_told_world()

    await sweep_for(world, a_sweeper(world), a_quick_policy(), sweeps=15)

    sent = world.messenger.sent
    assert [message.stage for message in sent] == [Stage.OPENED, Stage.CHANGED, Stage.CLOSED]
    assert [message.thread for message in sent] == ["", "thread-1", "thread-1"]
    news = [entry.what for message in sent for entry in message.changes]
    assert news == [entry.what for entry in world.records.only.status.timeline], "all of it, and once"
    assert len({message.id for message in sent}) == len(sent)


async def test_restarted_controller_repeats_nothing() -> None:
    world = a_told_world()
    for _ in range(15):
        await sweep_for(world, a_sweeper(world), a_quick_policy(), sweeps=1)
    news = [entry.what for message in world.messenger.sent for entry in message.changes]
    assert news == [entry.what for entry in world.records.only.status.timeline]


async def test_nothing_is_written_where_nobody_is_to_be_told() -> None:
    quiet, told = a_leaking_world(), a_told_world(Route(receiver="team", namespaces=("bank",)))
    for world in (quiet, told):
        await sweep_for(world, a_sweeper(world), a_quick_policy(), sweeps=15)
    assert quiet.records.writes == told.records.writes
    assert told.records.only.status.notifications == ()


async def test_routes_see_the_labels_of_the_policy() -> None:
    world = a_told_world(Route(receiver="team", policy_labels=(("team", "shop"),)))
    labelled = replace(a_quick_policy(), labels=(("team", "shop"),))
    await sweep_for(world, a_sweeper(world), labelled, sweeps=2)
    assert {message.receiver for message in world.messenger.sent} == {"team"}


async def test_failure_stands_in_the_incident_and_the_next_change_is_tried() -> None:
    world = a_told_world()
    world.messenger.failure = "HTTP 404"
    sweeper = a_sweeper(world)
    await sweep_for(world, sweeper, a_quick_policy(), sweeps=2)
    (note,) = world.records.only.status.notifications
    assert note.failure == "HTTP 404"
    world.messenger.failure = ""
    await sweep_for(world, sweeper, a_quick_policy(), sweeps=13)
    (note,) = world.records.only.status.notifications
    assert note.failure == ""
    assert world.messenger.sent[-1].stage is Stage.CLOSED


async def test_delivery_that_cannot_be_noted_is_noted_later_and_not_sent_again() -> None:
    world = a_told_world()
    sweeper = a_sweeper(world)
    policy = a_policy()
    await sweep_for(world, sweeper, policy, sweeps=1)
    number = len(world.messenger.sent)
    update = world.records.update

    async def refuse(incident: Incident) -> Incident:
        if incident.status.notifications:
            raise PlatformUnavailable("away")
        return await update(incident)

    world.records.update = refuse  # type: ignore[method-assign]
    await sweep_for(world, sweeper, policy, sweeps=1)
    assert world.records.only.status.notifications == ()
    assert len(world.messenger.sent) == number
    world.records.update = update  # type: ignore[method-assign]
    await sweep_for(world, sweeper, policy, sweeps=1)
    assert [note.receiver for note in world.records.only.status.notifications] == ["team"]


async def test_pager_and_chat_hear_what_each_is_for(tmp_path: Path) -> None:
    """The real courier and two stand-ins: a leak that is resolved by itself pages nobody."""
    (tmp_path / "token").write_text("xoxb")
    (tmp_path / "key").write_text("0" * 32)
    ok = json.dumps({"ok": True, "ts": "17.1"}).encode()
    with vendor((200, {}, ok)) as slack, vendor((202, {}, b"{}")) as pager:
        configured = settings(
            {
                "name": "chat",
                "type": "Slack",
                "tokenFile": str(tmp_path / "token"),
                "channel": "C0",
                "apiUrl": slack.url,
            },
            {
                "name": "call",
                "type": "PagerDuty",
                "routingKeyFile": str(tmp_path / "key"),
                "url": pager.url,
            },
        )
        world = a_leaking_world()
        clock = Clock()
        async with Courier(configured, Counts(), lambda: world.clock.now, clock.sleep) as courier:
            world.messenger = courier  # type: ignore[assignment]
            sweeper = a_sweeper(world)
            for _ in range(16):
                await sweep_for(world, sweeper, a_quick_policy(), sweeps=1)
                await courier.settle(timedelta(seconds=20))
    assert [received.body.get("thread_ts") for received in slack.received] == [None, "17.1", "17.1"]
    assert not pager.received
    (note,) = world.records.only.status.notifications
    assert (note.receiver, note.thread, note.failure) == ("chat", "17.1", "")


def test_urgencies_are_in_order() -> None:
    assert [one.rank for one in (Urgency.INFO, Urgency.WARNING, Urgency.CRITICAL)] == [0, 1, 2]
