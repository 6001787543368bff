"""`bilgepump acknowledge`: a person has looked at an incident that waits for one."""

import click

from controller.cli.by_hand.access import Caller, NotDone, as_caller, cluster_options
from controller.inventory.workload import Platform
from controller.platforms.kubernetes import paths
from controller.platforms.kubernetes.reading import ACKNOWLEDGED, ACKNOWLEDGED_BECAUSE
from controller.reporting.incident_document import from_document


@click.command()
@click.argument("name")
@click.option("--why", required=True, help="What was found or done, for those who read the incident.")
@cluster_options
def acknowledge(
    name: str, why: str, namespace: str | None, context: str | None, kubeconfig: str | None
) -> None:
    """
    Say that somebody has looked at the MemoryIncident called NAME; its workload is no longer held for it.

    For incidents that are `Failed` or `Escalated`. You need the right to get the incident and to patch its
    workload. The annotations `bilgepump.dev/acknowledged` and `acknowledged-because` are all that is written.

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
        workload = from_document(document).spec.workload
        if workload.platform is not Platform.KUBERNETES:
            raise NotDone(f"{workload} is not in this cluster: see docs/ecs.md")
        because = f"{await caller.name()}: {reason}"[:512]
        await caller.annotate(
            paths.of_workload(workload), {ACKNOWLEDGED: name, ACKNOWLEDGED_BECAUSE: because}
        )
        return str(workload)

    workload = as_caller(acknowledged, namespace=namespace, context=context, kubeconfig=kubeconfig)
    click.echo(f"{name} is acknowledged: {workload} is no longer held for it")
