"""How a metrics source is reached: settings, credentials, and a session that distrusts every answer."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.auth import HTTPBasicAuth
from requests.utils import get_environ_proxies
from urllib3 import exceptions as transport

from controller.ports import MetricsUnavailable

TOO_MUCH = frozenset({413, 422, 503})
"""What engines answer when a query is too large: sample limits, resolution limits, time limits."""

SHORTEST_KEY_CHARACTERS = 8
"""A shorter header is a tenant and no key; taken out wherever it occurs it would wreck every error."""

CHUNK_BYTES = 1 << 18


class AnswerRefused(Exception):
    """The source refused this query, or its answer was too large; a smaller one may succeed."""


class AnswerLate(AnswerRefused):
    """The answer did not come in time, or not to its end; one to a smaller query may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusSettings:
    """One metrics source of the controller's configuration. A policy only ever names it."""

    name: str
    url: str
    bearer_token_file: Path | None = None
    """Read again for every request: projected tokens rotate."""
    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    headers: tuple[tuple[str, str], ...] = ()
    """Sent with every request; `X-Scope-OrgID` names the tenant of Mimir and Cortex."""
    timeout_seconds: float = 30.0
    sample_interval_seconds: float = 60.0
    """How often the source scrapes; a block is never narrower."""
    maximum_response_bytes: int = 64 * 2**20

    def problems(self) -> tuple[str, ...]:
        """Everything wrong with these settings, each naming field, value and what is allowed."""
        found: list[str] = []
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            found.append(f"`url` must be an http or https address with a host (is '{self.url}')")
        if parts.username or parts.password:
            found.append("`url` must not hold a password; use `username` and `passwordFile`")
        if self.bearer_token_file is not None and self.username is not None:
            found.append("`bearerTokenFile` and `username` exclude each other")
        if (self.username is None) != (self.password_file is None):
            found.append("`username` and `passwordFile` must be given together")
        for name, seconds in (
            ("timeoutSeconds", self.timeout_seconds),
            ("sampleIntervalSeconds", self.sample_interval_seconds),
        ):
            if not 0 < seconds < inf:
                found.append(f"`{name}` must be a finite number above 0 (is {seconds})")
        if self.maximum_response_bytes < 1024:
            found.append(f"`maximumResponseBytes` must be at least 1024 (is {self.maximum_response_bytes})")
        return tuple(found)


def open_session(settings: PrometheusSettings) -> requests.Session:
    """
    A session with the source's credentials whose every answer is whole, and bounded in size.

    A body that goes on coming is left at the timeout. Headers, or a compressed body, that come byte by byte
    are waited for as long as no pause between two bytes exceeds it: the source is the administrator's choice.
    """
    session = requests.Session()
    # With trust_env a .netrc would replace the credentials and REQUESTS_CA_BUNDLE the CA; proxies are kept.
    session.trust_env = False
    session.proxies = get_environ_proxies(settings.url)
    session.headers.update(dict(settings.headers))
    session.auth = _credentials(settings)
    if settings.ca_file is not None:
        session.verify = str(settings.ca_file)
    session.hooks["response"].append(_whole_answer(settings))
    return session


def _credentials(
    settings: PrometheusSettings,
) -> Callable[[requests.PreparedRequest], requests.PreparedRequest] | None:
    if settings.bearer_token_file is None and settings.username is None:
        return None

    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        if settings.bearer_token_file is not None:
            request.headers["Authorization"] = f"Bearer {_secret(settings.bearer_token_file)}"
        elif settings.username is not None and settings.password_file is not None:
            HTTPBasicAuth(settings.username, _secret(settings.password_file))(request)
        return request

    return sign


def _secret(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise MetricsUnavailable(
            f"cannot be asked: the credential in {path} could not be read: {error.strerror}"
        ) from error


def _whole_answer(settings: PrometheusSettings) -> Callable[..., requests.Response]:
    """A response hook that reads at most the allowed bytes and refuses partial answers."""

    def read(response: requests.Response, *_: Any, **__: Any) -> requests.Response:
        if response.is_redirect:
            # Followed, it would take the source's headers to wherever the answer says.
            raise MetricsUnavailable(
                f"redirects (HTTP {response.status_code}), which is not followed; "
                "`url` must be its final address"
            )
        body = _without_secrets(_read_bounded(response, settings), response, settings)
        # requests reads the body through this attribute; setting it is how a hook supplies one.
        response._content = body
        if response.status_code in TOO_MUCH:
            raise AnswerRefused(_refusal(response.status_code, body))
        if response.status_code == 400 and b"exceeded maximum resolution" in body:
            raise AnswerRefused(_refusal(400, body))
        if response.status_code == requests.codes.ok:
            document = _document(body)
            response.json = lambda **_: document  # type: ignore[method-assign]  # parsed once, here
        return response

    return read


def _without_secrets(body: bytes, response: requests.Response, settings: PrometheusSettings) -> bytes:
    """An answer that is told to people without what was sent to get it: some servers echo the request."""
    if response.status_code == requests.codes.ok:
        return body
    sent = [value for _, value in settings.headers if len(value) >= SHORTEST_KEY_CHARACTERS]
    sent.append(response.request.headers.get("Authorization", "").partition(" ")[2])
    if settings.password_file is not None:
        sent.append(_secret(settings.password_file))
    for secret in sent:
        body = body.replace(secret.encode(), b"(secret)") if secret else body
    return body


def _read_bounded(response: requests.Response, settings: PrometheusSettings) -> bytes:
    deadline = time.monotonic() + settings.timeout_seconds
    chunks: list[bytes] = []
    size = 0
    for chunk in _as_it_comes(response):
        chunks.append(chunk)
        size += len(chunk)
        if size > settings.maximum_response_bytes:
            response.close()
            raise AnswerRefused(f"the answer is larger than {settings.maximum_response_bytes} bytes")
        if time.monotonic() > deadline:
            response.close()
            raise AnswerLate(f"the answer took longer than {settings.timeout_seconds:g} s")
    return b"".join(chunks)


def _as_it_comes(response: requests.Response) -> Iterator[bytes]:
    """
    The decoded body in pieces of any size up to CHUNK_BYTES.

    `iter_content` waits until a piece is full: a server that sends a byte now and then would hold it up.
    """
    try:
        while piece := response.raw.read1(CHUNK_BYTES, decode_content=True):
            yield piece
    except transport.ReadTimeoutError as error:
        raise requests.ReadTimeout(error) from error
    except transport.HTTPError as error:
        raise requests.ConnectionError(error) from error


def _document(body: bytes) -> Any:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MetricsUnavailable("answered something that is not JSON") from error
    if not isinstance(document, dict) or document.get("status") != "success":
        raise MetricsUnavailable("did not answer with `status: success`")
    warnings = document.get("warnings") or []
    if warnings:
        raise MetricsUnavailable(f"answered in part only: {str(warnings[0])[:200]}")
    if document.get("isPartial") is True:
        raise MetricsUnavailable("answered in part only (`isPartial`)")
    if not isinstance(document.get("data"), dict) or not isinstance(document["data"].get("result"), list):
        raise MetricsUnavailable("answered without `data.result`")
    return document


def _refusal(status: int, body: bytes) -> str:
    try:
        said = json.loads(body).get("error", "")
    except (ValueError, AttributeError, RecursionError):
        said = ""
    return f"HTTP {status}: {str(said)[:200]}" if said else f"HTTP {status}"
