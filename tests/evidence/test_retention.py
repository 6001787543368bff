from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.evidence.retention import EvidenceLimits, KeptEntry, expired_folders

NOW = datetime(2026, 3, 2, tzinfo=UTC)
LIMITS = EvidenceLimits(maximum_bytes=1000, maximum_age=timedelta(days=30), maximum_baselines=3)


def kept(folder: str, *, days: float, size: int = 100) -> KeptEntry:
    return KeptEntry(folder, size, NOW - timedelta(days=days))


def baseline(number: int, *, days: float, size: int = 10) -> KeptEntry:
    return kept(f"baselines/shop/{number:024x}-app", days=days, size=size)


def test_incident_goes_whole_when_its_newest_file_is_too_old() -> None:
    entries = [kept("shop/old", days=31), kept("shop/old", days=40), kept("shop/told-lately", days=40)]
    entries.append(kept("shop/told-lately", days=29))

    assert expired_folders(entries, LIMITS, NOW) == ("shop/old",)


def test_oldest_incident_goes_first_when_room_is_needed() -> None:
    entries = [kept("shop/b", days=2, size=400), kept("shop/a", days=3, size=400)]

    assert expired_folders(entries, LIMITS, NOW, room_bytes=200) == ()
    assert expired_folders(entries, LIMITS, NOW, room_bytes=201) == ("shop/a",)
    assert expired_folders(entries, LIMITS, NOW, room_bytes=700) == ("shop/a", "shop/b")


def test_folder_that_is_written_to_stays() -> None:
    entries = [kept("shop/a", days=99, size=900), kept("shop/b", days=1, size=50)]

    assert expired_folders(entries, LIMITS, NOW, room_bytes=100, writing="shop/a") == ("shop/b",)


def test_baseline_stays_however_old_it_is() -> None:
    entries = [baseline(1, days=400), kept("shop/a", days=1, size=900), kept("shop/b", days=2, size=90)]

    assert expired_folders(entries, LIMITS, NOW, room_bytes=100) == ("shop/b", "shop/a")


def test_baselines_are_bounded_in_number_and_the_oldest_goes() -> None:
    entries = [baseline(number, days=number) for number in range(1, 6)]

    assert expired_folders(entries, LIMITS, NOW) == (entries[4].folder, entries[3].folder)


def test_baselines_take_half_of_the_room_at_most() -> None:
    entries = [baseline(number, days=number, size=200) for number in range(1, 4)]

    assert expired_folders(entries, LIMITS, NOW) == (entries[2].folder,)


def test_incident_of_a_namespace_called_baselines_is_an_incident() -> None:
    assert expired_folders([kept("baselines/api-1", days=31)], LIMITS, NOW) == ("baselines/api-1",)


def test_what_is_needed_stays_however_old_and_makes_room_last() -> None:
    entries = [
        kept("shop/open", days=99, size=400),
        kept("shop/closed", days=2, size=400),
        baseline(1, days=9),
    ]

    assert expired_folders(entries, LIMITS, NOW, keep={"shop/open"}) == ()
    assert expired_folders(entries, LIMITS, NOW, room_bytes=200, keep={"shop/open"}) == ("shop/closed",)
    for_all = expired_folders(entries, LIMITS, NOW, room_bytes=1000, keep={"shop/open"})
    assert for_all == ("shop/closed", entries[2].folder, "shop/open")


@pytest.mark.parametrize("keep", [(), ("shop/a", "bank/c")], ids=["nothing needed", "two needed"])
@pytest.mark.parametrize("room", [0, 500, 1000])
@given(
    entries=st.lists(
        st.builds(
            KeptEntry,
            st.sampled_from(["shop/a", "shop/b", "bank/c", *(f"baselines/shop/{n}-app" for n in range(5))]),
            st.integers(0, 600),
            st.integers(0, 50).map(lambda days: NOW - timedelta(days=days)),
        ),
        max_size=20,
    )
)
def test_what_stays_is_within_the_limits(entries: list[KeptEntry], room: int, keep: tuple[str, ...]) -> None:
    gone = set(expired_folders(entries, LIMITS, NOW, room_bytes=room, keep=keep))
    left = [one for one in entries if one.folder not in gone]

    baselines = {one.folder for one in left if one.folder.startswith("baselines/")}
    assert sum(one.size_bytes for one in left) + room <= LIMITS.maximum_bytes
    assert len(baselines) <= LIMITS.maximum_baselines
