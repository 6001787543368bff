"""
`kill -9` of the real controller at its writes, by the proxy that the write passes.

A write that was done and whose answer never came is the state in which the next one was not begun yet: so
each write is one point, and between two of them nothing outside differs.
"""

from collections.abc import Callable

import pytest

from tests.faults.proxy import Asked
from tests.faults.scenes import SCENES, Candidate, Scene, Theatre, is_write


class Killer:
    """Kills at the `at`-th request that `counts`, when the API server has done it; lists them all."""

    def __init__(self, candidate: Candidate, counts: Callable[[Asked], bool], at: int) -> None:
        self._candidate = candidate
        self._counts = counts
        self._at = at
        self.passed: list[Asked] = []
        self.killed = False

    def __call__(self, asked: Asked) -> None:
        """Called by the proxy between the API server's answer and the controller."""
        if not (is_write(asked) and self._counts(asked)):
            return
        self.passed.append(asked)
        if len(self.passed) == self._at:
            self.killed = True
            self._candidate.running.kill()


def play_killed(
    theatre: Theatre, scene: Scene, *, at: int, counts: Callable[[Asked], bool] = is_write
) -> list[Asked]:
    """The scene from beginning to end, killed at one point and started anew; every point there was."""
    with theatre.controllers() as (candidate,), theatre.play(scene) as play:
        killer = candidate.server.after = Killer(candidate, counts, at)
        candidate.start()
        if at:
            play.until(
                "it is killed, or had no such point", lambda: not candidate.running.runs or play.closed()
            )
        if not candidate.running.runs:
            candidate.start()
        play.until_closed()
        sweeps = candidate.sweeps

        def goes_on() -> bool:
            """Also after a kill at one of the writes that come after the end."""
            if not candidate.running.runs:
                assert killer.killed, candidate.running.log[-3000:]
                candidate.start()
            return candidate.sweeps > sweeps + 1

        play.until("it goes on sweeping", goes_on)
        play.acted_once()
        assert play.pods_ever() == scene.replicas + scene.leaking, "one replacement each"
        return killer.passed


@pytest.mark.apiserver
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.mechanism)
def test_killed_as_its_first_act_is_done_it_finishes_what_it_began(theatre: Theatre, scene: Scene) -> None:
    play_killed(theatre, scene, at=1, counts=scene.is_act)


@pytest.mark.cluster
@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.mechanism)
def test_killed_at_any_write_it_ends_rightly_after_the_same_acts(real_theatre: Theatre, scene: Scene) -> None:
    """What comes before the order is the same for every mechanism: killed there for the first one only."""
    points = play_killed(real_theatre, scene, at=0)
    acts = [at for at, one in enumerate(points, start=1) if scene.is_act(one)]
    assert len(acts) == scene.acts
    ordered = acts[0] - 1
    for at in range(1 if scene is SCENES[0] else ordered, len(points) + 1):
        print(f"{scene.mechanism}, {at} of {len(points)}: killed at {points[at - 1]}", flush=True)
        play_killed(real_theatre, scene, at=at)
