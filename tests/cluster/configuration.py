"""The components' configuration files, as text."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.layout import NODE_NAME, Layout

CNI_PLUGINS = "/usr/lib/cni"  # where Debian's containernetworking-plugins puts them
PAUSE_IMAGE = "bilgepump.dev/pause:test"

#: What the kubelet would set on the whole machine. The node sees these values over the real ones, so that
#: nothing needs setting (k8s.io/kubernetes pkg/kubelet/cm/container_manager_linux.go, setupKernelTunables).
KERNEL_SETTINGS = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1_000_000,
    "kernel/keys/root_maxbytes": 25_000_000,
}

#: Bodies of writes, so that tests can read what a ServiceAccount changed; never those that carry credentials.
AUDIT_POLICY: dict[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {
            "level": "Metadata",
            "resources": [
                {"group": "", "resources": ["secrets", "serviceaccounts/token"]},
                {"group": "authentication.k8s.io"},
            ],
        },
        {"level": "RequestResponse", "verbs": ["create", "update", "patch", "delete", "deletecollection"]},
        {"level": "Metadata"},
    ],
}


def kubeconfig(layout: Layout, identity: str) -> str:
    """A kubeconfig that carries its certificates, so that the file can be copied anywhere."""

    def embedded(path: Path) -> str:
        return base64.b64encode(path.read_bytes()).decode()

    cluster = {"server": layout.server, "certificate-authority-data": embedded(layout.certificate("ca"))}
    user = {
        "client-certificate-data": embedded(layout.certificate(identity)),
        "client-key-data": embedded(layout.key(identity)),
    }
    return _yaml(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": layout.name, "cluster": cluster}],
            "users": [{"name": identity, "user": user}],
            "contexts": [{"name": layout.name, "context": {"cluster": layout.name, "user": identity}}],
            "current-context": layout.name,
        }
    )


def containerd_configuration(layout: Layout) -> str:
    """``containerd.toml``, version 3.

    ``restrict_oom_score_adj``: where negative scores are refused, every sandbox would fail without it.
    """
    state = layout.state_dir
    return f"""\
version = 3
root = '{state}/containerd/root'
state = '{state}/containerd/state'
[grpc]
  address = '{layout.containerd_socket}'
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '{PAUSE_IMAGE}'
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ['{CNI_PLUGINS}']
  conf_dir = '{layout.config("cni")}'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'
"""


def cni_configuration(layout: Layout) -> str:
    """One node needs no more than a cable per pod, local addresses and host ports."""
    ipam = {
        "type": "host-local",
        "ranges": [[{"subnet": layout.pod_subnet}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    return json.dumps(
        {
            "cniVersion": "1.0.0",
            "name": "pods",
            "plugins": [
                {"type": "ptp", "ipMasq": False, "ipam": ipam},
                {"type": "portmap", "capabilities": {"portMappings": True}},
            ],
        }
    )


def kubelet_configuration(layout: Layout) -> str:
    """The kubelet's configuration, for cgroup v1 and v2 alike."""
    return _yaml(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "failCgroupV1": False,
            "failSwapOn": False,
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": layout.cgroup,
            "oomScoreAdj": 0,
            "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
            "authentication": {
                "x509": {"clientCAFile": str(layout.certificate("ca"))},
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(layout.certificate("kubelet")),
            "tlsPrivateKeyFile": str(layout.key("kubelet")),
            "evictionHard": {
                "memory.available": "100Mi",
                "nodefs.available": "1%",
                "imagefs.available": "1%",
            },
            "imageGCHighThresholdPercent": 100,  # a full disk of the machine must not remove imported images
            "syncFrequency": "5s",
            "resolvConf": "",
            "localStorageCapacityIsolation": False,
        }
    )


def proxy_configuration(layout: Layout) -> str:
    """kube-proxy's configuration; it leaves the connection tracking limits alone."""
    return _yaml(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "clientConnection": {"kubeconfig": str(layout.component_kubeconfig("proxy"))},
            "hostnameOverride": NODE_NAME,
            "clusterCIDR": layout.pod_subnet,
            "oomScoreAdj": 0,
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
        }
    )


def write_configuration(layout: Layout) -> None:
    """Write every file the components read. Needs the certificates (`pki.write_pki`)."""
    for folder in (layout.config("cni"), layout.log("audit").parent):
        folder.mkdir(parents=True, exist_ok=True)
    for identity in ("controller-manager", "scheduler", "kubelet", "proxy", "prometheus"):
        _write_private(layout.component_kubeconfig(identity), kubeconfig(layout, identity))
    _write_private(layout.kubeconfig, kubeconfig(layout, "admin"))
    layout.config("audit.yaml").write_text(_yaml(AUDIT_POLICY))
    layout.config("containerd.toml").write_text(containerd_configuration(layout))
    layout.config("cni/10-pods.conflist").write_text(cni_configuration(layout))
    layout.config("kubelet.yaml").write_text(kubelet_configuration(layout))
    layout.config("proxy.yaml").write_text(proxy_configuration(layout))


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def _yaml(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False)
