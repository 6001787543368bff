"""
The diagnosis of a program that has no pprof: what kind of memory grew, by its own metrics, and what to do.

It names no function and no cause: for these the runtime's own tools are told.
"""

from dataclasses import dataclass, replace

from controller.detection.assessment import GrowthClass
from controller.evidence.advice import Advice, advise
from controller.evidence.answers import Answers
from controller.evidence.growth_class import MemoryAccount
from controller.evidence.runtime_metrics import Runtime, RuntimeMemory

_LEAST_BYTES = 16 << 20
_LEAST_RATIO = 0.05
"""Of what it was before: less is the breathing of a busy program."""
_UNUSED_RATIO = 0.25
_THREAD_BYTES = 1 << 20
"""Reserved for a thread's stack; what is really touched is less."""
_LEAST_THREADS = 100
_HEAP_RATIO = 0.75
"""Of the limit that may be heap: the rest is needed for threads, code, buffers and the allocator."""
_MEBIBYTE = 1 << 20

_NAMES = {
    Runtime.GO: "Go",
    Runtime.JVM: "JVM",
    Runtime.NODE: "Node",
    Runtime.PYTHON: "Python",
    Runtime.DOTNET: ".NET",
    Runtime.UNKNOWN: "an unknown runtime",
}
_CAPTURES = {
    Runtime.GO: "take its heap profile (/debug/pprof/heap?gc=1) and give it as HEAP: it names functions",
    Runtime.JVM: "take `jcmd PID GC.class_histogram` twice, minutes apart: the classes that grew leak",
    Runtime.NODE: "start it with --heapsnapshot-signal=SIGUSR2 and compare two snapshots in DevTools; each "
    "needs about twice the heap, so take them from a replica that serves nobody",
    Runtime.PYTHON: "call tracemalloc.start(10) at start and compare two snapshots, or attach memray",
    Runtime.DOTNET: "take `dotnet-gcdump collect` twice and compare the types that grew",
    Runtime.UNKNOWN: "use the tools of its runtime",
}
_NATIVE_STEPS = {
    Runtime.GO: "cgo or mapped memory: look for C.malloc without C.free",
    Runtime.JVM: "-XX:NativeMemoryTracking=summary and `jcmd PID VM.native_memory summary.diff` tell "
    "threads, classes, code and buffers apart; -XX:MaxDirectMemorySize and -XX:MaxMetaspaceSize bound them; "
    "MALLOC_ARENA_MAX=2 against fragmentation of malloc",
    Runtime.NODE: "Buffers and native modules: look for streams that nobody reads, Buffer.slice of large "
    "buffers, and addons; MALLOC_ARENA_MAX=2 or jemalloc against fragmentation of malloc",
    Runtime.PYTHON: "C extensions or fragmentation: `memray run --native` tells them; MALLOC_ARENA_MAX=2 "
    "or jemalloc helps against the latter",
    Runtime.DOTNET: "native libraries, unmanaged buffers, threads: look for IDisposable without Dispose",
    Runtime.UNKNOWN: "the tools of its allocator (jemalloc's profile, heaptrack) name who allocates",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeFindings:
    """What two moments of a program, or one, say."""

    runtime: Runtime
    growth_class: GrowthClass
    confidence: float
    growth_bytes: float
    explained_share: float
    has_baseline: bool
    sentence: str
    answers: Answers
    advice: Advice
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    growth_class: GrowthClass
    name: str
    bytes: float
    """Grown by, or where there is no baseline in use."""


def judge_runtime(
    now: RuntimeMemory, before: RuntimeMemory | None, *, rss_bytes: int | None, limit_bytes: int | None
) -> RuntimeFindings:
    """The class of what grew (or is largest, without a baseline) and what to do, in plain words."""
    rss = now.rss_bytes or rss_bytes
    parts = _parts(now, rss)
    if before is not None:
        former = {part.name: part.bytes for part in _parts(before, before.rss_bytes)}
        parts = [
            _Part(growth_class=each.growth_class, name=each.name, bytes=each.bytes - former[each.name])
            for each in parts
            if each.name in former
        ]
    whole = _whole(now, before, rss, parts)
    largest = max(parts, key=lambda each: each.bytes, default=None)
    least = max(_LEAST_BYTES, _LEAST_RATIO * (rss or 0))
    found = largest if largest is not None and largest.bytes >= least else None
    growth_class = found.growth_class if found else GrowthClass.UNKNOWN
    uncollectable = (now.uncollectable or 0) - ((before.uncollectable or 0) if before else 0)
    return RuntimeFindings(
        runtime=now.runtime,
        growth_class=growth_class,
        confidence=_confidence(now, before, found),
        growth_bytes=whole,
        explained_share=round(min(found.bytes / whole, 1.0), 3) if found and whole > 0 else 0.0,
        has_baseline=before is not None,
        sentence=_sentence(now, before, found, whole, uncollectable),
        answers=_answers(now, growth_class, rss),
        advice=_advice(now, growth_class, limit_bytes, grew=found is not None and before is not None),
        warnings=_warnings(now, before, uncollectable),
    )


def _parts(memory: RuntimeMemory, rss: int | None) -> list[_Part]:
    """What the resident memory consists of, as far as it is known."""
    found = []
    live = memory.heap_live_bytes or memory.heap_used_bytes
    if live is not None:
        found.append(_Part(growth_class=GrowthClass.HEAP, name="the heap", bytes=live))
    free = _free_bytes(memory)
    if free is not None:
        found.append(
            _Part(growth_class=GrowthClass.FRAGMENTATION, name="heap held free and not returned", bytes=free)
        )
    if memory.other_bytes is not None:
        found.append(
            _Part(growth_class=GrowthClass.NATIVE, name="classes and compiled code", bytes=memory.other_bytes)
        )
    if memory.buffer_bytes is not None:
        found.append(
            _Part(growth_class=GrowthClass.NATIVE, name="buffers outside the heap", bytes=memory.buffer_bytes)
        )
    accounted = _accounted(memory)
    if rss is not None and accounted is not None:
        rest = max(rss - accounted, 0)
        found.append(_Part(growth_class=GrowthClass.NATIVE, name="memory outside its runtime", bytes=rest))
    elif rss is not None and memory.runtime in (Runtime.PYTHON, Runtime.UNKNOWN):
        found.append(_Part(growth_class=GrowthClass.UNKNOWN, name="its resident memory", bytes=rss))
    return found


def _free_bytes(memory: RuntimeMemory) -> int | None:
    """Of the heap: held by the process and not in use."""
    if memory.go is not None and memory.go.unreturned_bytes is not None:
        return memory.go.unreturned_bytes
    if memory.heap_committed_bytes is None or memory.heap_used_bytes is None:
        return None
    return max(memory.heap_committed_bytes - memory.heap_used_bytes, 0)


def _accounted(memory: RuntimeMemory) -> int | None:
    """What the runtime itself accounts for of the resident memory."""
    if memory.go is not None:
        return memory.go.resident_bytes
    heap = memory.heap_committed_bytes or memory.heap_used_bytes
    return None if heap is None else heap + (memory.other_bytes or 0) + (memory.buffer_bytes or 0)


def _whole(now: RuntimeMemory, before: RuntimeMemory | None, rss: int | None, parts: list[_Part]) -> float:
    if rss is not None and before is None:
        return float(rss)
    if rss is not None and before is not None and before.rss_bytes is not None and now.rss_bytes is not None:
        return float(now.rss_bytes - before.rss_bytes)
    return sum(max(each.bytes, 0.0) for each in parts)


def _confidence(now: RuntimeMemory, before: RuntimeMemory | None, found: _Part | None) -> float:
    """Metrics tell kinds, not owners; a heap that was not just collected also holds garbage."""
    if before is None:
        return 0.3
    if found is None:
        return 0.5
    return 0.5 if found.growth_class is GrowthClass.HEAP and now.heap_live_bytes is None else 0.7


def _sentence(
    now: RuntimeMemory, before: RuntimeMemory | None, found: _Part | None, whole: float, uncollectable: int
) -> str:
    name = _NAMES[now.runtime]
    if before is None:
        size = f"{whole / _MEBIBYTE:.0f} MiB in use, nothing to compare with"
        told = f"{name}: {size}" + (f"; most of it is {found.name} ({_mib(found.bytes)})" if found else "")
    elif found is None:
        told = f"{name}: nothing grew by as much as {_LEAST_BYTES >> 20} MiB since the baseline"
    else:
        told = f"{name}: {found.name} grew by {_mib(found.bytes)}"
    more_threads = (now.threads or 0) - ((before.threads or 0) if before else 0)
    if before is not None and more_threads >= _LEAST_THREADS:
        told += f"; {more_threads} threads more, each with a stack of up to {_mib(_THREAD_BYTES)}"
    if uncollectable > 0:
        told += f"; {uncollectable} objects that Python's collector gave up"
    return told


def _answers(now: RuntimeMemory, growth_class: GrowthClass, rss: int | None) -> Answers:
    free = _free_bytes(now)
    large = (free or 0) >= max(_LEAST_BYTES, _UNUSED_RATIO * (rss or now.heap_committed_bytes or 0))
    freed: bool | None = None
    why = "its metrics do not say how much is held free"
    if growth_class is GrowthClass.NATIVE:
        freed, why = False, "the memory is outside the managed heap: a collection does not free it"
    elif large:
        freed, why = True, f"{_mib(free)} of the heap are free and not returned to the system"
    elif free is not None:
        freed = False
        why = f"only {_mib(free)} of the heap are free: what is in use is referred to, or not yet collected"
    return Answers(
        right_direction=None,
        right_direction_because="metrics tell which kind of memory grew, and name no function",
        suspects_cleared=(),
        can_memory_be_freed_by_hand=freed,
        freed_by_hand_because=why,
    )


def _advice(now: RuntimeMemory, growth_class: GrowthClass, limit_bytes: int | None, *, grew: bool) -> Advice:
    settings = _settings(now, growth_class, limit_bytes)
    if now.runtime is Runtime.GO:
        account = MemoryAccount(rss_bytes=now.rss_bytes, limit_bytes=limit_bytes, stats=now.go)
        return replace(advise(growth_class, account), settings=settings)
    other = f"does not apply: this is {_NAMES[now.runtime]}, not Go"
    postpones = grew and growth_class is not GrowthClass.FRAGMENTATION
    return Advice(
        gomemlimit=other,
        gogc=other,
        limit="a higher limit only postpones it: plan restarts until the fix is out"
        if postpones
        else "no reason to change the limit",
        settings=settings,
    )


def _settings(now: RuntimeMemory, growth_class: GrowthClass, limit_bytes: int | None) -> tuple[str, ...]:
    """What to set or to run, the most useful first."""
    steps = []
    if growth_class is GrowthClass.NATIVE:
        steps.append(_NATIVE_STEPS[now.runtime])
    else:
        steps.append(_CAPTURES[now.runtime])
    steps.extend(_bounds(now, limit_bytes))
    if growth_class is GrowthClass.FRAGMENTATION and now.runtime is Runtime.JVM:
        steps.append("-XX:G1PeriodicGCInterval=300000 (G1) or -XX:ZUncommitDelay (ZGC) returns free heap")
    if growth_class is GrowthClass.HEAP and now.runtime is Runtime.JVM:
        steps.append("-XX:+ExitOnOutOfMemoryError: a JVM without heap that goes on is worse than a restart")
    return tuple(steps)


def _bounds(now: RuntimeMemory, limit_bytes: int | None) -> list[str]:
    heap = f"{int((limit_bytes or 0) * _HEAP_RATIO) >> 20}"
    match now.runtime:
        case Runtime.JVM:
            value = f"-Xmx{heap}m" if limit_bytes else "-XX:MaxRAMPercentage=75"
            high = (
                limit_bytes is not None
                and now.heap_max_bytes is not None
                and now.heap_max_bytes > _HEAP_RATIO * limit_bytes
            )
            now_is = f" (now {_mib(now.heap_max_bytes)}: too large beside the limit)" if high else ""
            return [f"{value}{now_is}: leaves room for threads, classes and buffers"]
        case Runtime.NODE:
            value = heap if limit_bytes else "75 % of the limit in MiB"
            return [f"--max-old-space-size={value}: collects before the limit is met"]
        case Runtime.DOTNET:
            return ["DOTNET_GCHeapHardLimitPercent=0x4B (75 %), DOTNET_gcServer=0 where replicas are small"]
        case Runtime.PYTHON:
            return ["workers that end after so many requests (gunicorn --max-requests) bound it meanwhile"]
        case _:
            return []


def _warnings(now: RuntimeMemory, before: RuntimeMemory | None, uncollectable: int) -> tuple[str, ...]:
    told = []
    if now.runtime is not Runtime.GO:
        told.append(
            f"profiles left out: {_NAMES[now.runtime]} has no pprof; no function and no cause is named"
        )
    if before is None:
        told.append(
            "no baseline: what is in use now is shown, not what grew; "
            "take the metrics again later and give these as --metrics-baseline"
        )
    if now.runtime is not Runtime.PYTHON and now.heap_used_bytes is not None and now.heap_live_bytes is None:
        told.append("the heap's size holds garbage that was not yet collected: compare at quiet moments")
    if uncollectable > 0:
        told.append("uncollectable objects: reference cycles through C extensions, or __del__ (gc.garbage)")
    return tuple(told)


def _mib(size: float | None) -> str:
    return f"{(size or 0) / _MEBIBYTE:.0f} MiB"
