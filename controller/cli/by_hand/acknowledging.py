"""`bilgepump acknowledge`: a person has looked at an incident that waits for one."""

from collections.abc import Mapping

import click

from controller.cli.by_hand.access import Caller, NotDone, Where, as_caller, cluster_options
from controller.inventory.workload import Platform
from controller.platforms.kubernetes import paths
from controller.platforms.kubernetes.api import ApiRefusal
from controller.reporting.incident import Incident
from controller.reporting.incident_document import ACKNOWLEDGED, ACKNOWLEDGED_BECAUSE, from_document
from controller.verification.recovery import RecoveryOutcome


@click.command()
@click.argument("name")
@click.option("--why", required=True, help="What was found or done, for those who read the incident.")
@cluster_options
def acknowledge(name: str, why: str, where: Where) -> None:
    """
    Say that somebody has looked at the MemoryIncident called NAME; its workload is no longer held for it.

    For incidents that are `Failed` or `Escalated`. You need the right to get the incident and to patch its
    workload; where that is gone, to patch the incident (role `bilgepump-approver`). The annotations
    `bilgepump.dev/acknowledged` and `acknowledged-because` are all that is written.

    Example: bilgepump acknowledge api-3f2a91c0de -n shop --why "limit raised, see the wiki"

    Exit codes: 0 acknowledged, 1 could not be, 2 wrong usage.
    """
    reason = " ".join(why.split())
    if not reason:
        raise click.UsageError("--why must say something")

    async def acknowledged(caller: Caller) -> str:
        path = paths.in_namespace(paths.POLICIES, caller.namespace, "memoryincidents", name)
        document = await caller.api.find(path)
        if document is None:
            raise NotDone(
                f"there is no incident {name} in namespace {caller.namespace}: `bilgepump leaks --closed`"
            )
        incident = from_document(document)
        marks = {ACKNOWLEDGED: name, ACKNOWLEDGED_BECAUSE: f"{await caller.name()}: {reason}"[:512]}
        if await _on_its_workload(caller, incident, marks):
            return f"{incident.spec.workload} is no longer held for it"
        await caller.annotate(path, marks)
        return f"{incident.spec.workload} is gone, nothing is held for it"

    told = as_caller(acknowledged, where)
    click.echo(f"{name} is acknowledged: {told}")


async def _on_its_workload(caller: Caller, incident: Incident, marks: Mapping[str, str]) -> bool:
    """Annotates the incident's workload; False where it is gone. Raises NotDone, ApiRefusal."""
    workload = incident.spec.workload
    if workload.platform is not Platform.KUBERNETES:
        if incident.status.because == RecoveryOutcome.WORKLOAD_GONE.value:
            return False
        raise NotDone(f"{workload} is not in this cluster: see docs/ecs.md")
    try:
        await caller.annotate(paths.of_workload(workload), marks, uid=incident.spec.workload_uid)
    except ApiRefusal as refusal:
        another = refusal.status == 409 or (refusal.status == 422 and "metadata.uid" in str(refusal))
        if refusal.status == 404 or another:
            return False
        raise
    return True
