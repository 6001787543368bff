"""
What a program's own metrics say about its memory: JVM, Node, Python, .NET and Go, in Prometheus' text format.

The names are those of the usual exporters: Micrometer and the Java client, prom-client, prometheus_client,
prometheus-net and client_golang.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from controller.evidence.memstats import NO_GOMEMLIMIT, MemStats
from controller.evidence.rejection import ProfileRejected, RejectionReason

LARGEST_METRICS_BYTES = 64 << 20
"""
Of a file. A program whose label values have no bound tells much: all but a few lines are skipped unread.
From a replica no more is taken than of a profile.
"""
LARGEST_KEPT_BYTES = 1 << 20
LONGEST_LINE_BYTES = 4 << 10
"""The parser of lines takes time with the square of their length."""
_LARGEST_NUMBER = 2**63


class Runtime(StrEnum):
    """What the program runs on."""

    GO = "go"
    JVM = "jvm"
    NODE = "node"
    PYTHON = "python"
    DOTNET = "dotnet"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeMemory:
    """One moment of a program, in bytes and counts; None where its metrics do not say."""

    runtime: Runtime
    rss_bytes: int | None = None
    heap_used_bytes: int | None = None
    heap_live_bytes: int | None = None
    """After a collection: what is really referred to."""
    heap_committed_bytes: int | None = None
    heap_max_bytes: int | None = None
    other_bytes: int | None = None
    """Managed beside the heap: class metadata, compiled code."""
    buffer_bytes: int | None = None
    """Outside the heap by the program's own wish: direct buffers, Node's Buffers."""
    threads: int | None = None
    uncollectable: int | None = None
    """Objects that Python's collector gave up."""
    go: MemStats | None = None


_Wanted = tuple[str, Mapping[str, str]]
_HEAP = ({"area": "heap"}, {"jvm_memory_type": "heap"})
_NON_HEAP = ({"area": "nonheap"}, {"jvm_memory_type": "non_heap"})


def _jvm(what: str, kinds: tuple[Mapping[str, str], ...]) -> tuple[_Wanted, ...]:
    return tuple(
        (name, kind) for name in (f"jvm_memory_{what}_bytes", f"jvm_memory_bytes_{what}") for kind in kinds
    )


_SERIES: dict[Runtime, dict[str, tuple[_Wanted, ...]]] = {
    Runtime.JVM: {
        "heap_used_bytes": _jvm("used", _HEAP),
        "heap_live_bytes": (("jvm_gc_live_data_size_bytes", {}), ("jvm_memory_used_after_last_gc_bytes", {})),
        "heap_committed_bytes": _jvm("committed", _HEAP),
        "heap_max_bytes": (*_jvm("max", _HEAP), ("jvm_memory_limit_bytes", {"jvm_memory_type": "heap"})),
        "other_bytes": _jvm("used", _NON_HEAP),
        "buffer_bytes": (("jvm_buffer_memory_used_bytes", {}), ("jvm_buffer_pool_used_bytes", {})),
        "threads": (("jvm_threads_live_threads", {}), ("jvm_threads_current", {}), ("jvm_thread_count", {})),
    },
    Runtime.NODE: {
        "heap_used_bytes": (("nodejs_heap_size_used_bytes", {}),),
        "heap_committed_bytes": (("nodejs_heap_size_total_bytes", {}),),
        "buffer_bytes": (("nodejs_external_memory_bytes", {}),),
    },
    Runtime.DOTNET: {
        "heap_used_bytes": (
            ("dotnet_total_memory_bytes", {}),
            ("dotnet_gc_last_collection_heap_size_bytes", {}),
        ),
        "heap_committed_bytes": (
            ("dotnet_gc_last_collection_memory_committed_size_bytes", {}),
            ("process_runtime_dotnet_gc_committed_memory_size_bytes", {}),
        ),
        "threads": (("process_num_threads", {}),),
    },
    Runtime.PYTHON: {"uncollectable": (("python_gc_objects_uncollectable_total", {}),)},
    Runtime.GO: {
        "heap_used_bytes": (("go_memstats_heap_alloc_bytes", {}),),
        "heap_committed_bytes": (("go_memstats_heap_sys_bytes", {}),),
        "threads": (("go_goroutines", {}),),
    },
}
_PREFIXES = {
    Runtime.JVM: ("jvm_",),
    Runtime.NODE: ("nodejs_",),
    Runtime.DOTNET: ("dotnet_", "process_runtime_dotnet_"),
    Runtime.PYTHON: ("python_",),
    Runtime.GO: ("go_",),
}
_GO_FIELDS = {
    **{name: f"go_memstats_{name}_bytes" for name in ("heap_alloc", "heap_sys", "heap_idle", "heap_inuse")},
    **{name: f"go_memstats_{name}_bytes" for name in ("heap_released", "next_gc", "sys", "mspan_sys")},
    **{name: f"go_memstats_{name}_bytes" for name in ("mcache_sys", "gc_sys", "other_sys")},
    "buckhash_sys": "go_memstats_buck_hash_sys_bytes",
    "stack_inuse": "go_memstats_stack_inuse_bytes",
    "stack_sys": "go_memstats_stack_sys_bytes",
}

