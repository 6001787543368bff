"""
An incident's report and files over HTTP, for those who may get that MemoryIncident.

`/incidents/{namespace}/{name}/report` and `/incidents/{namespace}/{name}/files/{file}`. The API server's
service proxy takes `Authorization` away, so the token may also stand in `X-Bilgepump-Token`. Nothing is
listed; the names of the files stand in `SHA256SUMS` beside them.

Log lines are for those who may read the logs of the namespace's pods as well: others get the page without.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Protocol

from aiohttp import web

from controller.clients.evidence_store import EvidenceStore, Opened
from controller.clients.reporter import REPORT, REPORT_WITH_LOGS, holds_log_lines
from controller.platforms.kubernetes.reviewer import Access, Review
from controller.ports import EvidenceUnavailable, PlatformUnavailable

logger = logging.getLogger(__name__)

TOKEN_HEADER = "X-Bilgepump-Token"  # noqa: S105  (a header's name)
LONGEST_TOKEN = 8000
PIECE_BYTES = 2**18
"""So much of a file is held in memory at once."""

_CLOSED = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-store",
}
# The page's own policy names its style and script by their hashes, and both policies hold. This one keeps the
# page, which comes from the API server's address, from being of that address's origin.
_PAGE = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; sandbox allow-scripts"
    ),
}
_FILE = {
    "Content-Type": "application/octet-stream",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


class Reviewer(Protocol):
    """Says who may read an incident."""

    async def may_get(self, token: str, namespace: str, incident: str) -> Review:
        """Whether whoever holds `token` may get that MemoryIncident. Raises PlatformUnavailable."""
        ...

    async def may_read_logs(self, token: str, namespace: str) -> Review:
        """Whether they may read the logs of pods of that namespace. Raises PlatformUnavailable."""
        ...


class IncidentFiles:
    """Serves what the evidence store keeps of incidents."""

    def __init__(self, store: EvidenceStore, reviewer: Reviewer) -> None:
        self._store = store
        self._reviewer = reviewer

    def routes(self) -> list[web.AbstractRouteDef]:
        """Both paths."""
        return [
            web.get("/incidents/{namespace}/{name}/report", self._report),
            web.get("/incidents/{namespace}/{name}/files/{file}", self._file),
        ]

    async def _report(self, request: web.Request) -> web.StreamResponse:
        return await self._answered(request, self._page)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        return await self._answered(request, self._named)

    async def _answered(
        self, request: web.Request, answer: Callable[[web.Request, str], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """`answer`, for those who may get the incident, with their token."""
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        if "/" in namespace or "/" in name:
            # As `%2F`: the incident asked about would be another than the one whose folder is opened.
            return _refused(HTTPStatus.NOT_FOUND, "there is no such incident")
        token = _token(request)
        if not token:
            return _refused(HTTPStatus.UNAUTHORIZED, f"a bearer token is needed, also in {TOKEN_HEADER}")
        try:
            refusal = await self._refusal(token, namespace, name)
            return await answer(request, token) if refusal is None else refusal
        except PlatformUnavailable as error:
            logger.warning("nobody can be let in", extra={"why": str(error)})
            return _refused(HTTPStatus.SERVICE_UNAVAILABLE, "the API server cannot be asked who you are")
        except EvidenceUnavailable as error:
            logger.warning("nothing can be read", extra={"why": str(error)})
            return _refused(HTTPStatus.SERVICE_UNAVAILABLE, "the evidence store cannot be read now")

    async def _page(self, request: web.Request, token: str) -> web.StreamResponse:
        pages = (REPORT_WITH_LOGS, REPORT) if await self._may_read_logs(request, token) else (REPORT,)
        for page in pages:
            if (kept := await self._open(request, page)) is not None:
                return await _streamed(request, kept, _PAGE)
        return _missing(request, "report")

    async def _named(self, request: web.Request, token: str) -> web.StreamResponse:
        name = request.match_info["file"]
        if holds_log_lines(name) and not await self._may_read_logs(request, token):
            namespace = request.match_info["namespace"]
            return _refused(HTTPStatus.FORBIDDEN, f"{name} needs the right to get pods/log in {namespace}")
        kept = await self._open(request, name)
        return await _streamed(request, kept, _FILE) if kept else _missing(request, "file of that name")

    async def _open(self, request: web.Request, name: str) -> Opened | None:
        folder = f"{request.match_info['namespace']}/{request.match_info['name']}"
        return await asyncio.to_thread(self._store.open, folder, name)

    async def _may_read_logs(self, request: web.Request, token: str) -> bool:
        review = await self._reviewer.may_read_logs(token, request.match_info["namespace"])
        return review.access is Access.ALLOWED

    async def _refusal(self, token: str, namespace: str, name: str) -> web.Response | None:
        review = await self._reviewer.may_get(token, namespace, name)
        match review.access:
            case Access.ALLOWED:
                return None
            case Access.UNKNOWN_TOKEN:
                return _refused(HTTPStatus.UNAUTHORIZED, "the API server does not know this token")
            case Access.FORBIDDEN:
                told = f"{review.user} may not get memoryincidents.bilgepump.dev {namespace}/{name}"
                return _refused(HTTPStatus.FORBIDDEN, told)


async def _streamed(request: web.Request, kept: Opened, headers: dict[str, str]) -> web.StreamResponse:
    answer = web.StreamResponse(headers=_CLOSED | headers)
    answer.content_length = kept.size_bytes
    with kept.content as content:
        await answer.prepare(request)
        while piece := await asyncio.to_thread(content.read, PIECE_BYTES):
            await answer.write(piece)
    await answer.write_eof()
    return answer


def _missing(request: web.Request, what: str) -> web.Response:
    incident = f"{request.match_info['namespace']}/{request.match_info['name']}"
    return _refused(HTTPStatus.NOT_FOUND, f"incident {incident} has no {what}")


def _token(request: web.Request) -> str:
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    token = (
        credentials.strip() if scheme.lower() == "bearer" else request.headers.get(TOKEN_HEADER, "").strip()
    )
    usable = token.isascii() and token.isprintable() and " " not in token and len(token) <= LONGEST_TOKEN
    return token if usable else ""


def _refused(status: HTTPStatus, message: str) -> web.Response:
    """In the API server's own form, so that a client reads both alike."""
    answer = {
        "apiVersion": "v1",
        "kind": "Status",
        "status": "Failure",
        "reason": status.phrase.replace(" ", ""),
        "message": message,
        "code": status.value,
    }
    challenge = {"WWW-Authenticate": "Bearer"} if status is HTTPStatus.UNAUTHORIZED else {}
    return web.json_response(answer, status=status, headers=_CLOSED | challenge)
