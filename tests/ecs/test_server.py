"""The stand-in holds to botocore's model of ECS and to the documented rules of its scheduler."""

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, HTTPClientError

from tests.ecs.conftest import a_client
from tests.ecs.server import EcsStandIn
from tests.ecs.tasks import Pretence, Pretended
from tests.ecs.waiting import until


def a_service(client: Any, ecs: EcsStandIn, **changes: Any) -> None:
    client.register_task_definition(
        family="api",
        memory="128",
        containerDefinitions=[{"name": "app", "image": "registry.example/api:1", "memory": 128}],
    )
    asked = {
        "cluster": "prod",
        "serviceName": "api",
        "taskDefinition": "api",
        "desiredCount": 3,
        "deploymentConfiguration": {"minimumHealthyPercent": 100, "maximumPercent": 134},
        **changes,
    }
    client.create_service(**asked)
    until(lambda: ecs.settled("api"))


def running(client: Any) -> list[str]:
    return sorted(client.list_tasks(cluster="prod", serviceName="api")["taskArns"])


def described(client: Any) -> Any:
    return client.describe_services(cluster="prod", services=["api"])["services"][0]


def test_stopped_task_is_replaced_and_says_why(ecs: EcsStandIn) -> None:
    client = a_client(ecs)
    a_service(client, ecs)
    first, *others = running(client)

    client.stop_task(cluster="prod", task=first, reason="bilgepump api-1")
    until(lambda: len(running(client)) == 3 and first not in running(client))

    (stopped,) = client.describe_tasks(cluster="prod", tasks=[first])["tasks"]
    assert (stopped["stopCode"], stopped["stoppedReason"]) == ("UserInitiated", "bilgepump api-1")
    assert set(others) < set(running(client))


def test_forced_deployment_replaces_all_and_never_serves_with_fewer(ecs: EcsStandIn) -> None:
    client = a_client(ecs)
    a_service(client, ecs)
    before, fewest, most = running(client), 3, 3

    client.update_service(cluster="prod", service="api", forceNewDeployment=True)
    assert [one["status"] for one in described(client)["deployments"]] == ["PRIMARY", "ACTIVE"]
    while not ecs.settled("api"):
        service = described(client)
        fewest = min(fewest, service["runningCount"])
        most = max(most, service["runningCount"] + service["pendingCount"])

    assert not set(before) & set(running(client))
    assert fewest == 3
    assert most == 4
    assert described(client)["deployments"][0]["rolloutState"] == "COMPLETED"
    assert "steady state" in described(client)["events"][0]["message"]


def test_deployment_that_may_neither_add_nor_remove_stands_still(ecs: EcsStandIn) -> None:
    client = a_client(ecs)
    a_service(client, ecs, deploymentConfiguration={"minimumHealthyPercent": 100, "maximumPercent": 100})
    before = running(client)

    client.update_service(cluster="prod", service="api", forceNewDeployment=True)
    time.sleep(0.6)

    assert running(client) == before
    assert described(client)["deployments"][0]["rolloutState"] == "IN_PROGRESS"


def test_protected_task_stalls_a_deployment(ecs: EcsStandIn) -> None:
    client = a_client(ecs)
    a_service(client, ecs)
    protected = running(client)[0]
    client.update_task_protection(cluster="prod", tasks=[protected], protectionEnabled=True)

    client.update_service(cluster="prod", service="api", forceNewDeployment=True)
    until(
        lambda: (
            sum(
                one["status"] == "PRIMARY" and one["runningCount"] == 3
                for one in described(client)["deployments"]
            )
            == 1
        )
    )
    time.sleep(0.3)

    assert protected in running(client)
    (answer,) = client.get_task_protection(cluster="prod", tasks=[protected])["protectedTasks"]
    assert answer["protectionEnabled"]
    assert answer["expirationDate"] is not None


