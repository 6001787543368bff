"""What the components are told, for two clusters side by side."""

from __future__ import annotations

import datetime
import ipaddress
import json
import tomllib
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from tests.cluster.binaries import Binaries
from tests.cluster.components import apiserver
from tests.cluster.configuration import (
    AUDIT_POLICY,
    cni_configuration,
    containerd_configuration,
    kubelet_configuration,
    write_configuration,
)
from tests.cluster.layout import Layout, load_layout
from tests.cluster.pki import write_pki
from tests.cluster.prometheus import scrape_configuration

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def node(name: str = "one", index: int = 0) -> Layout:
    return Layout(name=name, index=index)


def test_two_clusters_share_no_address_no_path_and_no_cgroup() -> None:
    one, other = node("one", 0), node("other", 1)
    assert not one.network.overlaps(other.network)
    for name in ("node_address", "host_interface", "state_dir", "cgroup", "containerd_socket"):
        assert getattr(one, name) != getattr(other, name)


def test_node_pods_and_services_have_separate_parts_of_the_network() -> None:
    layout = node()
    pods, services = (ipaddress.IPv4Network(net) for net in (layout.pod_subnet, layout.service_subnet))
    assert pods.subnet_of(layout.network)
    assert services.subnet_of(layout.network)
    assert not pods.overlaps(services)
    assert not any(
        ipaddress.IPv4Address(address) in net
        for address in (layout.node_address, layout.host_address)
        for net in (pods, services)
    )


@pytest.mark.parametrize("name", ["", "Upper", "-dash", "a/b", "..", "x" * 32])
def test_a_name_that_cannot_be_a_path_or_cgroup_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"name: .* is not allowed"):
        node(name)


@pytest.mark.parametrize("index", [-1, 50])
def test_an_index_outside_the_networks_is_refused(index: int) -> None:
    with pytest.raises(ValueError, match=f"index: {index} is not allowed; 0 to 49"):
        node(index=index)


def test_the_unix_socket_path_of_the_longest_name_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/home/somebody-with-a-name/.cache")
    assert len(str(node("x" * 31).containerd_socket)) < 104


def test_a_layout_is_found_again_by_its_name() -> None:
    layout = Layout(name="one", index=None, api_port=1234)
    layout.state_dir.mkdir(parents=True)
    layout.save()
    assert load_layout("one") == layout
    assert load_layout("another") is None


def test_the_kubelet_keeps_its_pods_under_the_clusters_cgroup() -> None:
    configuration = yaml.safe_load(kubelet_configuration(node()))
    assert configuration["cgroupRoot"] == "/bilgepump-one"
    assert configuration["failCgroupV1"] is False


def test_containerd_and_kubelet_agree_on_the_socket() -> None:
    containerd = tomllib.loads(containerd_configuration(node()))
    kubelet = yaml.safe_load(kubelet_configuration(node()))
    assert kubelet["containerRuntimeEndpoint"] == f"unix://{containerd['grpc']['address']}"
    assert containerd["plugins"]["io.containerd.cri.v1.runtime"]["restrict_oom_score_adj"] is True


def test_pods_get_their_addresses_from_the_clusters_subnet() -> None:
    (ptp, _) = json.loads(cni_configuration(node(index=3)))["plugins"]
    assert ptp["ipam"]["ranges"] == [[{"subnet": "10.80.1.0/24"}]]


def test_the_audit_log_has_bodies_of_writes_but_never_of_credentials() -> None:
    credentials, writes, rest = AUDIT_POLICY["rules"]
    assert credentials["level"] == "Metadata"
    assert {"group": "", "resources": ["secrets", "serviceaccounts/token"]} in credentials["resources"]
    assert writes["level"] == "RequestResponse"
    assert "get" not in writes["verbs"]
    assert rest == {"level": "Metadata"}


def test_flags_are_spelled_as_kubernetes_spells_them() -> None:
    argv = apiserver(node(), Binaries({"kube-apiserver": Path("/bin/kube-apiserver")})).argv
    assert argv[0] == "/bin/kube-apiserver"
    assert "--authorization-mode=Node,RBAC" in argv
    assert "--allow-privileged=true" in argv


def test_every_component_has_a_certificate_of_its_own_user() -> None:
    layout = node()
    layout.state_dir.mkdir(parents=True)
    write_pki(layout, NOW)
    write_configuration(layout)
    kubelet = x509.load_pem_x509_certificate(layout.certificate("kubelet").read_bytes())
    assert kubelet.subject.rfc4514_string() == "O=system:nodes,CN=system:node:node1"
    server = x509.load_pem_x509_certificate(layout.certificate("apiserver").read_bytes())
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert addresses == {"127.0.0.1", layout.node_address, layout.first_service_address}
    assert layout.key("admin").stat().st_mode & 0o077 == 0
    kubeconfig = yaml.safe_load(layout.kubeconfig.read_text())
    assert kubeconfig["clusters"][0]["cluster"]["server"] == "https://10.77.0.1:6443"


def test_prometheus_honours_cadvisors_times_and_ends_series_with_their_container() -> None:
    cadvisor, _ = yaml.safe_load(scrape_configuration(node(), scrape_interval_seconds=5))["scrape_configs"]
    assert cadvisor["honor_timestamps"] is True
    assert cadvisor["track_timestamps_staleness"] is True
