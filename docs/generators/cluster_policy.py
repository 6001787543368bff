"""
Writes `crds/clustermemorypolicy.yaml` from `crds/memorypolicy.yaml`, and `docs/cluster-policy.md` from it.

The two kinds say the same about everything but whom they govern and how far they go, so only one is written
by hand. Run `python -m docs.generators` after a change of either; a test fails until then.
"""

from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from docs.generators.policy_reference import DEFINITION, REPOSITORY, table

CLUSTER_DEFINITION = REPOSITORY / "crds" / "clustermemorypolicy.yaml"
PAGE = Path(__file__).parents[1] / "cluster-policy.md"

Schema = dict[str, Any]

DESCRIPTION = (
    "Watches workloads of all namespaces with certain labels for memory leaks, where no MemoryPolicy of the "
    "namespace's own governs them. It judges and tells, and may keep profiles; it never restarts."
)
INTRODUCTION = """\
# ClusterMemoryPolicy

<!-- Made by `python -m docs.generators` from crds/clustermemorypolicy.yaml. Do not edit. -->

{description}

A default for everybody: leaks are found, told and recorded in every namespace that does not opt out, and nothing is
touched.

```yaml
apiVersion: bilgepump.dev/v1alpha1
kind: ClusterMemoryPolicy
metadata: {{name: default}}
spec:
  namespaceSelector:
    matchExpressions:
      - {{key: kubernetes.io/metadata.name, operator: NotIn, values: [kube-system, kube-public, kube-node-lease]}}
      - {{key: bilgepump.dev/watch, operator: NotIn, values: ["no"]}}
```

One that also keeps heap profiles, for teams whose services serve pprof where everybody's do:

```yaml
apiVersion: bilgepump.dev/v1alpha1
kind: ClusterMemoryPolicy
metadata: {{name: go-services}}
spec:
  mode: Capture
  namespaceSelector: {{matchLabels: {{team-language: go}}}}
  target:
    selector: {{matchLabels: {{app.kubernetes.io/part-of: shop}}}}
  evidence:
    pprof: [{{container: app, port: 6060}}]
```

**Who wins.** A MemoryPolicy of the namespace that names or selects the workload governs it, whatever a
ClusterMemoryPolicy says, also while it is suspended. Only where there is none does a ClusterMemoryPolicy count. Two of
them that take in the same workload are a conflict: it is judged, and held as `PolicyConflict`.

**Who may write it.** It needs rights over the whole cluster: `cluster-admin`, or the chart's ClusterRole
`bilgepump-cluster-policy-editor` in a ClusterRoleBinding. It is in nobody's `edit` or `admin`. A mode `Remediate` does
not exist: the power to restart is given by those who have it in a namespace, with a MemoryPolicy of their own.
Whoever has Kubernetes' `view` for the whole cluster sees it.

**Where things are.** Incidents and Events about a workload are in the workload's namespace; Events about the policy
itself are in `default`. `kubectl get cmempol` shows how many workloads it governs.

**Not with `watchNamespaces`.** A controller that is bound to some namespaces may not look at the whole cluster: it
reads no ClusterMemoryPolicy.

Fields that are not listed here are those of [MemoryPolicy](policy.md).
"""  # noqa: E501  (a page's lines are longer)


def definition() -> Schema:
    """The CustomResourceDefinition, as the other one says with what is different."""
    made: Schema = deepcopy(yaml.safe_load(DEFINITION.read_text()))
    made["metadata"]["name"] = "clustermemorypolicies.bilgepump.dev"
    made["spec"]["scope"] = "Cluster"
    made["spec"]["names"] = {
        "kind": "ClusterMemoryPolicy",
        "listKind": "ClusterMemoryPolicyList",
        "plural": "clustermemorypolicies",
        "singular": "clustermemorypolicy",
        "shortNames": ["cmempol"],
        "categories": ["bilgepump"],
    }
    schema = made["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["description"] = DESCRIPTION
    schema["properties"]["kind"]["description"] = "Always `ClusterMemoryPolicy`."
    _change_spec(schema["properties"]["spec"])
    return made


_CONTAINER_NAME = {"maxLength": 63, "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"}


def _change_spec(spec: Schema) -> None:
    fields = spec["properties"]
    spec["required"] = ["namespaceSelector"]
    rules = spec.pop("x-kubernetes-validations", [])
    if kept := [rule for rule in rules if "target.ecs" not in rule["rule"]]:
        spec["x-kubernetes-validations"] = kept
    fields["mode"] |= {
        "enum": ["Observe", "Capture"],
        "description": (
            "How far the controller may go. `Observe` judges and tells, and changes nothing. `Capture` also "
            "keeps profiles. Restarting is for MemoryPolicies. Default: Observe."
        ),
    }
    target = fields["target"]
    selector = deepcopy(target["properties"]["selector"])
    del selector["x-kubernetes-validations"]
    selector["description"] = (
        "Selects namespaces by their labels, of which `kubernetes.io/metadata.name` is the name. "
        "`{}` selects all."
    )
    target["properties"]["selector"]["description"] += " Default: every workload of these namespaces."
    fields["target"] = {
        "type": "object",
        "description": (
            "Which workloads of these namespaces it governs, where no MemoryPolicy does. "
            "Default: all of them."
        ),
        "default": {},
        "properties": {name: target["properties"][name] for name in ("selector", "containers")},
    }
    # Without ECS, containers have the names of Kubernetes alone.
    fields["target"]["properties"]["containers"]["items"] |= _CONTAINER_NAME
    fields["evidence"]["properties"]["pprof"]["items"]["properties"]["container"] |= _CONTAINER_NAME
    spec["properties"] = {
        "mode": fields["mode"],
        "suspend": fields["suspend"],
        "namespaceSelector": selector,
        "target": fields["target"],
    } | {name: field for name, field in fields.items() if name not in ("mode", "suspend", "target")}


class _Dumper(yaml.SafeDumper):
    """Lists indented as everywhere here, and no aliases."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        """As the base class, never indentless."""
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        """Everything is written out."""
        return True


def text() -> str:
    """`crds/clustermemorypolicy.yaml` as it must be."""
    note = "# Made by `python -m docs.generators` from memorypolicy.yaml. Do not edit.\n"
    return note + yaml.dump(definition(), Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)


def page() -> str:
    """`docs/cluster-policy.md` as it must be."""
    schema = definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    spec = schema["properties"]["spec"]
    fields = spec["properties"]
    own = {name: fields[name] for name in ("mode", "suspend", "namespaceSelector", "target")}
    parts = [
        table("spec", {"description": spec["description"], "properties": own, "required": spec["required"]})
    ]
    parts += [table(f"spec.{name}", fields[name]) for name in ("namespaceSelector", "target")]
    return "\n".join([INTRODUCTION.format(description=schema["description"]), *parts])


if __name__ == "__main__":
    CLUSTER_DEFINITION.write_text(text())
    PAGE.write_text(page())
