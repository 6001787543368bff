"""
The API server, spoken to in plain JSON through the official client's connection.

Typed models are left aside on purpose: they cost ten times the CPU and 70 MiB, refuse lists that are null,
and drop fields they do not know (docs/decisions/0002-raw-json.md). Calls block, so each runs in a thread of
a small pool of its own, always with a timeout.
"""

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3
import yaml
from kubernetes.client import ApiClient, Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.config import list_kube_config_contexts, load_incluster_config, load_kube_config
from kubernetes.config.config_exception import ConfigException

from controller.ports import PlatformUnavailable

FIELD_MANAGER = "bilgepump"
MERGE_PATCH = "application/merge-patch+json"
PAGE_SIZE = 500
"""Objects per page of a list: what kubectl asks for."""

Document = dict[str, Any]


class ApiRefusal(PlatformUnavailable):
    """The API server answered, and said no."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"the API server refused ({status} {reason}): {message}")
        self.status = status
        self.reason = reason

    @property
    def may_be_done(self) -> bool:
        """A server that failed or ran out of time may have done what it was asked before."""
        return self.status >= 500


class KubernetesApi:
    """A few verbs over JSON."""

    def __init__(self, client: ApiClient, *, timeout_seconds: float = 30.0, threads: int = 4) -> None:
        self._client = client
        self._timeout_seconds = timeout_seconds
        self._executor = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="kubernetes")

    async def get(self, path: str, **query: str) -> Document:
        """One object. Raises ApiRefusal, PlatformUnavailable."""
        return await self._call("GET", path, query)

    async def find(self, path: str) -> Document | None:
        """One object, or None where there is none. Raises ApiRefusal, PlatformUnavailable."""
        try:
            return await self.get(path)
        except ApiRefusal as refusal:
            if refusal.status == 404:
                return None
            raise

    async def items(self, path: str, **query: str) -> list[Document]:
        """Every object of a list, page by page. Raises ApiRefusal, PlatformUnavailable."""
        items: list[Document] = []
        following = ""
        while True:
            page = {"limit": str(PAGE_SIZE), **query} | ({"continue": following} if following else {})
            answer = await self._call("GET", path, page)
            items += answer.get("items") or []
            following = (answer.get("metadata") or {}).get("continue") or ""
            if not following:
                return items

    async def create(self, path: str, document: Mapping[str, Any]) -> Document:
        """A new object. Raises ApiRefusal (409 where it exists), PlatformUnavailable."""
        return await self._call("POST", path, {"fieldManager": FIELD_MANAGER}, document)

    async def patch(self, path: str, patch: Mapping[str, Any], **query: str) -> Document:
        """A JSON merge patch. Raises ApiRefusal, PlatformUnavailable."""
        query = {"fieldManager": FIELD_MANAGER, **query}
        return await self._call("PATCH", path, query, patch, MERGE_PATCH)

    async def delete(self, path: str, *, uid: str = "") -> None:
        """
        Removes an object, only that of `uid` where one is given; one that is gone already is fine.

        Raises ApiRefusal (409 where another object bears the name now), PlatformUnavailable.
        """
        options = (
            {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}} if uid else None
        )
        try:
            await self._call("DELETE", path, {}, options)
        except ApiRefusal as refusal:
            if refusal.status != 404:
                raise

    async def fetch(self, path: str, headers: Mapping[str, str]) -> bytes:
        """What stands behind the API server's proxy at `path`. Raises ApiRefusal, PlatformUnavailable."""
        call = partial(self._exchange, "GET", path, {}, None, {"Accept": "*/*", **headers})
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    async def raw(self, path: str, **query: str) -> bytes:
        """An answer that is not JSON, such as a log. Raises ApiRefusal, PlatformUnavailable."""
        call = partial(self._exchange, "GET", path, query, None, {"Accept": "*/*"})
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    @property
    def bearer_token(self) -> str:
        """The token this connection shows; empty where it has a client certificate or nothing."""
        headers: dict[str, str] = {}
        self._client.update_params_for_auth(headers, [], ["BearerToken"], "", "", None)
        scheme, _, token = headers.get("authorization", "").partition(" ")
        return token if scheme == "Bearer" else ""

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> Document:
        call = partial(self._blocking_call, method, path, query, body, content_type)
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    def _blocking_call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None,
        content_type: str,
    ) -> Document:
        headers = {"Accept": "application/json", "Content-Type": content_type}
        return _decoded(self._exchange(method, path, query, body, headers))

    def _exchange(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None,
        headers: dict[str, str],
    ) -> bytes:
        configuration = self._client.configuration
        self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = f"{configuration.host}{path}" + (f"?{urlencode(query)}" if query else "")
        try:
            response = self._client.call_api(
                method, url, header_params=headers, body=body, _request_timeout=self._timeout_seconds
            )
            content: bytes = response.read()  # type: ignore[no-untyped-call]  # untyped in kubernetes 37
        except ApiException as error:
            raise _refusal(error.status or 0, error.body) from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise PlatformUnavailable(f"the API server did not answer: {error}") from error
        if response.status >= 400:
            raise _refusal(response.status, content)
        return content


