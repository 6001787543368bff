"""
Leadership by an object in a bucket, for copies on any hosts.

`lease.json` says who leads. It is claimed and renewed by conditional writes, so of two candidates one is
refused; and it is read afresh just before every act (`confirm`). How old it is, S3's clock alone decides: the
object's `Last-Modified` against the `Date` of the same answer. A copy whose own clock is wrong neither takes
the lease early nor keeps it for too long.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError

from controller.platforms.claiming import claim_for_ever
from controller.platforms.ecs.bucket import code, get_object, unavailable
from controller.platforms.ecs.state import UnreadableDocument, parsed, rendered
from controller.ports import PlatformUnavailable

logger = logging.getLogger(__name__)

SAFETY_SHARE = 1 / 3
"""Share of the lease's duration that must be left for an act to begin."""
CLOCK_STEP = timedelta(seconds=2)
"""HTTP dates are whole seconds, and there are two of them."""
LARGEST_LEASE_BYTES = 4096
LONGEST_LEASE_SECONDS = 3600.0
"""No copy of ours asks for a longer one; what says more is not ours, or broken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """The lease as it was read."""

    etag: str
    holder: str
    turn: int
    duration: timedelta
    age: timedelta

    @property
    def free(self) -> bool:
        """Nobody holds it, or its holder did not renew it in time."""
        return not self.holder or self.age > self.duration + CLOCK_STEP


class BucketLease:
    """A `ports.Leadership` over one object."""

    def __init__(
        self,
        client: BaseClient,
        bucket: str,
        prefix: str = "",
        *,
        identity: str,
        duration: timedelta = timedelta(seconds=60),
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """`identity` must be this process's alone; `timer` counts seconds and never goes back."""
        self._client: Any = client
        self._bucket = bucket
        self._key = f"{prefix.strip('/')}/lease.json".lstrip("/")
        self._identity = identity
        self._duration = duration
        self._timer = timer
        self._held_until = 0.0

    def __str__(self) -> str:
        """Where it is."""
        return f"s3://{self._bucket}/{self._key}"

    @property
    def held(self) -> bool:
        """As far as is known without asking: it was renewed and has not run out."""
        return self._timer() < self._held_until

    async def confirm(self) -> bool:
        """A fresh look: True only while it is ours with time to spare. Never raises."""
        try:
            standing = await asyncio.to_thread(self._look)
        except PlatformUnavailable:
            return False
        if standing is None or standing.holder != self._identity:
            self._held_until = 0.0
            return False
        left = self._duration - CLOCK_STEP - standing.age
        return self.held and left > self._duration * SAFETY_SHARE

    async def claim(self) -> bool:
        """One attempt to become or stay the holder. Raises PlatformUnavailable."""
        return await asyncio.to_thread(self._claim)

    async def keep(self) -> None:
        """Claims and renews for ever, three times per duration; a failure is logged and tried again."""
        await claim_for_ever(self.claim, self._duration / 3, what="lease")

    async def release(self) -> None:
        """Gives it up, so that another need not wait for its end. Failures do not matter: it runs out."""
        self._held_until = 0.0
        try:
            await asyncio.to_thread(self._release)
        except PlatformUnavailable as error:
            logger.info("lease not released", extra={"why": str(error)})

    def _claim(self) -> bool:
        asked_at = self._timer()
        standing = self._look()
        if standing is not None and standing.holder != self._identity and not standing.free:
            self._held_until = 0.0
            return False
        if not self._put(self._identity, standing):
            self._held_until = 0.0
            return False
        if not self.held:
            logger.info("lease acquired", extra={"lease": str(self), "identity": self._identity})
        # Counted from before the question: what the answer took is not ours.
        self._held_until = asked_at + self._duration.total_seconds()
        return True

    def _release(self) -> None:
        standing = self._look()
        if standing is not None and standing.holder == self._identity:
            self._put("", standing)

    def _look(self) -> _Standing | None:
        """Raises PlatformUnavailable."""
        try:
            got = get_object(self._client, self._bucket, self._key, LARGEST_LEASE_BYTES)
        except (ClientError, BotoCoreError) as error:
            raise self._unavailable(error) from error
        if got is None:
            return None
        answer, content = got
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        if not date:
            raise PlatformUnavailable(f"{self}: the answer has no Date, so the lease's age is not known")
        now = parsedate_to_datetime(date).astimezone(UTC)
        return self._standing(content, answer["ETag"], now - _utc(answer["LastModified"]))

    def _standing(self, content: bytes, etag: str, age: timedelta) -> _Standing:
        try:
            document = parsed(content, str(self))
            return _Standing(
                etag=etag,
                holder=str(document["holder"]),
                turn=int(document["turn"]),
                duration=_duration(document["durationSeconds"]),
                age=age,
            )
        except (UnreadableDocument, KeyError, TypeError, ValueError, OverflowError) as error:
            raise PlatformUnavailable(f"{self} is no lease of ours: {error}") from error

    def _put(self, holder: str, standing: _Standing | None) -> bool:
        """Whether it was written; the answer of a put that botocore repeated is looked up."""
        turn = standing.turn + 1 if standing is not None else 1
        document = {"holder": holder, "turn": turn, "durationSeconds": self._duration.total_seconds()}
        condition = {"IfMatch": standing.etag} if standing is not None else {"IfNoneMatch": "*"}
        try:
            self._client.put_object(
                Bucket=self._bucket,
                Key=self._key,
                Body=rendered(document),
                ContentType="application/json",
                **condition,
            )
        except ClientError as error:
            if code(error) not in _LOST:
                raise self._unavailable(error) from error
            now = self._look()
            return now is not None and (now.holder, now.turn) == (holder, turn)
        except BotoCoreError as error:
            raise self._unavailable(error) from error
        return True

    def _unavailable(self, error: Exception) -> PlatformUnavailable:
        return unavailable(str(self), error)


_LOST = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409", "NoSuchKey", "404"})


def _duration(told: Any) -> timedelta:
    """Raises TypeError, ValueError."""
    seconds = float(told)
    if not 0 < seconds <= LONGEST_LEASE_SECONDS:
        raise ValueError(
            f"durationSeconds is {seconds}; allowed are more than 0 and at most {LONGEST_LEASE_SECONDS:.0f}"
        )
    return timedelta(seconds=seconds)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
