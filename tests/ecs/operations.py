"""The operations of the ECS API that the controller and its tests use, over the scheduler."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from tests.ecs.scheduler import ACCOUNT, ARN, CLUSTER, Document, Refused, Scheduler, Service, Task, now

PAGE = 100
"""Most ids per page of a list, and per DescribeTasks (API_ListTasks, API_DescribeTasks)."""
INSTANCE = f"{ARN}:container-instance/{CLUSTER}/{'c' * 32}"
PAGE_OF_SERVICES = 10
"""ListServices answers 10 a page unless asked for more (API_ListServices); DescribeServices takes 10."""


class Operations:
    """One method per operation; parameters and answers are those of the model."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.image_digest = "sha256:" + "d" * 64
        """What every task runs."""
        self.ec2_instance = "i-0123456789abcdef0"
        """The one container instance of tasks that have no network interface of their own."""
        self.named: dict[str, Callable[[Document], Document]] = {
            "CreateService": self._create_service,
            "DescribeContainerInstances": self._describe_container_instances,
            "DescribeServices": self._describe_services,
            "DescribeTaskDefinition": self._describe_task_definition,
            "DescribeTasks": self._describe_tasks,
            "GetTaskProtection": self._get_task_protection,
            "ListServices": self._list_services,
            "ListTasks": self._list_tasks,
            "RegisterTaskDefinition": self._register_task_definition,
            "StopTask": self._stop_task,
            "TagResource": self._tag_resource,
            "UpdateService": self._update_service,
            "UpdateTaskProtection": self._update_task_protection,
        }

    def _register_task_definition(self, asked: Document) -> Document:
        definitions = self._scheduler.definitions
        revision = 1 + sum(one["family"] == asked["family"] for one in definitions.values())
        arn = f"{ARN}:task-definition/{asked['family']}:{revision}"
        definitions[arn] = {**asked, "taskDefinitionArn": arn, "revision": revision, "status": "ACTIVE"}
        definitions[arn].pop("tags", None)
        return {"taskDefinition": definitions[arn]}

    def _describe_task_definition(self, asked: Document) -> Document:
        return {"taskDefinition": self._scheduler.definitions[self._definition(asked["taskDefinition"])]}

    def _create_service(self, asked: Document) -> Document:
        self._in_cluster(asked)
        service = Service(
            name=asked["serviceName"],
            desired=asked.get("desiredCount", 1),
            configuration=asked.get("deploymentConfiguration", {}),
            controller=asked.get("deploymentController", {}).get("type", "ECS"),
            scheduling=asked.get("schedulingStrategy", "REPLICA"),
            created_at=now(),
            tags=asked.get("tags", []),
            balancers=asked.get("loadBalancers", []),
        )
        self._scheduler.deploy(service, self._definition(asked["taskDefinition"]))
        self._scheduler.services[service.name] = service
        return {"service": _service(service)}

    def _update_service(self, asked: Document) -> Document:
        service = self._service(asked)
        if service.controller != "ECS" and (asked.get("forceNewDeployment") or "taskDefinition" in asked):
            raise Refused(
                "InvalidParameterException",
                "Unable to update task definition on services with a CODE_DEPLOY deployment controller.",
            )
        service.desired = asked.get("desiredCount", service.desired)
        service.configuration = service.configuration | asked.get("deploymentConfiguration", {})
        definition = self._definition(asked.get("taskDefinition", service.primary.definition))
        if asked.get("forceNewDeployment") or definition != service.primary.definition:
            self._scheduler.deploy(service, definition)
        return {"service": _service(service)}

    def _list_services(self, asked: Document) -> Document:
        self._in_cluster(asked)
        arns = [one.arn for one in self._scheduler.services.values()]
        return _page("serviceArns", arns, asked, default=PAGE_OF_SERVICES)

    def _describe_services(self, asked: Document) -> Document:
        self._in_cluster(asked)
        if len(asked["services"]) > PAGE_OF_SERVICES:
            raise Refused("InvalidParameterException", "Services cannot have more than 10 elements.")
        found, missing = [], []
        for name in asked["services"]:
            service = self._scheduler.services.get(name.rpartition("/")[2])
            if service is None:
                missing.append({"arn": f"{ARN}:service/{CLUSTER}/{name}", "reason": "MISSING"})
            else:
                document = _service(service)
                if "TAGS" not in asked.get("include", ()):
                    document.pop("tags")
                found.append(document)
        return {"services": found, "failures": missing}

    def _list_tasks(self, asked: Document) -> Document:
        self._in_cluster(asked)
        wanted = asked.get("desiredStatus", "RUNNING")
        services = list(self._scheduler.services.values())
        if "serviceName" in asked:
            services = [self._service({"service": asked["serviceName"]})]
        arns = [task.arn for one in services for task in one.tasks if task.desired_status == wanted]
        return _page("taskArns", arns, asked, default=PAGE)

    def _describe_tasks(self, asked: Document) -> Document:
        self._in_cluster(asked)
        if len(asked["tasks"]) > PAGE:
            raise Refused("InvalidParameterException", "Tasks cannot have more than 100 elements.")
        found, missing = [], []
        for name in asked["tasks"]:
            known = self._scheduler.task(name)
            if known is None:
                missing.append({"arn": name, "reason": "MISSING"})
            else:
                found.append(self._task(*known))
        return {"tasks": found, "failures": missing}

    def _describe_container_instances(self, asked: Document) -> Document:
        self._in_cluster(asked)
        found = [
            {"containerInstanceArn": arn, "ec2InstanceId": self.ec2_instance, "status": "ACTIVE"}
            for arn in asked["containerInstances"]
            if arn == INSTANCE
        ]
        missing = [arn for arn in asked["containerInstances"] if arn != INSTANCE]
        return {
            "containerInstances": found,
            "failures": [{"arn": arn, "reason": "MISSING"} for arn in missing],
        }

    def _stop_task(self, asked: Document) -> Document:
        known = self._scheduler.task(asked["task"])
        if known is None:
            raise Refused("InvalidParameterException", "The referenced task was not found.")
        known[0].steady = False
        self._scheduler.stop(known[1], asked.get("reason", "Task stopped by user"), "UserInitiated")
        return {"task": self._task(*known)}

    def _get_task_protection(self, asked: Document) -> Document:
        tasks = [found[1] for name in asked.get("tasks", ()) if (found := self._scheduler.task(name))]
        return {"protectedTasks": [_protection(one) for one in tasks], "failures": []}

    def _update_task_protection(self, asked: Document) -> Document:
        tasks = [found[1] for name in asked["tasks"] if (found := self._scheduler.task(name))]
        minutes = asked.get("expiresInMinutes", 120)
        for task in tasks:
            enabled = asked["protectionEnabled"]
            task.protected_until = now() + timedelta(minutes=minutes) if enabled else None
        return {"protectedTasks": [_protection(one) for one in tasks], "failures": []}

    def _tag_resource(self, asked: Document) -> Document:
        service = self._service({"service": asked["resourceArn"]})
        new = {one["key"] for one in asked["tags"]}
        service.tags = [one for one in service.tags if one["key"] not in new] + asked["tags"]
        return {}

    def _in_cluster(self, asked: Document) -> None:
        if asked.get("cluster", "default").rpartition("/")[2] != CLUSTER:
            raise Refused("ClusterNotFoundException", "Cluster not found.")

    def _service(self, asked: Document) -> Service:
        service = self._scheduler.services.get(asked["service"].rpartition("/")[2])
        if service is None:
            raise Refused("ServiceNotFoundException", "Service not found.")
        return service

    def _definition(self, name: str) -> str:
        family = name.rpartition("/")[2]
        arns = [arn for arn in self._scheduler.definitions if arn.endswith(f"/{family}")]
        arns = arns or [
            arn for arn in self._scheduler.definitions if arn.rpartition(":")[0].endswith(f"/{family}")
        ]
        if not arns:
            raise Refused("ClientException", "Unable to describe task definition.")
        return arns[-1]

    def _task(self, service: Service, task: Task) -> Document:
        definition = self._scheduler.definitions[task.deployment.definition]
        container = definition["containerDefinitions"][0]
        own = definition.get("networkMode", "awsvpc") == "awsvpc"
        address = task.running.address if task.running and own else None
        document: Document = {
            "taskArn": task.arn,
            "clusterArn": f"{ARN}:cluster/{CLUSTER}",
            "taskDefinitionArn": task.deployment.definition,
            "group": f"service:{service.name}",
            "startedBy": task.deployment.id,
            "launchType": "FARGATE" if own else "EC2",
            "containerInstanceArn": None if own else INSTANCE,
            "lastStatus": task.status,
            "desiredStatus": task.desired_status,
            "healthStatus": task.health,
            "createdAt": task.created_at,
            "startedAt": task.started_at,
            "stoppingAt": task.stopping_at,
            "stoppedAt": task.stopped_at,
            "stoppedReason": task.stopped_reason or None,
            "stopCode": task.stop_code or None,
            "memory": str(definition.get("memory", container.get("memory"))),
            "attachments": _attachments(address),
            "containers": [
                _some(
                    {
                        "containerArn": f"{ARN}:container/{CLUSTER}/{task.id}/1",
                        "taskArn": task.arn,
                        "name": container["name"],
                        "image": container["image"],
                        "imageDigest": self.image_digest,
                        "runtimeId": f"{task.id}-1",
                        "lastStatus": task.status,
                        "exitCode": task.exit_code,
                        "reason": _reason(task),
                        "healthStatus": task.health,
                        "networkInterfaces": [{"privateIpv4Address": address}] if address else [],
                        "networkBindings": [] if own else _bindings(task, definition),
                        "memory": str(container.get("memory", definition.get("memory"))),
                    }
                )
            ],
        }
        return _some(document)


