"""A large fleet's floors, cheap to make: most containers flat or in season, one in twenty leaks."""

import numpy as np
from numpy.typing import NDArray

BLOCK_SECONDS = 300
END = 1_772_582_400
LIMIT_BYTES = 512 * 2**20


def fleet_memory(containers: int, blocks: int, seed: int = 0) -> NDArray[np.float32]:
    """RSS floors (containers, blocks) in bytes; made in slices so that making them needs no more than
    they do.
    """
    rng = np.random.default_rng(seed)
    memory = np.empty((containers, blocks), dtype=np.float32)
    hour = (np.arange(blocks, dtype=np.float32) * np.float32(BLOCK_SECONDS / 3600))[None, :]
    for first in range(0, containers, 1000):
        rows = min(1000, containers - first)
        base = rng.uniform(0.1, 0.5, (rows, 1)).astype(np.float32)
        swing = rng.uniform(0, 0.15, (rows, 1)) * (rng.random((rows, 1)) < 0.6)
        phase = rng.uniform(0, 2 * np.pi, (rows, 1))
        season = (swing * np.sin(hour * (np.pi / 12) + phase)).astype(np.float32)
        leaks = (rng.random((rows, 1)) < 0.05) * rng.uniform(0.001, 0.01, (rows, 1))
        noise = rng.standard_normal((rows, blocks), dtype=np.float32) * np.float32(0.004)
        share = base * (1 + season + noise) + leaks.astype(np.float32) * hour
        memory[first : first + rows] = np.clip(share, 0.01, 0.98) * LIMIT_BYTES
    return memory
