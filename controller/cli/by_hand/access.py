"""Whose rights a command has, which cluster it speaks to, and how it says that something is not allowed."""

import asyncio
import functools
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from controller.inventory.workload import Platform, WorkloadRef
from controller.platforms.kubernetes.api import ApiRefusal, KubernetesApi, connect, current_namespace
from controller.policy.memory_policy import WorkloadKind
from controller.ports import PlatformUnavailable

SELF_REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
FIELD_MANAGER = "kubectl-bilgepump"
"""By which the API server and its audit log tell these patches from the controller's."""

_SHORT = {"deploy": "Deployment", "sts": "StatefulSet", "ds": "DaemonSet", "ro": "Rollout"}
Answer = TypeVar("Answer")


class NotDone(Exception):
    """What is wrong, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The person at the command line."""

    api: KubernetesApi
    namespace: str

    async def name(self) -> str:
        """Who the API server takes them for; `somebody` where it does not say."""
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        try:
            status = (await self.api.create(SELF_REVIEWS, asked)).get("status") or {}
        except ApiRefusal:
            return "somebody"
        return str((status.get("userInfo") or {}).get("username") or "somebody")

    async def annotate(self, path: str, annotations: Mapping[str, str | None], *, uid: str = "") -> None:
        """
        Sets annotations of the object at `path`, or removes those that are None.

        Raises ApiRefusal; with `uid`, 409 or 422 where the object is another one.
        """
        same = {"uid": uid} if uid else {}
        patch = {"metadata": {**same, "annotations": dict(annotations)}}
        await self.api.patch(path, patch, fieldManager=FIELD_MANAGER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Which cluster, and which namespace of it; None is what the kubeconfig, or the pod, says."""

    given_namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None

    @property
    def namespace(self) -> str:
        """The one that was given, else the kubeconfig's."""
        return self.given_namespace or current_namespace(self.kubeconfig, self.context)

    @property
    def cluster_given(self) -> bool:
        """A cluster was named, and not only a namespace."""
        return bool(self.context or self.kubeconfig)

    def connect(self) -> KubernetesApi:
        """Its API server. Raises PlatformUnavailable where the kubeconfig cannot be used."""
        return connect(self.kubeconfig, self.context)


def cluster_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say where, as kubectl's: the command gets them as `where`."""

    @functools.wraps(command)
    def somewhere(
        *words: Any, namespace: str | None, context: str | None, kubeconfig: str | None, **others: Any
    ) -> Any:
        where = Where(given_namespace=namespace, context=context, kubeconfig=kubeconfig)
        return command(*words, where=where, **others)

    options = (
        click.option("-n", "--namespace", help="The namespace; the kubeconfig's if it is not given."),
        click.option("--context", help="The kubeconfig's context to use."),
        click.option(
            "--kubeconfig", type=click.Path(exists=True, dir_okay=False), help="The kubeconfig file to use."
        ),
    )
    decorated: Callable[..., Any] = somewhere
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


def as_caller(work: Callable[[Caller], Awaitable[Answer]], where: Where) -> Answer:
    """What `work` answers; where it is not done, says why and ends the process with 1."""

    async def worked() -> Answer:
        return await work(Caller(where.connect(), where.namespace))

    try:
        return asyncio.run(worked())
    except ApiRefusal as refusal:
        click.echo(f"{refusal}{_hint(refusal)}", err=True)
    except (NotDone, PlatformUnavailable) as error:
        click.echo(str(error), err=True)
    sys.exit(1)


def _hint(refusal: ApiRefusal) -> str:
    match refusal.status:
        case 403:
            return "\nyour own rights do not suffice for it: docs/by-hand.md says what each command needs"
        case 401:
            return "\nlog in again: the API server does not know you"
        case 404 if "the server could not find the requested resource" in str(refusal):
            return "\nis Bilgepump installed in this cluster?"
        case _:
            return ""


def workload_ref(given: str, namespace: str) -> WorkloadRef:
    """A workload as kubectl takes them: `deploy/api`, `deployments/api`. Raises click.UsageError."""
    kind, name = kind_and_name(given)
    return WorkloadRef(Platform.KUBERNETES, namespace, kind, name)


def kind_and_name(given: str) -> tuple[str, str]:
    """The kind in full, and the name. Raises click.UsageError."""
    short, slash, name = given.partition("/")
    known = {**_SHORT, **{kind.lower(): kind.value for kind in WorkloadKind}}
    kind = known.get(short.lower()) or known.get(short.lower().removesuffix("s"))
    if not slash or not name or "/" in name or kind is None:
        kinds = ", ".join(kind.value for kind in WorkloadKind)
        raise click.UsageError(f"KIND/NAME must be one of {kinds} and a name (is '{given}')")
    return kind, name
