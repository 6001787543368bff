"""`bilgepump approve`: a person lets one remediation through, where the policy asks for it."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import click

from controller.cli.by_hand.access import Caller, NotDone, Where, as_caller, cluster_options
from controller.cli.plain_cells import age_text
from controller.decision.approval import LONGEST_APPROVAL
from controller.decision.outcome import HoldReason
from controller.platforms.kubernetes import paths
from controller.policy.units import parse_duration
from controller.reporting.incident import Incident
from controller.reporting.incident_document import APPROVED, APPROVED_BY, APPROVED_UNTIL, from_document

_DIGEST = re.compile(rf"{re.escape(APPROVED)}=([0-9a-f]{{8,64}})\b")
_ASKING = (HoldReason.APPROVAL_REQUIRED, HoldReason.APPROVAL_VOID)


@dataclass(frozen=True, slots=True)
class Pending:
    """An incident that waits for an approval, and the digest of what would be approved."""

    incident: Incident
    digest: str


@click.command()
@click.argument("name")
@click.option(
    "--for",
    "period",
    default="1h",
    metavar="DURATION",
    show_default=True,
    help="How long the approval holds; 24h at most.",
)
@click.option("--yes", is_flag=True, help="Do not ask back.")
@cluster_options
def approve(name: str, period: str, yes: bool, where: Where) -> None:
    """
    Approve the remediation that the MemoryIncident called NAME waits for (`approval: Required`).

    It is approved in your own name, for the situation as it is now: a deploy or another leak makes the
    approval void. Every other gate holds as before. You need the right to get, patch and `approve` the
    incident, as the role `bilgepump-approver` has it. Three annotations of the incident are all that is
    written.

    Example: bilgepump approve api-3f2a91c0de -n shop --for 2h

    Exit codes: 0 approved, 1 could not be, 2 wrong usage.
    """
    span = _span(period)

    async def looked_at(caller: Caller) -> Pending:
        document = await caller.api.find(_path(caller, name))
        if document is None:
            raise NotDone(f"there is no incident {name} in namespace {caller.namespace}: `bilgepump leaks`")
        return pending(from_document(document))

    found = as_caller(looked_at, where)
    click.echo(summary(found.incident))
    if not yes:
        click.confirm("Approve the remediation of this?", abort=True)

    async def approved(caller: Caller) -> str:
        by = await caller.name()
        until = datetime.now(UTC) + span  # noqa: TID251  (a person's clock)
        annotations: dict[str, str | None] = {
            APPROVED: found.digest,
            APPROVED_BY: by,
            APPROVED_UNTIL: until.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        await caller.annotate(_path(caller, name), annotations)
        return by

    by = as_caller(approved, where)
    click.echo(f"{name} is approved by {by} for {age_text(span)}")


def pending(incident: Incident) -> Pending:
    """What the incident waits for. Raises NotDone where it is nobody's approval."""
    for hold in incident.status.gates:
        digest = _DIGEST.search(hold.message) if hold.reason in _ASKING else None
        if digest is not None:
            return Pending(incident, digest[1])
    status = incident.status
    stands = f"{status.phase.value} ({status.because}) {status.message}"
    raise NotDone(f"{incident.name} does not wait for an approval: {stands}")


def summary(incident: Incident) -> str:
    """What is approved, in a few lines."""
    status, assessment = incident.status, incident.status.assessment
    lines = [f"{incident.spec.workload}, incident {incident.name}, policy {incident.spec.policy}"]
    if assessment is not None:
        grows = f" grows {status.growth_text}" if status.growth_text else ""
        lines.append(
            f"container {assessment.container}{grows}, {assessment.verdict.value} in "
            f"{assessment.leaking_replicas} of {assessment.replicas} replicas: {assessment.message}"
        )
    if status.diagnosis:
        lines.append(f"the evidence: {status.diagnosis.summary}")
    others = [hold.reason.value for hold in status.gates if hold.reason not in _ASKING]
    if others:
        lines.append(f"it is held by other gates too: {', '.join(others)}")
    return "\n".join(lines)


def _path(caller: Caller, name: str) -> str:
    return paths.in_namespace(paths.POLICIES, caller.namespace, "memoryincidents", name)


def _span(period: str) -> timedelta:
    try:
        span = parse_duration(period)
    except ValueError as error:
        raise click.UsageError(f"--for: {error}") from error
    if not timedelta(minutes=1) <= span <= LONGEST_APPROVAL:
        raise click.UsageError(f"--for must be from 1m to 24h (is {period})")
    return span
