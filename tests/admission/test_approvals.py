"""Who may approve a remediation: RBAC and the ValidatingAdmissionPolicy together."""

import json
from collections.abc import Iterator
from subprocess import CompletedProcess

import pytest

from controller.reporting.incident_document import to_document
from tests.admission.full_incident import a_new_incident
from tests.cluster.cluster import Cluster

pytestmark = pytest.mark.apiserver

KEYS = ("approved", "approved-by", "approved-until")


def annotate(cluster: Cluster, author: str, name: str, **values: str | None) -> CompletedProcess[str]:
    annotations = {f"bilgepump.dev/{key.replace('_', '-')}": value for key, value in values.items()}
    patch = json.dumps({"metadata": {"annotations": annotations}})
    return cluster.kubectl(
        "patch", "memi", name, "-n", "shop", f"--as={author}", "--type=merge", "-p", patch, check=False
    )


def approve(cluster: Cluster, author: str, name: str, by: str) -> CompletedProcess[str]:
    return annotate(
        cluster, author, name, approved="abc", approved_by=by, approved_until="2030-01-01T00:00:00Z"
    )


@pytest.fixture
def incident(installed: Cluster) -> Iterator[str]:
    """An incident; `ann` approves, `bob` may only patch."""
    document = to_document(a_new_incident())
    document["metadata"]["namespace"] = "shop"
    name: str = document["metadata"]["name"]
    document.pop("status")
    installed.kubectl("create", "-f", "-", stdin=json.dumps(document))
    installed.kubectl(
        "create",
        "role",
        "patches",
        "-n",
        "shop",
        "--verb=get,patch",
        "--resource=memoryincidents.bilgepump.dev",
    )
    installed.kubectl("create", "rolebinding", "bob", "-n", "shop", "--role=patches", "--user=bob")
    installed.kubectl(
        "create", "rolebinding", "ann", "-n", "shop", "--clusterrole=bilgepump-approver", "--user=ann"
    )
    yield name
    installed.kubectl("delete", "memi", name, "-n", "shop")
    installed.kubectl("delete", "rolebinding", "bob", "ann", "-n", "shop")
    installed.kubectl("delete", "role", "patches", "-n", "shop")


def test_approver_approves_in_the_own_name_only(installed: Cluster, incident: str) -> None:
    forged = approve(installed, "ann", incident, by="carol")
    assert forged.returncode != 0
    assert "bilgepump.dev/approved-by must be ann" in forged.stderr

    own = approve(installed, "ann", incident, by="ann")
    assert own.returncode == 0, own.stderr


def test_right_to_patch_is_not_the_right_to_approve(installed: Cluster, incident: str) -> None:
    refused = approve(installed, "bob", incident, by="bob")

    assert refused.returncode != 0
    assert "needs the verb approve" in refused.stderr


def test_no_one_bends_anothers_approval_but_anyone_who_may_patch_takes_it_back(
    installed: Cluster, incident: str
) -> None:
    assert approve(installed, "ann", incident, by="ann").returncode == 0

    for bent in ({"approved": "xyz"}, {"approved_until": "2031-01-01T00:00:00Z"}, {"approved_by": "bob"}):
        assert annotate(installed, "bob", incident, **bent).returncode != 0
    assert annotate(installed, "bob", incident, approved_by=None).returncode != 0
    assert annotate(installed, "bob", incident, note="unrelated").returncode == 0

    back = annotate(installed, "bob", incident, approved=None, approved_by=None, approved_until=None)
    assert back.returncode == 0, back.stderr


def test_status_is_no_way_in(installed: Cluster, incident: str) -> None:
    annotations = {f"bilgepump.dev/{key}": "bob" for key in KEYS}
    patch = json.dumps({"metadata": {"annotations": annotations}, "status": {"message": "x"}})
    installed.kubectl(
        "patch", "memi", incident, "-n", "shop", "--subresource=status", "--type=merge", "-p", patch
    )

    stored = installed.get(f"/apis/bilgepump.dev/v1alpha1/namespaces/shop/memoryincidents/{incident}")
    assert not set(stored["metadata"].get("annotations") or {}) & set(annotations)
