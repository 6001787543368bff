"""`bilgepump explain`: what the controller thinks of one workload now, from the controller's own code."""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import yaml

from controller.cli.by_hand.access import Where, cluster_options, kind_and_name
from controller.cli.explanation import Explanation, document, gate_answers, print_explanation
from controller.cli.metrics_options import settings_from, source_options
from controller.clients.prometheus import PrometheusMemorySource
from controller.decision.decide import decide
from controller.decision.situation import Powers
from controller.inventory.workload import Platform, Workload, WorkloadRef
from controller.platforms.kubernetes.api import ApiRefusal, KubernetesApi
from controller.platforms.kubernetes.inventory import KubernetesInventory
from controller.platforms.kubernetes.paths import CLUSTER_POLICIES, CORE, POLICIES, in_namespace
from controller.platforms.kubernetes.records import KubernetesRecords
from controller.policy.book import RejectedPolicy, read_policy, spread
from controller.policy.memory_policy import MemoryPolicy
from controller.policy.parsing import CLUSTER_KIND, KIND
from controller.ports import MemorySource, PlatformUnavailable
from controller.reporting.incident import Incident
from controller.reporting.past import current_incident
from controller.settings import ConfigurationError, Settings, read_settings
from controller.sweep.alerts import read_alerts
from controller.sweep.fleet import FleetLedger
from controller.sweep.judging import Covered, cover, gather, judge_all
from controller.sweep.situations import SweepLimits, situation_of, with_evidence

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class CannotExplain(Exception):
    """What is wrong, and what to do about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, and of whom."""

    kind: str
    name: str
    namespace: str
    policy_files: tuple[Path, ...]
    """Empty: the policies of the namespace."""
    sources: Mapping[str, MemorySource]
    """By name; the one under the empty name stands for all."""
    limits: SweepLimits
    metrics_namespaces: frozenset[str]
    allow_short_lookback: bool


@click.command()
@click.argument("workload", metavar="KIND/NAME")
@cluster_options
@click.option(
    "--policy",
    "policies",
    type=_FILE,
    multiple=True,
    help="Judge by these policies, as if they were applied, and not by those of the namespace.",
)
@click.option(
    "--config", type=_FILE, help="The controller's settings file: its metrics sources, powers and limits."
)
@click.option(
    "--prometheus", "url", metavar="URL", help="Where memory is read, whatever source policies name."
)
@click.option(
    "--allow-short-lookback", is_flag=True, help="As a controller that allows short lookbacks would."
)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@source_options
def explain(
    workload: str,
    where: Where,
    policies: tuple[Path, ...],
    config: Path | None,
    url: str | None,
    allow_short_lookback: bool,
    output: str,
    **options: Any,
) -> None:
    """
    Explain what would be done about the workload KIND/NAME now, and why; nothing is changed.

    Which policy governs it, what its memory did, each test's number, each gate's answer.

    Example: bilgepump explain deploy/api -n shop --prometheus http://prometheus.monitoring:9090

    Exit codes: 0 explained, 1 something could not be read or found, 2 wrong usage.
    """
    kind, name = kind_and_name(workload)
    if (config is None) == (url is None):
        raise click.UsageError("give one of --prometheus URL and --config FILE")
    now = datetime.now(UTC)  # noqa: TID251  (a command line is where the real clock may be read)
    try:
        settings = read_settings(config) if config else Settings()
        question = Question(
            kind=kind,
            name=name,
            namespace=where.namespace,
            policy_files=policies,
            sources=_sources(settings, url, options),
            limits=_limits(settings, from_file=config is not None),
            metrics_namespaces=settings.metrics_namespaces,
            allow_short_lookback=allow_short_lookback or settings.allow_short_lookback,
        )
        explanation = asyncio.run(_explained(where.connect(), question, now))
    except (CannotExplain, ConfigurationError, PlatformUnavailable) as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    if output == "json":
        click.echo(json.dumps(document(explanation), indent=2, ensure_ascii=False))
    else:
        print_explanation(explanation)


def _sources(settings: Settings, url: str | None, options: dict[str, Any]) -> dict[str, MemorySource]:
    if url is not None:
        return {"": PrometheusMemorySource(settings_from(url, options))}
    return {source.name: PrometheusMemorySource(source.prometheus) for source in settings.metrics_sources}


def _limits(settings: Settings, *, from_file: bool) -> SweepLimits:
    """Without the controller's settings nobody knows what it may do: then only the policy limits it."""
    if not from_file:
        return SweepLimits()
    powers = Powers(
        capture=settings.powers.capture,
        remediate=settings.powers.remediate,
        suspended_because="`suspend: true` in its settings" if settings.suspend else "",
    )
    return SweepLimits(
        powers=powers,
        limits=settings.limits.over_all_policies,
        blocking_alerts=settings.blocking_alerts.rule,
    )


