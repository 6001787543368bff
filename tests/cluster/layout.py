"""Where one cluster keeps its files, and which addresses it uses: all of it follows from name and index."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.cluster.cache import cache_root

NODE_NAME = "node1"
LOOPBACK = "127.0.0.1"
#: Networks 10.77.0.0/16 to 10.126.0.0/16: one for each cluster that runs on this machine.
FIRST_NETWORK = 77
NETWORK_COUNT = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Paths and addresses of one cluster.

    `index` chooses the network and the network interface. It is None for a control plane without a node,
    which listens on loopback, on ports chosen when it starts.
    """

    name: str
    index: int | None
    api_port: int = 6443
    etcd_port: int = 2379
    etcd_peer_port: int = 2380

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", self.name):
            raise ValueError(f"name: {self.name!r} is not allowed; 1 to 31 of a-z, 0-9 and -")
        if self.index is not None and not 0 <= self.index < NETWORK_COUNT:
            raise ValueError(f"index: {self.index} is not allowed; 0 to {NETWORK_COUNT - 1}")

    @property
    def has_node(self) -> bool:
        """Whether there is a node with a network of its own."""
        return self.index is not None

    @property
    def state_dir(self) -> Path:
        """Everything this cluster writes; removed when it goes down."""
        return state_dir(self.name)

    @property
    def network(self) -> ipaddress.IPv4Network:
        """The /16 that holds node, pods and services; the host has one route to it."""
        return ipaddress.IPv4Network(f"10.{FIRST_NETWORK + (self.index or 0)}.0.0/16")

    @property
    def node_address(self) -> str:
        """The node's address, where the API server listens; loopback without a node."""
        return str(self.network[1]) if self.has_node else LOOPBACK

    @property
    def host_address(self) -> str:
        """The machine's own address in the node's network."""
        return str(self.network[254])

    @property
    def pod_subnet(self) -> str:
        """The addresses of pods."""
        return f"{self.network[256]}/24"

    @property
    def service_subnet(self) -> str:
        """The addresses of Services, reachable from the machine too."""
        return f"{self.network[128 * 256]}/17"

    @property
    def first_service_address(self) -> str:
        """The address of the Service ``kubernetes``."""
        return str(ipaddress.IPv4Network(self.service_subnet)[1])

    @property
    def host_interface(self) -> str:
        """The machine's end of the cable to the node."""
        return host_interface(self.index or 0)

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://{self.node_address}:{self.api_port}"

    @property
    def etcd_url(self) -> str:
        """The URL at which etcd serves the API server."""
        return f"http://{LOOPBACK}:{self.etcd_port}"

    @property
    def cgroup(self) -> str:
        """The cgroup under which the kubelet keeps its pods."""
        return cgroup_name(self.name)

    @property
    def containerd_socket(self) -> Path:
        """Where containerd listens."""
        return self.state_dir / "containerd.sock"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.state_dir / "admin.kubeconfig"

    @property
    def audit_log(self) -> Path:
        """The API server's audit log."""
        return self.log("audit")

    def certificate(self, name: str) -> Path:
        """The certificate of a component."""
        return self.state_dir / "pki" / f"{name}.crt"

    def key(self, name: str) -> Path:
        """The private key of a component."""
        return self.state_dir / "pki" / f"{name}.key"

    def config(self, file_name: str) -> Path:
        """A component's configuration file."""
        return self.state_dir / "config" / file_name

    def component_kubeconfig(self, name: str) -> Path:
        """The kubeconfig of a component."""
        return self.config(f"{name}.kubeconfig")

    def log(self, name: str) -> Path:
        """A component's log."""
        return self.state_dir / "logs" / f"{name}.log"

    def process_record(self, name: str) -> Path:
        """What identifies a component's process."""
        return self.state_dir / "processes" / f"{name}.json"

    def save(self) -> None:
        """Write this down, so that other processes can find the cluster."""
        (self.state_dir / "layout.json").write_text(json.dumps(asdict(self)))


def load_layout(name: str) -> Layout | None:
    """The layout of a cluster that was brought up, or None."""
    file = state_dir(name) / "layout.json"
    return Layout(**json.loads(file.read_text())) if file.exists() else None


def clusters_root() -> Path:
    """The folder with one state folder per cluster."""
    return cache_root() / "clusters"


def state_dir(name: str) -> Path:
    """The state folder of the cluster `name`."""
    return clusters_root() / name


def cgroup_name(name: str) -> str:
    """The cgroup of the cluster `name`, under every controller."""
    return f"/bilgepump-{name}"


def host_interface(index: int) -> str:
    """The name of the machine's network interface to the cluster with this index."""
    return f"bilgepump{index}"


def interface_alias(name: str) -> str:
    """The alias that says whose a network interface is; the interface's own name is too short for that."""
    return f"bilgepump:{name}"