def test_circuit_breaker_fails_the_deployment_and_rolls_back() -> None:
    runtime = Pretence()
    with EcsStandIn(runtime) as ecs:
        client = a_client(ecs)
        breaker = {"enable": True, "rollback": True}
        a_service(client, ecs, deploymentConfiguration={"deploymentCircuitBreaker": breaker})
        first = described(client)["deployments"][0]["id"]

        runtime.broken = True
        client.update_service(cluster="prod", service="api", forceNewDeployment=True)
        until(lambda: any(one["rolloutState"] == "FAILED" for one in described(client)["deployments"]))
        runtime.broken = False
        until(lambda: ecs.settled("api"))

        assert described(client)["deployments"][0]["id"] != first
        assert any("deployment failed" in one["message"] for one in described(client)["events"])


def test_task_that_ends_by_itself_is_replaced(ecs: EcsStandIn) -> None:
    client = a_client(ecs)
    a_service(client, ecs)
    victim = ecs.service("api").tasks[0]
    assert isinstance(victim.running, Pretended)

    victim.running.ended = 137
    until(lambda: victim.arn not in running(client) and len(running(client)) == 3)

    (stopped,) = client.describe_tasks(cluster="prod", tasks=[victim.arn])["tasks"]
    assert stopped["stopCode"] == "EssentialContainerExited"
    assert stopped["containers"][0]["exitCode"] == 137


def test_lists_come_in_pages(ecs: EcsStandIn) -> None:
    client = a_client(ecs)
    client.register_task_definition(
        family="api", memory="128", containerDefinitions=[{"name": "app", "image": "x", "memory": 128}]
    )
    for number in range(25):
        client.create_service(
            cluster="prod", serviceName=f"api-{number}", taskDefinition="api", desiredCount=0
        )

    pages = list(client.get_paginator("list_services").paginate(cluster="prod"))

    assert [len(page["serviceArns"]) for page in pages] == [10, 10, 5]


def test_throttled_call_is_refused_as_ecs_refuses_it(ecs: EcsStandIn) -> None:
    client = a_client(ecs)
    ecs.throttle("ListServices")

    with pytest.raises(ClientError) as raised:
        client.list_services(cluster="prod")

    assert raised.value.response["Error"]["Code"] == "ThrottlingException"
    assert client.list_services(cluster="prod")["serviceArns"] == []


def test_lost_answer_leaves_the_effect(ecs: EcsStandIn) -> None:
    client = a_client(ecs)
    a_service(client, ecs)
    before = described(client)["deployments"][0]["id"]
    ecs.lose_answer("UpdateService")

    with pytest.raises((HTTPClientError, EndpointConnectionError)):
        client.update_service(cluster="prod", service="api", forceNewDeployment=True)

    assert described(client)["deployments"][0]["id"] != before


@pytest.mark.parametrize(
    ("operation", "document"),
    [
        ("StopTask", {"cluster": "prod"}),
        ("StopTask", {"cluster": "prod", "task": "a", "because": "of an unknown parameter"}),
        ("UpdateService", {"service": "api", "forceNewDeployment": "yes"}),
    ],
    ids=["required parameter missing", "unknown parameter", "wrong type"],
)
def test_request_that_the_model_does_not_allow_is_refused(
    ecs: EcsStandIn, operation: str, document: dict[str, Any]
) -> None:
    import requests

    target = {"X-Amz-Target": f"AmazonEC2ContainerServiceV20141113.{operation}"}
    answer = requests.post(ecs.url, json=document, headers=target, timeout=5)

    assert answer.status_code == 400
    assert answer.json()["__type"] == "InvalidParameterException"


def test_answer_that_the_model_does_not_allow_is_an_error_of_the_standin(ecs: EcsStandIn) -> None:
    with pytest.raises(AssertionError, match="not one of ECS"):
        ecs._validated("StopTask", lambda _: {"task": {"taskArn": 5}}, {})


def test_every_operation_is_one_of_the_model(ecs: EcsStandIn) -> None:
    assert set(ecs.operations.named) <= set(ecs._model.operation_names)