def _decoded(content: bytes) -> Document:
    try:
        answer = json.loads(content or b"{}")
    except (ValueError, RecursionError) as error:
        raise PlatformUnavailable("the API server's answer is not JSON") from error
    if not isinstance(answer, dict):
        raise PlatformUnavailable("the API server's answer is not an object")
    return answer


def _refusal(status: int, body: str | bytes | None) -> ApiRefusal:
    try:
        answer = json.loads(body or b"{}")
        return ApiRefusal(status, str(answer.get("reason", "")), str(answer.get("message", ""))[:1024])
    except (ValueError, AttributeError, RecursionError):
        return ApiRefusal(status, "", "no explanation was given")


_UNUSABLE = (
    ConfigException,
    yaml.YAMLError,
    OSError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
)
"""
What the client raises for a kubeconfig that is none.

It merges whatever the YAML holds without a look at its shape, so a list where a mapping belongs is a
TypeError or an AttributeError; a ValueError is text that is not UTF-8, or not base64.
"""


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def connect(kubeconfig: str | None = None, context: str | None = None) -> KubernetesApi:
    """
    The API server this process belongs to: the one of its pod, else the one of the kubeconfig.

    A `kubeconfig` or `context` that is given counts, also in a pod. Raises PlatformUnavailable where there is
    none of them.
    """
    configuration = Configuration()
    if kubeconfig or context:
        try:
            load_kube_config(kubeconfig, context, configuration)  # type: ignore[no-untyped-call]  # as above
        except _UNUSABLE as error:
            raise PlatformUnavailable(f"no usable kubeconfig: {_line(error)}") from error
        return KubernetesApi(ApiClient(configuration))
    try:
        load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # as above
    except ConfigException:
        try:
            load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # as above
        except _UNUSABLE as error:
            why = _line(error)
            raise PlatformUnavailable(f"neither in a pod nor with a usable kubeconfig: {why}") from error
    return KubernetesApi(ApiClient(configuration))


_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def current_namespace(kubeconfig: str | None = None, context: str | None = None) -> str:
    """The namespace of this pod, else of the kubeconfig's context, else `default`: kubectl's own order."""
    if not (kubeconfig or context):
        try:
            return _POD_NAMESPACE.read_text(encoding="utf-8").strip()
        except OSError:
            pass
    try:
        known, active = list_kube_config_contexts(kubeconfig)  # type: ignore[no-untyped-call]  # as above
        chosen = next((one for one in known if one["name"] == context), active)
        return str(chosen["context"].get("namespace") or "default")
    except _UNUSABLE:
        return "default"  # what is wrong with it, `connect` says
