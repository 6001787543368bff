"""
`bilgepump restart` and `bilgepump capture`: asks the controller, and shows what it answers.

The request is an annotation on the workload, so it needs the right to patch the workload and no other:
whoever has it could restart it without being asked anything. The controller's gates are asked as ever, and
its incident holds who asked, why, and what came of it.
"""

import asyncio
import json
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from controller.cli.by_hand.access import Caller, NotDone, as_caller, cluster_options, workload_ref
from controller.decision.outcome import HoldReason
from controller.inventory.request import VALID_FOR, Request, RequestKind, parse_request
from controller.inventory.workload import WorkloadRef
from controller.platforms.kubernetes import paths
from controller.platforms.kubernetes.reading import requested
from controller.platforms.kubernetes.records import KubernetesRecords
from controller.policy.units import parse_duration
from controller.reporting.incident import Incident, Phase

POLL_SECONDS = 2.0
HELD = 3

_HOLDS = (Phase.HELD, Phase.ESCALATED, Phase.OBSERVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the controller made of a request."""

    done: bool
    message: str
    waits_until: datetime | None = None
    """Until when a held request waits for its gates; None where it does not wait."""
    incident: str = ""
    reasons: tuple[str, ...] = ()
    files: tuple[str, ...] = field(default=())


def _asking(command: Any) -> Any:
    options = (
        click.argument("workload", metavar="KIND/NAME"),
        click.option("--why", required=True, help="Why, for those who read the incident."),
        click.option(
            "--wait",
            default="2m",
            metavar="DURATION",
            show_default=True,
            help="How long to wait for the controller's answer; 0s asks and ends.",
        ),
        click.option(
            "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True
        ),
        cluster_options,
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@_asking
def restart(**options: Any) -> None:
    """
    Ask for a restart of the workload KIND/NAME, through the same gates as ever.

    The policy that governs it must be in mode Remediate. What the controller does about it, it does as with a
    leak: profiles first, one order, recovery watched; it counts towards cooldown and budget. A request waits
    an hour for its gates to open. You need the right to patch the workload, and to list MemoryIncidents to
    see the answer.

    Example: bilgepump restart deploy/api -n shop --why "before the sale begins"

    Exit codes: 0 ordered (or asked, with --wait 0s), 1 not asked or not answered, 2 wrong usage, 3 held.
    """
    _ask(RequestKind.RESTART, options)


@click.command()
@_asking
def capture(**options: Any) -> None:
    """
    Ask for profiles of the workload KIND/NAME now, from its fullest replica.

    The policy that governs it must be in mode Capture or Remediate and say where pprof is served. The files
    are kept in an incident. You need the right to patch the workload, and to list MemoryIncidents to see the
    answer.

    Example: bilgepump capture deploy/api -n shop --why "after the load test"

    Exit codes: 0 kept (or asked, with --wait 0s), 1 not asked or not answered, 2 wrong usage, 3 none kept.
    """
    _ask(RequestKind.CAPTURE, options)


def _ask(kind: RequestKind, options: dict[str, Any]) -> None:
    why = " ".join(str(options["why"]).split())[:512]
    if not why:
        raise click.UsageError("--why must say something")
    try:
        wait = parse_duration(options["wait"])
    except ValueError as error:
        raise click.UsageError(f"--wait: {error}") from error

    async def asked(caller: Caller) -> Outcome | None:
        ref = workload_ref(options["workload"], caller.namespace)
        return await ask(caller, ref, kind, why, wait)

    outcome = as_caller(asked, options["where"])
    if outcome is None:
        click.echo(
            f"asked for: {kind.value} of {options['workload']}; `bilgepump leaks` shows what comes of it"
        )
        return
    _print(outcome, options["output"])
    sys.exit(0 if outcome.done else HELD)


async def ask(
    caller: Caller, ref: WorkloadRef, kind: RequestKind, why: str, wait: timedelta
) -> Outcome | None:
    """Asks, and waits so long for what comes of it; None where nothing is waited for. Raises NotDone."""
    at = _now().replace(microsecond=0)
    request = Request(kind=kind, at=at, who=(await caller.name())[:253], why=why)
    if parse_request(kind, request.text) is None:
        raise NotDone(f"the request cannot be written down: {request.text}")
    await caller.annotate(paths.of_workload(ref), {requested(kind): request.text})
    if not wait:
        return None
    until = _now() + wait
    records = KubernetesRecords(caller.api, namespaces=(ref.namespace,))
    while _now() < until:
        await asyncio.sleep(POLL_SECONDS)
        for incident in await records.incidents():
            if incident.spec.workload == ref and (outcome := outcome_of(incident, request)):
                return outcome
    raise NotDone(
        f"no answer within {wait}: does a policy govern {ref} (`bilgepump explain`), are there metrics "
        "of it, and does the controller run? The request stands for an hour"
    )


def outcome_of(incident: Incident, request: Request) -> Outcome | None:
    """What the incident says about the request; None while it says nothing yet."""
    status = incident.status
    if not any(entry.message == request.text[:512] for entry in status.timeline):
        return None
    if request.kind is RequestKind.CAPTURE:
        files = [file for file in status.evidence if file.label == request.label]
        kept = tuple(file.uri for file in files if file.uri)
        failures = "; ".join(file.failure for file in files if file.failure)
        if not files:
            return None
        return Outcome(
            done=bool(kept), message=failures or "profiles are kept", incident=incident.name, files=kept
        )
    if status.order is not None and status.order.issued_at >= request.at:
        return Outcome(done=True, message=status.message, incident=incident.name)
    if status.phase in _HOLDS and status.because != HoldReason.NOT_YET_NEEDED.value:
        reasons = tuple(hold.reason.value for hold in status.gates)
        return Outcome(
            done=False,
            message=status.message,
            waits_until=request.at + VALID_FOR,
            incident=incident.name,
            reasons=reasons,
        )
    return None


def _print(outcome: Outcome, output: str) -> None:
    if output == "json":
        document = {
            "done": outcome.done,
            "message": outcome.message,
            "waitsUntil": f"{outcome.waits_until:%Y-%m-%dT%H:%M:%SZ}" if outcome.waits_until else None,
            "incident": outcome.incident,
            "heldBecause": outcome.reasons,
            "files": outcome.files,
        }
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    held = f"held ({', '.join(outcome.reasons)}): " if outcome.reasons else ""
    click.echo(f"{held}{outcome.message}")
    if outcome.waits_until:
        click.echo(f"it waits for its gates until {outcome.waits_until:%H:%MZ}, then it is over")
    for file in outcome.files:
        click.echo(f"  {file}")
    click.echo(f"incident {outcome.incident}")


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251  (a person's clock)
