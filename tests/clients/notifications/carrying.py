"""Carries messages with the real courier until nothing is left to do."""

from datetime import timedelta

from controller.clients.notifications.courier import Courier
from controller.clients.notifications.settings import NotificationSettings
from controller.reporting.messages import Delivery, Message
from tests.clients.notifications.standin import Clock, Counts


async def carry(
    configured: NotificationSettings,
    *messages: Message,
    clock: Clock | None = None,
    counts: Counts | None = None,
) -> list[Delivery]:
    clock, counts = clock or Clock(), counts or Counts()
    async with Courier(configured, counts, clock, clock.sleep) as courier:
        for message in messages:
            assert courier.send(message)
        await courier.settle(timedelta(seconds=20))
        return list(courier.ended())
