"""`bilgepump pause` and `bilgepump resume`: the annotation that stops all side effects on a workload."""

import click

from controller.cli.by_hand.access import Caller, Where, as_caller, cluster_options, workload_ref
from controller.platforms.kubernetes import paths
from controller.platforms.kubernetes.reading import PAUSED

_NAMESPACE = frozenset({"namespace", "namespaces", "ns"})


@click.command()
@click.argument("what", metavar="KIND/NAME")
@click.option("--why", required=True, help="Why, for those who wonder that nothing is done.")
@cluster_options
def pause(what: str, why: str, where: Where) -> None:
    """
    Stop captures and restarts of the workload KIND/NAME, or of all of `namespace/NAME`, until it is resumed.

    Watching and telling go on; what has been begun is finished. You need the right to patch the workload, or
    the namespace. The annotation `bilgepump.dev/paused` is all that is written, so kubectl can do it as well.

    Example: bilgepump pause deploy/api -n shop --why "migration until Friday"

    Exit codes: 0 paused, 1 could not be, 2 wrong usage.
    """
    reason = " ".join(why.split())
    if not reason:
        raise click.UsageError("--why must say something")

    async def paused(caller: Caller) -> None:
        await caller.annotate(_path(what, caller.namespace), {PAUSED: f"{await caller.name()}: {reason}"})

    as_caller(paused, where)
    click.echo(f"{what} is paused")


@click.command()
@click.argument("what", metavar="KIND/NAME")
@cluster_options
def resume(what: str, where: Where) -> None:
    """
    End the pause of the workload KIND/NAME, or of `namespace/NAME`.

    You need the right to patch it.

    Example: bilgepump resume deploy/api -n shop

    Exit codes: 0 resumed, 1 could not be, 2 wrong usage.
    """

    async def resumed(caller: Caller) -> None:
        await caller.annotate(_path(what, caller.namespace), {PAUSED: None})

    as_caller(resumed, where)
    click.echo(f"{what} is not paused any more")


def _path(what: str, namespace: str) -> str:
    kind, slash, name = what.partition("/")
    if slash and name and kind.lower() in _NAMESPACE:
        return f"{paths.CORE}/namespaces/{name}"
    return paths.of_workload(workload_ref(what, namespace))
