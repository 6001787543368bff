"""The CloudFormation template: valid, and no right in it that no call needs."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore import xform_name

from controller.cli.ecs import ecs
from controller.clients import s3_evidence
from controller.platforms.ecs import api, bucket, lease
from controller.platforms.ecs.place import StateBucket
from tests.ecs.server import model_of_ecs

TEMPLATE = Path(__file__).parents[2] / "charts" / "ecs" / "bilgepump.yaml"
POLICIES = ("Read", "Keep", "Capture", "Remediation")
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
    assert granted - called() - actions(resources["Keep"]) == {
        "cloudwatch:GetMetricData",
        "cloudwatch:ListMetrics",
        "ec2:DescribeInstances",
        "ecr:DescribeImages",
        "events:PutEvents",
    }


OF_S3 = {
    "get_object": {"s3:GetObject"},
    "head_object": {"s3:GetObject"},
    "put_object": {"s3:PutObject"},
    "copy_object": {"s3:GetObject", "s3:PutObject"},
    "delete_object": {"s3:DeleteObject"},
    "list_objects_v2": {"s3:ListBucket"},
}
"""What IAM asks for each operation (service authorization reference, "Amazon S3")."""


def called_of_s3() -> set[str]:
    sources = "".join(Path(module.__file__).read_text() for module in (bucket, lease, s3_evidence))
    return set(re.findall(r"client\.(\w+_object)\(", sources)) | set(
        re.findall(r'get_paginator\("(\w+)"\)', sources)
    )


def test_rights_on_its_bucket_are_those_the_calls_need(resources: dict[str, Any]) -> None:
    assert called_of_s3() == OF_S3.keys()
    assert actions(resources["Keep"]) == set().union(*OF_S3.values())


def test_whoever_writes_state_without_a_condition_is_refused(resources: dict[str, Any]) -> None:
    statements = resources["StateRules"]["Properties"]["PolicyDocument"]["Statement"]
    (rule,) = (one for one in statements if one["Sid"] == "OnlyConditionalWrites")
    assert (rule["Effect"], rule["Principal"], rule["Action"]) == ("Deny", "*", "s3:PutObject")
    # Both in one operator: denied only where neither is given.
    assert rule["Condition"]["Null"] == {"s3:if-match": "true", "s3:if-none-match": "true"}
    place = "${State.Arn}/bilgepump/"
    assert {one.removeprefix(place) for one in rule["Resource"]} == {
        "lease.json",
        "incidents/*",
        "policies/*",
    }


def test_task_begins_with_words_that_the_program_takes(resources: dict[str, Any]) -> None:
    """`!Ref` and `!Sub` filled in as CloudFormation would."""
    (container,) = resources["TaskDefinition"]["Properties"]["ContainerDefinitions"]
    filled = {"${State}": "the-bucket", "AWS::Region": "eu-west-1", "EventBus": "default"}
    words = [str(word) for word in container["Command"]]
    for name, value in filled.items():
        words = [value if word == name else word.replace(name, value) for word in words]
    assert words[0] == "ecs"
    with ecs.make_context("bilgepump ecs", words[1:]) as context:
        assert context.params["state"] == StateBucket("the-bucket", "bilgepump")
        assert context.params["state_region"] == "eu-west-1"
        assert context.params["event_bus"] == "default"


def test_state_outlives_the_stack_and_nobody_else_reads_it(resources: dict[str, Any]) -> None:
    state = resources["State"]
    assert state["Type"] == "AWS::S3::Bucket"
    assert (state["DeletionPolicy"], state["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert all(state["Properties"]["PublicAccessBlockConfiguration"].values())


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
