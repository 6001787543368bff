"""One POST to a configured address: no redirects, little read, nothing secret in what is raised."""

import email.utils
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from controller.clients.notifications.target import Answer, Request, TryLater

LARGEST_ANSWER_BYTES = 64 * 1024
"""Slack repeats the whole message in its answer."""
LONGEST_RETRY_AFTER = timedelta(minutes=10)


async def post(
    session: aiohttp.ClientSession,
    request: Request,
    *,
    timeout: timedelta,  # noqa: ASYNC109  (handed to aiohttp, which knows connect from read)
    ca_file: Path | None,
    proxy_url: str,
    now: datetime,
) -> Answer:
    """Whatever the address answers. Raises TryLater where it does not."""
    host = urlsplit(request.url).hostname
    try:
        async with session.post(
            request.url,
            data=request.body,
            headers={"User-Agent": "bilgepump", **request.headers},
            allow_redirects=False,
            ssl=ssl.create_default_context(cafile=ca_file) if ca_file else True,
            proxy=proxy_url or None,
            timeout=aiohttp.ClientTimeout(total=timeout.total_seconds()),
        ) as response:
            return Answer(
                status=response.status,
                body=await _body(response),
                retry_after=retry_after(response.headers.get("Retry-After", ""), now),
            )
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
        # Not the error's own text: some name the whole address, and an address can be the secret.
        raise TryLater(f"{host} did not answer: {type(error).__name__}") from None


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """
    The answer's first 64 KiB; what came of it where the connection broke.

    The status line was read by then, and it decides whether the message arrived: a body that is cut off is no
    reason to post it again.
    """
    body = b""
    with suppress(TimeoutError, aiohttp.ClientError, OSError):
        async for piece in response.content.iter_any():
            body += piece
            if len(body) >= LARGEST_ANSWER_BYTES:
                break
    return body[:LARGEST_ANSWER_BYTES]


def retry_after(value: str, now: datetime) -> timedelta | None:
    """How long to wait, from seconds or a date (RFC 9110, 10.2.3); None where it says neither."""
    if value.strip().isdecimal():
        wait = timedelta(seconds=min(int(value), 86400))
    else:
        try:
            until = email.utils.parsedate_to_datetime(value)
        except ValueError:
            return None
        wait = (until if until.tzinfo else until.replace(tzinfo=UTC)) - now
    return min(max(wait, timedelta()), LONGEST_RETRY_AFTER)
