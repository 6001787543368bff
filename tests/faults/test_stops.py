"""
Several real controllers with one Lease, and a leader that is stopped (SIGSTOP) for longer than it lasts.

Its request to act is held back on its way, or the answer to it, or to its last look at the Lease, while
another one takes over; then it is woken, and what was held arrives.
"""

from collections.abc import Callable

import pytest

from tests.faults.proxy import Asked, Holder
from tests.faults.scenes import EVICT, SCENES, Candidate, Play, Scene, Theatre, is_write

pytestmark = pytest.mark.apiserver


def act_of(scene: Scene) -> Callable[[Asked], bool]:
    """The first act of a scene, not its rehearsal."""
    return lambda asked: is_write(asked) and scene.is_act(asked)


def last_look(candidate: Candidate, scene: Scene) -> Callable[[Asked], bool]:
    """The look at the Lease that comes after the rehearsal of the act."""

    def picks(asked: Asked) -> bool:
        rehearsed = any("dryRun" in one.path and scene.is_act(one) for one in candidate.server.asked)
        return rehearsed and asked.verb == "GET" and "/leases/" in asked.path

    return picks


def wake(candidate: Candidate, holder: Holder, play: Play) -> None:
    """
    Lets go what was held, and wakes it when the answer is there: a moment earlier it would have given it up.

    Waits until it has looked at the Lease twice: it knows by then that it does not lead.
    """
    answered = candidate.server.answered
    holder.let_go()
    play.until("what was held has arrived", lambda: candidate.server.answered > answered)
    looks = candidate.looks_at_the_lease
    candidate.running.wake()
    play.until("the woken one has looked", lambda: candidate.looks_at_the_lease >= looks + 2)


def acted_once(play: Play, *candidates: Candidate) -> None:
    play.until_closed()
    play.acted_once()
    assert play.pods_ever() == play.scene.replicas + play.scene.leaking, "one replacement each"
    for candidate in candidates:
        assert candidate.running.runs, candidate.running.log[-3000:]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.mechanism)
def test_act_that_arrives_late_finds_that_another_one_has_acted(theatre: Theatre, scene: Scene) -> None:
    with theatre.controllers(2) as (first, second), theatre.play(scene) as play:
        holder = first.server.before = Holder(act_of(scene))
        first.start()
        play.until("the act is on its way", holder.held.is_set)
        first.running.pause()
        second.start()
        play.until_closed()
        wake(first, holder, play)

        acted_once(play, first, second)


@pytest.mark.long
@pytest.mark.parametrize("scene", SCENES[:2], ids=lambda scene: scene.mechanism)
def test_leader_that_slept_over_its_last_look_at_the_lease_does_not_act(
    theatre: Theatre, scene: Scene
) -> None:
    with theatre.controllers(2) as (first, second), theatre.play(scene) as play:
        holder = first.server.after = Holder(last_look(first, scene))
        first.start()
        play.until("it has looked at the Lease", holder.held.is_set)
        first.running.pause()
        second.start()
        play.until_closed()
        wake(first, holder, play)

        acted_once(play, first, second)
        assert not [one for one in first.server.asked if act_of(scene)(one)]


@pytest.mark.long
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.mechanism)
def test_leader_woken_in_the_midst_of_anothers_act_does_not_act(theatre: Theatre, scene: Scene) -> None:
    with theatre.controllers(2) as (first, second), theatre.play(scene) as play:
        late = first.server.before = Holder(act_of(scene))
        midst = second.server.after = Holder(act_of(scene))
        first.start()
        play.until("the act is on its way", late.held.is_set)
        first.running.pause()
        second.start()
        play.until("the other one's act is done, and it has not heard so", midst.held.is_set)
        wake(first, late, play)
        midst.let_go()

        acted_once(play, first, second)


@pytest.mark.long
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.mechanism)
def test_leader_stopped_after_its_act_leaves_the_rest_to_another(theatre: Theatre, scene: Scene) -> None:
    with theatre.controllers(2) as (first, second), theatre.play(scene) as play:
        holder = first.server.after = Holder(act_of(scene))
        first.start()
        play.until("the act is done, and it has not heard so", holder.held.is_set)
        first.running.pause()
        second.start()
        play.until_closed()
        wake(first, holder, play)

        acted_once(play, first, second)


def test_of_three_the_first_is_killed_the_second_stopped_and_the_third_finishes(theatre: Theatre) -> None:
    """Each after an eviction of its own."""
    with theatre.controllers(3) as (first, second, third), theatre.play(EVICT) as play:
        holders = []
        for candidate in (first, second):
            holders.append(Holder(act_of(EVICT)))
            candidate.server.after = holders[-1]
        first.start()
        play.until("the first has evicted", holders[0].held.is_set)
        second.start()
        first.running.kill()
        holders[0].let_go()
        play.until("the second has evicted", holders[1].held.is_set)
        second.running.pause()
        third.start()
        play.until_closed()
        wake(second, holders[1], play)

        acted_once(play, second, third)
