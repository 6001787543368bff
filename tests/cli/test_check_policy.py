import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from controller.cli.check_policy import check_policy
from tests.policy.corpus import BAD, GOOD, POLICIES

SMALLEST = POLICIES / "good" / "smallest.yaml"


def run(*arguments: str | Path, given: str | None = None) -> Result:
    return CliRunner().invoke(check_policy, [str(argument) for argument in arguments], input=given)


def test_good_policies_are_told_and_the_command_succeeds() -> None:
    result = run(*GOOD)
    assert result.exit_code == 0
    assert f"{SMALLEST}: shop/smallest is good" in result.output.splitlines()
    assert len(result.output.splitlines()) == len(GOOD)


def test_every_problem_is_a_line_with_file_field_and_what_is_allowed() -> None:
    bad = POLICIES / "bad" / "threshold-as-ratio.yaml"
    result = run(SMALLEST, bad)
    assert result.exit_code == 1
    assert result.output.splitlines()[1] == (
        f"{bad}: threshold-as-ratio: spec.detection.threshold.percent: "
        "must be a whole number of percent from 1 to 99 (is 0.7)"
    )


def test_json_has_all_findings() -> None:
    result = run("-o", "json", *(bad.path for bad in BAD))
    assert result.exit_code == 1
    findings = json.loads(result.output)
    assert [[problem["field"] for problem in finding["problems"]] for finding in findings] == [
        [bad.field] for bad in BAD
    ]


def test_short_lookback_can_be_allowed_as_the_controller_does() -> None:
    short = POLICIES / "bad" / "lookback-short-for-remediate.yaml"
    assert run(short).exit_code == 1
    assert run("--allow-short-lookback", short).exit_code == 0


def test_other_documents_are_passed_over_and_lists_are_looked_into() -> None:
    policy = "{apiVersion: bilgepump.dev/v1alpha1, kind: MemoryPolicy, metadata: {name: a}, spec: {}}"
    manifest = f"kind: Service\n---\nkind: List\nitems: [{policy}, {{kind: Pod}}]\n---\n"
    result = run("-", given=manifest)
    assert result.exit_code == 1
    assert result.output.startswith("<stdin>: a: spec.target: must have exactly one of")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("kind: Service", "must have a document of kind MemoryPolicy", id="no policy"),
        pytest.param("", "must have a document of kind MemoryPolicy", id="empty"),
        pytest.param("a: [", "must be YAML", id="no YAML"),
        pytest.param("[1, two]", "must have a document of kind MemoryPolicy", id="no object"),
        pytest.param("a: !!python/object:os.system {}", "must be YAML", id="a YAML tag that would run code"),
    ],
)
def test_file_without_a_policy_is_a_problem(text: str, told: str) -> None:
    result = run("-", given=text)
    assert result.exit_code == 1
    assert told in result.output


def test_missing_file_is_wrong_usage() -> None:
    assert run("nowhere.yaml").exit_code == 2


def test_policy_for_ecs_is_checked_as_its_command_would() -> None:
    ecs = {"region": "eu-west-1", "cluster": "prod", "services": ["api"]}
    policy = {
        "apiVersion": "bilgepump.dev/v1alpha1",
        "kind": "MemoryPolicy",
        "metadata": {"name": "api", "namespace": "shop"},
        "spec": {"target": {"ecs": ecs}},
    }
    of_kubernetes = {**policy, "spec": {"target": {"selector": {"matchLabels": {"app": "api"}}}}}

    assert run("-", given=json.dumps(policy)).exit_code == 0
    assert run("--ecs", "-", given=json.dumps(policy)).exit_code == 0
    assert run("--ecs", "-", given=json.dumps(of_kubernetes)).exit_code == 1
