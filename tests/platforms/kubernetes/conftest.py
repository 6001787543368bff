"""A connection to the real API server, and a namespace of each test's own there."""

import uuid
from collections.abc import AsyncIterator

import pytest
from kubernetes.client import ApiClient, Configuration
from kubernetes.config import load_kube_config

from controller.platforms.kubernetes import paths
from controller.platforms.kubernetes.api import KubernetesApi
from tests.cluster.cluster import Cluster


@pytest.fixture
def api(apiserver: Cluster) -> KubernetesApi:
    configuration = Configuration()
    load_kube_config(str(apiserver.kubeconfig), client_configuration=configuration)  # type: ignore[no-untyped-call]
    return KubernetesApi(ApiClient(configuration))


@pytest.fixture
async def namespace(api: KubernetesApi) -> AsyncIterator[str]:
    name = f"replacing-{uuid.uuid4().hex[:6]}"
    await api.create(f"{paths.CORE}/namespaces", {"metadata": {"name": name}})
    yield name
    await api.delete(f"{paths.CORE}/namespaces/{name}")
