"""
A pod's pprof fails in every way it can, while its workload leaks.

The profiles are those of a real Go program that leaks, behind the proxy. Where they cannot be had the
incident says why; where the policy requires them nothing is restarted until they can, and then by itself.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from tests.faults.proxy import Fault, FaultyServer, faulty_server
from tests.faults.scenes import ROLLING_RESTART, Candidate, Play, Theatre
from tests.leakapps.program import running

pytestmark = [pytest.mark.apiserver, pytest.mark.go]

POD_ADDRESS = "198.18.0.7"
"""
Of the range for tests of networks (RFC 2544), on this machine's own loopback interface: what begins with 127
is no pod's, and nothing is asked of it.
"""
MOST_REQUESTS = 40
"""Two captures of two replicas, four files each, of which some are asked for at two places."""


def page(status: int, body: bytes = b"by the test") -> Fault:
    return Fault(name=f"HTTP {status}", status=status, body=body, content_type="text/plain")


FAULTS = [
    (Fault(name="slower than the limit", delay_seconds=31), "TimedOut"),
    (Fault(name="reset before the answer", reset="before"), "Interrupted"),
    (Fault(name="reset after it was asked", reset="after"), "Interrupted"),
    (Fault(name="half of an answer", keep_share=0.5), "Interrupted"),
    (page(401), "AuthenticationRequired"),
    (page(403), "AuthenticationRequired"),
    (page(404), "NotOffered"),
    (page(429), "Refused"),
    (page(500), "Refused"),
    (page(503), "Refused"),
    (
        Fault(
            name="a redirect to the credentials of the cloud", status=302, location="http://169.254.169.254/"
        ),
        "Redirected",
    ),
    (Fault(name="a page instead of a profile", status=200, body=b"<html>log in</html>"), "NotAProfile"),
    (Fault(name="an endless answer", status=200, body=b" " * 2**20, repeats=80), "TooLarge"),
]
SHORT = ("HTTP 503", "half of an answer", "a redirect to the credentials of the cloud")


@contextmanager
def address_of_a_pod() -> Iterator[str]:
    """An address of this machine that no other machine sees, until the end of the block."""
    change = ["ip", "address", "{}", f"{POD_ADDRESS}/32", "dev", "lo"]
    subprocess.run([part.format("replace") for part in change], check=True)
    try:
        yield POD_ADDRESS
    finally:
        subprocess.run([part.format("del") for part in change], check=True)


@pytest.fixture(scope="module")
def pprof() -> Iterator[FaultyServer]:
    with (
        address_of_a_pod() as address,
        running("mapcache") as program,
        faulty_server(program.url.removesuffix("/debug/pprof"), address=address) as proxy,
    ):
        program.work(2000)
        yield proxy


@pytest.fixture(scope="module")
def watched(theatre: Theatre, pprof: FaultyServer) -> Iterator[Candidate]:
    """One controller for all faults, one after the other: it is never started anew."""
    with theatre.controllers() as (candidate,):
        candidate.start()
        yield candidate
        assert candidate.running.runs, candidate.running.log[-3000:]
        assert "Traceback" not in candidate.running.log


@pytest.fixture(scope="module")
def profiled(theatre: Theatre, watched: Candidate, pprof: FaultyServer) -> Theatre:
    """The same theatre, whose pods have a pprof."""
    return replace(theatre, address=POD_ADDRESS, pprof_port=int(pprof.url.rpartition(":")[2]))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        pytest.param(fault, reason, id=fault.name, marks=() if fault.name in SHORT else pytest.mark.long)
        for fault, reason in FAULTS
    ],
)
def test_restart_goes_on_without_profiles_and_the_incident_says_why(
    profiled: Theatre, pprof: FaultyServer, fault: Fault, reason: str
) -> None:
    asked = len(pprof.asked)
    with pprof.broken(fault), profiled.play(ROLLING_RESTART) as play:
        incident = play.until("the incident is closed", play.closed, seconds=300)
        play.acted_once()
    heaps = [one for one in incident["status"]["evidence"] if one["kind"] == "heap"]
    assert heaps
    assert not any(one.get("uri") for one in heaps)
    assert all(one["failure"].startswith(reason) for one in heaps), heaps
    assert len(pprof.asked) - asked <= MOST_REQUESTS, "retries are bounded"


def test_profiles_of_the_real_program_are_kept_after_all_that(profiled: Theatre, pprof: FaultyServer) -> None:
    with profiled.play(ROLLING_RESTART) as play:
        incident = play.until_closed()
    kept = {one["kind"] for one in incident["status"]["evidence"] if one.get("uri")}
    assert {"heap", "goroutine"} <= kept
    diagnosis = incident["status"]["diagnosis"]
    assert "renderCache" in diagnosis["summary"], diagnosis


def test_required_profiles_that_cannot_be_had_hold_the_restart(
    profiled: Theatre, watched: Candidate, pprof: FaultyServer
) -> None:
    with pprof.broken(page(503)), requiring(profiled) as play:
        play.until("it is held", lambda: _because(play) == "EvidenceMissing")
        asked, sweeps = len(pprof.asked), watched.sweeps
        play.until("five more sweeps", lambda: watched.sweeps >= sweeps + 5)
        assert len(pprof.asked) == asked, "not asked again at every sweep"
        assert play.workload["metadata"]["generation"] == 1


@pytest.mark.long
def test_required_profiles_are_asked_for_again_until_they_can_be_had(
    profiled: Theatre, pprof: FaultyServer
) -> None:
    with requiring(profiled) as play:
        with pprof.broken(page(503)):
            play.until("it is held", lambda: _because(play) == "EvidenceMissing")
        play.until("the incident is closed", play.closed, seconds=420)
        play.acted_once()


@contextmanager
def requiring(theatre: Theatre) -> Iterator[Play]:
    """A policy that wants a profile before anything is done."""
    evidence = {"required": True, "pprof": [{"container": "app", "port": theatre.pprof_port}]}
    with theatre.play(ROLLING_RESTART, evidence=evidence) as play:
        yield play


def _because(play: Play) -> str:
    return play.incidents[0]["status"]["because"] if play.incidents else ""
