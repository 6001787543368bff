"""The last look before an act: whoever was paused since it was decided may no longer be the one to do it."""

from collections.abc import Awaitable, Callable

from controller.ports import RemediationRefused

Confirm = Callable[[], Awaitable[bool]]
"""A fresh look at the Lease, or at what stands for it (`controller.ports.Leadership.confirm`)."""


async def nobody() -> bool:
    """The answer of those who only look: they never lead."""
    return False


async def expect_leadership(confirm: Confirm) -> None:
    """Raises RemediationRefused unless the lead is still ours with time to spare."""
    if not await confirm():
        raise RemediationRefused("this process does not lead any more")
