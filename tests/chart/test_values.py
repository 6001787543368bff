"""What may be set, and what Helm says to what may not."""

import json
from typing import Any

import pytest
import yaml

from docs.generators.chart_values import README, page
from tests.chart.rendering import CHART, URL, Refused, helm, render

pytestmark = pytest.mark.go


@pytest.mark.parametrize("values", sorted((CHART / "ci").glob("*.yaml")), ids=lambda path: path.stem)
def test_chart_is_sound_in_every_scenario(values: Any) -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART), "--values", str(values))
    assert helm("template", "bilgepump", str(CHART), "--values", str(values))


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        pytest.param("prometeus.url=http://p", "prometeus", id="a misspelt section"),
        pytest.param("prometheus.uri=http://p", "uri", id="a misspelt value"),
        pytest.param("prometheus.url=p:9090", "/prometheus/url", id="a URL without its scheme"),
        pytest.param("prometheus.url=http://me:secret@p", "/prometheus/url", id="a secret in a URL"),
        pytest.param("sweepInterval=60", "/sweepInterval", id="a duration without its unit"),
        pytest.param("evidence.maximumBytes=1GB", "/evidence/maximumBytes", id="a unit that does not exist"),
        pytest.param(
            "remediate.enabled=maybe", "/remediate/enabled", id="a switch that is neither on nor off"
        ),
        pytest.param(
            "limits.concurrentRemediations=0", "/limits/concurrentRemediations", id="a limit of nothing"
        ),
        pytest.param("watchNamespaces={Shop}", "/watchNamespaces/0", id="a namespace that cannot exist"),
        pytest.param("image.digest=latest", "/image/digest", id="a tag where a digest is meant"),
        pytest.param("metricsSources[0].name=mimir", "url", id="a source without its URL"),
        pytest.param("replicas=2", "replicas", id="a value that other charts have"),
        pytest.param("tolerations[0].efect=NoSchedule", "efect", id="a misspelt field of a toleration"),
        pytest.param("affinity.podAffinty.x=y", "podAffinty", id="a misspelt kind of affinity"),
        pytest.param("resources.limit.memory=1Gi", "limit", id="a misspelt part of the resources"),
        pytest.param("extraEnv[0].value=x", "name", id="a variable without its name"),
        pytest.param("serviceMonitor.interval=30", "/serviceMonitor/interval", id="an interval without unit"),
        pytest.param("networkPolicy.egress.pprofPorts={99999}", "/pprofPorts/0", id="a port out of range"),
        pytest.param(
            "podDisruptionBudget.maxUnavailable=half", "/maxUnavailable", id="neither number nor percentage"
        ),
    ],
)
def test_wrong_value_is_refused_by_its_name(setting: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        render(URL, setting)


WHOLE = {"resources", "podSecurityContext", "securityContext", "affinity", "dnsConfig", "dashboards.labels"}
"""Values that are Kubernetes' own, or maps with a default: told as one, not field by field."""


def leaves(value: Any, path: str = "") -> set[str]:
    """The paths of all values; an empty mapping is a value, too."""
    if isinstance(value, dict) and value and path not in WHOLE:
        return {leaf for key, inner in value.items() for leaf in leaves(inner, f"{path}.{key}".lstrip("."))}
    return {path}


def schema_leaves(schema: dict[str, Any], path: str = "") -> set[str]:
    if "properties" not in schema or path in WHOLE:
        return {path}
    return {
        leaf
        for key, inner in schema["properties"].items()
        for leaf in schema_leaves(inner, f"{path}.{key}".lstrip("."))
    }


def test_schema_knows_exactly_the_values() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    # Helm itself adds `global` for subcharts.
    assert schema_leaves(schema) - {"global"} == leaves(values)


def test_every_value_has_a_comment_and_a_row_in_the_readme() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    told = {
        line.split("`")[1] for line in page().split("## Values")[1].splitlines() if line.startswith("| `")
    }
    assert told == leaves(values)
    assert README.read_text() == page(), "run: python -m docs.generators.chart_values"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        pytest.param((), "WARNING: `prometheus.url` is empty", id="no metrics source"),
        pytest.param((URL,), "memory    default: http://prometheus.monitoring:9090\n", id="a metrics source"),
        pytest.param((URL,), "restarts  none", id="the default"),
        pytest.param(
            (URL, "remediate.enabled=true"), "restarts  by policies in mode Remediate, 1", id="remediation"
        ),
        pytest.param((URL, "capture.enabled=false"), "profiles  are not captured", id="no profiles"),
        pytest.param((URL, "allowShortLookback=true"), "on a few minutes of growth", id="a short lookback"),
        pytest.param((URL, "suspend=true"), "no side effects at all", id="suspended"),
        pytest.param((URL, "watchNamespaces={bank}"), "the namespaces bank, where", id="one namespace"),
        pytest.param((URL, "watchNamespaces={bank}"), "name: api, namespace: bank}", id="a policy that fits"),
        pytest.param(
            (URL, "crds.install=false"), "CustomResourceDefinitions are not there", id="no definitions"
        ),
        pytest.param(
            (URL, "remediate.enabled=true", "admissionPolicy.enabled=false"),
            "everybody who may write a MemoryPolicy has the power to restart",
            id="no admission policy",
        ),
        pytest.param((URL,), "lost with the controller's pod", id="evidence that does not last"),
        pytest.param((URL, "serviceMonitor.enabled=true"), "scraped by a ServiceMonitor", id="scraped"),
        pytest.param((URL,), "helm test bilgepump --namespace ops", id="the first command"),
    ],
)
def test_notes_say_what_was_installed(settings: tuple[str, ...], told: str) -> None:
    assert told in notes(*settings)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param((URL, "evidence.persistence.enabled=true"), id="evidence that lasts"),
        pytest.param((URL, "capture.enabled=false"), id="no evidence"),
    ],
)
def test_notes_do_not_warn_without_need(settings: tuple[str, ...]) -> None:
    assert "WARNING" not in notes(*settings)
    assert "Note:" not in notes(*settings)


def notes(*settings: str) -> str:
    """What Helm prints after an installation with these `--set` settings."""
    options = [part for setting in settings for part in ("--set", setting)]
    text = helm("install", "bilgepump", str(CHART), "--namespace", "ops", "--dry-run=client", *options)
    return text.split("NOTES:")[1]
