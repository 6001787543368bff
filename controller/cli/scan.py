"""`bilgepump scan`: every leaking container that Prometheus or CloudWatch knows, with nothing installed."""

import asyncio
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.status import Status

from controller.cli.metrics_options import settings_from, source_options
from controller.cli.plain_cells import WIDE
from controller.cli.replay import template_of, workload_of
from controller.cli.scan_table import Finding, documents, sparkline, table, urgency_of
from controller.clients.prometheus import PrometheusMemorySource
from controller.clients.prometheus_session import PrometheusSettings
from controller.detection.assess import assess
from controller.detection.assessment import Assessment, Verdict
from controller.detection.reasons import AssessmentReason
from controller.metrics.queries import namespace_matcher, quoted
from controller.metrics.series import BlockMatrix, ContainerKey
from controller.policy.ecs_target import parse_ecs_target
from controller.policy.memory_policy import DetectionRules, EcsTarget, Sensitivity, Threshold
from controller.policy.problem import PolicyProblem
from controller.policy.section import Section
from controller.policy.units import parse_duration
from controller.ports import MemoryRequest, MetricsUnavailable, WorldError
from controller.sweep.judging import history_of

LEAKS_FOUND = 3

ANY_MEMORY = '{__name__=~"container_memory_rss|container_memory_working_set_bytes",container!=""}'
"""Series of containers' memory: either is enough to judge by."""

GRAVITY_OF_REPLICAS = (Verdict.LEAKING, Verdict.SUSPECT, Verdict.HEALTHY, Verdict.INSUFFICIENT_DATA)
"""Of replicas of one workload: one without data does not hide that another is healthy."""

