"""Which module speaks to which kind of receiver."""

from controller.clients.notifications.pagerduty import PagerDuty
from controller.clients.notifications.settings import (
    PagerDutySettings,
    Receiver,
    SlackSettings,
    TeamsSettings,
    WebhookSettings,
)
from controller.clients.notifications.slack import Slack
from controller.clients.notifications.target import Target
from controller.clients.notifications.teams import Teams
from controller.clients.notifications.webhook import Webhook


def target_of(settings: Receiver) -> Target:
    """The target for these settings."""
    match settings:
        case WebhookSettings():
            return Webhook(settings)
        case SlackSettings():
            return Slack(settings)
        case TeamsSettings():
            return Teams(settings)
        case PagerDutySettings():
            return PagerDuty(settings)
