"""Which namespace may use which role, where."""

from dataclasses import replace

import pytest

from controller.policy.ecs_access import EcsAccess, EcsRole, ambiguous
from controller.policy.memory_policy import EcsTarget, Target
from tests.fakes import a_policy

ROLE = "arn:aws:iam::210987654321:role/bilgepump"
OWN = EcsTarget(region="eu-west-1", cluster="prod", services=("api",))
ASSUMED = replace(OWN, assume_role_arn=ROLE)


@pytest.mark.parametrize(
    ("role", "target", "allowed"),
    [
        pytest.param(EcsRole(namespaces=("shop",)), OWN, True, id="own role"),
        pytest.param(EcsRole(namespaces=("shop",)), ASSUMED, False, id="another role than the own"),
        pytest.param(EcsRole(arn=ROLE, namespaces=("shop",)), ASSUMED, True, id="that role"),
        pytest.param(EcsRole(arn=ROLE, namespaces=("shop",)), OWN, False, id="own role is not that role"),
        pytest.param(EcsRole(namespaces=("other",)), OWN, False, id="another namespace"),
        pytest.param(
            EcsRole(namespaces=("shop",), clusters=("eu-west-1/test",)), OWN, False, id="another cluster"
        ),
        pytest.param(
            EcsRole(namespaces=("shop",), clusters=("eu-west-1/prod",)), OWN, True, id="that cluster"
        ),
    ],
)
def test_role_is_allowed_or_the_reason_is_told(role: EcsRole, target: EcsTarget, allowed: bool) -> None:
    refusal = EcsAccess((role,)).may_not_look("shop", target)

    assert (refusal == "") is allowed
    assert allowed or ("namespace shop" in refusal and "`ecs.roles`" in refusal)


def test_without_any_role_nobody_may_look() -> None:
    assert EcsAccess().may_not_look("shop", OWN)


def test_role_for_looking_only() -> None:
    access = EcsAccess((EcsRole(namespaces=("shop",), remediate=False),))

    assert access.may_not_look("shop", OWN) == ""
    assert "but not act" in access.may_not_act("shop", OWN)


def test_one_cluster_is_reached_in_one_way_from_a_namespace() -> None:
    policies = [
        a_policy(name="a", target=Target(ecs=OWN)),
        a_policy(name="b", target=Target(ecs=ASSUMED)),
        a_policy(name="c", namespace="other", target=Target(ecs=ASSUMED)),
        a_policy(name="d"),
    ]

    assert sorted(ambiguous(policies)) == ["shop/a", "shop/b"]
