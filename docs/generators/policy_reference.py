"""
Writes `docs/policy.md` and `docs/incident.md` from the schemas in `crds/`.

Run `python -m docs.generators` after a change of a schema; a test fails until then.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[2]
DEFINITION = REPOSITORY / "crds" / "memorypolicy.yaml"
INCIDENT_DEFINITION = REPOSITORY / "crds" / "memoryincident.yaml"
PAGE = REPOSITORY / "docs" / "policy.md"
INCIDENT_PAGE = REPOSITORY / "docs" / "incident.md"

Schema = dict[str, Any]

INTRODUCTION = """\
# MemoryPolicy

<!-- Made by `python -m docs.generators.policy_reference` from crds/memorypolicy.yaml. Do not edit. -->

{description}

The smallest policy watches everything with a label, and only tells:

```yaml
apiVersion: bilgepump.dev/v1alpha1
kind: MemoryPolicy
metadata: {{name: api, namespace: shop}}
spec:
  target:
    selector: {{matchLabels: {{app: api}}}}
```

One that restarts, at night, with a heap profile kept first:

```yaml
apiVersion: bilgepump.dev/v1alpha1
kind: MemoryPolicy
metadata: {{name: api, namespace: shop}}
spec:
  mode: Remediate
  target:
    selector: {{matchLabels: {{app: api}}}}
    containers: [app]
  detection:
    threshold: {{percent: 70}}
  evidence:
    pprof: [{{container: app, port: 6060}}]
  remediation:
    maintenanceWindows:
      - {{days: [Mon, Tue, Wed, Thu, Fri], start: "02:00", end: "05:00", timeZone: Asia/Kolkata}}
```

A policy is checked when it is applied, and again by the controller, which also knows what one object cannot
know; `bilgepump check-policy FILE` does the same without a cluster. A policy that is not accepted governs
nothing, says why in its condition `Accepted`, and leaves the other policies alone.

`kubectl explain memorypolicy.spec` shows the same as this page.
"""

INCIDENT_INTRODUCTION = """\
# MemoryIncident

<!-- Made by `python -m docs.generators.policy_reference` from crds/memoryincident.yaml. Do not edit. -->

{description}

`kubectl get memi` reads like a story, `kubectl describe memi NAME` tells all of it and
`bilgepump report NAME --open`
shows it.
"""


def page() -> str:
    """The page of the policy."""
    return _page(DEFINITION, INTRODUCTION)


def incident_page() -> str:
    """The page of the incident."""
    return _page(INCIDENT_DEFINITION, INCIDENT_INTRODUCTION)


def _page(path: Path, introduction: str) -> str:
    definition = yaml.safe_load(path.read_text())
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    sections = [introduction.format(description=schema["description"])]
    sections += [table(path, part) for path, part in _objects("spec", schema["properties"]["spec"])]
    sections += [table(path, part) for path, part in _objects("status", schema["properties"]["status"])]
    return "\n".join(sections)


def _objects(path: str, schema: Schema) -> Iterator[tuple[str, Schema]]:
    """This object and all objects in it, each with its path."""
    yield path, schema
    for name, field in schema["properties"].items():
        inner, suffix = (field["items"], "[]") if "items" in field else (field, "")
        if "properties" in inner:
            yield from _objects(f"{path}.{name}{suffix}", {"description": field["description"]} | inner)


def table(path: str, schema: Schema) -> str:
    """One object's fields under a heading."""
    required = schema.get("required", [])
    rows = [
        f"| `{name}` | {_type(field)} | {_text(field)}{' Required.' if name in required else ''} |"
        for name, field in schema["properties"].items()
    ]
    rules = [f"- {rule['message']}" for rule in schema.get("x-kubernetes-validations", [])]
    lines = [f"## {path}", "", _text(schema), "", "| field | type | meaning |", "|---|---|---|", *rows]
    return "\n".join([*lines, *(["", "Rules:", "", *rules] if rules else []), ""])


def _type(field: Schema) -> str:
    if "enum" in field:
        return " \\| ".join(f"`{value}`" for value in field["enum"])
    if field["type"] == "array":
        return f"list of {_type(field['items'])}"
    if "additionalProperties" in field:
        return "map of text"
    names = {
        "string": "text",
        "integer": "whole number",
        "number": "number",
        "object": "object",
        "boolean": "`true` \\| `false`",
    }
    return names[field["type"]]


def _text(field: Schema) -> str:
    return str(field["description"]).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page())
    INCIDENT_PAGE.write_text(incident_page())
