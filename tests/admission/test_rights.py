"""
What the controller's ServiceAccount may do, asked of the API server for all that there is, and nothing else.

Every verb on every resource that the server knows, by SubjectAccessReview: what docs/permissions.md lists for
the powers that are switched on is allowed, and everything else is not.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import urllib3

from tests.chart.test_permissions_page import grants_on_page
from tests.cluster.audit import service_account_user
from tests.cluster.cluster import Cluster
from tests.faults.controller_process import NAMESPACE as OPS
from tests.faults.controller_process import RELEASE, release
from tests.faults.kubelet import tls_of

pytestmark = [pytest.mark.apiserver, pytest.mark.go]

URL = "prometheus.url=http://127.0.0.1:9"
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
VIRTUAL = (
    ("", "users", "impersonate"),
    ("", "groups", "impersonate"),
    ("", "serviceaccounts", "impersonate"),
    ("rbac.authorization.k8s.io", "clusterroles", "escalate"),
    ("rbac.authorization.k8s.io", "clusterroles", "bind"),
    ("rbac.authorization.k8s.io", "roles", "escalate"),
    ("rbac.authorization.k8s.io", "roles", "bind"),
    ("certificates.k8s.io", "signers", "approve"),
    ("bilgepump.dev", "memoryincidents", "approve"),
    ("bilgepump.dev", "ecsservices", "patch"),
    ("*", "*", "*"),
)
"""Verbs and resources that exist for authorization only."""

Right = tuple[str, str, str]
"""API group, resource with its subresource, verb."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind that the API server serves."""

    group: str
    name: str
    namespaced: bool


def resources(cluster: Cluster) -> Iterator[Resource]:
    """All that the API server serves, subresources too, by its own discovery."""
    groups = [("", "/api/v1")]
    for group in cluster.get("/apis")["groups"]:
        groups += [(group["name"], f"/apis/{one['groupVersion']}") for one in group["versions"]]
    for name, path in groups:
        for one in cluster.get(path)["resources"]:
            yield Resource(name, one["name"], one["namespaced"])


def rights(cluster: Cluster, user: str, namespace: str, *, name: str = "") -> set[Right]:
    """All that `user` may do in `namespace`, and to what is in none; to objects called `name` if given."""
    pool = urllib3.PoolManager(ssl_context=tls_of(cluster), maxsize=4)
    served = {*resources(cluster)}
    # Of others' definitions, which are not here.
    named = {(group, kind) for group, kind, _ in on_page(*EVERYTHING)}
    absent = {Resource(*one, True) for one in named - {(one.group, one.name) for one in served}}
    asked = [(*_place(one, verb, namespace), verb) for one in served | absent for verb in VERBS]
    asked += [(group, kind, namespace, verb) for group, kind, verb in VIRTUAL]

    def allowed(question: tuple[str, str, str, str]) -> Right | None:
        group, kind, where, verb = question
        resource, _, subresource = kind.partition("/")
        attributes = {
            "group": group,
            "resource": resource,
            "subresource": subresource,
            "namespace": where,
            "verb": verb,
            "name": where if resource == "namespaces" else name,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": user,
                "groups": ["system:serviceaccounts", f"system:serviceaccounts:{OPS}", "system:authenticated"],
                "resourceAttributes": attributes,
            },
        }
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        answer: Any = pool.request("POST", cluster.layout.server + path, json=review).json()
        return (group, kind, verb) if answer["status"]["allowed"] else None

    with ThreadPoolExecutor(4) as executor:
        return {right for right in executor.map(allowed, asked) if right is not None}


def _place(one: Resource, verb: str, namespace: str) -> tuple[str, str, str]:
    of_one_namespace = one.name.partition("/")[0] == "namespaces" and verb not in ("list", "watch", "create")
    return one.group, one.name, namespace if one.namespaced or of_one_namespace else ""


def on_page(*sections: str) -> set[Right]:
    """What docs/permissions.md grants in these sections."""
    grants = itertools.chain.from_iterable(map(grants_on_page, sections))
    return {
        (group, kind, verb)
        for group, kinds, _, verbs in grants
        for kind, verb in itertools.product(kinds, verbs)
    }


LOGS: set[Right] = {("", "pods/log", "get")}
ROLLOUTS: set[Right] = {("argoproj.io", "rollouts", verb) for verb in ("get", "list", "patch")}
"""Only with `rollouts.enabled`."""
CLUSTER_WIDE: set[Right] = {
    ("", "nodes", "list"),
    ("", "namespaces", "list"),
    *(("apiextensions.k8s.io", "customresourcedefinitions", verb) for verb in ("list", "watch")),
    *(("bilgepump.dev", "clustermemorypolicies", verb) for verb in ("get", "list", "watch")),
    ("bilgepump.dev", "clustermemorypolicies/status", "patch"),
}
"""What the page says is not granted with `watchNamespaces`."""
EVERYTHING = ("read", "capture", "remediate", "reports")


def granted(cluster: Cluster, namespace: str, *, name: str = "") -> set[Right]:
    """What the controller may do there beyond what any ServiceAccount may."""
    controller, anybody = service_account_user(OPS, RELEASE), service_account_user(OPS, "anybody")
    return rights(cluster, controller, namespace, name=name) - rights(cluster, anybody, namespace, name=name)


@pytest.mark.parametrize(
    ("values", "sections", "without"),
    [
        pytest.param(("capture.enabled=false",), ("read", "reports"), ROLLOUTS, id="read only"),
        pytest.param((), ("read", "capture", "reports"), ROLLOUTS, id="as installed"),
        pytest.param(
            ("capture.logs.enabled=false",), ("read", "capture", "reports"), LOGS | ROLLOUTS, id="no logs"
        ),
        pytest.param(("reports.enabled=false",), ("read", "capture"), ROLLOUTS, id="no reports"),
        pytest.param(("remediate.enabled=true",), EVERYTHING, ROLLOUTS, id="may act"),
        pytest.param(
            ("remediate.enabled=true", "rollouts.enabled=true"), EVERYTHING, (), id="may act on rollouts too"
        ),
        pytest.param(
            ("remediate.enabled=true", "capture.enabled=false"),
            ("read", "remediate", "reports"),
            ROLLOUTS,
            id="may act and not capture",
        ),
        pytest.param(("rbac.create=false",), (), (), id="rights made by others"),
    ],
)
def test_nothing_is_allowed_but_what_the_page_lists(
    installed: Cluster, values: tuple[str, ...], sections: tuple[str, ...], without: Collection[Right]
) -> None:
    with release(installed, URL, *values):
        assert granted(installed, "shop") == on_page(*sections) - set(without)


def test_with_named_namespaces_nothing_is_allowed_elsewhere(installed: Cluster) -> None:
    values = ("remediate.enabled=true", "watchNamespaces={shop}", "reports.enabled=false")
    with release(installed, URL, *values):
        inside = on_page("read", "capture", "remediate")
        assert granted(installed, "shop") == inside - CLUSTER_WIDE - ROLLOUTS
        assert granted(installed, "default") == set()


def test_lease_is_its_own_and_in_its_own_namespace(installed: Cluster) -> None:
    group = "coordination.k8s.io"

    def leases(name: str) -> set[Right]:
        return {one for one in granted(installed, OPS, name=name) if one[0] == group}

    with release(installed, URL):
        assert leases(RELEASE) == {(group, "leases", verb) for verb in ("create", "get", "patch")}
        assert leases("of-another") == {(group, "leases", "create")}
