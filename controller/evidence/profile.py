"""
A pprof profile, read within limits and checked, as frames and arrays.

Go writes it as gzipped `profile.proto` (beside this file; google/pprof, Apache-2.0). What is read here
may come from anyone who can listen on a replica's port: sizes are bounded before anything is built,
every reference is checked, names are made printable. The caller adds a memory limit and a clock
(`clients/analysis_process.py`).
"""

import zlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from controller.evidence.frame_text import printable
from controller.evidence.profile_pb2 import Profile as ProfileMessage
from controller.evidence.rejection import ProfileRejected, RejectionReason

_GZIP_MAGIC = b"\x1f\x8b"
_OTHER_DUMPS = (
    (b"JAVA PROFILE 1.0", "a heap dump of a JVM"),
    (b'{"snapshot":', "a heap snapshot of Node"),
    (b"num     #instances", "a class histogram of a JVM"),
    (b"# HELP", "an answer of /metrics"),
)
_GZIP_WINDOW = 31  # zlib: 15 bits of window, and a gzip header is required
_LARGEST_VALUE = 2**53  # beyond it sums would lose bytes in float64
_DENSE_IDS = 16
"""Ids up to so many times their number are looked up in a table: Go counts them from 1."""
_LATEST_NANOS = 4_102_444_800 * 10**9  # the year 2100: later is damage, and datetime may overflow


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileLimits:
    """How much of a profile is read. Go's own are tens of kilobytes to a few megabytes."""

    compressed_bytes: int = 64 << 20
    decompressed_bytes: int = 128 << 20
    samples: int = 500_000
    stack_frames: int = 16_000_000
    """Frames of all stacks together, inlined ones counted."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One function of a stack, at one line."""

    function: str
    file: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Profile:
    """
    Samples with their stacks.

    `stack_frames[stack_starts[i]:stack_starts[i + 1]]` are indices into `frames` for sample i, the
    allocating (or running) function first, inlined callees before their callers. `values` is
    (samples × sample types), float64.
    """

    sample_types: tuple[str, ...]
    frames: tuple[Frame, ...]
    stack_frames: "np.ndarray[Any, np.dtype[np.int32]]"
    stack_starts: "np.ndarray[Any, np.dtype[np.int64]]"
    values: "np.ndarray[Any, np.dtype[np.float64]]"
    block_bytes: "np.ndarray[Any, np.dtype[np.float64]]"
    """Bytes of one block of the sample (samples,), from its label `bytes`; 0 where there is none."""
    period: int
    """For a heap profile MemProfileRate: one sample per so many allocated bytes."""
    taken_at: datetime | None

    @property
    def samples(self) -> int:
        """How many samples it has."""
        return len(self.stack_starts) - 1

    def column(self, sample_type: str) -> "np.ndarray[Any, np.dtype[np.float64]]":
        """
        One value per sample (samples,), by the type's name: its place is only a convention.

        Raises ProfileRejected (WrongKind) where the profile has no such type.
        """
        if sample_type not in self.sample_types:
            have = ", ".join(self.sample_types) or "nothing"
            raise ProfileRejected(
                RejectionReason.WRONG_KIND,
                f"the profile has no '{sample_type}' (it has {have}): is it of another kind?",
            )
        return self.values[:, self.sample_types.index(sample_type)]


def read_profile(content: bytes, limits: ProfileLimits | None = None) -> Profile:
    """The profile in these bytes, gzipped or not. Raises ProfileRejected."""
    limits = limits or ProfileLimits()
    message = _decode(_decompressed(content, limits))
    strings = message.string_table
    if not strings or strings[0] or not message.sample_type:
        raise ProfileRejected(RejectionReason.NOT_A_PROFILE, "the bytes are not a pprof profile")
    _check_size(message, limits)
    frames, frame_ids, frame_starts = _frames_by_location(message)
    stack_frames, stack_starts = _stacks(message, frame_ids, frame_starts, limits)
    return Profile(
        sample_types=tuple(printable(_string(strings, each.type)) for each in message.sample_type),
        frames=frames,
        stack_frames=stack_frames,
        stack_starts=stack_starts,
        values=_values(message),
        block_bytes=_block_bytes(message),
        period=max(message.period, 0),
        taken_at=_moment(message.time_nanos),
    )


