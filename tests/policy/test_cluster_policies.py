"""ClusterMemoryPolicy: what it may say, and where it stands."""

from dataclasses import replace
from typing import Any

import pytest

from controller.policy.book import PolicyBook, spread
from controller.policy.memory_policy import MemoryPolicy
from controller.policy.parsing import parse_policy
from tests.fakes import a_policy
from tests.policy.cluster_corpus import ALL, BAD, GOOD, LABELS, cluster_policy

NAMESPACES = {"shop": {"team": "shop"}, "bank": {"team": "bank"}, "bare": {}}


def parsed(spec: dict[str, Any]) -> MemoryPolicy:
    policy = parse_policy(cluster_policy(spec))
    assert isinstance(policy, MemoryPolicy), policy
    return policy


@pytest.mark.parametrize("spec", GOOD)
def test_good_one_is_accepted_and_is_in_no_namespace(spec: dict[str, Any]) -> None:
    policy = parsed(spec)
    assert policy.cluster_wide
    assert (policy.key, policy.own_namespace) == ("default", "")


@pytest.mark.parametrize(("spec", "field", "says", "_admission"), BAD)
def test_bad_one_is_refused_by_its_field(
    spec: dict[str, Any], field: str, says: str, _admission: str
) -> None:
    problems = parse_policy(cluster_policy(spec))
    assert isinstance(problems, tuple), "the policy is accepted"
    assert [problem.field for problem in problems] == [field]
    assert says in problems[0].message


def test_selector_of_namespaces_is_for_this_kind_only() -> None:
    document = cluster_policy(LABELS | {"target": {"selector": {"matchLabels": {"app": "api"}}}})
    document |= {"kind": "MemoryPolicy"}
    problems = parse_policy(document)
    assert isinstance(problems, tuple)
    assert [problem.field for problem in problems] == ["spec.namespaceSelector"]


def test_namespace_is_refused() -> None:
    document = cluster_policy(ALL)
    document["metadata"]["namespace"] = "shop"
    problems = parse_policy(document)
    assert isinstance(problems, tuple)
    assert [problem.field for problem in problems] == ["metadata.namespace"]


def test_it_is_not_for_ecs() -> None:
    problems = parse_policy(cluster_policy(ALL), on_ecs=True)
    assert isinstance(problems, tuple)
    assert "kind" in {problem.field for problem in problems}


@pytest.mark.parametrize(("spec", "names"), [(ALL, ["bank", "bare", "shop"]), (LABELS, ["shop"])])
def test_it_stands_in_each_namespace_whose_labels_it_selects(spec: dict[str, Any], names: list[str]) -> None:
    copies = spread(parsed(spec), NAMESPACES)
    assert [one.namespace for one in copies] == names
    assert {(one.key, one.own_namespace, one.uid) for one in copies} == {("default", "", "")}


def test_own_policy_stays_where_it_is() -> None:
    assert spread(a_policy(), NAMESPACES) == (a_policy(),)


def test_book_counts_it_once_also_where_it_reaches_nothing() -> None:
    policy = parsed(ALL)
    idle = replace(parsed(LABELS), name="idle")
    book = PolicyBook(accepted=(a_policy(), *spread(policy, NAMESPACES)), cluster_wide=(policy, idle))
    assert [one.key for one in book.documents] == ["shop/api", "default", "idle"]
    assert book.namespaces == {"shop", "bank", "bare"}
