"""A real Kubernetes cluster without a container engine, for tests, the demo and work by hand.

The node is a set of Linux namespaces of its own (network, mounts, processes), so nothing it does reaches
the machine, clusters side by side cannot collide, and ending its first process ends everything in it. What
runs on it is not simulated: API server, controller manager, scheduler, kubelet, kube-proxy, etcd, containerd
and Prometheus are built from their own Go modules (``binaries``).

By hand: ``python -m tests.cluster build|up|status|down [--name NAME]``.
In code: ``with running(name="mine") as cluster: ...`` (``lifecycle``).
In tests: the fixtures ``apiserver`` and ``cluster`` (``fixtures``).
"""