def _decompressed(content: bytes, limits: ProfileLimits) -> bytes:
    if len(content) > limits.compressed_bytes:
        raise ProfileRejected(
            RejectionReason.TOO_LARGE,
            f"the profile is {len(content)} bytes; at most {limits.compressed_bytes} are read",
        )
    if not content.startswith(_GZIP_MAGIC):
        _refuse_text(content)
        return content
    inflater = zlib.decompressobj(_GZIP_WINDOW)
    try:
        plain = inflater.decompress(content, limits.decompressed_bytes + 1)
    except zlib.error as error:
        raise ProfileRejected(RejectionReason.DAMAGED, f"the gzip stream is damaged: {error}") from error
    if len(plain) > limits.decompressed_bytes:
        raise ProfileRejected(
            RejectionReason.DECOMPRESSES_TOO_LARGE,
            f"{len(content)} bytes decompress to more than {limits.decompressed_bytes}",
        )
    if not inflater.eof:
        raise ProfileRejected(RejectionReason.DAMAGED, "the gzip stream ends too early: an incomplete file")
    return plain


def _refuse_text(content: bytes) -> None:
    start = content[:64].lstrip()
    if start.startswith((b"heap profile:", b"goroutine profile:", b"goroutineleak profile:", b"goroutine ")):
        raise ProfileRejected(
            RejectionReason.TEXT_PROFILE,
            "this is the text form of a profile; take it without `debug=` in the URL",
        )
    for beginning, what in _OTHER_DUMPS:
        if start.startswith(beginning):
            raise ProfileRejected(
                RejectionReason.NOT_A_PROFILE,
                f"this is {what}, which is not read; the program's own metrics are (--metrics)",
            )
    if start[:1] in (b"<", b"{"):
        raise ProfileRejected(
            RejectionReason.NOT_A_PROFILE, "this is a web page or JSON, not a pprof profile"
        )


def _decode(plain: bytes) -> ProfileMessage:
    message = ProfileMessage()
    try:
        message.ParseFromString(plain)
    except DecodeError as error:
        raise ProfileRejected(RejectionReason.NOT_A_PROFILE, "the bytes are not a pprof profile") from error
    return message


def _check_size(message: ProfileMessage, limits: ProfileLimits) -> None:
    for what, count in (("samples", len(message.sample)), ("locations", len(message.location))):
        if count > limits.samples:
            raise ProfileRejected(
                RejectionReason.TOO_MANY_SAMPLES,
                f"the profile has {count} {what}; at most {limits.samples} are read",
            )


def _string(strings: Sequence[str], index: int) -> str:
    if not 0 <= index < len(strings):
        raise ProfileRejected(
            RejectionReason.BAD_REFERENCE, f"string {index} of {len(strings)} is referred to"
        )
    return strings[index]


def _functions(message: ProfileMessage) -> dict[int, tuple[str, str]]:
    strings = message.string_table
    functions: dict[int, tuple[str, str]] = {}
    for each in message.function:
        if each.id == 0 or each.id in functions:
            raise ProfileRejected(RejectionReason.BAD_REFERENCE, f"function id {each.id} is 0 or used twice")
        name = _string(strings, each.name) or _string(strings, each.system_name) or "<unnamed>"
        functions[each.id] = (printable(name), printable(_string(strings, each.filename)))
    return functions


def _frames_by_location(
    message: ProfileMessage,
) -> tuple[tuple[Frame, ...], dict[int, int], list[tuple[int, ...]]]:
    """Distinct frames; the row of each location id; per row the frames' indices, innermost first."""
    functions = _functions(message)
    mappings = {each.id: printable(_string(message.string_table, each.filename)) for each in message.mapping}
    index_of: dict[Frame, int] = {}
    rows: dict[int, int] = {}
    frames_of_row: list[tuple[int, ...]] = []
    for location in message.location:
        if location.id == 0 or location.id in rows:
            raise ProfileRejected(
                RejectionReason.BAD_REFERENCE, f"location id {location.id} is 0 or used twice"
            )
        frames = [_frame(functions, line.function_id, line.line) for line in location.line]
        if not frames:
            where = mappings.get(location.mapping_id) or "unknown"
            frames = [Frame(f"{where}+0x{location.address:x}", where, 0)]
        rows[location.id] = len(frames_of_row)
        frames_of_row.append(tuple(index_of.setdefault(frame, len(index_of)) for frame in frames))
    return tuple(index_of), rows, frames_of_row


def _frame(functions: dict[int, tuple[str, str]], function_id: int, line: int) -> Frame:
    if function_id not in functions:
        raise ProfileRejected(RejectionReason.BAD_REFERENCE, f"function {function_id} does not exist")
    name, file = functions[function_id]
    return Frame(name, file, line if 0 <= line < 2**31 else 0)


