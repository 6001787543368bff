"""Leaks that need more than one container's memory: restarts, peers, goroutines, live heap, limits,
deploys.
"""

import numpy as np

from tests.benchmarks.detection.case import Case, Family, grown, healthy, joined
from tests.benchmarks.detection.families.leak import leaking
from tests.benchmarks.detection.labels import LIVES_THAT_PROVE, Label, Truth
from tests.benchmarks.detection.recording import HEAP_INUSE
from tests.benchmarks.detection.scene import HOUR, GoRuntime, Scene, Values


def _masked(scene: Scene, dies_at: tuple[float, float]) -> Case:
    """Every life grows over the threshold and is cut short; the fifth is the first that could be known."""
    base = scene.between(0.08, 0.35)
    duration = min(scene.between(2, 14, log=True), scene.hours / 8)
    starts = [0.0]
    while starts[-1] < scene.hours:
        dies = scene.between(*dies_at)
        starts.append(starts[-1] + duration * (dies - base) / (0.7 - base) * scene.between(0.97, 1.03))
    starts = starts[:-1]
    age, _ = scene.age(starts)
    gain = (0.7 - base) * age / duration
    share = np.minimum((base + gain) * (1 + scene.noise(0.004)), 0.99)
    recording = scene.record(share, starts=starts)
    return grown(
        scene,
        recording,
        gain,
        onset_hour=0.0,
        decidable_from_hour=starts[min(LIVES_THAT_PROVE, len(starts) - 1)],
        rising_lives=len(starts) - 1,
        classes=("heap",) if HEAP_INUSE in recording.series else (),
    )


def masked_by_kills(scene: Scene) -> Case:
    return _masked(scene, (0.95, 1.0))


def masked_by_probes(scene: Scene) -> Case:
    """The service stops answering well before the limit, and its probe restarts it."""
    return _masked(scene, (0.74, 0.92))


def in_short_lived_pods(scene: Scene) -> Case:
    """An autoscaler replaces pods before any of them tells by itself."""
    scene = Scene(scene.rng, hostile=False, hours=scene.between(36, 60))
    base, lives = scene.between(0.1, 0.3), scene.between(1, 4)
    rate = (scene.between(0.45, 0.65) - base) / lives
    template, count = scene.word(9), int(scene.rng.integers(12, 24))
    recordings = []
    for begin in np.sort(scene.rng.uniform(0, scene.hours - lives, count)):
        share = (base + rate * np.maximum(scene.hour - begin, 0)) * (1 + scene.texture())
        end = float(begin) + lives * scene.between(0.7, 1.1)
        pod = scene.pod_name(template)
        recordings.append(scene.record(np.clip(share, 0, 0.69), starts=[float(begin)], ends=end, pod=pod))
    label = Label(
        containers=tuple(r.key for r in recordings),
        truth=Truth.LEAK,
        because="every pod of the workload grows all its life",
        onset=scene.epoch,
        deadline=scene.epoch + scene.hours * HOUR,
    )
    return Case(recordings=tuple(recordings), labels=(label,))


def one_replica(scene: Scene) -> Case:
    """One replica leaks (its tenant, its shard); the others follow the load."""
    template, load = scene.word(9), scene.load()
    base, swing = scene.between(0.15, 0.35), scene.between(0.03, 0.15) * load
    one = leaking(
        scene,
        duration=scene.between(0.3, 0.95) * scene.hours,
        base=base,
        swing=swing,
        explained=True,
        birth=-scene.between(0, 5),
        pod=scene.pod_name(template),
    )
    others = [
        scene.record((base + swing) * (1 + scene.texture()), pod=scene.pod_name(template))
        for _ in range(scene.rng.integers(2, 6))
    ]
    return joined(one, healthy(*others))


def all_replicas(scene: Scene) -> Case:
    """A leak in the code: every replica, at rates that its share of traffic sets."""
    template, load = scene.word(9), scene.load()
    base, swing = scene.between(0.1, 0.3), scene.between(0.0, 0.12) * load
    duration = scene.between(0.35, 0.85) * scene.hours
    cases = [
        leaking(
            scene,
            duration=duration * scene.between(0.85, 1.15),
            base=base,
            swing=swing,
            birth=scene.between(0, 0.5),
            pod=scene.pod_name(template),
        )
        for _ in range(scene.rng.integers(2, 5))
    ]
    return joined(*cases)