def _reason(task: Task) -> str | None:
    return "OutOfMemoryError: Container killed due to memory usage" if task.exit_code == 137 else None


def _bindings(task: Task, definition: Document) -> list[Document]:
    """
    In `host` mode the port itself, in `bridge` mode any port of the instance (API_NetworkBinding).

    Dynamic ports come from the ephemeral range (API_PortMapping).
    """
    (container,) = definition["containerDefinitions"]
    dynamic = 32768 + int(task.id[:4], 16) % 20000
    return [
        {
            "bindIP": "0.0.0.0",
            "protocol": "tcp",
            "containerPort": one["containerPort"],
            "hostPort": one["containerPort"] if definition["networkMode"] == "host" else dynamic + number,
        }
        for number, one in enumerate(container.get("portMappings", ()))
    ]


def _attachments(address: str | None) -> list[Document]:
    if address is None:
        return []
    details = [{"name": "privateIPv4Address", "value": address}]
    return [{"id": "eni", "type": "ElasticNetworkInterface", "status": "ATTACHED", "details": details}]


def _service(service: Service) -> Document:
    return {
        "serviceArn": service.arn,
        "serviceName": service.name,
        "clusterArn": f"{ARN}:cluster/{CLUSTER}",
        "status": "ACTIVE",
        "desiredCount": service.desired,
        "runningCount": sum(one.counts and one.status == "RUNNING" for one in service.tasks),
        "pendingCount": sum(one.counts and one.status != "RUNNING" for one in service.tasks),
        "launchType": "FARGATE",
        "taskDefinition": service.primary.definition,
        "deploymentConfiguration": {"strategy": "ROLLING", **service.configuration},
        "deploymentController": {"type": service.controller},
        "schedulingStrategy": service.scheduling,
        "loadBalancers": service.balancers,
        "deployments": [
            {
                "id": one.id,
                "status": one.status,
                "taskDefinition": one.definition,
                "desiredCount": service.desired if one.status == "PRIMARY" else 0,
                "runningCount": sum(
                    task.counts and task.status == "RUNNING"
                    for task in service.tasks
                    if task.deployment is one
                ),
                "failedTasks": one.failed_tasks,
                "createdAt": one.created_at,
                "updatedAt": one.created_at,
                "rolloutState": one.rollout,
                "rolloutStateReason": one.reason,
            }
            for one in service.deployments
        ],
        "events": service.events,
        "createdAt": service.created_at,
        "createdBy": f"arn:aws:iam::{ACCOUNT}:role/deployer",
        "tags": service.tags,
    }


def _protection(task: Task) -> Document:
    protected = task.protected()
    return _some(
        {
            "taskArn": task.arn,
            "protectionEnabled": protected,
            "expirationDate": task.protected_until if protected else None,
        }
    )


def _page(name: str, arns: list[str], asked: Document, *, default: int) -> Document:
    start = int(asked.get("nextToken") or 0)
    size = min(asked.get("maxResults") or default, PAGE)
    answer: Document = {name: arns[start : start + size]}
    if start + size < len(arns):
        answer["nextToken"] = str(start + size)
    return answer


def _some(document: dict[str, Any]) -> Document:
    return {key: value for key, value in document.items() if value is not None}
