"""
Slack: an incoming webhook, or `chat.postMessage` of a bot, which keeps an episode in one thread.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks,
https://docs.slack.dev/reference/methods/chat.postMessage (the bot needs the scope `chat:write`).
"""

import json
import re
from datetime import datetime

from controller.clients.notifications.settings import SlackSettings
from controller.clients.notifications.target import (
    Answer,
    CannotTell,
    Letter,
    Request,
    TryLater,
    read_secret,
)
from controller.clients.notifications.webhook import secret_url
from controller.reporting.messages import Urgency

LONGEST_HEADER = 150
LONGEST_SECTION = 3000
"""Block Kit's limits: https://docs.slack.dev/reference/block-kit/blocks."""

_LATER = frozenset({"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable"})
_SIGNS = {
    Urgency.INFO: ":large_blue_circle:",
    Urgency.WARNING: ":large_orange_circle:",
    Urgency.CRITICAL: ":red_circle:",
}


class Slack:
    """A `Target` for Slack."""

    def __init__(self, settings: SlackSettings) -> None:
        self._settings = settings

    def request(self, letter: Letter, now: datetime) -> Request:  # noqa: ARG002  (the protocol's signature)
        """The message. Raises CannotTell, TryLater."""
        settings, message = self._settings, letter.message
        content = message_of(letter)
        headers = {"Content-Type": "application/json; charset=utf-8"}
        if settings.token_file is None:
            return Request(url=secret_url(settings.url_file), body=_json(content), headers=headers)
        headers["Authorization"] = f"Bearer {read_secret(settings.token_file)}"
        content |= {"channel": settings.channel, "unfurl_links": False}
        if message.thread:
            broadcast = message.urgency is Urgency.CRITICAL
            content |= {"thread_ts": message.thread, "reply_broadcast": broadcast}
        return Request(url=f"{settings.api_url}/chat.postMessage", body=_json(content), headers=headers)

    def thread(self, answer: Answer) -> str:
        """
        The first message's `ts`. Slack's method says in the body whether it did it.

        A success with another body, or half of one, counts as posted without a thread: asking again would
        show the message a second time. Raises CannotTell, TryLater where Slack says that it did not post.
        """
        if self._settings.token_file is None:
            return ""
        try:
            said = json.loads(answer.body)
            succeeded, error = said["ok"] is True, str(said.get("error", ""))
        except (ValueError, TypeError, KeyError, RecursionError):
            return ""
        if succeeded:
            return str(said.get("ts", ""))
        # An error's name is a word; anything else is not repeated, since it could echo what was sent.
        word = error if re.fullmatch(r"[a-z_]{1,64}", error) else "an error"
        if word in _LATER:
            raise TryLater(f"Slack says {word}", answer.retry_after)
        raise CannotTell(f"Slack says {word}")


def message_of(letter: Letter) -> dict[str, object]:
    """Text for the notification, blocks for the channel."""
    sign = _SIGNS[letter.message.urgency]
    title = _escaped(letter.title)
    return {
        "text": f"{sign} {title}",
        "blocks": [
            {
                "type": "header",
                "text": {"type": "plain_text", "text": letter.title[:LONGEST_HEADER] or "–", "emoji": False},
            },
            {
                "type": "section",
                "text": {"type": "mrkdwn", "text": _cut(f"{sign} {_escaped(letter.text)}")},
            },
        ],
    }


def _escaped(text: str) -> str:
    """https://docs.slack.dev/messaging/formatting-message-text: three characters are control characters."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_SECTION else f"{text[: LONGEST_SECTION - 1]}…"


def _json(content: dict[str, object]) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()
