"""
Argo Rollouts (`argoproj.io/v1alpha1`), as far as they differ from Deployments. Pure.

A Rollout is restarted by `spec.restartAt`: its controller evicts every pod that is older, one at a time or
up to `maxUnavailable`, and its ReplicaSets make new ones of the same revision
(https://argoproj.github.io/argo-rollouts/features/restart/). No new ReplicaSet, so no canary steps.
"""

from collections.abc import Mapping
from typing import Any

from controller.inventory.workload import RolloutState
from controller.platforms.kubernetes.moments import moment

Document = Mapping[str, Any]

KIND = "Rollout"
RESTART_AT = "restartAt"
POD_HASH = "rollouts-pod-template-hash"
"""The label by which a Rollout's ReplicaSets and Services know their pods."""
REPLACE_REFUSAL = (
    f"its Services select pods by the label `{POD_HASH}`, which a pod that is released loses: it would leave "
    "the traffic before its replacement is there"
)
_WORKLOAD_GENERATION = "rollout.argoproj.io/workload-generation"
"""The generation of what `workloadRef` names, as the Rollout's controller has seen it last."""
_PHASES = {
    "Degraded": RolloutState.FAILED,
    "Paused": RolloutState.PAUSED,
    "Healthy": RolloutState.STEADY,
}


def rollout_state(metadata: Document, spec: Document, status: Document) -> tuple[RolloutState, str]:
    """
    What its controller is doing, and a sentence about it.

    Steady is only what its controller calls Healthy, in a status that is up to date, with one revision of
    pods: what says nothing of itself is taken to be under way.
    """
    if spec.get("paused"):
        return RolloutState.PAUSED, "its rollout is paused (`spec.paused`)"
    if lagging := _lagging(metadata, spec, status):
        return RolloutState.PROGRESSING, lagging
    phase, message = str(status.get("phase") or ""), str(status.get("message") or "")
    state = _PHASES.get(phase, RolloutState.PROGRESSING)
    if state is not RolloutState.STEADY:
        told = f"its phase is {phase or 'not told'}" + (f": {message}" if message else "")
        return state, told
    return _between_revisions(spec, status)


def _lagging(metadata: Document, spec: Document, status: Document) -> str:
    """What its controller has not taken up yet; empty where it has taken up everything."""
    # A string, since it was a hash once; such an old one is never seen as up to date.
    if str(status.get("observedGeneration") or "") != str(metadata.get("generation") or 0):
        return "its newest change has not been taken up yet"
    newest = (metadata.get("annotations") or {}).get(_WORKLOAD_GENERATION)
    seen = status.get("workloadObservedGeneration")
    # Both stay behind where a Rollout once referred to another object and has a template of its own now.
    if referenced(spec) is not None and newest and seen and str(newest) != str(seen):
        return "the newest change of what its `workloadRef` names has not been taken up yet"
    return ""


def _between_revisions(spec: Document, status: Document) -> tuple[RolloutState, str]:
    """Steady, unless two revisions stand side by side or a restart is due."""
    if status.get("pauseConditions") or status.get("controllerPause"):
        return RolloutState.PAUSED, "its rollout is paused at a step (`status.pauseConditions`)"
    stable, current = status.get("stableRS"), status.get("currentPodHash")
    if stable != current:
        return RolloutState.PROGRESSING, f"revision {current} has not taken the place of {stable} yet"
    surplus = int(status.get("replicas") or 0) - _wanted(spec)
    if surplus > 0:
        return RolloutState.PROGRESSING, f"{surplus} old replicas are still there"
    asked, done = spec.get(RESTART_AT), status.get("restartedAt")
    if asked and moment(asked) != moment(done):
        return RolloutState.PROGRESSING, f"the restart that was asked for {asked} is not over yet"
    return RolloutState.STEADY, ""


def _wanted(spec: Document) -> int:
    replicas = spec.get("replicas")
    return 1 if replicas is None else int(replicas)


def template_revision(status: Document) -> str:
    """The revision that new pods are made from; a restart does not change it."""
    return str(status.get("currentPodHash") or "")


def strategy(spec: Document) -> Document:
    """What stands under `strategy.canary` or `strategy.blueGreen`."""
    strategies = spec.get("strategy") or {}
    return strategies.get("canary") or strategies.get("blueGreen") or {}


def referenced(spec: Document) -> tuple[str, str] | None:
    """Kind and name of what has its pod template (`workloadRef`); None where that is its own."""
    reference = spec.get("workloadRef")
    if not reference:
        return None
    return str(reference.get("kind") or ""), str(reference.get("name") or "")
