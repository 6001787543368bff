"""Documents that no check has foreseen: each is rejected by itself, whatever it is."""

from typing import Any

import pytest

from controller.policy.book import RejectedPolicy, read_policy


def a_document(**changes: object) -> dict[str, Any]:
    return {
        "apiVersion": "bilgepump.dev/v1alpha1",
        "kind": "MemoryPolicy",
        "metadata": {"name": "api", "namespace": "shop", "uid": "u", "generation": 3},
        "spec": {"target": {"selector": {"matchLabels": {"app": "api"}}}},
        **changes,
    }


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def test_what_nests_deeper_than_python_reads_is_rejected_by_itself() -> None:
    document = a_document(spec={"mode": nested(100_000)})

    rejected = read_policy(document)

    assert isinstance(rejected, RejectedPolicy)
    assert (rejected.namespace, rejected.name, rejected.uid, rejected.generation) == ("shop", "api", "u", 3)
    assert "document" in rejected.problems
    assert "RecursionError" in rejected.problems


@pytest.mark.parametrize(
    "metadata",
    [5, [], {"generation": float("inf")}, {"generation": [1]}, {"generation": "9" * 5000}],
    ids=["number", "list", "infinite", "not a number", "too long"],
)
def test_metadata_of_any_shape_is_rejected_with_its_field(metadata: object) -> None:
    rejected = read_policy(a_document(metadata=metadata))

    assert isinstance(rejected, RejectedPolicy)
    assert rejected.generation == 0
    assert "metadata" in rejected.problems


@pytest.mark.parametrize("pattern", ["a{4294967296}", "a{99999999999999999999}", "("])
def test_pattern_that_cannot_be_compiled_is_refused_with_field_and_value(pattern: str) -> None:
    requests = {"metric": "http_requests_total"}
    rule = {"requests": requests, "errors": {**requests, "matchPatterns": {"code": pattern}}}
    document = a_document()
    document["spec"]["verification"] = {"errorRatio": rule}

    rejected = read_policy(document)

    assert isinstance(rejected, RejectedPolicy)
    assert "spec.verification.errorRatio.errors.matchPatterns.code" in rejected.problems
    assert pattern in rejected.problems
    assert "must be a regular expression" in rejected.problems
