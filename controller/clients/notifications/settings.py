"""
Who is told of what, and how: the `notifications` section of the controller's settings.

No policy can say any of this. Secrets stand in files only, which are read anew for every message.
"""

from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

from controller.clients.notifications.templates import TemplateRefused, check_template
from controller.policy.units import parse_duration
from controller.reporting.messages import Route, Urgency

MOST_RECEIVERS = 64
"""An incident has room for notes about so many."""


def _duration(value: Any) -> timedelta:
    return value if isinstance(value, timedelta) else parse_duration(str(value))


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Text = Annotated[str, Field(min_length=1, max_length=256)]


class _Section(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class ReceiverSettings(_Section):
    """What every kind of receiver has."""

    name: str = Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
    title: str = ""
    """A template of the one line; the default where it is empty."""
    text: str = ""
    """A template of the lines below it; the default where it is empty."""
    messages_per_minute: int = Field(default=20, ge=1, le=600)
    timeout: Duration = timedelta(seconds=10)
    ca_file: Path | None = None

    @field_validator("title", "text")
    @classmethod
    def _renders(cls, template: str) -> str:
        try:
            check_template(template)
        except TemplateRefused as refused:
            raise ValueError(str(refused)) from refused
        return template


class WebhookSettings(ReceiverSettings):
    """Any HTTP endpoint that takes a CloudEvent."""

    type: Literal["Webhook"]
    url: str = ""
    url_file: Path | None = None
    secret_file: Path | None = None
    """`whsec_` and a key in base64, with which the body is signed."""
    bearer_token_file: Path | None = None

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if bool(self.url) == (self.url_file is not None):
            raise ValueError("exactly one of `url` and `urlFile` is needed")
        if self.url:
            check_url(self.url, plain_allowed=True)
        return self


class SlackSettings(ReceiverSettings):
    """An incoming webhook, or a bot that answers in threads."""

    type: Literal["Slack"]
    url_file: Path | None = None
    token_file: Path | None = None
    channel: str = ""
    api_url: str = "https://slack.com/api"

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.url_file is None) == (self.token_file is None):
            raise ValueError("exactly one of `urlFile` (incoming webhook) and `tokenFile` (bot) is needed")
        if bool(self.channel) == (self.token_file is None):
            raise ValueError("`channel` belongs to `tokenFile`, and only to it: a webhook has its own")
        check_url(self.api_url)
        return self


class TeamsSettings(ReceiverSettings):
    """A workflow of Microsoft Teams that begins with a webhook request."""

    type: Literal["Teams"]
    url_file: Path


class PagerDutySettings(ReceiverSettings):
    """A service's integration of the type Events API v2."""

    type: Literal["PagerDuty"]
    routing_key_file: Path
    url: str = "https://events.pagerduty.com/v2/enqueue"

    @model_validator(mode="after")
    def _safe(self) -> Self:
        check_url(self.url)
        return self


Receiver = Annotated[
    WebhookSettings | SlackSettings | TeamsSettings | PagerDutySettings, Field(discriminator="type")
]


class RouteSettings(_Section):
    """Which incidents some receivers are told of; what is left out matches everything."""

    receivers: tuple[str, ...] = Field(min_length=1)
    at_least: Urgency | None = None
    """None: `Critical` for PagerDuty, `Info` for the others."""
    namespaces: tuple[Text, ...] = ()
    policies: tuple[Text, ...] = ()
    policy_labels: dict[str, str] = {}


class NotificationSettings(_Section):
    """Everything about notifications. Without receivers nobody is told anything."""

    cluster: str = Field(default="", max_length=64)
    """How messages call the place they come from."""
    maximum_age: Duration = timedelta(hours=1)
    """How long delivery is tried; what is older is no news."""
    proxy_url: str = ""
    receivers: tuple[Receiver, ...] = Field(default=(), max_length=MOST_RECEIVERS)
    routes: tuple[RouteSettings, ...] = ()
    """Empty: every receiver is told of everything."""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        names = [receiver.name for receiver in self.receivers]
        if len(set(names)) < len(names):
            raise ValueError(f"`receivers` must have different names (are {', '.join(names)})")
        for route in self.routes:
            for name in route.receivers:
                if name not in names:
                    known = ", ".join(names) or "none"
                    raise ValueError(f"`routes` names the receiver '{name}'; configured are: {known}")
        if self.proxy_url:
            check_url(self.proxy_url, plain_allowed=True)
        return self

    @property
    def flat_routes(self) -> tuple[Route, ...]:
        """One route per receiver, as the flow takes them."""
        kinds = {receiver.name: receiver.type for receiver in self.receivers}
        if not kinds:
            return ()
        routes = self.routes or (RouteSettings(receivers=tuple(kinds)),)
        return tuple(
            Route(
                receiver=name,
                at_least=route.at_least or _usual(kinds[name]),
                namespaces=route.namespaces,
                policies=route.policies,
                policy_labels=tuple(route.policy_labels.items()),
            )
            for route in routes
            for name in route.receivers
        )


def _usual(kind: str) -> Urgency:
    """A pager is for what needs a person."""
    return Urgency.CRITICAL if kind == "PagerDuty" else Urgency.INFO


def check_url(url: str, *, plain_allowed: bool = False) -> None:
    """
    Raises ValueError unless `url` is an address that a message may be sent to.

    Plain HTTP is for loopback, and with `plain_allowed` for what runs in the same cluster. The message never
    holds the address: it may be a secret.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("the address must be a URL") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("the address must begin with https:// and name a host")
    if parts.username or parts.password or parts.fragment:
        raise ValueError("the address must have no user, password or fragment")
    if parts.scheme == "http" and not plain_allowed and not _is_loopback(host):
        raise ValueError("the address must begin with https://")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
