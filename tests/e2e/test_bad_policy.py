"""A policy that only the controller can refuse: it says which field, and the others go on."""

from __future__ import annotations

import pytest

from tests.demo.stage import a_policy, events
from tests.e2e.performance import Stage, create_namespace
from tests.policy.corpus import BAD, read

pytestmark = pytest.mark.cluster

NAMESPACE = "e2e-refused"
ZONE = next(bad for bad in BAD if bad.path.stem == "window-time-zone-unknown")


def test_refused_policy_names_the_field_and_others_go_on_until_it_is_corrected(stage: Stage) -> None:
    cluster = stage.cluster
    create_namespace(cluster, NAMESPACE)
    bad = read(ZONE.path)
    bad["metadata"] = {"name": "bad", "namespace": NAMESPACE}
    cluster.apply(bad)
    refused = stage.wait_for_condition(NAMESPACE, "bad", "Accepted", "False")
    assert ZONE.field in refused["message"]
    assert ZONE.says in refused["message"]
    cluster.apply(a_policy(NAMESPACE, "good", mode="Observe"))
    stage.wait_for_condition(NAMESPACE, "good", "Accepted", "True")
    bad["spec"]["remediation"]["maintenanceWindows"][0]["timeZone"] = "Asia/Kolkata"
    cluster.apply(bad)
    stage.wait_for_condition(NAMESPACE, "bad", "Accepted", "True")

    def told() -> list[str] | None:
        on_it = [one for one in events(cluster, NAMESPACE) if one["involvedObject"]["name"] == "bad"]
        reasons = [one["reason"] for one in on_it]
        return reasons if len(reasons) == 2 else None

    assert stage.until("the policy is told both", told) == ["PolicyInvalid", "PolicyAccepted"]
