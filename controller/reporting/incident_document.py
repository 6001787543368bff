"""An incident as the `MemoryIncident` document people read, and back."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from controller.decision.approval import Approval
from controller.reporting.incident import Incident, IncidentSpec, IncidentStatus
from controller.reporting.incident_conditions import incident_conditions

API_VERSION = "bilgepump.dev/v1alpha1"
KIND = "MemoryIncident"

APPROVED = "bilgepump.dev/approved"
APPROVED_BY = "bilgepump.dev/approved-by"
APPROVED_UNTIL = "bilgepump.dev/approved-until"
"""A person's approval, as annotations; the chart's admission policy refuses another's name."""

ACKNOWLEDGED = "bilgepump.dev/acknowledged"
ACKNOWLEDGED_BECAUSE = "bilgepump.dev/acknowledged-because"
"""
The incident that a person has looked at, and why: on its workload, or on itself where that is gone.

The controller never writes them.
"""


class UnreadableIncident(ValueError):
    """A stored document is not an incident of ours; the message says which field."""


class _Document(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    spec: IncidentSpec
    status: IncidentStatus = IncidentStatus()


def to_document(incident: Incident) -> dict[str, Any]:
    """The whole document; fields without a value are left out."""
    content = _Document(spec=incident.spec, status=incident.status)
    document = content.model_dump(mode="json", by_alias=True, exclude_none=True)
    document["status"]["conditions"] = incident_conditions(incident)
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": incident.name,
            "namespace": incident.namespace,
            "labels": {"bilgepump.dev/policy": incident.spec.policy.name[:63].rstrip("-.")},
        },
        **document,
    }


def from_document(document: Mapping[str, Any]) -> Incident:
    """
    The incident in `document`.

    Raises UnreadableIncident where it cannot be read.
    """
    try:
        content = _Document.model_validate(document)
        metadata = document["metadata"]
        annotations = metadata.get("annotations") or {}
        return Incident(
            name=metadata["name"],
            namespace=metadata["namespace"],
            spec=content.spec,
            status=content.status,
            approval=_approval(annotations),
            acknowledged_because=_acknowledged_because(annotations, metadata["name"]),
            resource_version=metadata.get("resourceVersion", ""),
            uid=metadata.get("uid", ""),
        )
    except (ValidationError, KeyError) as error:
        raise UnreadableIncident(str(error)) from error


def _approval(annotations: Mapping[str, str]) -> Approval | None:
    """What a person wrote on the incident; None where the annotation with the digest is missing."""
    digest = annotations.get(APPROVED)
    if not digest:
        return None
    return Approval(
        by=str(annotations.get(APPROVED_BY) or "nobody")[:253],
        situation=str(digest)[:64],
        until=_moment(str(annotations.get(APPROVED_UNTIL, ""))),
    )


def _acknowledged_because(annotations: Mapping[str, str], name: str) -> str | None:
    """Why somebody acknowledged the incident called `name` on itself; None where nobody did."""
    if annotations.get(ACKNOWLEDGED) != name:
        return None
    return str(annotations.get(ACKNOWLEDGED_BECAUSE) or "")[:512]


def _moment(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else None


def merge_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON merge patch (RFC 7396) that turns `old` into `new`; empty where they are equal."""
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            if inner := merge_patch(before, value):
                patch[key] = inner
        elif value != before:
            patch[key] = value
    return patch
