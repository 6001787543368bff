"""A stand-in for the API server: answers from documents, refuses where it is told to; requests are real."""

from collections.abc import Mapping
from typing import Any

from controller.platforms.kubernetes.api import ApiRefusal, Document, KubernetesApi


class ServedApi(KubernetesApi):
    """Lists and objects by their paths; what was asked of it stands in `asked`."""

    def __init__(self, lists: Mapping[str, list[Document]]) -> None:
        self.lists = lists
        self.objects: dict[str, Document] = {}
        self.refuses: dict[tuple[str, str], ApiRefusal] = {}
        self.asked: list[tuple[str, str]] = []

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> Document:
        self.asked.append((method, path))
        if refusal := self.refuses.get((method, path)):
            raise refusal
        if method != "GET" or path in self.objects:
            return self.objects.get(path, {})
        if path.rpartition("/")[2].endswith("s"):
            return {"items": self.lists.get(path, [])}
        raise ApiRefusal(404, "NotFound", path)


def metadata_of(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": "shop",
        "uid": f"uid-{name}",
        "resourceVersion": "7",
        "creationTimestamp": "2026-03-01T00:00:00Z",
        **changes,
    }


def a_released_pod(name: str, **labels: str) -> Document:
    """A pod that was let go for the incident `api-1`, of a Deployment that is gone."""
    return {
        "metadata": metadata_of(
            name,
            labels={"app": "api", "bilgepump.dev/incident": "api-1", **labels},
            annotations={"bilgepump.dev/released-from": "Deployment/api/uid-api/r1"},
        )
    }
