"""
Who may read an incident: the API server is asked whose token it is, and whether they may get the incident;
for log lines also whether they may read the logs of its namespace's pods.

Answers are remembered for a few seconds, since a page and its files are asked for one after another; of
tokens only their hashes are.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from controller.platforms.kubernetes.api import KubernetesApi

TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"  # noqa: S105  (a path)
ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
REMEMBERED_FOR = timedelta(seconds=5)
MOST_REMEMBERED = 1000


_Attributes = tuple[tuple[str, str], ...]
"""What is to be got, as `resourceAttributes` of a SubjectAccessReview."""


class Access(StrEnum):
    """What the API server says of somebody and one incident."""

    ALLOWED = "Allowed"
    FORBIDDEN = "Forbidden"
    UNKNOWN_TOKEN = "UnknownToken"  # noqa: S105  (a word)


@dataclass(frozen=True, slots=True)
class Review:
    """The answer, and who asked as far as that is known."""

    access: Access
    user: str = ""


class KubernetesReviewer:
    """Asks with TokenReview and SubjectAccessReview."""

    def __init__(self, api: KubernetesApi, clock: Callable[[], datetime]) -> None:
        self._api = api
        self._clock = clock
        self._remembered: dict[tuple[str, _Attributes], tuple[datetime, Review]] = {}

    async def may_get(self, token: str, namespace: str, incident: str) -> Review:
        """Whether whoever holds `token` may get that MemoryIncident. Raises PlatformUnavailable."""
        attributes = (("group", "bilgepump.dev"), ("resource", "memoryincidents"), ("name", incident))
        return await self._review(token, (*attributes, ("namespace", namespace)))

    async def may_read_logs(self, token: str, namespace: str) -> Review:
        """Whether they may read the logs of pods of that namespace. Raises PlatformUnavailable."""
        attributes = (("group", ""), ("resource", "pods"), ("subresource", "log"))
        return await self._review(token, (*attributes, ("namespace", namespace)))

    async def _review(self, token: str, attributes: _Attributes) -> Review:
        now = self._clock()
        key = (hashlib.sha256(token.encode()).hexdigest(), attributes)
        known = self._remembered.get(key)
        if known is not None and now < known[0]:
            return known[1]
        review = await self._ask(token, attributes)
        self._forget(now)
        self._remembered[key] = (now + REMEMBERED_FOR, review)
        return review

    async def _ask(self, token: str, attributes: _Attributes) -> Review:
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        answer = (await self._api.create(TOKEN_REVIEWS, asked)).get("status") or {}
        user = answer.get("user") or {}
        if not answer.get("authenticated") or not user.get("username"):
            return Review(Access.UNKNOWN_TOKEN)
        allowed = await self._allowed(user, attributes)
        return Review(Access.ALLOWED if allowed else Access.FORBIDDEN, str(user["username"]))

    async def _allowed(self, user: dict[str, Any], attributes: _Attributes) -> bool:
        asked = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": user["username"],
                "uid": user.get("uid", ""),
                "groups": user.get("groups") or [],
                "extra": user.get("extra") or {},
                "resourceAttributes": {"verb": "get", **dict(attributes)},
            },
        }
        return (await self._api.create(ACCESS_REVIEWS, asked)).get("status", {}).get("allowed") is True

    def _forget(self, now: datetime) -> None:
        self._remembered = {key: known for key, known in self._remembered.items() if now < known[0]}
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered.clear()
