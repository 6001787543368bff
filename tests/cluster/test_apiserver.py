"""The control plane alone serves the API, makes ServiceAccounts and collects garbage."""

from __future__ import annotations

import pytest

from tests.cluster.cluster import Cluster

pytestmark = pytest.mark.apiserver


def test_it_needs_no_node(apiserver: Cluster) -> None:
    assert apiserver.get("/api/v1/nodes")["items"] == []
    assert apiserver.node_address == "127.0.0.1"


def test_namespaces_come_and_go(apiserver: Cluster) -> None:
    apiserver.create_namespace("short-lived")
    apiserver.delete_namespace("short-lived")
    assert apiserver.get("/api/v1/namespaces/short-lived") is None


def test_what_does_not_exist_is_none(apiserver: Cluster) -> None:
    assert apiserver.get("/api/v1/namespaces/nowhere") is None


def test_custom_resources_are_validated_by_the_real_schema_code(apiserver: Cluster) -> None:
    spec = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "x-kubernetes-validations": [{"rule": "self.n > 1"}],
    }
    schema = {"type": "object", "properties": {"spec": spec}}
    apiserver.apply(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "things.example.com"},
            "spec": {
                "group": "example.com",
                "scope": "Namespaced",
                "names": {"kind": "Thing", "plural": "things"},
                "versions": [
                    {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
                ],
            },
        }
    )
    apiserver.kubectl("wait", "--for=condition=Established", "crd/things.example.com")
    thing = '{"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": {"n": 1}}'
    refused = apiserver.kubectl("apply", "-f", "-", stdin=thing, check=False)
    assert refused.returncode != 0
    assert "self.n > 1" in refused.stderr
