"""The command line of each of the cluster's programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.cluster.binaries import Binaries
from tests.cluster.layout import LOOPBACK, NODE_NAME, Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A program of the cluster: what its log and record are called, and how it is started."""

    name: str
    argv: tuple[str, ...]


def etcd(layout: Layout, binaries: Binaries) -> Component:
    """etcd, which may lose its data: nothing here outlives the cluster."""
    peers = f"http://{LOOPBACK}:{layout.etcd_peer_port}"
    return _component(
        "etcd",
        binaries,
        data_dir=layout.state_dir / "etcd",
        listen_client_urls=layout.etcd_url,
        advertise_client_urls=layout.etcd_url,
        listen_peer_urls=peers,
        initial_advertise_peer_urls=peers,
        initial_cluster=f"default={peers}",
        unsafe_no_fsync=True,
        # The only member need not wait a second to see whether there is another.
        heartbeat_interval=10,
        election_timeout=100,
    )


def apiserver(layout: Layout, binaries: Binaries) -> Component:
    """The API server, with RBAC enforced and every request in the audit log."""
    return _component(
        "kube-apiserver",
        binaries,
        etcd_servers=layout.etcd_url,
        bind_address=layout.node_address if layout.has_node else LOOPBACK,
        secure_port=layout.api_port,
        advertise_address=layout.node_address,
        # Endpoints of the Service `kubernetes` may not be loopback addresses.
        endpoint_reconciler_type="lease" if layout.has_node else "none",
        service_cluster_ip_range=layout.service_subnet,
        tls_cert_file=layout.certificate("apiserver"),
        tls_private_key_file=layout.key("apiserver"),
        client_ca_file=layout.certificate("ca"),
        service_account_key_file=layout.key("service-account"),
        service_account_signing_key_file=layout.key("service-account"),
        service_account_issuer="https://kubernetes.default.svc",
        authorization_mode="Node,RBAC",
        enable_admission_plugins="NodeRestriction",
        kubelet_client_certificate=layout.certificate("apiserver-kubelet-client"),
        kubelet_client_key=layout.key("apiserver-kubelet-client"),
        kubelet_certificate_authority=layout.certificate("ca"),
        kubelet_preferred_address_types="InternalIP",
        allow_privileged=True,
        audit_policy_file=layout.config("audit.yaml"),
        audit_log_path=layout.audit_log,
        audit_log_maxsize=10_000,  # MiB: no rotation, so that no test reads half a log
    )


def controller_manager(layout: Layout, binaries: Binaries) -> Component:
    """The controller manager, each controller under its own ServiceAccount.

    Its own limit of 20 requests a second would make it wait four seconds before it serves.
    """
    return _component(
        "kube-controller-manager",
        binaries,
        kubeconfig=layout.component_kubeconfig("controller-manager"),
        service_account_private_key_file=layout.key("service-account"),
        root_ca_file=layout.certificate("ca"),
        use_service_account_credentials=True,
        kube_api_qps=500,
        kube_api_burst=1000,
        leader_elect=False,
        secure_port=0,
    )


def scheduler(layout: Layout, binaries: Binaries) -> Component:
    """The scheduler."""
    return _component(
        "kube-scheduler",
        binaries,
        kubeconfig=layout.component_kubeconfig("scheduler"),
        leader_elect=False,
        secure_port=0,
    )


def containerd(layout: Layout, binaries: Binaries) -> Component:
    """containerd."""
    return _component("containerd", binaries, config=layout.config("containerd.toml"))


def kubelet(layout: Layout, binaries: Binaries) -> Component:
    """The kubelet.

    Without ``--containerd`` cAdvisor looks for the socket at its default path only, and its series then carry
    no `pod` and `container` labels.
    """
    return _component(
        "kubelet",
        binaries,
        config=layout.config("kubelet.yaml"),
        kubeconfig=layout.component_kubeconfig("kubelet"),
        hostname_override=NODE_NAME,
        node_ip=layout.node_address,
        root_dir=layout.state_dir / "kubelet",
        housekeeping_interval="5s",
        containerd=layout.containerd_socket,
    )


def proxy(layout: Layout, binaries: Binaries) -> Component:
    """kube-proxy."""
    return _component("kube-proxy", binaries, config=layout.config("proxy.yaml"))


def _component(program: str, binaries: Binaries, **flags: object) -> Component:
    return Component(name=program, argv=(str(binaries[program]), *_flags(flags)))


def _flags(flags: dict[str, object]) -> Iterator[str]:
    for name, value in flags.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        yield f"--{name.replace('_', '-')}={text}"
