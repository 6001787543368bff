"""Growth that restarts hide: the votes of the lives between them."""

import numpy as np

from controller.detection.candidates import Candidates
from controller.detection.findings import Findings
from controller.detection.lives import vote


def judge_lives(candidates: Candidates, findings: Findings) -> None:
    """
    Adds what the lives of each container and its replicas say.

    A present run too young to be judged by itself can still be known by its kind. One that has outlived its
    kind is judged by itself, and where it does not grow as they did, they may only have warmed up.
    """
    votes = vote(candidates.lives, len(candidates.used))
    able = candidates.measured & ~candidates.stale & ~candidates.only_working_set
    able &= ~np.isnan(candidates.threshold)
    able &= ~votes.outlived
    leaking, suspect = votes.leaking & able, votes.suspect & able
    groups = candidates.lives.group_of_row
    # Alone, it may have stood for a night or a weekend.
    among_others = np.bincount(groups, minlength=len(groups))[groups] > 1
    doubted = leaking & (votes.doubted | (findings.levelled_before & among_others))
    leaking &= ~doubted
    findings.levelled_before |= doubted
    findings.leaking_by_lives |= leaking
    findings.firm |= leaking
    findings.suspect |= suspect
    rows = np.flatnonzero((leaking | suspect) & np.isfinite(votes.slope))
    findings.keep(
        rows,
        np.where(leaking[rows], 1.0, 1e6),
        span=np.minimum(candidates.runs.ages[rows], votes.length[rows]),
        slope=votes.slope[rows],
        gain=votes.slope[rows] * votes.length[rows],
        crest=candidates.used[rows],
        between=(votes.slowest[rows], votes.fastest[rows]),
    )
