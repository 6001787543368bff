"""The `target.ecs` of a policy: which services of an Amazon ECS cluster, and as whom they are looked at."""

from controller.policy.memory_policy import EcsTarget
from controller.policy.section import Section
from controller.policy.syntax import AWS_REGION, ECS_NAME, EXTERNAL_ID, ROLE_ARN, TAG_KEY, TAG_VALUE


def parse_ecs_target(ecs: Section) -> EcsTarget:
    """The ECS services that `ecs` describes; its problems are noted in it."""
    ecs.require("region", "cluster")
    target = EcsTarget(
        region=ecs.text("region", AWS_REGION, "the name of a region, such as eu-west-1", longest=32),
        cluster=ecs.text("cluster", ECS_NAME, "the name of a cluster, not its ARN", longest=255),
        services=ecs.names("services", ECS_NAME, "names of services, not ARNs"),
        tags=ecs.labels("tags", TAG_KEY, TAG_VALUE),
        assume_role_arn=ecs.text("assumeRoleArn", ROLE_ARN, "the ARN of an IAM role", longest=2048),
        external_id=ecs.text(
            "externalId", EXTERNAL_ID, "an external id of 2 to 1224 characters", longest=1224
        ),
    )
    if ("services" in ecs) == ("tags" in ecs):
        both = "both" if "services" in ecs else "neither"
        ecs.refuse("", "must have exactly one of `services` and `tags`", both)
    elif not target.services and not target.tags:
        ecs.refuse("", "must name at least one service or tag; empty would mean every service")
    if target.external_id and not target.assume_role_arn:
        ecs.refuse("externalId", "is of use only with `assumeRoleArn`", target.external_id)
    ecs.refuse_unknown()
    return target
