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
