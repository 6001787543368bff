"""Growth that a restart does not give back: page cache, tmpfs, kernel memory. To be told, never acted on."""

import numpy as np

from tests.benchmarks.detection.case import Case, Family, futile
from tests.benchmarks.detection.labels import Truth
from tests.benchmarks.detection.recording import ACTIVE_FILE
from tests.benchmarks.detection.scene import Scene, Values


def _rise(scene: Scene) -> tuple[Values, Values, float]:
    """Return the process's own flat share, what grows beside it, and the hour at which that begins."""
    own = scene.between(0.08, 0.3) * (1 + 0.1 * scene.load()) * (1 + 0.5 * scene.texture())
    top = scene.between(0.72, 0.95) if scene.hostile else scene.between(0.35, 0.66)
    begin = scene.between(-0.1, 0.4) * scene.hours
    takes = scene.between(0.4, 1.0) * (scene.hours - max(begin, 0))
    grows = (top - own.max()) * np.clip((scene.hour - begin) / takes, 0, 1)
    return own, np.maximum(grows * (1 + scene.noise(0.01)), 0), begin


def page_cache(scene: Scene) -> Case:
    """Files read again and again stay active in the cache and count in the working set."""
    own, grows, begin = _rise(scene)
    return futile(scene.record(own, active=grows + 0.004), begin, scene.epoch, ("pageCache",))


def mapped_files(scene: Scene) -> Case:
    """The same, where cAdvisor does not tell active file memory: cache grows with the working set."""
    own, grows, begin = _rise(scene)
    recording = scene.record(own, active=grows + 0.004, omit=(ACTIVE_FILE,))
    return futile(recording, begin, scene.epoch, ("pageCache", "shmem", "unknown"))


def logs_by_day(scene: Scene) -> Case:
    """Log files grow the cache by day, rotation at night drops a part of it."""
    own, grows, begin = _rise(scene)
    hour = scene.between(0, 24)
    rotated = 1 - scene.between(0.1, 0.4) * ((scene.clock - hour) % 24 < scene.between(3, 10))
    return futile(scene.record(own, active=grows * rotated + 0.004), begin, scene.epoch, ("pageCache",))


def tmpfs(scene: Scene) -> Case:
    """Files in an emptyDir of medium Memory: they outlive the container's restarts."""
    own, grows, begin = _rise(scene)
    count = scene.rng.integers(0, 4)
    starts = [-5.0, *np.sort(scene.rng.uniform(0, scene.hours, count)).tolist()]
    return futile(scene.record(own, shmem=grows, starts=starts), begin, scene.epoch, ("shmem",))


def kernel(scene: Scene) -> Case:
    """Dentries and slab: the working set grows, neither RSS nor cache does."""
    own, grows, begin = _rise(scene)
    return futile(scene.record(own, kernel=grows), begin, scene.epoch, ("kernel",))


FAMILIES = tuple(
    Family(name=f"futile-{draw.__name__.replace('_', '-')}", truth=Truth.FUTILE, draw=draw)
    for draw in (page_cache, mapped_files, logs_by_day, tmpfs, kernel)
)