def since_deploy(scene: Scene) -> Case:
    """The old version's pods were flat for a day or more; the new version's grow from their start."""
    deployed = scene.between(20, max(21, 0.5 * scene.hours))
    load = scene.load()
    base, swing = scene.between(0.15, 0.35), scene.between(0.02, 0.12) * load
    old_template, new_template = scene.word(9), scene.word(9)
    old = [
        scene.record((base + swing) * (1 + scene.texture()), ends=deployed, pod=scene.pod_name(old_template))
        for _ in range(2)
    ]
    duration = scene.between(0.35, 0.95) * (scene.hours - deployed)
    new = [
        leaking(
            scene,
            duration=duration * scene.between(0.9, 1.1),
            base=base,
            swing=swing,
            explained=True,
            birth=deployed + scene.between(0, 0.2),
            pod=scene.pod_name(new_template),
        )
        for _ in range(2)
    ]
    return joined(*new, healthy(*old))


def second_container(scene: Scene) -> Case:
    """The pod's second container leaks; the first is flat."""
    pod = scene.pod_name()
    leak = leaking(scene, duration=scene.between(0.3, 0.9) * scene.hours, pod=pod, container="worker")
    app = scene.between(0.2, 0.5) * (1 + scene.between(0, 0.2) * scene.load()) * (1 + scene.texture())
    return joined(leak, healthy(scene.record(app, pod=pod, container="app")))


def goroutines(scene: Scene) -> Case:
    """Blocked goroutines pile up; their stacks, and little live heap, are what grows."""
    scene.runtime = "go"
    count = scene.between(20, 300)
    size = scene.between(2.5, 16, log=True) * 1024

    def go(level: Values, grew: Values) -> GoRuntime:
        return GoRuntime(
            live=0.42 * (level - grew) + scene.between(0.02, 0.15) * grew,
            goroutines=count * (1 + np.abs(scene.noise(0.05))) + grew * scene.limit_bytes / size,
        )

    duration = scene.between(0.3, 0.9) * scene.hours
    return leaking(scene, duration=duration, go=go, classes=("goroutine",))


def native(scene: Scene) -> Case:
    """cgo or mmap outside the Go heap: the heap is flat, the process grows."""
    scene.runtime = "go"

    def go(level: Values, grew: Values) -> GoRuntime:
        steady = scene.between(20, 500) * (1 + np.abs(scene.noise(0.05)))
        return GoRuntime(live=0.42 * (level - grew), goroutines=steady)

    return leaking(scene, duration=scene.between(0.3, 0.9) * scene.hours, go=go, classes=("native",))


def under_soft_limit(scene: Scene) -> Case:
    """GOMEMLIMIT holds the RSS flat while the live heap climbs to it, and then over it."""
    scene.runtime = "go"
    cap, overhead = scene.between(0.4, 0.66), scene.between(1.05, 1.2)
    first = cap * scene.between(0.25, 0.5)
    duration = scene.between(0.35, 0.9) * scene.hours
    live = first + (0.7 / overhead - first) * scene.hour / duration
    share = np.maximum(np.minimum(2 * live, cap), overhead * live) * (1 + 0.2 * scene.noise(0.01))
    dead = np.flatnonzero(share > 0.985)
    ends = float(scene.hour[dead[0]]) if len(dead) else np.inf
    go = GoRuntime(live=live, goroutines=scene.between(20, 500) * (1 + np.abs(scene.noise(0.05))))
    recording = scene.record(np.minimum(share, 0.99), starts=[0.0], ends=ends, go=go)
    return grown(scene, recording, overhead * live, onset_hour=0.0, classes=("heap",))


def across_raised_limit(scene: Scene) -> Case:
    """The limit is raised in place while it leaks: more time, the same leak."""
    duration = scene.between(0.4, 0.9) * scene.hours
    at = scene.between(0.1, 0.4) * duration
    limit = np.where(scene.hour >= at, scene.limit_bytes, scene.limit_bytes / scene.between(1.2, 1.6))
    return leaking(scene, duration=duration, birth=-0.5, base=scene.between(0.08, 0.25), limit=limit)


FAMILIES = tuple(
    Family(name=f"leak-{draw.__name__.replace('_', '-')}", truth=Truth.LEAK, draw=draw)
    for draw in (
        masked_by_kills,
        masked_by_probes,
        in_short_lived_pods,
        one_replica,
        all_replicas,
        since_deploy,
        second_container,
        goroutines,
        native,
        under_soft_limit,
        across_raised_limit,
    )
)
