"""Both definitions as files: described, bounded, and the same as the program's own idea of them."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.policy import memory_policy, syntax, units
from controller.policy.parsing import parse_policy
from docs.generators.policy_reference import PAGE, page
from tests.policy.corpus import POLICIES, read

CRDS = Path(__file__).parents[2] / "crds"
Schema = dict[str, Any]


def schema_of(name: str) -> Schema:
    definition = yaml.safe_load((CRDS / f"{name}.yaml").read_text())
    (version,) = definition["spec"]["versions"]
    schema: Schema = version["schema"]["openAPIV3Schema"]
    return schema


def fields(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every field with its path, entries of lists and values of maps included."""
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}".lstrip("."), field
        yield from fields(field, f"{path}.{name}")
    for inner, suffix in (("items", "[]"), ("additionalProperties", ".*")):
        if inner in schema:
            yield f"{path}{suffix}".lstrip("."), schema[inner]
            yield from fields(schema[inner], f"{path}{suffix}")


POLICY, INCIDENT = schema_of("memorypolicy"), schema_of("memoryincident")
CLUSTER_FIELDS = dict(fields(schema_of("clustermemorypolicy")))
POLICY_FIELDS, INCIDENT_FIELDS = dict(fields(POLICY)), dict(fields(INCIDENT))
EVERY_FIELD = [
    pytest.param(path, field, id=f"{kind} {path}")
    for kind, found in (
        ("MemoryPolicy", POLICY_FIELDS),
        ("ClusterMemoryPolicy", CLUSTER_FIELDS),
        ("MemoryIncident", INCIDENT_FIELDS),
    )
    for path, field in found.items()
    if path != "metadata"
]


@pytest.mark.parametrize(("path", "field"), EVERY_FIELD)
def test_field_is_typed_described_and_bounded(path: str, field: Schema) -> None:
    assert "type" in field
    if not path.endswith(("[]", "*")):
        assert field["description"].endswith(".")
    if field["type"] == "array":
        assert "maxItems" in field
        assert "x-kubernetes-list-type" in field or "properties" in field["items"]
    if path.startswith("spec") and field["type"] == "string" and "format" not in field:
        assert "enum" in field or "maxLength" in field


@pytest.mark.parametrize(
    "path",
    [
        path
        for path, field in POLICY_FIELDS.items()
        if "default" in field and path.startswith("spec") and field["default"] != {}
    ],
)
def test_description_names_the_default(path: str) -> None:
    default = POLICY_FIELDS[path]["default"]
    text = "every day" if path.endswith(".days") else str(default).replace("'", "")
    text = text.lower() if isinstance(default, bool) else text
    assert f"Default: {text}." in POLICY_FIELDS[path]["description"]


def with_defaults(value: Any, schema: Schema) -> Any:
    """`value` as the API server would store it."""
    if isinstance(value, list):
        return [with_defaults(entry, schema["items"]) for entry in value]
    if not isinstance(value, dict) or "properties" not in schema:
        return value
    defaults = {name: field["default"] for name, field in schema["properties"].items() if "default" in field}
    filled = defaults | value
    return {name: with_defaults(inner, schema["properties"][name]) for name, inner in filled.items()}


@pytest.mark.parametrize("path", sorted((POLICIES / "good").glob("*.yaml")), ids=lambda path: path.stem)
def test_defaults_are_those_of_the_program(path: Path) -> None:
    document = read(path)
    stored = document | {"spec": with_defaults(document["spec"], POLICY["properties"]["spec"])}
    assert stored["spec"]["detection"]["lookback"]
    assert parse_policy(stored) == parse_policy(document)


@pytest.mark.parametrize(
    ("path", "enum"),
    [
        ("spec.mode", memory_policy.Mode),
        ("spec.target.workloads[].kind", memory_policy.WorkloadKind),
        ("spec.target.selector.matchExpressions[].operator", memory_policy.Operator),
        ("spec.detection.sensitivity", memory_policy.Sensitivity),
        ("spec.evidence.pprof[].scheme", memory_policy.Scheme),
        ("spec.remediation.strategy", memory_policy.Strategy),
        ("spec.remediation.suspectAboveCritical", memory_policy.SuspectAboveCritical),
        ("spec.remediation.maintenanceWindows[].days[]", memory_policy.Day),
        ("spec.remediation.blackouts[].days[]", memory_policy.Day),
    ],
)
def test_policy_enum_is_that_of_the_program(path: str, enum: type[StrEnum]) -> None:
    assert POLICY_FIELDS[path]["enum"] == list(enum)


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("spec.detection.lookback", units.DURATION_PATTERN),
        ("spec.detection.threshold.value", units.QUANTITY_PATTERN.replace("\\.", "\\\\.")),
        ("spec.remediation.maintenanceWindows[].start", syntax.TIME_OF_DAY),
        ("spec.evidence.pprof[].path", syntax.PPROF_PATH),
        ("spec.metrics.requestRate.metric", syntax.METRIC_NAME),
        ("spec.metrics.source", syntax.DNS_LABEL),
        ("spec.target.selector.matchLabels", syntax.LABEL_KEY),
    ],
)
def test_rule_has_the_pattern_of_the_program(path: str, pattern: str) -> None:
    (rule,) = POLICY_FIELDS[path]["x-kubernetes-validations"]
    assert pattern.strip("^$") in rule["rule"]


def test_every_duration_has_the_same_grammar() -> None:
    durations = [
        path for path, field in POLICY_FIELDS.items() if "a duration from" in field.get("description", "")
    ]
    assert len(durations) == 7
    for path in durations:
        assert units.DURATION_PATTERN in POLICY_FIELDS[path]["x-kubernetes-validations"][0]["rule"]


def test_reference_page_is_made_from_the_definition() -> None:
    assert PAGE.read_text() == page(), "run: python -m docs.generators.policy_reference"
