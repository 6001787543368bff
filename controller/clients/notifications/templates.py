"""
Texts of notifications from the settings' templates, in a sandbox.

Templates see the fields of `controller.reporting.messages.message_document` and nothing else. They are tried
on a made-up message when the settings are read, so that a misspelt field is found then and not in the night.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from controller.detection.assessment import GrowthClass, Verdict
from controller.inventory.workload import Platform, WorkloadRef
from controller.reporting.incident import (
    AssessmentRecord,
    Incident,
    IncidentSpec,
    IncidentStatus,
    PolicyRef,
    TimelineEntry,
)
from controller.reporting.messages import Message, Stage, Urgency, message_document

LONGEST_TEMPLATE = 4096

_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
"""No HTML is made of these texts; each kind of receiver escapes what it must."""


_FAILURES = (
    TemplateError,
    TypeError,
    ValueError,
    ArithmeticError,
    LookupError,
    AttributeError,
    RecursionError,
    MemoryError,
)
"""Whatever an expression in a template can raise, by what it is or by how deep and how big it is."""


class TemplateRefused(ValueError):
    """A template cannot be rendered; the message says why."""


def render(template: str, document: Mapping[str, Any]) -> str:
    """The text. Raises TemplateRefused."""
    try:
        return _ENVIRONMENT.from_string(template).render(document).strip()
    except _FAILURES as error:
        raise TemplateRefused(
            f"the template cannot be rendered: {str(error) or type(error).__name__}"
        ) from error


def check_template(template: str) -> None:
    """Raises TemplateRefused unless it renders a message, with and without numbers."""
    if len(template) > LONGEST_TEMPLATE:
        raise TemplateRefused(f"the template must have at most {LONGEST_TEMPLATE} characters")
    for assessment in (_ASSESSMENT, None):
        render(template, message_document(_example(assessment), "example"))


_AT = datetime(2026, 1, 1, tzinfo=UTC)
_ASSESSMENT = AssessmentRecord(
    verdict=Verdict.LEAKING,
    reason="GrowthLasts",
    message="grows",
    growth_class=GrowthClass.HEAP,
    at=_AT,
    replica="api-1",
    container="app",
    replicas=2,
    leaking_replicas=1,
    used_bytes=2**28,
    limit_bytes=2**29,
    threshold_bytes=2**28,
    growth_bytes_per_hour=2**20,
    crosses_threshold_at=_AT + timedelta(hours=1),
)


def _example(assessment: AssessmentRecord | None) -> Message:
    incident = Incident(
        name="api-0123456789",
        namespace="shop",
        spec=IncidentSpec(
            policy=PolicyRef(namespace="shop", name="api", uid="0", generation=1),
            workload=WorkloadRef(Platform.KUBERNETES, "shop", "Deployment", "api"),
            workload_uid="1",
            opened_at=_AT,
        ),
        status=IncidentStatus(assessment=assessment),
    )
    return Message(
        receiver="example",
        incident=incident,
        changes=(TimelineEntry(at=_AT, what="Leaking", message="grows"),),
        urgency=Urgency.WARNING,
        stage=Stage.OPENED,
    )
