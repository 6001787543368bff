"""What a person is told to do after a remediation that failed; incident and Event take it from here."""

from controller.inventory.workload import Platform
from controller.remediation.order import Mechanism
from controller.reporting.incident import Incident
from controller.verification.recovery import RecoveryOutcome


def after_failure(incident: Incident, outcome: RecoveryOutcome) -> str:
    """
    The commands to look, to undo where that is possible, and to acknowledge, in that order.

    Empty where `outcome` asks nothing of anybody: recovered, or not final.
    """
    if outcome is RecoveryOutcome.RECOVERED or not outcome.final:
        return ""
    on_kubernetes = incident.spec.workload.platform is Platform.KUBERNETES
    if outcome is RecoveryOutcome.WORKLOAD_GONE:
        return (
            "nothing is left to undo; if nobody meant to delete it, create it again; it waits for: "
            f"{_acknowledge_when_gone(incident, on_kubernetes)}"
        )
    look = _look_on_kubernetes(incident, outcome) if on_kubernetes else _look_on_ecs(incident, outcome)
    acknowledge = _acknowledge_on_kubernetes(incident) if on_kubernetes else _acknowledge_on_ecs(incident)
    told = [look, _undo(incident, outcome), f"it is restarted again only after: {acknowledge}"]
    return "; ".join(each for each in told if each)


def _look_on_kubernetes(incident: Incident, outcome: RecoveryOutcome) -> str:
    namespace, target = incident.spec.workload.namespace, _target(incident)
    match outcome:
        case RecoveryOutcome.CRASH_LOOPING:
            container = incident.status.assessment.container if incident.status.assessment else ""
            only = f" -c {container}" if container else ""
            return (
                f"see which with: kubectl -n {namespace} get pods, and why with: "
                f"kubectl -n {namespace} logs POD{only} --previous"
            )
        case RecoveryOutcome.REPLICAS_NOT_READY:
            return (
                f"see which are not ready with: kubectl -n {namespace} get pods, and why with: "
                f"kubectl -n {namespace} describe pod POD"
            )
        case RecoveryOutcome.MEMORY_NOT_RECOVERED:
            return (
                "a restart does not cure this; what holds the memory: "
                f"bilgepump report {incident.name} -n {incident.namespace}"
            )
        case RecoveryOutcome.SERVICE_DEGRADED:
            return f"see what they log with: kubectl -n {namespace} logs POD"
        case RecoveryOutcome.MEMORY_UNMEASURED:
            return (
                f"see whether the pods are scraped with: bilgepump explain {target} -n {namespace}, and what "
                f"they use with: kubectl -n {namespace} top pods"
            )
        case RecoveryOutcome.ROLLOUT_STUCK if _makes_a_revision(incident):
            return f"look at it with: kubectl -n {namespace} rollout status {target}"
        case _:
            return f"look at it with: kubectl -n {namespace} describe {target}"


def _look_on_ecs(incident: Incident, outcome: RecoveryOutcome) -> str:
    region, cluster, service = _ecs_names(incident)
    events = f"aws ecs describe-services --region {region} --cluster {cluster} --services {service}"
    match outcome:
        case RecoveryOutcome.MEMORY_NOT_RECOVERED:
            report = incident.status.report_uri or f"bilgepump incidents {incident.name}"
            return f"a restart does not cure this; what holds the memory: {report}"
        case RecoveryOutcome.MEMORY_UNMEASURED:
            return f"see whether the metrics source still has its tasks; what runs: {events}"
        case _:
            return f"look at its events with: {events}"


def _undo(incident: Incident, outcome: RecoveryOutcome) -> str:
    """Only a stuck rolling restart of Kubernetes has an earlier revision to go back to."""
    ref = incident.spec.workload
    undoable = (
        outcome is RecoveryOutcome.ROLLOUT_STUCK
        and ref.platform is Platform.KUBERNETES
        and _makes_a_revision(incident)
    )
    if not undoable:
        return ""
    undo = f"kubectl -n {ref.namespace} rollout undo {_target(incident)}"
    return f"undo it, if nothing was deployed since, with: {undo}"


def _makes_a_revision(incident: Incident) -> bool:
    """Not so an Argo Rollout's restart, which kubectl does not know either."""
    order = incident.status.order
    restarts = order is not None and order.mechanism is Mechanism.ROLLING_RESTART
    return restarts and incident.spec.workload.kind != "Rollout"


def _acknowledge_on_kubernetes(incident: Incident) -> str:
    return f"bilgepump acknowledge {incident.name} -n {incident.namespace} --why '...'"


def _acknowledge_when_gone(incident: Incident, on_kubernetes: bool) -> str:
    """On the incident itself; `bilgepump ecs` alone keeps it in a file, which has no command."""
    if on_kubernetes:
        return _acknowledge_on_kubernetes(incident)
    return f"the annotation bilgepump.dev/acknowledged={incident.name} on the incident (docs/ecs.md)"


def _acknowledge_on_ecs(incident: Incident) -> str:
    """There is no such command for ECS: the controller reads a tag of the service."""
    region = _ecs_names(incident)[0]
    return (
        f"aws ecs tag-resource --region {region} --resource-arn SERVICE-ARN "
        f"--tags key=bilgepump:acknowledged,value={incident.name}"
    )


def _ecs_names(incident: Incident) -> tuple[str, str, str]:
    region, cluster, service = incident.spec.workload.name.split("/")
    return region, cluster, service


def _target(incident: Incident) -> str:
    ref = incident.spec.workload
    return f"{ref.kind.lower()}/{ref.name}"