_REQUIREMENT = re.compile(r"^(?P<name>[A-Za-z0-9_./-]+)\s*(?P<how>==?|!=)\s*(?P<value>[^,=!]*)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which containers are asked about."""

    namespaces: frozenset[str]
    """Empty for all."""
    matchers: tuple[str, ...]
    """PromQL matchers on `kube_pod_labels`; empty for all pods."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """What the source said, and who owns whom."""

    matrix: BlockMatrix
    history: BlockMatrix | None
    owners: dict[tuple[str, str], str]
    """Workload by namespace and pod, as people read it."""
    pods: frozenset[tuple[str, str]] | None
    """Pods that the selector chose; None for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a scan says."""

    findings: tuple[Finding, ...]
    """The most urgent first."""
    gone: int
    """Containers of workloads of which no replica is measured any longer."""


@click.command()
@click.option("--prometheus", "url", metavar="URL", help="Prometheus, Thanos, Mimir or VictoriaMetrics.")
@click.option("--ecs", "on_ecs", is_flag=True, help="Instead: services of an ECS cluster, by CloudWatch.")
@click.option(
    "--region",
    envvar=["AWS_REGION", "AWS_DEFAULT_REGION"],
    help="With --ecs: the cluster's region. [env: AWS_REGION]",
)
@click.option("--cluster", help="With --ecs: the cluster's name.")
@click.option("--service", "services", multiple=True, help="With --ecs: only this one; may be repeated.")
@click.option("--assume-role-arn", default="", help="With --ecs: the role to look as.")
@click.option("--external-id", default="", help="With --ecs: the external id that the role asks for.")
@click.option(
    "--namespace", "-n", "namespaces", multiple=True, help="Only this namespace; may be given several times."
)
@click.option("--selector", "-l", default="", help="Only pods with these labels, e.g. app=api,tier!=batch.")
@click.option(
    "--lookback",
    default="48h",
    metavar="DURATION",
    show_default=True,
    help="How far back growth is looked for.",
)
@click.option(
    "--threshold", default=70, show_default=True, type=click.IntRange(1, 100), help="Percent of the limit."
)
@click.option(
    "--sensitivity",
    default=Sensitivity.BALANCED.value,
    show_default=True,
    type=click.Choice([value.value for value in Sensitivity]),
)
@click.option(
    "-o", "--output", type=click.Choice(["table", "wide", "json"]), default="table", show_default=True
)
@source_options
def scan(
    url: str | None,
    on_ecs: bool,
    region: str | None,
    cluster: str | None,
    services: tuple[str, ...],
    assume_role_arn: str,
    external_id: str,
    namespaces: tuple[str, ...],
    selector: str,
    lookback: str,
    threshold: int,
    sensitivity: str,
    output: str,
    **options: Any,
) -> None:
    """
    Find every leaking container, read-only.

    Example: bilgepump scan --prometheus http://prometheus.monitoring:9090 --namespace shop

    Example: bilgepump scan --ecs --region eu-west-1 --cluster prod

    Exit codes: 0 no leak, 3 leaks found, 1 the source could not be read, 2 wrong usage.
    """
    try:
        rules = DetectionRules(
            threshold=Threshold(ratio=threshold / 100),
            sensitivity=Sensitivity(sensitivity),
            lookback=parse_duration(lookback),
        )
    except ValueError as error:
        raise click.UsageError(f"--lookback: {error}") from error
    if rules.lookback < timedelta(minutes=5):
        raise click.UsageError("--lookback must be at least 5m")
    if on_ecs == (url is not None):
        raise click.UsageError("exactly one of --prometheus and --ecs is needed")
    if on_ecs:
        if namespaces or selector:
            raise click.UsageError("--namespace and --selector are for --prometheus; --service is for --ecs")
        target = _target(region, cluster, services, assume_role_arn, external_id)
        _finish(_scan_cluster(target, rules, output), output)
    _finish(_scan_prometheus(url or "", namespaces, selector, rules, options), output)


def _finish(answer: tuple[Found, datetime], output: str) -> NoReturn:
    found, now = answer
    _print(found, now, output)
    sys.exit(LEAKS_FOUND if any(one.leaking for one in found.findings) else 0)


def _target(
    region: str | None, cluster: str | None, services: tuple[str, ...], role: str, external_id: str
) -> EcsTarget:
    """Checked by the rules that policies are checked by."""
    asked = {"region": region, "cluster": cluster, "services": list(services) or ["every"]}
    more = {"assumeRoleArn": role or None, "externalId": external_id or None}
    problems: list[PolicyProblem] = []
    target = parse_ecs_target(Section(asked | more, "--ecs", problems))
    if problems:
        raise click.UsageError("; ".join(str(problem) for problem in problems))
    return target if services else replace(target, services=())


def _scan_cluster(target: EcsTarget, rules: DetectionRules, output: str) -> tuple[Found, datetime]:
    from controller.cli.scan_ecs import gather_cluster, named

    now = datetime.fromtimestamp(_clock(), UTC)
    try:
        with Status(f"asking AWS about cluster {target.cluster} …", console=Console(stderr=True)):
            found = asyncio.run(gather_cluster(target, rules, now))
    except WorldError as error:
        raise click.ClickException(str(error)) from error
    if output != "json" and found.spending is not None:
        click.echo(
            f"{found.ecs_calls} calls of the ECS API, {found.spending.metrics_asked} metrics of CloudWatch",
            err=True,
        )
    scanned = Scanned(matrix=found.matrix, history=None, owners=found.owners, pods=None)
    said = findings_of(scanned, rules, now)
    return replace(said, findings=named(said.findings)), now


def _scan_prometheus(
    url: str, namespaces: tuple[str, ...], selector: str, rules: DetectionRules, options: dict[str, Any]
) -> tuple[Found, datetime]:
    settings = settings_from(url, options)
    scope = Scope(namespaces=frozenset(namespaces), matchers=selector_matchers(selector))
    now = datetime.fromtimestamp(_clock(), UTC)
    try:
        scanned = _with_progress(settings, scope, rules, now)
    except MetricsUnavailable as error:
        raise click.ClickException(str(error)) from error
    return findings_of(scanned, rules, now), now


def selector_matchers(selector: str) -> tuple[str, ...]:
    """
    PromQL matchers for a Kubernetes selector of equalities. Raises click.UsageError for anything else.

    kube-state-metrics tells the label `app.kubernetes.io/name` as `label_app_kubernetes_io_name`.
    """
    matchers: list[str] = []
    for part in filter(None, (part.strip() for part in selector.split(","))):
        found = _REQUIREMENT.match(part)
        if found is None:
            raise click.UsageError(
                f"--selector takes name=value and name!=value, joined by commas (is '{part}')"
            )
        label = "label_" + re.sub(r"[^A-Za-z0-9_]", "_", found["name"])
        matchers.append(f"{label}{'!=' if found['how'] == '!=' else '='}{quoted(found['value'].strip())}")
    return tuple(matchers)


def _with_progress(
    settings: PrometheusSettings, scope: Scope, rules: DetectionRules, now: datetime
) -> Scanned:
    console = Console(stderr=True)
    answers = 0
    with Status("asking …", console=console) as status:

        def answered() -> None:
            nonlocal answers
            answers += 1
            status.update(f"asking {settings.url}: {answers} answers")

        source = PrometheusMemorySource(settings, on_answer=answered)
        try:
            return asyncio.run(gather_memory(source, scope, rules, now))
        finally:
            source.close()


async def gather_memory(
    source: PrometheusMemorySource, scope: Scope, rules: DetectionRules, now: datetime
) -> Scanned:
    """Everything a scan asks of a source. Raises MetricsUnavailable."""
    inside = f"{{{namespace_matcher(scope.namespaces)}}}" if scope.namespaces else ""
    namespaces = scope.namespaces
    if not namespaces:
        known = await source.labels(ANY_MEMORY, ("namespace",), now)
        namespaces = frozenset(labels["namespace"] for labels in known if labels.get("namespace"))
        if not namespaces:
            raise MetricsUnavailable(
                f"{source} knows no container memory; is the kubelet's cAdvisor scraped?"
            )
    pods = None
    if scope.matchers:
        where = [*scope.matchers, *([namespace_matcher(scope.namespaces)] if scope.namespaces else [])]
        chosen = await source.labels(f"kube_pod_labels{{{','.join(where)}}}", ("namespace", "pod"), now)
        pods = frozenset((labels.get("namespace", ""), labels.get("pod", "")) for labels in chosen)
        if not pods:
            raise MetricsUnavailable(
                f"{source} has no kube_pod_labels like that; does kube-state-metrics run with "
                "--metric-labels-allowlist=pods=[…]?"
            )
        namespaces = frozenset(namespace for namespace, _ in pods)
    owners = await source.labels(
        f"kube_pod_owner{inside}", ("namespace", "pod", "owner_kind", "owner_name"), now
    )
    sets = await source.labels(
        f"kube_replicaset_owner{inside}", ("namespace", "replicaset", "owner_kind", "owner_name"), now
    )
    above = {(one.get("namespace", ""), one.get("replicaset", "")): one for one in sets}
    request = MemoryRequest(namespaces=namespaces, lookback=rules.lookback)
    return Scanned(
        matrix=await source.memory(request, now),
        history=await history_of(source, request, now),
        owners=dict(owner_of(labels, above) for labels in owners),
        pods=pods,
    )


def owner_of(
    pod: Mapping[str, str], sets: Mapping[tuple[str, str], Mapping[str, str]]
) -> tuple[tuple[str, str], str]:
    """
    Namespace and name of a pod, and its workload as `Deployment api`; from kube-state-metrics' labels.

    A ReplicaSet may be a Rollout's as well as a Deployment's; where its owner is not told, its name tells it.
    """
    namespace, kind, name = pod.get("namespace", ""), pod.get("owner_kind", ""), pod.get("owner_name", "")
    if kind == "ReplicaSet":
        above = sets.get((namespace, name))
        if above is None:
            kind, name = "Deployment", name.rpartition("-")[0] or name
        elif above.get("owner_name", "") not in ("", "<none>"):
            kind, name = above.get("owner_kind", ""), above["owner_name"]
    return (namespace, pod.get("pod", "")), f"{kind} {name}"


def findings_of(scanned: Scanned, rules: DetectionRules, now: datetime) -> Found:
    """
    Judges everything and puts replicas of one workload together.

    A lookback reaches to pods that are long gone: what is measured no longer is no replica.
    """
    keys = scanned.matrix.keys
    names = [f"{_workload(scanned, key)}/{key.container}" for key in keys]
    alike = [template_of(key) or name for name, key in zip(names, keys, strict=True)]
    said = assess(scanned.matrix, rules, now, history=scanned.history, peer_groups=alike)
    together: dict[str, list[int]] = {}
    for row, key in enumerate(keys):
        if scanned.pods is None or (key.namespace, key.pod) in scanned.pods:
            together.setdefault(names[row], []).append(row)
    living = {
        name: kept
        for name, rows in together.items()
        if (kept := [row for row in rows if said[row].reason != AssessmentReason.STALE])
    }
    findings = [_finding(scanned.matrix, said, rows, name) for name, rows in living.items()]
    return Found(
        findings=tuple(sorted(findings, key=lambda finding: (finding.urgency, finding.workload))),
        gone=len(together) - len(living),
    )


def _workload(scanned: Scanned, key: ContainerKey) -> str:
    owner = scanned.owners.get((key.namespace, key.pod))
    if owner and not owner.startswith(("Node ", "<none>", " ")):
        kind, _, name = owner.partition(" ")
        return f"{kind} {key.namespace}/{name}"
    derived = workload_of(key)
    return str(derived) if derived else f"Pod {key.namespace}/{key.pod}"


def _finding(matrix: BlockMatrix, said: Sequence[Assessment], rows: list[int], name: str) -> Finding:
    worst = min(rows, key=lambda row: urgency_of(said[row], GRAVITY_OF_REPLICAS))
    return Finding(
        workload=name,
        worst=said[worst],
        leaking=sum(said[row].verdict is Verdict.LEAKING for row in rows),
        replicas=len(rows),
        sparkline=sparkline(matrix, worst),
    )


def _print(found: Found, now: datetime, output: str) -> None:
    findings = found.findings
    if output == "json":
        click.echo(json.dumps({"results": documents(findings)}, indent=1))
        return
    told = [
        one for one in findings if output == "wide" or one.worst.verdict in (Verdict.LEAKING, Verdict.SUSPECT)
    ]
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    if told:
        console.print(table(told, now, wide=output == "wide", width=console.width))
    leaking = sum(bool(one.leaking) for one in findings)
    unjudged = sum(one.worst.verdict is Verdict.INSUFFICIENT_DATA for one in findings)
    unknown = f" {unjudged} could not be judged: -o wide says why." if unjudged else ""
    gone = (
        f" {found.gone} more {'is' if found.gone == 1 else 'are'} measured no longer." if found.gone else ""
    )
    console.print(f"{leaking} of {len(findings)} containers leak.{unknown}{gone}", highlight=False)


def _clock() -> float:
    """The real time: a scan is about now."""
    return datetime.now(UTC).timestamp()  # noqa: TID251  (a command line is where the real clock may be read)
