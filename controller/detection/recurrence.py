"""Growth that restarts hide: the votes of the lives between them."""

import numpy as np

from controller.detection.candidates import Candidates
from controller.detection.findings import Findings
from controller.detection.lives import Votes, levelled_off_before, vote
from controller.detection.timeline import Flags, Indices


def judge_lives(candidates: Candidates, findings: Findings) -> None:
    """
    Adds what the lives of each container and its replicas say.

    A present run too young to be judged by itself can still be known by its kind.
    """
    votes = vote(candidates.lives, len(candidates.used))
    able = candidates.measured & ~candidates.stale & ~candidates.only_working_set
    able &= ~np.isnan(candidates.threshold)
    able &= ~_outlived(candidates, votes, np.flatnonzero(able & votes.suspect))
    leaking, suspect = votes.leaking & able, votes.suspect & able
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


def _outlived(candidates: Candidates, votes: Votes, rows: Indices) -> Flags:
    """Of which of `rows` a life went on as high and stood still: so would the others have, had they lived."""
    found = np.zeros(len(candidates.used), dtype=np.bool_)
    found[rows] = levelled_off_before(
        candidates.lives,
        rows,
        votes.length[rows],
        votes.height[rows],
        votes.slope[rows],
        candidates.harmless_below[rows],
        of_others=False,
    )
    return found
