"""Goroutines by what they wait for and in whose function, and which of these groups grew."""

import re
from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum

from controller.evidence.origin import Origin, origin_of
from controller.evidence.profile import Frame, Profile
from controller.evidence.retainer import MOST_RETAINERS, Retainer, owner_position

MOST_GROUPS = 20
LEAST_GOROUTINES = 50
LEAST_IN_REQUESTS = 200
"""Of goroutines that serve a request: fewer may just be in flight."""
LEAST_WITHOUT_BASELINE = 500
"""A pool of workers waits like a leak: without something to compare with, only a great many count."""
_LEAST_GROWTH_RATIO = 0.3
"""Of the group's former count: a pool that breathes is no leak."""
_FRAMES_THAT_TELL_THE_STATE = 10


GOROUTINE_STACKS = "goroutine stacks"
"""Stands as the allocator of what a heap profile does not show."""


class WaitState(StrEnum):
    """What a goroutine does; the words of Go's own stack dumps where it has one."""

    CHAN_SEND = "chan send"
    CHAN_RECEIVE = "chan receive"
    SELECT = "select"
    LOCK = "lock"
    WAIT_GROUP = "wait group"
    CONDITION = "condition"
    IO_WAIT = "IO wait"
    SLEEP = "sleep"
    SYSCALL = "syscall"
    RUNNING = "running"


_STATE_OF_FUNCTION: tuple[tuple[re.Pattern[str], WaitState], ...] = (
    (re.compile(r"^internal/poll\.runtime_pollWait$"), WaitState.IO_WAIT),
    (re.compile(r"^(internal/)?sync\.runtime_Semacquire(RW)?Mutex"), WaitState.LOCK),
    (re.compile(r"^sync\.runtime_Semacquire"), WaitState.WAIT_GROUP),
    (re.compile(r"^sync\.runtime_notifyListWait$"), WaitState.CONDITION),
    (re.compile(r"^time\.Sleep$"), WaitState.SLEEP),
    (re.compile(r"^runtime\.chansend"), WaitState.CHAN_SEND),
    (re.compile(r"^runtime\.chanrecv"), WaitState.CHAN_RECEIVE),
    (re.compile(r"^runtime\.(selectgo|block)$"), WaitState.SELECT),
    (re.compile(r"^(internal/runtime/)?syscall\.|^runtime\.notetsleepg$"), WaitState.SYSCALL),
)


_IN_FLIGHT = re.compile(r"^net/http\.\(\*(persistConn|http2ClientConn|Transport)\)\.")
"""An answer of somebody else's service is waited for: that ends, however many do it at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoroutineGroup:
    """Goroutines that wait for the same thing in the same function."""

    count: int
    delta: int
    """Against the baseline; the count itself where there is none."""
    state: WaitState
    function: str
    """The nearest function of the application, or of the library, that waits."""
    file: str
    line: int
    origin: Origin
    stack: tuple[Frame, ...]
    """The most frequent one, the waiting function first."""


def has_leaked(group: GoroutineGroup, *, has_baseline: bool) -> bool:
    """Whether goroutines of the application or a library became so many that it is no pool that breathes."""
    if group.origin < Origin.LIBRARY or group.state in (WaitState.RUNNING, WaitState.SYSCALL):
        return False
    if any(_IN_FLIGHT.match(frame.function) for frame in group.stack):
        return False
    if not has_baseline:
        return group.count >= LEAST_WITHOUT_BASELINE
    serves = any(origin_of(frame) is Origin.DISPATCH for frame in group.stack)
    least = LEAST_IN_REQUESTS if serves else LEAST_GOROUTINES
    return group.delta >= max(least, _LEAST_GROWTH_RATIO * (group.count - group.delta))


def state_of(stack: tuple[Frame, ...]) -> WaitState:
    """What the goroutine with this stack (waiting function first) waits for."""
    for frame in stack[:_FRAMES_THAT_TELL_THE_STATE]:
        for pattern, state in _STATE_OF_FUNCTION:
            if pattern.match(frame.function):
                return state
    return WaitState.RUNNING


def group_goroutines(
    now: Profile, baseline: Profile | None = None, *, sample_type: str = "goroutine"
) -> tuple[GoroutineGroup, ...]:
    """All groups, the most grown first. Raises ProfileRejected where a profile is of another kind."""
    before = _counts(baseline, sample_type) if baseline is not None else {}
    groups = []
    for key, stacks in _counts(now, sample_type).items():
        count = sum(stacks.values())
        stack = max(stacks, key=lambda each: stacks[each])
        owner = stack[_owner(stack)]
        groups.append(
            GoroutineGroup(
                count=count,
                delta=count - sum(before.get(key, {}).values()),
                state=key[0],
                function=owner.function,
                file=owner.file,
                line=owner.line,
                origin=origin_of(owner),
                stack=stack,
            )
        )
    return tuple(sorted(groups, key=lambda each: (-each.delta, -each.count, each.function)))


def stack_retainers(
    groups: tuple[GoroutineGroup, ...], *, bytes_each: float, growth_bytes: float
) -> tuple[Retainer, ...]:
    """
    The groups that grew as holders of their stacks, which no heap profile shows; those of code that people
    can change first. `growth_bytes` is what their shares refer to.
    """
    most = max((each.delta for each in groups), default=0)
    grown = [
        each for each in groups if each.delta > _LEAST_GROWTH_RATIO * most and each.origin > Origin.RUNTIME
    ]
    grown.sort(key=lambda each: (-each.origin, -each.delta))
    return tuple(
        Retainer(
            function=each.function,
            file=each.file,
            line=each.line,
            inuse_bytes=each.count * bytes_each,
            delta_bytes=each.delta * bytes_each,
            share=each.delta * bytes_each / growth_bytes,
            stack=each.stack,
            allocator=GOROUTINE_STACKS,
            via=each.stack[0].function,
            origin=each.origin,
            alloc_bytes=0.0,
            kept_ratio=1.0,
        )
        for each in grown[:MOST_RETAINERS]
    )


_Stacks = dict[tuple[Frame, ...], int]


def _counts(profile: Profile, sample_type: str) -> dict[tuple[WaitState, str], _Stacks]:
    counts = profile.column(sample_type)
    groups: dict[tuple[WaitState, str], _Stacks] = defaultdict(lambda: defaultdict(int))
    for sample in range(profile.samples):
        start, end = profile.stack_starts[sample], profile.stack_starts[sample + 1]
        stack = tuple(profile.frames[each] for each in profile.stack_frames[start:end].tolist())
        if stack and counts[sample] > 0:
            key = (state_of(stack), stack[_owner(stack)].function)
            groups[key][stack] += int(counts[sample])
    return groups


def _owner(stack: tuple[Frame, ...]) -> int:
    return owner_position(range(len(stack)), tuple(origin_of(frame) for frame in stack))