def _stacks(
    message: ProfileMessage, rows: dict[int, int], frames_of_row: list[tuple[int, ...]], limits: ProfileLimits
) -> tuple["np.ndarray[Any, np.dtype[np.int32]]", "np.ndarray[Any, np.dtype[np.int64]]"]:
    """
    All stacks end to end (frames,), and where each begins (samples + 1,).

    Whole arrays instead of a list per sample: a profile may hold a million frames.
    """
    location_ids, locations_per_sample = _location_ids(message, limits)
    location_rows = _rows_of_ids(location_ids, rows)
    frames_per_row = np.array([len(each) for each in frames_of_row], dtype=np.int64)
    first_of_row = np.concatenate(([0], np.cumsum(frames_per_row))).astype(np.int32)
    flat = np.array([frame for each in frames_of_row for frame in each], dtype=np.int32)
    starts = np.concatenate(([0], np.cumsum(locations_per_sample))).astype(np.int64)
    if len(flat) == len(frames_of_row):  # nothing is inlined: a frame for each location
        return flat[location_rows], starts
    frames_per_location = frames_per_row[location_rows]
    expanded = int(frames_per_location.sum())
    if expanded > limits.stack_frames:
        raise _too_many_frames(expanded, limits)
    ends = np.concatenate(([0], np.cumsum(frames_per_location))).astype(np.int32)
    places = np.arange(expanded, dtype=np.int32)
    places += np.repeat(first_of_row[location_rows] - ends[:-1], frames_per_location)
    return flat[places], ends[starts].astype(np.int64)


def _location_ids(
    message: ProfileMessage, limits: ProfileLimits
) -> tuple["np.ndarray[Any, np.dtype[np.uint64]]", "np.ndarray[Any, np.dtype[np.int64]]"]:
    """All location ids end to end (locations,), and how many each sample has (samples,)."""
    ids, ends = array("Q"), array("q", [0])
    for sample in message.sample:
        ids.extend(sample.location_id)
        ends.append(len(ids))
        if len(ids) > limits.stack_frames:
            raise _too_many_frames(len(ids), limits)
    counts = np.diff(np.frombuffer(ends, dtype=np.int64)).astype(np.int64)
    return np.frombuffer(ids, dtype=np.uint64), counts


def _rows_of_ids(
    ids: "np.ndarray[Any, np.dtype[np.uint64]]", rows: dict[int, int]
) -> "np.ndarray[Any, np.dtype[np.int32]]":
    """The row of each location id (locations,). Raises ProfileRejected where one does not exist."""
    known = np.fromiter(rows, np.uint64, len(rows))
    if not len(ids):
        return np.zeros(0, np.int32)
    if not len(known) or ids.max() > known.max():
        raise _no_such_location()
    if known.max() > _DENSE_IDS * len(known):
        order = np.argsort(known)
        places = np.minimum(np.searchsorted(known, ids, sorter=order), len(known) - 1)
        if (known[order[places]] != ids).any():
            raise _no_such_location()
        return np.fromiter(rows.values(), np.int32, len(rows))[order[places]]
    row_of_id = np.full(int(known.max()) + 1, -1, dtype=np.int32)
    row_of_id[known.astype(np.int64)] = np.fromiter(rows.values(), np.int32, len(rows))
    found = np.asarray(row_of_id[ids.view(np.int64)], dtype=np.int32)
    if (found < 0).any():
        raise _no_such_location()
    return found


def _no_such_location() -> ProfileRejected:
    return ProfileRejected(RejectionReason.BAD_REFERENCE, "a sample refers to a location that does not exist")


def _too_many_frames(count: int, limits: ProfileLimits) -> ProfileRejected:
    return ProfileRejected(
        RejectionReason.TOO_MANY_FRAMES,
        f"the stacks have {count} frames together; at most {limits.stack_frames} are read",
    )


def _values(message: ProfileMessage) -> "np.ndarray[Any, np.dtype[np.float64]]":
    width = len(message.sample_type)
    if any(len(sample.value) != width for sample in message.sample):
        raise ProfileRejected(
            RejectionReason.BAD_VALUE, f"a sample does not have one value for each of {width} types"
        )
    count = len(message.sample) * width
    values = np.fromiter(chain.from_iterable(each.value for each in message.sample), np.float64, count)
    if count and float(np.abs(values).max()) > _LARGEST_VALUE:
        raise ProfileRejected(RejectionReason.BAD_VALUE, "a sample's value is beyond 2^53")
    return values.reshape(len(message.sample), width)


def _block_bytes(message: ProfileMessage) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Go labels each heap sample with the size of its blocks (`runtime/pprof/protomem.go`)."""
    wanted = next((i for i, text in enumerate(message.string_table) if text == "bytes"), -1)
    sizes = np.zeros(len(message.sample))
    for index, sample in enumerate(message.sample):
        for label in sample.label:
            if label.key == wanted and 0 < label.num < _LARGEST_VALUE:
                sizes[index] = label.num
    return sizes


def _moment(nanos: int) -> datetime | None:
    if not 0 < nanos < _LATEST_NANOS:
        return None
    return datetime.fromtimestamp(nanos / 1e9, UTC)
