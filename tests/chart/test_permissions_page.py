"""`docs/permissions.md` grants what the chart grants."""

import re

import pytest

from tests.chart.rendering import REPOSITORY, URL, of_kind, render

pytestmark = pytest.mark.go

Grant = tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]


def grants_on_page(section: str) -> set[Grant]:
    """Group, resources, names and verbs of every row of the section's table."""
    page = (REPOSITORY / "docs" / "permissions.md").read_text()
    text = page.split(f"\n## {section}\n")[1].split("\n## ")[0]
    grants: set[Grant] = set()
    for resources, verbs, why in re.findall(r"^\| (.*?: .*?) \| (.*?) \| (.*?) \|$", text, re.M):
        group, _, rest = resources.partition(": ")
        kinds, _, names = rest.partition(" named ")
        assert why
        grants.add(
            (
                "" if group == "core" else group.strip("`"),
                tuple(re.findall("`(.*?)`", kinds)),
                tuple(re.findall("`(.*?)`", names)),
                tuple(verbs.split(", ")),
            )
        )
    return grants


@pytest.mark.parametrize("power", ["read", "capture", "remediate", "lease", "reports"])
def test_page_tells_every_permission_and_no_other(power: str) -> None:
    objects = of_kind(render(URL, "remediate.enabled=true", "rollouts.enabled=true"), "Role", "ClusterRole")
    (rules,) = (role["rules"] for role in objects if role["metadata"]["name"] == f"bilgepump-{power}")
    granted = {
        (
            rule["apiGroups"][0],
            tuple(rule["resources"]),
            tuple(rule.get("resourceNames", ())),
            tuple(rule["verbs"]),
        )
        for rule in rules
    }
    assert grants_on_page(power) == granted
