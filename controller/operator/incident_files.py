"""
An incident's report and files over HTTP, for those who may get that MemoryIncident.

`/incidents/{namespace}/{name}/report` and `/incidents/{namespace}/{name}/files/{file}`. The API server's
service proxy takes `Authorization` away, so the token may also stand in `X-Bilgepump-Token`. Nothing is
listed; the names of the files stand in `SHA256SUMS` beside them.
"""

import asyncio
import logging
from http import HTTPStatus
from typing import Protocol

from aiohttp import web

from controller.clients.evidence_store import EvidenceStore, Opened
from controller.clients.reporter import REPORT
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
        return await self._answer(request, REPORT, _PAGE, "report")

    async def _file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["file"]
        return await self._answer(request, name, _FILE, "file of that name")

    async def _answer(
        self, request: web.Request, file: str, headers: dict[str, str], what: str
    ) -> web.StreamResponse:
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        if "/" in namespace or "/" in name:
            # As `%2F`: the incident asked about would be another than the one whose folder is opened.
            return _refused(HTTPStatus.NOT_FOUND, "there is no such incident")
        refusal = await self._refusal(request, namespace, name)
        if refusal is not None:
            return refusal
        try:
            kept = await asyncio.to_thread(self._store.open, f"{namespace}/{name}", file)
        except EvidenceUnavailable as error:
            logger.warning("nothing can be read", extra={"why": str(error)})
            return _refused(HTTPStatus.SERVICE_UNAVAILABLE, "the evidence store cannot be read now")
        if kept is None:
            return _refused(HTTPStatus.NOT_FOUND, f"incident {namespace}/{name} has no {what}")
        return await _streamed(request, kept, headers)

    async def _refusal(self, request: web.Request, namespace: str, name: str) -> web.Response | None:
        token = _token(request)
        if not token:
            return _refused(HTTPStatus.UNAUTHORIZED, f"a bearer token is needed, also in {TOKEN_HEADER}")
        try:
            review = await self._reviewer.may_get(token, namespace, name)
        except PlatformUnavailable as error:
            logger.warning("nobody can be let in", extra={"why": str(error)})
            return _refused(HTTPStatus.SERVICE_UNAVAILABLE, "the API server cannot be asked who you are")
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
