"""Which policies are in force under the controller's own settings."""

import pytest

from controller.operator.policies import WatchedPolicies
from tests.platforms.kubernetes.served import ServedApi, metadata_of

LIST = "/apis/bilgepump.dev/v1alpha1/namespaces/shop/memorypolicies"


def naming(kind: str) -> ServedApi:
    policy = {
        "apiVersion": "bilgepump.dev/v1alpha1",
        "kind": "MemoryPolicy",
        "metadata": metadata_of("api"),
        "spec": {"target": {"workloads": [{"kind": kind, "name": "api"}]}},
    }
    return ServedApi({LIST: [policy]})


@pytest.mark.parametrize(
    ("kind", "with_rollouts", "accepted"),
    [("Rollout", False, 0), ("Rollout", True, 1), ("Deployment", False, 1)],
)
async def test_policy_may_name_rollouts_where_they_are_looked_at(
    kind: str, with_rollouts: bool, accepted: int
) -> None:
    policies = WatchedPolicies(
        naming(kind), namespaces=["shop"], allow_short_lookback=False, with_rollouts=with_rollouts
    )

    book = await policies.book()

    assert len(book.accepted) == accepted
    assert [(one.reason, "`rollouts.enabled`" in one.problems) for one in book.rejected] == [
        ("RolloutsNotEnabled", True)
    ] * (1 - accepted)


async def test_policy_that_cannot_be_read_puts_no_other_out_of_force() -> None:
    def policy(name: str, route: str) -> dict[str, object]:
        histogram = {"metric": "seconds", "matchPatterns": {"route": route}}
        return {
            "apiVersion": "bilgepump.dev/v1alpha1",
            "kind": "MemoryPolicy",
            "metadata": metadata_of(name),
            "spec": {
                "target": {"selector": {"matchLabels": {"app": name}}},
                "verification": {"latency": {"histogram": histogram}},
            },
        }

    api = ServedApi({LIST: [policy("api", "/.*"), policy("odd", "a{4294967296}")]})

    book = await WatchedPolicies(api, namespaces=["shop"], allow_short_lookback=False).book()

    assert [one.name for one in book.accepted] == ["api"]
    assert [one.name for one in book.rejected] == ["odd"]