async def _explained(api: KubernetesApi, question: Question, now: datetime) -> Explanation:
    workload = await _workload(api, question)
    item = _governing(await _policies(api, question), workload, question)
    incidents = await KubernetesRecords(api, namespaces=(question.namespace,)).incidents()
    sources = question.sources
    if "" in sources:
        sources = {item.policy.metrics.source: sources[""]}
    return await explained(item, incidents, sources, question.limits, now)


async def explained(
    item: Covered,
    incidents: Sequence[Incident],
    sources: Mapping[str, MemorySource],
    limits: SweepLimits,
    now: datetime,
) -> Explanation:
    """The sweep's own steps for one workload, none of which changes anything. Raises CannotExplain."""
    workload = item.workload
    gathered = await gather(sources, [item], now)
    if why := gathered.unread.get((item.policy.key, item.policy.namespace)):
        raise CannotExplain(why)
    ((_, judgement),) = judge_all([item], gathered, now)
    memory = gathered.of(item.policy)
    if judgement is None or memory is None:
        raise CannotExplain(f"the metrics source knows no governed container of {workload.ref}")
    mine = [one for one in incidents if one.spec.workload_uid == workload.uid]
    alert_sources = {name: one for name, one in sources.items() if isinstance(one, PrometheusMemorySource)}
    alerts = await read_alerts(alert_sources, limits.blocking_alerts, [item.policy], now)
    ledger = FleetLedger([(item, judgement)], incidents, [workload], now, alerts)
    fleet = ledger.beside(workload, item.policy)
    situation = situation_of(item, judgement, mine, fleet, limits, now, looks=limits.limits.looks)
    incident = current_incident(workload, mine, situation.history)
    situation = with_evidence(situation, incident) if incident else situation
    return Explanation(
        situation=situation,
        memory=memory,
        incident=incident,
        gates=gate_answers(situation),
        decision=decide(situation),
    )


async def _workload(api: KubernetesApi, question: Question) -> Workload:
    ref = WorkloadRef(Platform.KUBERNETES, question.namespace, question.kind, question.name)
    inventory = KubernetesInventory(api, metrics_namespaces=question.metrics_namespaces, with_rollouts=True)
    found = await inventory.workload(ref)
    if found is None:
        raise CannotExplain(f"there is no {ref}")
    return found


async def _policies(
    api: KubernetesApi, question: Question
) -> tuple[list[MemoryPolicy], list[RejectedPolicy]]:
    """Good ones and bad ones; those of files are taken as applied in the workload's namespace."""
    if question.policy_files:
        documents = [one for path in question.policy_files for one in _documents(path, question.namespace)]
    else:
        documents = await api.items(in_namespace(POLICIES, question.namespace, "memorypolicies"))
        documents += await _cluster_wide(api)
    read = [read_policy(one, allow_short_lookback=question.allow_short_lookback) for one in documents]
    accepted = [one for one in read if isinstance(one, MemoryPolicy)]
    namespaces = await _namespace(api, question) if any(one.cluster_wide for one in accepted) else {}
    good = [one for policy in accepted for one in spread(policy, namespaces)]
    return good, [one for one in read if isinstance(one, RejectedPolicy)]


async def _cluster_wide(api: KubernetesApi) -> list[dict[str, Any]]:
    """ClusterMemoryPolicies, as far as the asking person may see them; whoever may not is told so."""
    try:
        return await api.items(CLUSTER_POLICIES)
    except ApiRefusal as refusal:
        if refusal.status == 403:
            click.echo("ClusterMemoryPolicies are left aside: you may not read them", err=True)
        elif refusal.status != 404:
            raise
        return []


async def _namespace(api: KubernetesApi, question: Question) -> dict[str, dict[str, str]]:
    document = await api.get(f"{CORE}/namespaces/{question.namespace}")
    return {question.namespace: document["metadata"].get("labels") or {}}


def _documents(path: Path, namespace: str) -> list[dict[str, Any]]:
    try:
        found = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise CannotExplain(f"{path}: {' '.join(str(error).split())}") from error
    policies = [one for one in found if isinstance(one, dict) and one.get("kind") in (KIND, CLUSTER_KIND)]
    if not policies:
        raise CannotExplain(f"{path}: holds no MemoryPolicy")
    return [
        one
        if one["kind"] == CLUSTER_KIND
        else {**one, "metadata": {"namespace": namespace, **(one.get("metadata") or {})}}
        for one in policies
    ]


def _governing(
    policies: tuple[Sequence[MemoryPolicy], Sequence[RejectedPolicy]], workload: Workload, question: Question
) -> Covered:
    good, bad = policies
    for item in cover(good, [workload]):
        return item
    seen = ", ".join(policy.name for policy in good) or "none"
    refused = "".join(f"\n{one.name} is not in force: {one.problems}" for one in bad)
    if "allowShortLookback" in refused:
        refused += "\n--allow-short-lookback judges as a controller with that setting would"
    raise CannotExplain(
        f"no policy governs {workload.ref}; policies of namespace {question.namespace}: {seen}{refused}"
    )
