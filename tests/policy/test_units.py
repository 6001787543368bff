from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.policy.units import format_duration, parse_bytes, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("6h", 21600), ("1h30m", 5400), ("15m", 900), ("90s", 90), ("0s", 0), ("720h", 2592000), ("1h1s", 3601)],
)
def test_duration_is_read(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "2d", "6", "h", "1.5h", "-1h", "30m1h", "1H", " 1h", "1h ", "1h\n", "٣h"]
)
def test_other_text_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="such as 6h"):
        parse_duration(text)


@given(st.integers(0, 2592000).map(lambda seconds: timedelta(seconds=seconds)))
def test_written_duration_reads_the_same(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("800Mi", 838860800),
        ("1.5Gi", 1610612736),
        ("1k", 1000),
        ("1G", 10**9),
        ("2Ti", 2 * 2**40),
        ("1048576", 2**20),
        ("0.001Ki", 1),
    ],
)
def test_quantity_is_read_in_bytes(text: str, size_bytes: int) -> None:
    assert parse_bytes(text) == size_bytes


@pytest.mark.parametrize("text", ["", "800MB", "800 Mi", "Mi", "-1Mi", "1e9", "1.2345Gi", "70%", "1Mi\n"])
def test_other_text_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="such as 800Mi"):
        parse_bytes(text)
