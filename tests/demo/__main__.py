"""
`make demo`: the whole story on a real cluster, from nothing.

A service leaks; the leak is found, its profile is kept, it is restarted without losing a request, memory is
shown to have come down, and everything is torn down again.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.cluster.__main__ import FAILURES
from tests.cluster.binaries import is_built
from tests.cluster.client import KubernetesClient
from tests.cluster.cluster import Cluster
from tests.cluster.given import from_environment, kind_cluster, kind_works
from tests.cluster.lifecycle import running
from tests.cluster.preparation import prepare
from tests.cluster.progress import PROGRESS, elapsed_text
from tests.cluster.prometheus import Prometheus
from tests.cluster.waiting import wait_until
from tests.demo.keepsakes import FOLDER, heap_files, keep, our_events, pprof_top
from tests.demo.narration import MIB, Narrator, utc_now
from tests.demo.prometheus import PrometheusPod
from tests.demo.recording import Recording
from tests.demo.stage import (
    CONTROLLER_NAMESPACE,
    RELEASE,
    a_policy,
    deploy,
    install_controller,
    load_controller_image,
    load_result,
    load_story_image,
)
from tests.workloads.story import build_story

NAMESPACE = "shop"
LIMIT_BYTES = 128 * MIB
THRESHOLD_RATIO = 0.7
STORY_TIMEOUT_SECONDS = 900
LOOK_EVERY_SECONDS = 2.0
CLUSTER = "demo"


def main() -> int:
    """Runs the demo; exit code 0 when the story ended as it should."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave everything running and say how to use it")
    arguments = parser.parse_args()
    started = time.monotonic()
    try:
        with _cluster(keep=arguments.keep) as (cluster, prometheus):
            good = _story(cluster, prometheus)
            if arguments.keep:
                _say_how_to_use(cluster, prometheus.url)
    except KeyboardInterrupt:
        PROGRESS.say("interrupted; everything was taken down")
        return 130
    except FAILURES as failure:
        PROGRESS.say(f"error: {failure}")
        return 1
    PROGRESS.say(f"the demo took {elapsed_text(time.monotonic() - started)}")
    return 0 if good else 1


@contextlib.contextmanager
def _cluster(*, keep: bool) -> Iterator[tuple[Any, Any]]:
    """The cluster somebody gave, one made by kind, or one of our own, with a Prometheus in it."""
    given = from_environment(accept_kubeconfig=True)
    if given is not None:
        PROGRESS.say("using the cluster of your kubeconfig; about 6 minutes")
        with _borrowed(given, keep=keep), PrometheusPod(given, keep=keep) as prometheus:
            yield given, prometheus
        return
    if kind_works():
        PROGRESS.say("docker and kind are here: using a kind cluster; about 9 minutes")
        with kind_cluster(CLUSTER, keep=keep) as cluster, PrometheusPod(cluster, keep=keep) as prometheus:
            yield cluster, prometheus
        return
    _prepare()
    with running(name=CLUSTER, keep=keep) as cluster:
        prometheus = Prometheus(cluster)
        prometheus.start()
        yield cluster, prometheus


@contextlib.contextmanager
def _borrowed(cluster: KubernetesClient, *, keep: bool) -> Iterator[None]:
    """Refuses a cluster that already has what the demo would bring; leaves it afterwards as it was."""
    for name in (NAMESPACE, CONTROLLER_NAMESPACE):
        if cluster.get(f"/api/v1/namespaces/{name}") is not None:
            raise ValueError(f"your cluster already has a namespace '{name}': the demo would mix with it")
    definitions = "memorypolicies.bilgepump.dev", "memoryincidents.bilgepump.dev"
    if cluster.kubectl("get", "crd", definitions[0], check=False).returncode == 0:
        raise ValueError("your cluster already has Bilgepump's definitions: the demo would mix with them")
    try:
        yield
    finally:
        if not keep:
            with PROGRESS.step("everything of the demo is removed from your cluster", 30):
                cluster.helm("uninstall", RELEASE, "--namespace", CONTROLLER_NAMESPACE, check=False)
                for name in (NAMESPACE, CONTROLLER_NAMESPACE):
                    cluster.delete_namespace(name, timeout_seconds=180)
                cluster.kubectl("delete", "crd", "--ignore-not-found", *definitions)


def _prepare() -> None:
    """Builds what is missing, binaries and images side by side, and says how long it will take."""
    if is_built():
        PROGRESS.say("everything is built already: the story takes about 7 minutes")
    else:
        PROGRESS.say(
            "the first run builds a real Kubernetes from source and an image: about 15 minutes on 2 cores, "
            "then the story takes about 7; later runs skip the building"
        )
    prepare()
    build_story()


