"""
Any HTTP endpoint: a CloudEvent in structured mode, signed as Standard Webhooks describes.

CloudEvents 1.0.2, JSON format and HTTP binding: https://github.com/cloudevents/spec/tree/v1.0.2/cloudevents.
Signature: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
"""

import base64
import binascii
import hashlib
import hmac
import json
from datetime import datetime
from pathlib import Path

from controller.clients.notifications.settings import WebhookSettings, check_url
from controller.clients.notifications.target import Answer, CannotTell, Letter, Request, read_secret

SECRET_PREFIX = "whsec_"  # noqa: S105  (what secrets begin with)


class Webhook:
    """A `Target` that takes CloudEvents."""

    def __init__(self, settings: WebhookSettings) -> None:
        self._settings = settings

    def request(self, letter: Letter, now: datetime) -> Request:
        """The event. Raises CannotTell, TryLater."""
        settings = self._settings
        body = json.dumps(cloud_event(letter), ensure_ascii=False, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
        if settings.bearer_token_file:
            headers["Authorization"] = f"Bearer {read_secret(settings.bearer_token_file)}"
        if settings.secret_file:
            key = signing_key(read_secret(settings.secret_file))
            headers |= signature_headers(key, letter.message.id, body, now)
        return Request(url=settings.url or secret_url(settings.url_file), body=body, headers=headers)

    def thread(self, answer: Answer) -> str:  # noqa: ARG002  (the protocol's signature)
        """None: an event has its `subject`."""
        return ""


def cloud_event(letter: Letter) -> dict[str, object]:
    """The event, as docs/notifications.md describes it."""
    message, incident = letter.message, letter.message.incident
    workload = incident.spec.workload
    cluster = letter.document["cluster"] or "default"
    return {
        "specversion": "1.0",
        "id": message.id,
        "type": f"dev.bilgepump.incident.{message.stage.value.lower()}",
        "source": f"/bilgepump/{cluster}/{incident.namespace}/{incident.name}",
        "subject": f"{workload.kind}/{workload.namespace}/{workload.name}",
        "time": message.through.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "datacontenttype": "application/json",
        "data": {**letter.document, "title": letter.title, "text": letter.text},
    }


def signing_key(secret: str) -> bytes:
    """The key in a secret of the form `whsec_…`. Raises CannotTell."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(SECRET_PREFIX) or not 24 <= len(key) <= 64:
        raise CannotTell("the secret must be `whsec_` and 24 to 64 bytes in base64")
    return key


def signature_headers(key: bytes, identity: str, body: bytes, now: datetime) -> dict[str, str]:
    """What a receiver needs to check who sent the body, and when."""
    stamp = str(int(now.timestamp()))
    signed = b".".join((identity.encode(), stamp.encode(), body))
    signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return {"webhook-id": identity, "webhook-timestamp": stamp, "webhook-signature": f"v1,{signature}"}


def secret_url(path: Path | None) -> str:
    """The address in a file. Raises CannotTell, TryLater; neither holds the address."""
    if path is None:
        raise CannotTell("no address is configured")
    url = read_secret(path)
    try:
        check_url(url)
    except ValueError as error:
        raise CannotTell(f"{path}: {error}") from None
    return url
