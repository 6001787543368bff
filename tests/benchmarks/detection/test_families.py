"""The generator keeps its promises: same seed same case, labels that agree with the series they label."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from tests.benchmarks.detection import corpus
from tests.benchmarks.detection.case import Family
from tests.benchmarks.detection.families import ALL
from tests.benchmarks.detection.families.bounded import HOSTILE_PEAK
from tests.benchmarks.detection.labels import CRITICAL, THRESHOLD, Truth
from tests.benchmarks.detection.recording import REQUESTS, RSS, WORKING_SET, matrix, recordings

SEED = 7
VARIANTS = [(family, hostile) for family in ALL for hostile in family.variants()]
IDS = [family.name + (" hostile" if hostile else "") for family, hostile in VARIANTS]

CASES = {(family.name, hostile): family.case(SEED, hostile=hostile) for family, hostile in VARIANTS}


def test_there_are_at_least_forty_five_families_of_every_truth() -> None:
    assert len(ALL) >= 45
    assert {family.truth for family in ALL} == set(Truth)


def test_every_family_that_is_no_leak_has_a_hostile_variant() -> None:
    assert all(True in family.variants() for family in ALL if family.truth is not Truth.LEAK)


@pytest.mark.parametrize(("family", "hostile"), VARIANTS, ids=IDS)
def test_a_case_has_the_truth_that_its_family_promises(family: Family, hostile: bool) -> None:
    assert CASES[family.name, hostile].labels[0].truth is family.truth


@pytest.mark.parametrize(("family", "hostile"), VARIANTS[::6], ids=IDS[::6])
def test_the_same_seed_draws_the_same_case(family: Family, hostile: bool) -> None:
    first, again = CASES[family.name, hostile], family.case(SEED, hostile=hostile)
    assert first.labels == again.labels
    for one, other in zip(first.recordings, again.recordings, strict=True):
        assert one.key == other.key
        np.testing.assert_array_equal(one.series[WORKING_SET], other.series[WORKING_SET])


def test_another_seed_draws_another_case() -> None:
    family = ALL[0]
    assert family.case(1).recordings[0].key != family.case(2).recordings[0].key


@pytest.mark.parametrize(("family", "hostile"), VARIANTS, ids=IDS)
def test_labels_agree_with_the_series(family: Family, hostile: bool) -> None:
    case = CASES[family.name, hostile]
    by_key = {recording.key: recording for recording in case.recordings}
    labelled = [key for label in case.labels for key in label.containers]
    assert sorted(labelled) == sorted(by_key), "every container is labelled once"
    for label in case.labels:
        if label.truth is Truth.LEAK:
            assert label.onset is not None
            assert label.deadline is not None
            assert label.onset < label.deadline
        if label.crossing is not None:
            assert _ratio_near(by_key[label.containers[0]], label.crossing) >= THRESHOLD
        if label.critical is not None:
            assert label.crossing is not None
            assert label.crossing <= label.critical
            assert _ratio_near(by_key[label.containers[0]], label.critical) >= CRITICAL


@pytest.mark.parametrize("family", [f for f in ALL if f.truth is Truth.LEAK], ids=lambda f: f.name)
def test_a_decidable_leak_crosses_within_the_record(family: Family) -> None:
    label = CASES[family.name, False].labels[0]
    if len(label.containers) == 1:
        assert label.crossing is not None
        assert label.deadline == label.crossing
    else:
        assert label.crossing is None, "pods that are replaced before they cross are judged together"


@pytest.mark.parametrize("family", [f for f in ALL if f.truth is Truth.HEALTHY], ids=lambda f: f.name)
def test_a_hostile_healthy_family_comes_near_the_threshold_and_a_normal_one_does_not(family: Family) -> None:
    normal, hostile = (
        max(np.nanmax(r.series[RSS] / r.limit) for r in CASES[family.name, variant].recordings)
        for variant in (False, True)
    )
    assert normal < THRESHOLD
    assert HOSTILE_PEAK[0] - 0.05 <= hostile <= 0.98


def test_records_are_as_long_and_as_fine_as_promised() -> None:
    for case in CASES.values():
        for recording in case.recordings:
            span = np.ptp(recording.time) / 3600
            assert 35.9 <= span <= 240
            assert np.diff(recording.time)[0] in (60.0, 300.0)


def test_series_are_named_as_prometheus_names_them_and_carry_their_labels() -> None:
    document = json.loads(json.dumps(matrix(CASES["leak-since-deploy", False].recordings)))
    assert document["data"]["resultType"] == "matrix"
    for result in document["data"]["result"]:
        wanted = (
            {"namespace", "pod"}
            if result["metric"]["__name__"] == REQUESTS
            else {"namespace", "pod", "container"}
        )
        assert wanted <= set(result["metric"])
        assert all(isinstance(value, str) for _, value in result["values"])


def test_what_is_written_is_what_is_read_back() -> None:
    written = CASES["leak-linear", False].recordings[0]
    (read,) = recordings(matrix([written]))
    seen = np.isfinite(written.series[WORKING_SET])
    np.testing.assert_array_equal(
        read.series[WORKING_SET][np.isin(read.time, written.time[seen])], written.series[WORKING_SET][seen]
    )
    np.testing.assert_array_equal(read.starts, np.floor(written.starts))


def test_a_restart_leaves_a_second_series_for_five_minutes() -> None:
    lingering = [c for f in ALL for c in (f.case(SEED + 1),) if any(r.lingers for r in c.recordings)]
    results = matrix([r for r in lingering[0].recordings if r.lingers][:1])["data"]["result"]
    lives = [r["values"] for r in results if r["metric"]["__name__"] == WORKING_SET]
    assert len(lives) > 1
    overlap = lives[0][-1][0] - lives[1][0][0]
    assert 0 <= overlap <= 360


def test_the_truth_is_not_written_into_the_recording() -> None:
    for (family, _), case in CASES.items():
        text = json.dumps([list(r.key) for r in case.recordings])
        assert family.split("-", 1)[1] not in text
        assert not any(truth in text for truth in ("leak", "healthy", "undecidable", "futile"))


def test_tuning_and_reporting_seeds_do_not_meet() -> None:
    assert not set(corpus.TUNING_SEEDS) & set(corpus.REPORTING_SEEDS)
    assert corpus.seeds_named("report", 2) == [100_000, 100_001]
    assert corpus.seeds_named("3-5", 99) == [3, 4, 5]


def test_unknown_seeds_are_refused_with_what_is_allowed() -> None:
    with pytest.raises(ValueError, match=r"seeds 'best': allowed are tuning, report"):
        corpus.seeds_named("best", 1)


def test_generate_writes_recordings_labels_and_policy(tmp_path) -> None:
    draws = corpus.draws([SEED], ALL[:1])
    (path,) = corpus.write(draws, tmp_path)
    (entry,) = json.loads((tmp_path / "labels.json").read_text())
    assert entry["file"] == path.name
    assert entry["labels"][0]["truth"] == asdict(CASES["leak-linear", False].labels[0])["truth"]
    assert "mode: Remediate" in (tmp_path / "policy.yaml").read_text()


def _ratio_near(recording, moment: float) -> float:
    """Largest working set / limit in the quarter of an hour before a moment."""
    near = (recording.time > moment - 1500) & (recording.time <= moment + 1)
    return float(np.nanmax(recording.series[WORKING_SET][near] / recording.limit[near]))
