"""The CloudFormation template: valid, and no right in it that no call needs."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore import xform_name

from controller.platforms.ecs import api
from tests.ecs.server import model_of_ecs

TEMPLATE = Path(__file__).parents[2] / "charts" / "ecs" / "bilgepump.yaml"
POLICIES = ("Read", "Capture", "Remediation")
DOCUMENTATION = Path(__file__).parents[2] / "docs" / "ecs.md"


class _Loader(yaml.SafeLoader):
    """Reads `!Ref` and its like as what they hold."""


def _plain(loader: _Loader, _: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node, deep=True)


_Loader.add_multi_constructor("!", _plain)


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    template = yaml.load(TEMPLATE.read_text(), Loader=_Loader)
    found: dict[str, Any] = template["Resources"]
    return found


def actions(policy: Any) -> set[str]:
    statements = policy["Properties"]["PolicyDocument"]["Statement"]
    return {action for statement in statements for action in statement["Action"]}


def called() -> set[str]:
    """The operations that the adapter calls, by the names of IAM."""
    names = {xform_name(name): name for name in model_of_ecs().operation_names}
    source = Path(api.__file__).read_text()
    return {f"ecs:{names[word]}" for word in re.findall(r'"([a-z_]+)"', source) if word in names}


def test_cfn_lint_has_nothing_to_say() -> None:
    lint = Path(sys.executable).parent / "cfn-lint"

    result = subprocess.run([str(lint), str(TEMPLATE)], capture_output=True, text=True)

    assert (result.returncode, result.stdout) == (0, "")


def test_rights_are_those_the_calls_need(resources: dict[str, Any]) -> None:
    granted = {action for name in POLICIES for action in actions(resources[name])}

    assert {one for one in granted if one.startswith("ecs:")} == called()
    assert granted - called() == {
        "cloudwatch:GetMetricData",
        "cloudwatch:ListMetrics",
        "ec2:DescribeInstances",
        "ecr:DescribeImages",
        "events:PutEvents",
    }


def test_only_the_remediation_policy_changes_anything_and_only_on_demand(resources: dict[str, Any]) -> None:
    assert actions(resources["Remediation"]) == {"ecs:UpdateService", "ecs:StopTask"}
    assert resources["Remediation"]["Condition"] == "MayRemediate"


def test_looking_at_container_instances_is_a_right_of_its_own(resources: dict[str, Any]) -> None:
    assert actions(resources["Capture"]) == {"ecs:DescribeContainerInstances", "ec2:DescribeInstances"}
    assert resources["Capture"]["Condition"] == "MayCaptureFromInstances"


@pytest.mark.parametrize("name", POLICIES)
def test_every_right_is_bound_to_the_cluster_where_iam_allows(resources: dict[str, Any], name: str) -> None:
    for statement in resources[name]["Properties"]["PolicyDocument"]["Statement"]:
        if statement["Resource"] == "*" and statement["Sid"] != "WhatHasNoResource":
            assert "ecs:cluster" in statement["Condition"]["ArnEquals"]
        assert not any(action.endswith("*") for action in statement["Action"])


def test_documentation_explains_every_right(resources: dict[str, Any]) -> None:
    text = DOCUMENTATION.read_text()

    for name in POLICIES:
        for action in actions(resources[name]):
            assert f"`{action}`" in text
