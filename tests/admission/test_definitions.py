"""Our kinds as a real API server serves them."""

import json
from typing import Any

import pytest

from controller.reporting.incident import Incident
from controller.reporting.incident_document import from_document, to_document
from tests.admission.full_incident import a_full_incident, a_new_incident
from tests.cluster.cluster import Cluster

pytestmark = pytest.mark.apiserver


def store(cluster: Cluster, incident: Incident) -> dict[str, Any]:
    """Writes the incident and its status as the controller does, and reads it back."""
    document = to_document(incident)
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(document))
    status = json.dumps({"status": document["status"]})
    name = f"memoryincident/{incident.name}"
    cluster.kubectl(
        "patch", name, "-n", incident.namespace, "--subresource=status", "--type=merge", "-p", status
    )
    stored: dict[str, Any] = json.loads(
        cluster.kubectl("get", name, "-n", incident.namespace, "-o", "json").stdout
    )
    return stored


@pytest.fixture(scope="module")
def full(installed: Cluster) -> dict[str, Any]:
    return store(installed, a_full_incident())


@pytest.mark.parametrize("plural", ["memorypolicies", "clustermemorypolicies", "memoryincidents"])
def test_definition_has_nothing_the_api_server_objects_to(installed: Cluster, plural: str) -> None:
    definition = installed.get(
        f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.bilgepump.dev"
    )
    conditions = {condition["type"]: condition["status"] for condition in definition["status"]["conditions"]}
    assert conditions["Established"] == "True"
    assert conditions["NamesAccepted"] == "True"
    assert conditions.get("NonStructuralSchema", "False") == "False"


def test_incident_keeps_every_field_it_is_given(full: dict[str, Any]) -> None:
    expected = to_document(a_full_incident())
    assert full["spec"] == expected["spec"]
    assert full["status"] == expected["status"]
    assert from_document(full).status == a_full_incident().status


def test_new_incident_needs_nothing_but_its_spec(installed: Cluster) -> None:
    stored = store(installed, a_new_incident())
    assert from_document(stored).status == a_new_incident().status


def test_incidents_subject_never_changes(installed: Cluster, full: dict[str, Any]) -> None:
    patch = json.dumps({"spec": {"workload": {"name": "other"}}})
    answer = installed.kubectl(
        "patch", "memi", full["metadata"]["name"], "-n", "shop", "--type=merge", "-p", patch, check=False
    )
    assert "may not be changed" in answer.stderr


def test_table_of_incidents_reads_like_a_story(installed: Cluster, full: dict[str, Any]) -> None:
    name = full["metadata"]["name"]
    header, row = installed.kubectl("get", "memi", name, "-n", "shop").stdout.splitlines()
    assert header.split() == [
        "NAME",
        "WORKLOAD",
        "CLASS",
        "GROWTH",
        "THRESHOLD-AT",
        "PHASE",
        "BECAUSE",
        "AGE",
    ]
    assert row.split()[:-1] == [
        name,
        "Deployment/api",
        "heap",
        "38",
        "MiB/h",
        "2026-03-01T12:20:00Z",
        "Resolved",
        "Recovered",
    ]


def test_wide_table_of_incidents_has_evidence_policy_and_time(
    installed: Cluster, full: dict[str, Any]
) -> None:
    table = installed.kubectl("get", "memi", full["metadata"]["name"], "-n", "shop", "-o", "wide").stdout
    header, row = table.splitlines()
    assert header.split()[-4:] == ["EVIDENCE", "POLICY", "REMEDIATED-AT", "REPORT"]
    assert row.split()[-4:] == ["heap", "web", "2026-03-01T12:04:00Z", a_full_incident().status.report_uri]


def test_table_of_policies_shows_what_people_look_at(installed: Cluster) -> None:
    policy = {
        "apiVersion": "bilgepump.dev/v1alpha1",
        "kind": "MemoryPolicy",
        "metadata": {"name": "table", "namespace": "shop"},
        "spec": {"target": {"selector": {"matchLabels": {"app": "api"}}}},
    }
    accepted = {
        "type": "Accepted",
        "status": "True",
        "reason": "Valid",
        "message": "",
        "lastTransitionTime": "2026-03-01T12:00:00Z",
    }
    status = {"workloads": 3, "leaking": 1, "suspect": 1, "held": 0, "conditions": [accepted]}
    installed.apply(policy)
    installed.kubectl(
        "patch",
        "mempol",
        "table",
        "-n",
        "shop",
        "--subresource=status",
        "--type=merge",
        "-p",
        json.dumps({"status": status}),
    )
    header, row = installed.kubectl("get", "mempol", "table", "-n", "shop").stdout.splitlines()
    assert header.split() == [
        "NAME",
        "MODE",
        "ACCEPTED",
        "WORKLOADS",
        "LEAKING",
        "SUSPECT",
        "HELD",
        "REASON",
        "AGE",
    ]
    assert row.split()[:-1] == ["table", "Observe", "True", "3", "1", "1", "0", "Valid"]


def test_both_kinds_are_in_one_category(installed: Cluster, full: dict[str, Any]) -> None:
    assert (
        f"memoryincident.bilgepump.dev/{full['metadata']['name']}"
        in installed.kubectl("get", "bilgepump", "-n", "shop", "-o", "name").stdout
    )


@pytest.mark.parametrize(
    ("field", "explained"),
    [
        ("memorypolicy.spec.detection.threshold.percent", "70 means 70 %"),
        ("mempol.spec.remediation.cooldown", "Default: 6h"),
        ("memi.status.phase", "how far the incident has come"),
    ],
)
def test_kubectl_explains_fields(installed: Cluster, field: str, explained: str) -> None:
    text = " ".join(installed.kubectl("explain", field).stdout.split())
    assert explained.lower() in text.lower()
