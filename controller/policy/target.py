"""The `target` of a policy: which workloads, which containers."""

from controller.policy.ecs_target import parse_ecs_target
from controller.policy.memory_policy import (
    LabelExpression,
    LabelSelector,
    NamedWorkload,
    Operator,
    Target,
    WorkloadKind,
)
from controller.policy.section import Section
from controller.policy.syntax import DNS_LABEL, DNS_NAME, ECS_NAME, LABEL_KEY, LABEL_VALUE

MOST_WORKLOADS = 64
_ALTERNATIVES = ("selector", "workloads", "ecs")


def parse_target(target: Section, *, on_ecs: bool) -> Target:
    """
    The target that `target` describes; its problems are noted in it.

    `on_ecs`: it is read by `bilgepump ecs`, which governs ECS services and nothing else.
    """
    ecs = parse_ecs_target(target.section("ecs")) if "ecs" in target else None
    containers = target.names(
        "containers", DNS_LABEL if ecs is None and not on_ecs else ECS_NAME, "names of containers"
    )
    if on_ecs:
        if ecs is None:
            target.refuse("ecs", "is required: `bilgepump ecs` governs ECS services only")
        target.refuse_unknown()
        return Target(ecs=ecs, containers=containers)
    selector = parse_selector(target.section("selector")) if "selector" in target else None
    workloads = tuple(
        _named_workload(entry) for entry in target.sections("workloads", maximum=MOST_WORKLOADS)
    )
    if sum(name in target for name in _ALTERNATIVES) != 1:
        target.refuse("", "must have exactly one of `selector`, `workloads` and `ecs`", _present(target))
    elif "workloads" in target and not workloads:
        target.refuse("workloads", "must name at least one workload")
    if len(set(workloads)) < len(workloads):
        target.refuse("workloads", "must name each workload once")
    target.refuse_unknown()
    return Target(selector=selector, workloads=workloads, ecs=ecs, containers=containers)


def _present(target: Section) -> str:
    return " and ".join(name for name in _ALTERNATIVES if name in target) or "none"


def parse_selector(selector: Section, *, may_be_empty: bool = False) -> LabelSelector:
    """A Kubernetes label selector; its problems are noted in `selector`."""
    parsed = LabelSelector(
        match_labels=selector.labels("matchLabels", LABEL_KEY, LABEL_VALUE),
        match_expressions=tuple(_expression(entry) for entry in selector.sections("matchExpressions")),
    )
    if selector.says_nothing and not may_be_empty:
        selector.refuse(
            "", "must have `matchLabels` or `matchExpressions`; an empty one would select every workload"
        )
    selector.refuse_unknown()
    return parsed


def _expression(entry: Section) -> LabelExpression:
    entry.require("key", "operator")
    expression = LabelExpression(
        key=entry.text("key", LABEL_KEY, "a label's key", longest=317),
        operator=entry.choice("operator", Operator.EXISTS),
        values=entry.names("values", LABEL_VALUE, "label values"),
    )
    needs_values = expression.operator in {Operator.IN, Operator.NOT_IN}
    if needs_values and not expression.values:
        entry.refuse("values", f"must have at least one entry for operator {expression.operator}")
    if entry.raw("operator") == expression.operator and not needs_values and expression.values:
        entry.refuse("values", f"must be empty for operator {expression.operator}", expression.values)
    entry.refuse_unknown()
    return expression


def _named_workload(entry: Section) -> NamedWorkload:
    entry.require("kind", "name")
    workload = NamedWorkload(
        kind=entry.choice("kind", WorkloadKind.DEPLOYMENT),
        name=entry.text("name", DNS_NAME, "the name of a workload in the policy's own namespace"),
    )
    entry.refuse_unknown()
    return workload
