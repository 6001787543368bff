"""Real pods, documents for readers, and the run as a whole."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tests.benchmarks.detection import contest, fuzz
from tests.benchmarks.detection.case import family_named
from tests.benchmarks.detection.command import main
from tests.benchmarks.detection.corpus import draws, write
from tests.benchmarks.detection.families import ALL
from tests.benchmarks.detection.labels import THRESHOLD, Truth
from tests.benchmarks.detection.ours import Backtest, transitions
from tests.benchmarks.detection.real import FAMILIES as REAL
from tests.benchmarks.detection.real import pods
from tests.benchmarks.detection.recording import WORKING_SET


def test_there_are_24_real_pods_of_half_a_day_and_more() -> None:
    assert len(pods()) == 24
    assert all(np.ptp(pod.time) >= 11.9 * 3600 for pod in pods())


@pytest.mark.parametrize("seed", range(6))
def test_an_injected_leak_keeps_the_pod_s_noise_and_crosses_in_the_record(seed: int) -> None:
    case = REAL[1].case(seed)
    (label,), (recording,) = case.labels, case.recordings
    assert label.truth is Truth.LEAK
    assert label.onset < label.crossing <= recording.time[-1]
    original = next(p for p in pods() if p.pod == recording.pod and len(p.time) == len(recording.time))
    before = recording.time < label.onset
    np.testing.assert_array_equal(recording.series[WORKING_SET][before], original.series[WORKING_SET][before])
    level = recording.series[WORKING_SET] / recording.limit
    assert np.nanmax(level[before]) < THRESHOLD


def test_untouched_pods_are_untouched() -> None:
    (recording,) = REAL[0].case(3).recordings
    assert any(np.array_equal(recording.series[WORKING_SET], pod.series[WORKING_SET]) for pod in pods())


def test_every_document_is_made_the_same_for_a_seed() -> None:
    first, again = list(fuzz.documents(5, rounds=1)), list(fuzz.documents(5, rounds=1))
    assert first == again
    assert len({document.name for document in first}) == len(first)


def test_documents_that_are_answers_are_json_and_the_others_are_not_answers() -> None:
    for document in fuzz.documents(1, rounds=1):
        if document.is_answer:
            assert json.loads(document.body)["data"]["resultType"] == "matrix"


def test_a_large_document_is_valid_and_as_large_as_asked() -> None:
    body = b"".join(fuzz.large(1))
    assert 2**20 <= len(body) < 1.3 * 2**20
    assert json.loads(body)["status"] == "success"


def test_detectors_are_found_by_name_and_unknown_ones_refused() -> None:
    assert [d.name for d in contest.detectors(["coroot", "ours"])] == ["coroot", "ours"]
    with pytest.raises(ValueError, match="detector 'magic' is not one of: all, peers, threshold"):
        contest.detectors(["magic"])


def test_one_process_and_two_score_the_same() -> None:
    chosen = draws([3])[:14]
    one = contest.contest(chosen, ["threshold-0.65"], processes=1)
    two = contest.contest(chosen, ["threshold-0.65"], processes=2)
    verdicts = [[(o.family, o.seed, o.found, o.false) for o in run["threshold-0.65"]] for run in (one, two)]
    assert verdicts[0] == verdicts[1]


def test_the_command_prints_totals_families_and_real_pods(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--seeds", "2-2", "--families", "leak-linear", "healthy-flat", "--peers", "threshold-0.65"]
    assert main([*asked, "--real", "2", "--processes", "1"]) == 0
    text = capsys.readouterr().out
    assert "seeds: 2-2" in text
    assert "leak-linear" in text
    assert "healthy-flat (hostile)" in text
    assert "real-injected" in text
    assert main([*asked, "--real", "2", "--processes", "1", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["generated"]["threshold-0.65"]["summary"]["units"] == 3


def test_an_earlier_run_s_detectors_are_shown_beside_the_new(capsys, tmp_path) -> None:
    asked = ["--seeds", "2-2", "--families", "leak-linear", "--real", "1", "--processes", "1"]
    main([*asked, "--peers", "coroot", "-o", "json"])
    earlier = tmp_path / "earlier.json"
    earlier.write_text(capsys.readouterr().out)
    main([*asked, "--peers", "threshold-0.65", "--beside", str(earlier)])
    first_table = capsys.readouterr().out.split("\n\n")[1]
    assert "threshold-0.65" in first_table
    assert "coroot" in first_table


def test_our_detector_is_asked_as_the_command_line_asks_it(tmp_path) -> None:
    chosen = draws([2], [family_named(ALL, "leak-linear"), family_named(ALL, "futile-kernel")], (False,))
    files = [str(path) for path in write(chosen, tmp_path)]
    command = [sys.executable, "-m", "controller", "backtest", "--policy", str(tmp_path / "policy.yaml")]
    asked = [part for file in files for part in ("--from-file", file)]
    printed = subprocess.run(
        [*command, *asked, "--every", "180", "-o", "json"], capture_output=True, text=True, check=True
    ).stdout
    recordings = [recording for draw in chosen for recording in draw.case().recordings]
    assert transitions(json.loads(printed)) == Backtest(180 * 60.0).run(recordings)


def test_the_command_refuses_an_unknown_family(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--families", "leak-nonsense"]) == 2
    assert "family 'leak-nonsense' is not one of" in capsys.readouterr().err