_GOMEMLIMIT = "go_gc_gomemlimit_bytes"
_RECOGNISED_BY = (
    "go_info",
    "jvm_info",
    "nodejs_version_info",
    "python_info",
    "dotnet_collection_count_total",
)
_RESIDENT = ("process_resident_memory_bytes", "process_working_set_bytes")
_KEPT = {
    _GOMEMLIMIT,
    *_RECOGNISED_BY,
    *_RESIDENT,
    *_GO_FIELDS.values(),
    *(name for fields in _SERIES.values() for wanted in fields.values() for name, _ in wanted),
}
_FAMILIES = _KEPT | {name.removesuffix("_total") for name in _KEPT}
"""OpenMetrics names the type of a counter without its suffix."""
_SAMPLE, _ABOUT = (rf"(?:{'|'.join(sorted(names))})" for names in (_KEPT, _FAMILIES))
_KEPT_LINE = re.compile(rf"^(?:{_SAMPLE}(?=[{{\s])|# (?:TYPE|UNIT) {_ABOUT}\s)[^\n]*$".encode(), re.MULTILINE)

_Samples = dict[str, list[tuple[Mapping[str, str], float]]]


def read_runtime_metrics(content: bytes) -> RuntimeMemory:
    """
    A program's memory from the answer of its `/metrics`.

    Raises ProfileRejected where it is no text in Prometheus' format, or says nothing about memory.
    """
    samples = _samples(content)
    runtime = next(
        (
            runtime
            for runtime, prefixes in _PREFIXES.items()
            if any(name.startswith(prefixes) for name in samples)
        ),
        Runtime.UNKNOWN,
    )
    values = {field: _sum(samples, wanted) for field, wanted in _SERIES.get(runtime, {}).items()}
    rss = _sum(samples, tuple((name, {}) for name in _RESIDENT))
    go = _go(samples) if runtime is Runtime.GO else None
    if rss is None and go is None and values.get("heap_used_bytes") is None:
        raise ProfileRejected(
            RejectionReason.WRONG_KIND,
            "the metrics say nothing about memory: neither process_resident_memory_bytes nor those of a "
            "JVM (jvm_memory_used_bytes), Node (nodejs_heap_size_used_bytes), Python, .NET or Go",
        )
    return RuntimeMemory(runtime=runtime, rss_bytes=rss, go=go, **values)


def memory_metrics(content: bytes) -> bytes:
    """
    The lines to keep of the answer of a `/metrics`: the runtime's own and the process's.

    Only those that are read: any other may name the program's users in its labels. Raises ProfileRejected.
    """
    if len(content) > LARGEST_METRICS_BYTES:
        raise _too_large("the metrics are", len(content), LARGEST_METRICS_BYTES)
    kept = bytearray()
    for line in _KEPT_LINE.finditer(content):
        size = line.end() - line.start()
        if size > LONGEST_LINE_BYTES:
            raise _too_large("a line of the metrics is", size, LONGEST_LINE_BYTES)
        kept += line[0] + b"\n"
        if len(kept) > LARGEST_KEPT_BYTES:
            raise _too_large("the metrics about memory are", len(kept), LARGEST_KEPT_BYTES)
    return bytes(kept)


def _too_large(what: str, size: int, most: int) -> ProfileRejected:
    return ProfileRejected(RejectionReason.TOO_LARGE, f"{what} {size} bytes or more; at most {most} are read")


def _samples(content: bytes) -> _Samples:
    kept = memory_metrics(content)
    if not kept and content.lstrip()[:1] in (b"<", b"{"):
        raise ProfileRejected(
            RejectionReason.NOT_A_PROFILE,
            "this is a web page or JSON, not Prometheus' text format",
        )
    # Imported here: it brings an HTTP server, and a profile of Go is read without it.
    from prometheus_client.parser import text_string_to_metric_families

    samples: _Samples = {}
    try:
        for family in text_string_to_metric_families(kept.decode()):
            for sample in family.samples:
                samples.setdefault(sample.name, []).append((sample.labels, sample.value))
    except (ValueError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise ProfileRejected(
            RejectionReason.NOT_A_PROFILE, "the metrics are not in Prometheus' text format"
        ) from error
    return samples


def _sum(samples: _Samples, wanted: tuple[_Wanted, ...]) -> int | None:
    """The first series that is there, its labels added up; what has no value (-1 for no maximum) left out."""
    for name, labels in wanted:
        values = [
            value
            for have, value in samples.get(name, [])
            if labels.items() <= have.items() and math.isfinite(value) and 0 <= value < _LARGEST_NUMBER
        ]
        if values:
            return int(sum(values))
    return None


def _go(samples: _Samples) -> MemStats | None:
    found = {field: _sum(samples, ((name, {}),)) for field, name in _GO_FIELDS.items()}
    if found["heap_alloc"] is None:
        return None
    limits = [value for _, value in samples.get(_GOMEMLIMIT, ()) if 0 <= value < math.inf]
    return MemStats(**found, gomemlimit=min(int(limits[0]), NO_GOMEMLIMIT) if limits else None)
