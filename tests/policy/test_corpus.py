"""Every policy of the corpus, against the controller's own validation."""

from pathlib import Path

import pytest

from controller.policy.memory_policy import MemoryPolicy
from controller.policy.parsing import parse_policy
from tests.policy.corpus import BAD, GOOD, BadPolicy, read


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_good_policy_is_accepted(path: Path) -> None:
    policy = parse_policy(read(path))
    assert isinstance(policy, MemoryPolicy), policy


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.path.stem)
def test_bad_policy_gets_one_problem_that_names_the_field_and_what_is_allowed(bad: BadPolicy) -> None:
    problems = parse_policy(read(bad.path))
    assert isinstance(problems, tuple), "the policy is accepted"
    assert [problem.field for problem in problems] == [bad.field]
    assert bad.says in problems[0].message


def test_corpus_has_a_policy_for_most_mistakes() -> None:
    assert len(BAD) >= 30
    assert len(GOOD) >= 5
