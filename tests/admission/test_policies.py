"""Every policy of the corpus, against a real API server with our CustomResourceDefinition."""

import json
from pathlib import Path

import pytest

from controller.policy.parsing import parse_policy
from tests.cluster.cluster import Cluster
from tests.policy.corpus import BAD, GOOD, BadPolicy, read

pytestmark = pytest.mark.apiserver


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_good_policy_is_admitted_and_stored_with_the_same_meaning(installed: Cluster, path: Path) -> None:
    answer = installed.kubectl("create", "--dry-run=server", "-o", "json", "-f", str(path))
    stored = json.loads(answer.stdout)
    assert stored["spec"]["remediation"]["budget"]["remediations"], "the defaults are filled in"
    for document in (stored, expected := read(path)):
        document["metadata"] |= {"uid": "", "generation": 0}
    assert parse_policy(stored) == parse_policy(expected)


@pytest.mark.parametrize("bad", [bad for bad in BAD if not bad.admitted], ids=lambda bad: bad.path.stem)
def test_bad_policy_is_rejected_with_the_field_and_what_is_allowed(
    installed: Cluster, bad: BadPolicy
) -> None:
    answer = installed.kubectl("create", "--dry-run=server", "-f", str(bad.path), check=False)
    assert answer.returncode != 0
    assert bad.admission in answer.stderr
    # A rule names the object or list whose fields it compares.
    parent = bad.field.rpartition(".")[0].removesuffix("[0]")
    assert bad.field in answer.stderr or parent in answer.stderr


@pytest.mark.parametrize("bad", [bad for bad in BAD if bad.admitted], ids=lambda bad: bad.path.stem)
def test_what_one_object_cannot_know_is_admitted_and_left_to_the_controller(
    installed: Cluster, bad: BadPolicy
) -> None:
    answer = installed.kubectl("create", "--dry-run=server", "-o", "json", "-f", str(bad.path))
    problems = parse_policy(json.loads(answer.stdout))
    assert isinstance(problems, tuple)
    assert [problem.field for problem in problems] == [bad.field]


def test_only_these_are_left_to_the_controller() -> None:
    assert {bad.path.stem for bad in BAD if bad.admitted} == {
        "error-ratio-pattern-broken",
        "lookback-short-for-remediate",
        "window-time-zone-unknown",
    }
