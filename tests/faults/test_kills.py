"""
`kill -9` of the real controller at each of its writes, by the proxy that the write passes.

A write that was done and whose answer never came is the state in which the next one was not begun yet: so
each write is one point, and before the first one is the state before everything.
"""

import pytest

from tests.faults.proxy import Asked
from tests.faults.scenes import SCENES, Candidate, Play, Scene, Theatre, is_write


class Killer:
    """Kills at the `at`-th write that `counts`, when the API server has done it; lists them all."""

    def __init__(self, candidate: Candidate, at: int = 0) -> None:
        self._candidate = candidate
        self._at = at
        self.passed: list[str] = []

    def __call__(self, asked: Asked) -> None:
        """Called by the proxy between the API server's answer and the controller."""
        if not is_write(asked):
            return
        self.passed.append(f"{asked.verb} {asked.path.partition('?')[0]}")
        if len(self.passed) == self._at:
            self._candidate.running.kill()


def play_killed(theatre: Theatre, scene: Scene, at: int = 0) -> tuple[Play, Killer]:
    """The scene from beginning to end; a killed controller is started anew."""
    with theatre.controllers() as (candidate,), theatre.play(scene) as play:
        killer = candidate.server.after = Killer(candidate, at)
        candidate.start()
        if at:
            play.until("the controller is killed", lambda: not candidate.running.runs)
            candidate.start()
        play.until_closed()
        play.acted_once()
        assert candidate.running.runs, candidate.running.log[-3000:]
        return play, killer


@pytest.mark.apiserver
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.mechanism)
def test_unharmed(theatre: Theatre, scene: Scene) -> None:
    import time

    t = time.time()
    play, killer = play_killed(theatre, scene)
    print(time.time() - t)
    print("\n".join(killer.passed))
