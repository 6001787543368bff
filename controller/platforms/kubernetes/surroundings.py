"""What stands around workloads: quotas, limit ranges, autoscalers, volume claims, nodes. Only listed here."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from controller.platforms.kubernetes import paths
from controller.platforms.kubernetes.api import ApiRefusal, Document, KubernetesApi

QUOTAS, RANGES, AUTOSCALERS, CLAIMS, NODES = (
    "resourcequotas",
    "limitranges",
    "horizontalpodautoscalers",
    "persistentvolumeclaims",
    "nodes",
)
_ROOTS = {
    QUOTAS: paths.CORE,
    RANGES: paths.CORE,
    AUTOSCALERS: "/apis/autoscaling/v2",
    CLAIMS: paths.CORE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The objects of one namespace, and the cluster's nodes."""

    quotas: Sequence[Document] = ()
    limit_ranges: Sequence[Document] = ()
    autoscalers: Sequence[Document] = ()
    claims: Sequence[Document] = ()
    nodes: Sequence[Document] | None = None
    """None where this controller looks at single namespaces, and so has no right to see nodes."""
    unread: tuple[str, ...] = ()
    """Kinds that the API server did not let us list."""


NOTHING_AROUND = Surroundings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """The cluster's nodes as they were listed at one time."""

    documents: Sequence[Document] | None = None
    """None where they may not be seen."""
    unread: frozenset[str] = frozenset()


NOT_LOOKED_AT = Nodes()


@dataclass(slots=True)
class _Listed:
    by_namespace: dict[str, dict[str, list[Document]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    unread: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By kind: the namespaces where it could not be listed."""


async def read_surroundings(
    api: KubernetesApi, namespaces: Iterable[str], *, everywhere: bool, nodes: Nodes = NOT_LOOKED_AT
) -> Mapping[str, Surroundings]:
    """
    The surroundings of these namespaces, by their names: with `everywhere` one list for each kind.

    A kind that we may not list is named as unread, and nothing else fails for it. Raises PlatformUnavailable.
    """
    names, listed = sorted(namespaces), _Listed()
    for plural in _ROOTS:
        for namespace in [""] if everywhere else names:
            await _list(api, plural, namespace, listed)
    return {name: _of(name, listed, nodes) for name in names}


async def list_nodes(api: KubernetesApi) -> Nodes:
    """Every node; unread where we may not list them. Raises PlatformUnavailable."""
    try:
        return Nodes(documents=await api.items(f"{paths.CORE}/{NODES}"))
    except ApiRefusal as refusal:
        if refusal.status != 403:
            raise
        return Nodes(unread=frozenset({NODES}))


async def _list(api: KubernetesApi, plural: str, namespace: str, listed: _Listed) -> None:
    root = _ROOTS[plural]
    path = paths.in_namespace(root, namespace, plural) if namespace else f"{root}/{plural}"
    try:
        found = await api.items(path)
    except ApiRefusal as refusal:
        if refusal.status != 403:
            raise
        listed.unread[plural].add(namespace)
        return
    for document in found:
        listed.by_namespace[document["metadata"]["namespace"]][plural].append(document)


def _of(namespace: str, listed: _Listed, nodes: Nodes) -> Surroundings:
    mine = listed.by_namespace[namespace]
    unread = {kind for kind, where in listed.unread.items() if where & {"", namespace}}
    return Surroundings(
        quotas=mine[QUOTAS],
        limit_ranges=mine[RANGES],
        autoscalers=mine[AUTOSCALERS],
        claims=mine[CLAIMS],
        nodes=nodes.documents,
        unread=tuple(sorted(unread | nodes.unread)),
    )
