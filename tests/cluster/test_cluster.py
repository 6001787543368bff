"""The whole cluster does what a real one does, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.audit import WRITES
from tests.cluster.binaries import build
from tests.cluster.client import CommandError
from tests.cluster.cluster import Cluster
from tests.cluster.images import static_binary_image
from tests.cluster.leftovers import leftovers
from tests.cluster.lifecycle import down, up
from tests.cluster.ownership import ClusterInUse
from tests.cluster.prometheus import Prometheus
from tests.cluster.waiting import wait_until

pytestmark = pytest.mark.cluster

REPOSITORY = Path(__file__).parents[2]
NAMESPACE = "hello"
IMAGE = "bilgepump.dev/hello:test"
REPLICAS = 2
MEMORY_LIMIT_BYTES = 32 * 1024 * 1024


def hello_manifests() -> tuple[dict[str, Any], ...]:
    labels = {"app": "hello"}
    container = {
        "name": "app",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "ports": [{"containerPort": 8080}],
        "resources": {"limits": {"memory": str(MEMORY_LIMIT_BYTES)}},
        "readinessProbe": {"httpGet": {"port": 8080}, "periodSeconds": 1},
    }
    annotations = {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "hello", "namespace": NAMESPACE},
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
            },
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "hello", "namespace": NAMESPACE},
        "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    return deployment, service


@pytest.fixture(scope="module")
def hello(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster with a Deployment of two replicas and its Service in it."""
    archive = tmp_path_factory.mktemp("hello") / "hello.tar"
    static_binary_image(archive, build(("hello",))["hello"], tag=IMAGE)
    cluster.import_image(archive)
    cluster.create_namespace(NAMESPACE)
    cluster.apply(*hello_manifests())
    cluster.wait_for_rollout("Deployment", "hello", NAMESPACE)
    yield cluster
    cluster.delete_namespace(NAMESPACE)


def test_the_node_is_ready_and_runs_the_version_that_was_built(cluster: Cluster) -> None:
    printed = cluster.kubectl("get", "nodes", "--no-headers").stdout.split()
    assert printed[1] == "Ready"
    assert printed[4] == "v1.36.3"


def test_helm_talks_to_the_cluster(cluster: Cluster) -> None:
    assert "NAME" in cluster.helm("list", "--all-namespaces").stdout


def test_a_service_answers_from_every_replica_through_kube_proxy(hello: Cluster) -> None:
    service = hello.get(f"/api/v1/namespaces/{NAMESPACE}/services/hello")
    pods = {pod["metadata"]["name"] for pod in hello.pods(NAMESPACE, "app=hello")}
    seen: set[str] = set()

    def all_seen() -> bool:
        with urllib.request.urlopen(f"http://{service['spec']['clusterIP']}/", timeout=5) as answer:
            seen.add(answer.read().decode().strip())
        return seen == pods

    wait_until("every replica has answered", all_seen, timeout_seconds=30, poll_seconds=0.01)
    assert len(pods) == REPLICAS


def test_pods_are_reached_at_their_own_addresses(hello: Cluster) -> None:
    addresses = hello.pod_ips(NAMESPACE, "app=hello")
    assert len(addresses) == REPLICAS
    for address in addresses:
        with urllib.request.urlopen(f"http://{address}:8080/", timeout=5) as answer:
            assert answer.status == 200


def test_prometheus_has_memory_series_with_pod_and_container(hello: Cluster, prometheus: Prometheus) -> None:
    selector = f'{{namespace="{NAMESPACE}", container="app"}}'
    series = prometheus.wait_for_series(f"container_memory_rss{selector} > 0")
    assert all(one["metric"]["pod"].startswith("hello-") for one in series)
    limits = prometheus.wait_for_series(f"container_spec_memory_limit_bytes{selector}")
    assert {int(one["value"][1]) for one in limits} == {MEMORY_LIMIT_BYTES}


def test_prometheus_scrapes_annotated_pods(hello: Cluster, prometheus: Prometheus) -> None:
    pods = {pod["metadata"]["name"] for pod in hello.pods(NAMESPACE, "app=hello")}
    wait_until(
        "both pods are scraped",
        lambda: {one["metric"]["pod"] for one in prometheus.query('up{job="pods"} == 1')} >= pods,
        timeout_seconds=60,
    )
    assert prometheus.query(f'hello_answers_total{{namespace="{NAMESPACE}"}}')


def test_prometheus_can_be_taken_down_and_keeps_its_data(hello: Cluster, prometheus: Prometheus) -> None:
    expression = f'count(container_memory_rss{{namespace="{NAMESPACE}"}} offset 1s)'
    prometheus.wait_for_series(expression)
    prometheus.stop()
    assert not prometheus.is_ready()
    prometheus.start()
    assert prometheus.query(expression)


