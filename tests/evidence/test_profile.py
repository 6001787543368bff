"""Reading profiles: what is in them, and every reason for which one is refused."""

import gzip
import random

import hypothesis
import hypothesis.strategies as st
import pytest

from controller.evidence.profile import Frame, ProfileLimits, read_profile
from controller.evidence.profile_pb2 import Profile
from controller.evidence.rejection import ProfileRejected, RejectionReason
from tests.evidence.profile_builder import ProfileBuilder, goroutine_profile, heap_profile


def reason_of(content: bytes, limits: ProfileLimits | None = None) -> RejectionReason:
    with pytest.raises(ProfileRejected) as caught:
        read_profile(content, limits)
    return caught.value.reason


def test_values_are_found_by_the_name_of_their_type_and_not_by_place():
    turned = ProfileBuilder((("inuse_space", "bytes"), ("alloc_space", "bytes")))
    profile = read_profile(turned.sample(["main.f"], [7, 9]).gzipped())
    assert profile.column("alloc_space").tolist() == [9]
    assert profile.column("inuse_space").tolist() == [7]


def test_inlined_callees_come_before_their_callers():
    built = heap_profile()
    built.location("main.inlined")
    built.location("main.caller")
    inlined = built.message.location.add(id=99)
    inlined.line.add(function_id=1, line=3)
    inlined.line.add(function_id=2, line=30)
    built.message.sample.add(location_id=[99], value=[1, 1, 1, 1])
    profile = read_profile(built.gzipped())
    stack = [profile.frames[each].function for each in profile.stack_frames]
    assert stack == ["main.inlined", "main.caller"]


def test_uncompressed_profiles_are_read_as_well():
    assert read_profile(heap_profile().heap("main.f", inuse=1024).plain()).samples == 1


def test_location_without_function_shows_where_it_is_mapped():
    built = heap_profile()
    built.message.mapping.add(id=1, filename=built.string("/usr/lib/libvips.so"))
    built.message.location.add(id=5, mapping_id=1, address=0xABC)
    built.message.sample.add(location_id=[5], value=[1, 1, 1, 1])
    profile = read_profile(built.gzipped())
    assert profile.frames == (Frame("/usr/lib/libvips.so+0xabc", "/usr/lib/libvips.so", 0),)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("main.\x1b[31mred", id="terminal escape"),
        pytest.param("main.\u202egnp.exe", id="direction override"),
        pytest.param("main.a\nb\r\0", id="line breaks and zero"),
        pytest.param("main.\u200bhidden", id="zero width"),
    ],
)
def test_unprintable_characters_of_names_are_replaced(name: str):
    profile = read_profile(heap_profile().heap(name, inuse=1024).gzipped())
    shown = profile.frames[0].function
    assert shown.isprintable()
    assert "\N{REPLACEMENT CHARACTER}" in shown


def test_names_are_cut_to_a_length():
    profile = read_profile(heap_profile().heap("main." + "x" * 100_000, inuse=1024).gzipped())
    assert len(profile.frames[0].function) == 512


def test_a_gzip_bomb_is_not_unpacked_beyond_the_limit():
    bomb = gzip.compress(bytes(40 << 20), 9)
    assert len(bomb) < 50_000
    limits = ProfileLimits(decompressed_bytes=1 << 20)
    assert reason_of(bomb, limits) is RejectionReason.DECOMPRESSES_TOO_LARGE


def test_a_file_beyond_the_limit_is_not_even_unpacked():
    assert reason_of(bytes(2000), ProfileLimits(compressed_bytes=1000)) is RejectionReason.TOO_LARGE


def test_too_many_samples_are_refused():
    built = heap_profile()
    for _ in range(11):
        built.heap("main.f", inuse=1024)
    assert reason_of(built.gzipped(), ProfileLimits(samples=10)) is RejectionReason.TOO_MANY_SAMPLES


def test_too_many_frames_are_refused_before_they_are_spread_out():
    built = heap_profile().sample(["main.f"] * 50, [1, 1, 1, 1])
    assert reason_of(built.gzipped(), ProfileLimits(stack_frames=40)) is RejectionReason.TOO_MANY_FRAMES


def test_inlined_lines_count_as_frames():
    """One location may claim a million lines, and every sample may refer to it."""
    built = heap_profile()
    number = built.location("main.f")
    wide = built.message.location.add(id=77)
    for _ in range(100):
        wide.line.add(function_id=number)
    built.message.sample.add(location_id=[77] * 10, value=[1, 1, 1, 1])
    assert reason_of(built.gzipped(), ProfileLimits(stack_frames=500)) is RejectionReason.TOO_MANY_FRAMES


