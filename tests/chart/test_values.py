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
    ],
)
def test_wrong_value_is_refused_by_its_name(setting: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        render(URL, setting)


def leaves(value: Any, path: str = "") -> set[str]:
    """The paths of all values; an empty mapping is a value, too."""
    if isinstance(value, dict) and value:
        return {leaf for key, inner in value.items() for leaf in leaves(inner, f"{path}.{key}".lstrip("."))}
    return {path}


def schema_leaves(schema: dict[str, Any], path: str = "") -> set[str]:
    if "properties" not in schema:
        return {path}
    return {
        leaf
        for key, inner in schema["properties"].items()
        for leaf in schema_leaves(inner, f"{path}.{key}".lstrip("."))
    }


def test_schema_knows_exactly_the_values() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    del values["resources"]
    schema = json.loads((CHART / "values.schema.json").read_text())
    del schema["properties"]["resources"]
    # Helm itself adds `global` for subcharts.
    assert schema_leaves(schema) - {"global"} == leaves(values)


def test_every_value_has_a_comment_and_a_row_in_the_readme() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    told = {
        line.split("`")[1] for line in page().split("## Values")[1].splitlines() if line.startswith("| `")
    }
    assert told == {path for path in leaves(values) if not path.startswith("resources.")} | {"resources"}
    assert README.read_text() == page(), "run: python -m docs.generators.chart_values"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        pytest.param((), "WARNING: `prometheus.url` is empty", id="no metrics source"),
        pytest.param((URL,), "Memory is read from http://prometheus.monitoring:9090", id="a metrics source"),
        pytest.param((URL,), "It changes no workload", id="the default"),
        pytest.param((URL, "remediate.enabled=true"), "restart leaking workloads", id="remediation"),
        pytest.param((URL, "allowShortLookback=true"), "on a few minutes of growth", id="a short lookback"),
        pytest.param((URL, "suspend=true"), "no side effects at all", id="suspended"),
        pytest.param((URL, "watchNamespaces={shop}"), "watches the namespaces shop", id="one namespace"),
    ],
)
def test_notes_say_what_was_installed(settings: tuple[str, ...], told: str) -> None:
    options = [part for setting in settings for part in ("--set", setting)]
    notes = helm("install", "bilgepump", str(CHART), "--namespace", "ops", "--dry-run=client", *options)
    assert told in notes.split("NOTES:")[1]