def test_the_controllers_image_runs_restricted_and_reaches_api_server_and_prometheus(
    hello: Cluster, prometheus: Prometheus, loaded_controller_image: str
) -> None:
    program = (
        "import getpass, os, ssl, urllib.request\n"
        "import boto3, jinja2, kopf, kubernetes.client, numpy, prometheus_api_client, zoneinfo\n"
        "import controller\n"
        "zoneinfo.ZoneInfo('Asia/Kolkata')\n"
        "boto3.client('ecs', region_name='eu-west-1')\n"
        "account = '/var/run/secrets/kubernetes.io/serviceaccount'\n"
        "server = f'https://{os.environ[\"KUBERNETES_SERVICE_HOST\"]}/version'\n"
        "trusted = ssl.create_default_context(cafile=f'{account}/ca.crt')\n"
        "version = urllib.request.urlopen(server, context=trusted, timeout=10).read().decode()\n"
        f"urllib.request.urlopen('{prometheus.url}/-/ready', timeout=10)\n"
        "print(getpass.getuser(), os.getuid(), 'v1.36.3' in version)\n"
    )
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "restricted", "namespace": NAMESPACE},
        "spec": {
            "restartPolicy": "Never",
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "app",
                    "image": loaded_controller_image,
                    "imagePullPolicy": "Never",
                    "command": ["python3", "-c", program],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }
    hello.apply(pod)

    def phase_at_the_end() -> str | None:
        phase: str = hello.get(f"/api/v1/namespaces/{NAMESPACE}/pods/restricted")["status"]["phase"]
        return phase if phase in ("Succeeded", "Failed") else None

    ended = hello.wait_until("the pod has ended", phase_at_the_end, timeout_seconds=60)
    printed = hello.kubectl("logs", "restricted", "-n", NAMESPACE).stdout
    assert (ended, printed) == ("Succeeded", "bilgepump 65532 True\n")


def test_a_killed_container_is_restarted(hello: Cluster) -> None:
    name = hello.pods(NAMESPACE, "app=hello")[0]["metadata"]["name"]
    hello.kill_container(NAMESPACE, name, "app")

    def restarted() -> bool:
        pod = hello.get(f"/api/v1/namespaces/{NAMESPACE}/pods/{name}")
        return bool(pod["status"]["containerStatuses"][0]["restartCount"] == 1)

    hello.wait_until("the kubelet has restarted the container", restarted, timeout_seconds=30)
    hello.wait_for_rollout("Deployment", "hello", NAMESPACE)


def test_the_audit_log_shows_a_write_with_its_body(hello: Cluster) -> None:
    hello.kubectl("annotate", "deployment", "hello", "example.com/note=seen", "-n", NAMESPACE)
    (patch,) = (
        event
        for event in hello.audit_events(user="admin", verbs={"patch"})
        if event.namespace == NAMESPACE and "example.com/note" in str(event.request_body)
    )
    assert patch.kind_of_write == "patch deployments.apps"
    assert patch.status_code == 200
    assert patch.response_body["metadata"]["annotations"]["example.com/note"] == "seen"


def test_the_audit_log_keeps_no_bodies_of_secrets(cluster: Cluster) -> None:
    cluster.kubectl("create", "secret", "generic", "hidden", "--from-literal=key=unspeakable")
    (creation,) = (
        event
        for event in cluster.audit_events(user="admin", verbs=WRITES)
        if event.resource == "secrets" and event.namespace == "default"
    )
    cluster.kubectl("delete", "secret", "hidden")
    assert creation.request_body is None
    assert creation.response_body is None
    assert "unspeakable" not in cluster.audit_log.read_text()


def test_rbac_is_enforced(cluster: Cluster) -> None:
    with pytest.raises(CommandError, match="Forbidden"):
        cluster.kubectl("get", "pods", "--as=system:serviceaccount:default:default")


def test_nothing_of_the_node_is_seen_on_the_machine(hello: Cluster) -> None:
    mounts = Path("/proc/self/mounts").read_text()
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True)
    assert str(hello.state_dir) not in mounts
    assert "KUBE-SERVICES" not in rules.stdout


def test_a_second_cluster_beside_the_first_has_its_own_network(cluster: Cluster) -> None:
    with_node = up(name="beside")
    try:
        assert with_node.node_address != cluster.node_address
        assert with_node.kubectl("get", "nodes", "--no-headers").stdout.split()[1] == "Ready"
        assert cluster.is_serving()
    finally:
        down("beside")
    assert leftovers("beside") == []
    assert cluster.is_serving()


def test_a_cluster_that_is_up_is_not_taken_by_another(cluster: Cluster) -> None:
    with pytest.raises(ClusterInUse, match=cluster.name):
        up(name=cluster.name)


def started_by_another_process(name: str) -> subprocess.Popen[str]:
    """A process that has brought a cluster up and waits; its cluster goes with it."""
    program = (
        "import sys, time\n"
        "from tests.cluster.lifecycle import running\n"
        f"with running(name={name!r}) as cluster:\n"
        "    print('up', flush=True)\n"
        "    time.sleep(600)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "up"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_nothing_is_left_of_an_interrupted_run(number: signal.Signals) -> None:
    with started_by_another_process("interrupted") as process:
        assert leftovers("interrupted")
        process.send_signal(number)
        process.wait(timeout=30)
    assert leftovers("interrupted") == []


def test_programs_of_a_killed_run_end_with_it_and_down_removes_the_rest() -> None:
    with started_by_another_process("killed") as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=30)
    wait_until(
        "no process of the killed run is left",
        lambda: not any(line.startswith("process") for line in leftovers("killed")),
        timeout_seconds=10,
    )
    assert leftovers("killed")
    down("killed")
    assert leftovers("killed") == []