def _story(cluster: KubernetesClient, prometheus: Any) -> bool:
    """Sets the stage, watches, and shows what is left. True when it ended as it should."""
    with PROGRESS.step("images into the cluster", 10):
        load_story_image(cluster)
        load_controller_image(cluster)
    with PROGRESS.step("the controller, by Helm", 20):
        install_controller(cluster, prometheus.url)
    with PROGRESS.step("the story's services", 20):
        cluster.create_namespace(NAMESPACE)
        deploy(cluster, NAMESPACE, "story", "warmup", "sawtooth")
        for name in ("api", "pricing", "warmup", "sawtooth"):
            cluster.wait_for_rollout("deployment", name, NAMESPACE, timeout_seconds=90)
        memory = f'container_memory_rss{{namespace="{NAMESPACE}",container="app"}}'
        wait_until("Prometheus measures memory", lambda: prometheus.query(memory), timeout_seconds=60)
        cluster.apply(a_policy(NAMESPACE), _neighbours())
    before = _uids(cluster)
    deploy(cluster, NAMESPACE, "load")
    recording = Recording(cluster, NAMESPACE, prometheus.query)
    narrator = Narrator(LIMIT_BYTES, THRESHOLD_RATIO)
    narrator.heading("A service leaks: 3 replicas, limit 128 MiB, threshold 70 % (┃)")
    with narrator:
        incident = _watch(cluster, recording, narrator)
    return _epilogue(cluster, recording, narrator, incident, before)


def _neighbours() -> dict[str, Any]:
    """A policy over two healthy services: a warm-up and a big garbage collector's sawtooth."""
    selector = {"matchExpressions": [{"key": "app", "operator": "In", "values": ["warmup", "sawtooth"]}]}
    return a_policy(NAMESPACE, "neighbours", target={"selector": selector})


def _watch(cluster: KubernetesClient, recording: Recording, narrator: Narrator) -> dict[str, Any]:
    def closed() -> dict[str, Any] | None:
        for moment in recording.look(utc_now()):
            narrator.moment(moment)
        load = load_result(cluster, NAMESPACE)
        narrator.memory(recording.memory[-1][1], load.failed, load.sent)
        incident = recording.incident()
        return incident if incident and incident.get("status", {}).get("closedAt") else None

    return wait_until(
        "the incident is closed",
        closed,
        timeout_seconds=STORY_TIMEOUT_SECONDS,
        poll_seconds=LOOK_EVERY_SECONDS,
    )


def _epilogue(
    cluster: KubernetesClient,
    recording: Recording,
    narrator: Narrator,
    incident: dict[str, Any],
    before: dict[str, set[str]],
) -> bool:
    load = load_result(cluster, NAMESPACE)
    status, after = incident["status"], _uids(cluster)
    files = keep(cluster, recording, incident, int(THRESHOLD_RATIO * LIMIT_BYTES))
    _show(narrator, "kubectl get memi", cluster.kubectl("-n", NAMESPACE, "get", "memi").stdout)
    _show(narrator, "kubectl get events", our_events(cluster, NAMESPACE))
    baseline, late = heap_files(FOLDER / "profiles")
    if late is not None:
        _show(narrator, "what the kept profiles say", pprof_top(baseline, late))
    peak = status.get("order", {}).get("memoryBeforeBytes", 0)
    now = status.get("recovery", {}).get("memoryAfterBytes", 0)
    checks = {
        f"the incident is Resolved (it is {status['phase']})": status["phase"] == "Resolved",
        f"memory came down: {peak / MIB:.0f} MiB at the restart, {now / MIB:.0f} MiB now": now < peak,
        f"no request failed: {load.failed} of {load.sent}": load.failed == 0 and load.sent > 0,
        "every replica of the leaking service is new": not before["api"] & after["api"],
        "the healthy neighbours were left alone": all(
            before[name] == after[name] for name in ("warmup", "sawtooth")
        ),
        "a heap profile is kept": late is not None,
    }
    narrator.heading("How it ended")
    for what, good in checks.items():
        narrator.say(f"  {'yes' if good else 'NO '}  {what}")
    narrator.heading("Kept")
    for path in files:
        narrator.say(f"  {path.relative_to(FOLDER.parents[1])}")
    return all(checks.values())


def _uids(cluster: KubernetesClient) -> dict[str, set[str]]:
    return {
        name: {pod["metadata"]["uid"] for pod in cluster.pods(NAMESPACE, f"app={name}")}
        for name in ("api", "warmup", "sawtooth")
    }


def _show(narrator: Narrator, title: str, text: str) -> None:
    narrator.heading(title)
    narrator.say(text.rstrip())


def _say_how_to_use(cluster: KubernetesClient, prometheus_url: str) -> None:
    environment = cluster.environment()
    here = Path(sys.executable).parent
    to_end = f"{sys.executable} -m tests.cluster down --name {CLUSTER}"
    if not isinstance(cluster, Cluster):
        to_end = f"helm uninstall {RELEASE} -n {CONTROLLER_NAMESPACE}; kubectl delete ns {NAMESPACE}"
    PROGRESS.say(
        "everything still runs. To use it:\n"
        f"  export KUBECONFIG={cluster.kubeconfig} PATH={here}:{environment['PATH'].split('/usr')[0]}$PATH\n"
        f"  kubectl -n {NAMESPACE} get memi,mempol,pods\n"
        f"  kubectl bilgepump leaks -n {NAMESPACE} --closed\n"
        f"  kubectl bilgepump explain deploy/api -n {NAMESPACE} --prometheus {prometheus_url} "
        "--allow-short-lookback\n"
        f"To end it: {to_end}"
    )


if __name__ == "__main__":
    sys.exit(main())