def broken(change) -> bytes:
    built = heap_profile().heap("main.f", "main.g", inuse=4096)
    change(built.message)
    return built.gzipped()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(
            lambda m: m.sample[0].location_id.append(999),
            RejectionReason.BAD_REFERENCE,
            id="missing location",
        ),
        pytest.param(
            lambda m: m.sample[0].location_id.append(2**64 - 1),
            RejectionReason.BAD_REFERENCE,
            id="location id as large as can be",
        ),
        pytest.param(
            lambda m: m.location.add(id=1), RejectionReason.BAD_REFERENCE, id="two locations of one id"
        ),
        pytest.param(lambda m: m.location.add(id=0), RejectionReason.BAD_REFERENCE, id="location id zero"),
        pytest.param(
            lambda m: m.function.add(id=1), RejectionReason.BAD_REFERENCE, id="two functions of one id"
        ),
        pytest.param(
            lambda m: m.location[0].line.add(function_id=50),
            RejectionReason.BAD_REFERENCE,
            id="missing function",
        ),
        pytest.param(
            lambda m: setattr(m.function[0], "name", 10**6),
            RejectionReason.BAD_REFERENCE,
            id="string beyond table",
        ),
        pytest.param(
            lambda m: setattr(m.function[0], "name", -1), RejectionReason.BAD_REFERENCE, id="negative string"
        ),
        pytest.param(lambda m: m.sample[0].value.append(1), RejectionReason.BAD_VALUE, id="a value too many"),
        pytest.param(
            lambda m: m.sample[0].value.__setitem__(3, 2**62), RejectionReason.BAD_VALUE, id="exabytes in use"
        ),
        pytest.param(
            lambda m: m.string_table.__setitem__(0, "x"),
            RejectionReason.NOT_A_PROFILE,
            id="first string not empty",
        ),
        pytest.param(
            lambda m: m.ClearField("sample_type"), RejectionReason.NOT_A_PROFILE, id="no sample types"
        ),
    ],
)
def test_what_does_not_hold_together_is_refused(change, reason: RejectionReason):
    assert reason_of(broken(change)) is reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"heap profile: 3: 4 [5: 6] @ heap/1048576", RejectionReason.TEXT_PROFILE, id="debug=1"),
        pytest.param(b"goroutine profile: total 4\n", RejectionReason.TEXT_PROFILE, id="goroutines, debug=1"),
        pytest.param(b"goroutine 1 [running]:\n", RejectionReason.TEXT_PROFILE, id="goroutines, debug=2"),
        pytest.param(b"<html>sign in</html>", RejectionReason.NOT_A_PROFILE, id="web page"),
        pytest.param(b'{"error": "no"}', RejectionReason.NOT_A_PROFILE, id="JSON"),
        pytest.param(b"", RejectionReason.NOT_A_PROFILE, id="empty"),
        pytest.param(b"\x1f\x8b" + bytes(30), RejectionReason.DAMAGED, id="gzip header and zeros"),
        pytest.param(
            heap_profile().heap("main.f", inuse=4096).gzipped()[:-9], RejectionReason.DAMAGED, id="cut off"
        ),
        pytest.param(gzip.compress(b"\xff" * 100), RejectionReason.NOT_A_PROFILE, id="no protobuf inside"),
    ],
)
def test_what_is_no_profile_is_refused_by_its_reason(content: bytes, reason: RejectionReason):
    assert reason_of(content) is reason


def test_a_profile_of_another_kind_says_what_it_has():
    profile = read_profile(goroutine_profile().sample(["main.f"], [3]).gzipped())
    with pytest.raises(ProfileRejected, match=r"no 'inuse_space' \(it has goroutine\)") as caught:
        profile.column("inuse_space")
    assert caught.value.reason is RejectionReason.WRONG_KIND


def test_a_date_beyond_reason_is_no_date():
    built = heap_profile().heap("main.f", inuse=1024)
    built.message.time_nanos = 2**62
    assert read_profile(built.gzipped()).taken_at is None


@hypothesis.settings(max_examples=400, deadline=None)
@hypothesis.given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(content: bytes):
    try:
        read_profile(content)
    except ProfileRejected:
        return


@hypothesis.settings(max_examples=300, deadline=None)
@hypothesis.given(st.integers(0, 2**32), st.integers(1, 12))
def test_a_damaged_profile_is_read_or_refused(seed: int, flips: int):
    """Mutations of a good one reach further into the reader than any bytes do."""
    built = heap_profile().heap("main.f", "main.g", inuse=4096).heap("main.h", inuse=2048)
    content = bytearray(built.plain())
    dice = random.Random(seed)
    for _ in range(flips):
        content[dice.randrange(len(content))] = dice.randrange(256)
    try:
        profile = read_profile(bytes(content))
    except ProfileRejected:
        return
    assert len(profile.values) == profile.samples


small = st.integers(0, 4)


@hypothesis.settings(max_examples=300, deadline=None)
@hypothesis.given(
    locations=st.lists(st.tuples(small, st.lists(small, max_size=3)), max_size=4),
    functions=st.lists(st.tuples(small, st.integers(-1, 5)), max_size=4),
    samples=st.lists(
        st.tuples(st.lists(small, max_size=4), st.lists(st.integers(-5, 5), max_size=5)), max_size=4
    ),
)
def test_any_web_of_references_is_read_or_refused(locations, functions, samples):
    message = Profile(string_table=["", "inuse_space", "bytes"])
    message.sample_type.add(type=1, unit=2)
    for number, lines in locations:
        location = message.location.add(id=number)
        for function in lines:
            location.line.add(function_id=function)
    for number, name in functions:
        message.function.add(id=number, name=name)
    for stack, values in samples:
        message.sample.add(location_id=stack, value=values)
    try:
        profile = read_profile(message.SerializeToString())
    except ProfileRejected:
        return
    assert all(0 <= each < len(profile.frames) for each in profile.stack_frames.tolist())
