"""
Carries messages to their receivers, each with a queue, a pace and patience of its own.

The sweep hands messages over and asks later what became of them; it never waits. What is still in a queue
when the process ends is not lost: the incidents say that it has not been told.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

import aiohttp

from controller.clients.notifications.post import post
from controller.clients.notifications.settings import NotificationSettings, Receiver, ReceiverSettings
from controller.clients.notifications.target import CannotTell, Letter, Target, TryLater, judge_status
from controller.clients.notifications.targets import target_of
from controller.clients.notifications.templates import TemplateRefused, render
from controller.ports import Telemetry
from controller.reporting.messages import Delivery, Message, Route, message_document, plain_text

logger = logging.getLogger(__name__)

QUEUE_LENGTH = 100
"""Messages that may wait for one receiver. What finds no room is computed anew by the next sweep."""

FIRST_RETRY = timedelta(seconds=1)
LONGEST_RETRY = timedelta(minutes=5)
A_MINUTE = timedelta(minutes=1)
LONGEST_TITLE = 256
LONGEST_TEXT = 8000


@dataclass(slots=True)
class _Desk:
    """One receiver's part."""

    settings: ReceiverSettings
    target: Target
    waiting: "asyncio.Queue[Message]" = field(default_factory=lambda: asyncio.Queue(QUEUE_LENGTH))
    sent_at: deque[datetime] = field(default_factory=deque)


class Courier:
    """A `ports.Messenger`. Use it as an async context manager: inside, messages are carried."""

    def __init__(
        self,
        settings: NotificationSettings,
        telemetry: Telemetry,
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._telemetry = telemetry
        self._clock = clock
        self._sleep = sleep
        self._routes = settings.flat_routes
        self._desks = {one.name: _desk(one) for one in settings.receivers}
        self._under_way: set[tuple[str, str, str]] = set()
        self._ended: list[Delivery] = []
        self._session: aiohttp.ClientSession | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def routes(self) -> Sequence[Route]:
        """Who is told of what."""
        return self._routes

    @property
    def maximum_age(self) -> timedelta:
        """What is older is no news any more."""
        return self._settings.maximum_age

    def send(self, message: Message) -> bool:
        """Puts it on its way; False where there is no room, or one about the same is still on its way."""
        if message.key in self._under_way:
            return False
        try:
            self._desks[message.receiver].waiting.put_nowait(message)
        except asyncio.QueueFull:
            self._telemetry.notified(message.receiver, "deferred")
            return False
        self._under_way.add(message.key)
        return True

    def ended(self) -> Sequence[Delivery]:
        """What has been delivered or given up since the last call."""
        ended, self._ended = self._ended, []
        self._under_way -= {delivery.message.key for delivery in ended}
        return ended

    async def settle(self, within: timedelta) -> None:
        """Waits until nothing is on its way, or until the time is over."""
        try:
            async with asyncio.timeout(within.total_seconds()):
                for desk in self._desks.values():
                    await desk.waiting.join()
        except TimeoutError:
            logger.warning("notifications are still on their way", extra={"number": len(self._under_way)})

    async def __aenter__(self) -> Self:
        if self._desks:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        self._tasks = [asyncio.create_task(self._carry(desk)) for desk in self._desks.values()]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _carry(self, desk: _Desk) -> None:
        """One message after another, so that a thread's first message comes first."""
        while True:
            message = await desk.waiting.get()
            try:
                delivery = await self._deliver(desk, message)
            except Exception:
                # Whatever it was: the others are still to be told, and this one is not tried for ever.
                logger.exception("notification failed", extra={"receiver": desk.settings.name})
                delivery = self._given_up(message, "failed", "an error of ours, see the controller's log")
            self._ended.append(delivery)
            desk.waiting.task_done()

    async def _deliver(self, desk: _Desk, message: Message) -> Delivery:
        """Tries until it arrives, is refused, or is too old."""
        wait = FIRST_RETRY
        while True:
            try:
                thread = await self._try(desk, message)
            except CannotTell as refused:
                return self._given_up(message, "failed", str(refused))
            except TryLater as later:
                pause = max(wait, later.retry_after or timedelta())
                wait = min(2 * wait, LONGEST_RETRY)
                if self._clock() + pause - message.through > self._settings.maximum_age:
                    return self._given_up(message, "expired", str(later))
                await self._sleep(pause.total_seconds() * random.uniform(1.0, 1.2))  # noqa: S311  (no secret)
                continue
            self._telemetry.notified(message.receiver, "delivered")
            return Delivery(message=message, thread=thread)

    async def _try(self, desk: _Desk, message: Message) -> str:
        """One attempt; the thread. Raises CannotTell, TryLater."""
        request = desk.target.request(self._letter(desk.settings, message), self._clock())
        if request is None:
            return ""
        await self._keep_pace(desk)
        assert self._session is not None  # noqa: S101  (messages are carried inside the context only)
        answer = await post(
            self._session,
            request,
            timeout=desk.settings.timeout,
            ca_file=desk.settings.ca_file,
            proxy_url=self._settings.proxy_url,
            now=self._clock(),
        )
        judge_status(answer)
        return desk.target.thread(answer)

    async def _keep_pace(self, desk: _Desk) -> None:
        """Waits until one more message in a minute is allowed."""
        while True:
            now = self._clock()
            while desk.sent_at and now - desk.sent_at[0] >= A_MINUTE:
                desk.sent_at.popleft()
            if len(desk.sent_at) < desk.settings.messages_per_minute:
                desk.sent_at.append(now)
                return
            await self._sleep((desk.sent_at[0] + A_MINUTE - now).total_seconds())

    def _letter(self, settings: ReceiverSettings, message: Message) -> Letter:
        """The texts by the receiver's templates. Raises CannotTell."""
        document = message_document(message, self._settings.cluster)
        try:
            title = render(settings.title, document) if settings.title else str(document["title"])
            text = render(settings.text, document) if settings.text else plain_text(message)
        except TemplateRefused as refused:
            raise CannotTell(str(refused)) from refused
        line = " ".join(title.split())[:LONGEST_TITLE]
        return Letter(message=message, title=line, text=text[:LONGEST_TEXT], document=document)

    def _given_up(self, message: Message, outcome: str, why: str) -> Delivery:
        self._telemetry.notified(message.receiver, outcome)
        logger.warning(
            "notification given up",
            extra={"receiver": message.receiver, "incident": message.incident.name, "why": why},
        )
        return Delivery(message=message, failure=why[:256])


def _desk(settings: Receiver) -> _Desk:
    return _Desk(settings=settings, target=target_of(settings))
