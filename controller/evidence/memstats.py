"""Go's own account of its memory: `runtime.MemStats` as JSON, alone or inside expvar's `/debug/vars`."""

import json
from dataclasses import dataclass, fields
from typing import Any

from controller.evidence.rejection import ProfileRejected, RejectionReason

LARGEST_DOCUMENT_BYTES = 4 << 20
_LARGEST_NUMBER = 2**63
NO_GOMEMLIMIT = 2**63 - 1
"""What the runtime answers where none is set: `math.MaxInt64`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemStats:
    """Bytes by `runtime.MemStats` field; what the program did not say is None."""

    heap_alloc: int | None = None
    heap_sys: int | None = None
    heap_idle: int | None = None
    heap_inuse: int | None = None
    heap_released: int | None = None
    stack_inuse: int | None = None
    stack_sys: int | None = None
    mspan_sys: int | None = None
    mcache_sys: int | None = None
    buckhash_sys: int | None = None
    gc_sys: int | None = None
    other_sys: int | None = None
    sys: int | None = None
    next_gc: int | None = None
    num_gc: int | None = None
    gomemlimit: int | None = None
    """
    `NO_GOMEMLIMIT` where the program says that none is set. The runtime's own document has no such field:
    only where the program adds it, or from its metrics.
    """

    @property
    def unreturned_bytes(self) -> int | None:
        """`HeapIdle − HeapReleased`: free in Go's eyes, still the process's in the kernel's."""
        if self.heap_idle is None or self.heap_released is None:
            return None
        return max(self.heap_idle - self.heap_released, 0)

    @property
    def resident_bytes(self) -> int | None:
        """What Go itself can account for of the resident memory: `Sys − HeapReleased`."""
        if self.sys is None:
            return None
        return max(self.sys - (self.heap_released or 0), 0)


_JSON_NAMES = {
    "heap_alloc": "HeapAlloc",
    "heap_sys": "HeapSys",
    "heap_idle": "HeapIdle",
    "heap_inuse": "HeapInuse",
    "heap_released": "HeapReleased",
    "stack_inuse": "StackInuse",
    "stack_sys": "StackSys",
    "mspan_sys": "MSpanSys",
    "mcache_sys": "MCacheSys",
    "buckhash_sys": "BuckHashSys",
    "gc_sys": "GCSys",
    "other_sys": "OtherSys",
    "sys": "Sys",
    "next_gc": "NextGC",
    "num_gc": "NumGC",
    "gomemlimit": "GOMEMLIMIT",
}


_WRAPPERS = ("memstats", "MemStats")


def read_memstats(content: bytes) -> MemStats:
    """
    MemStats from a JSON document: the struct itself, expvar's `{"memstats": {…}}`, any letter case.

    A `gomemlimit_bytes` may stand beside either. Raises ProfileRejected.
    """
    document = _document(content)
    inner = next((each for each in map(document.get, _WRAPPERS) if isinstance(each, dict)), {})
    found = {
        name.lower().replace("_", "").removesuffix("bytes"): value
        for name, value in {**document, **inner}.items()
        if _counts(value)
    }
    values = {
        each.name: int(found[json_name.lower()])
        for each in fields(MemStats)
        if (json_name := _JSON_NAMES[each.name]).lower() in found
    }
    if "heap_alloc" not in values and "heap_inuse" not in values:
        raise ProfileRejected(
            RejectionReason.WRONG_KIND, "the JSON holds no `HeapAlloc` or `HeapInuse`: is it Go's MemStats?"
        )
    return MemStats(**values)


def memstats_json(stats: MemStats) -> bytes:
    """The document to keep: numbers only. expvar also publishes the command line, which may hold secrets."""
    known = {_JSON_NAMES[each.name]: getattr(stats, each.name) for each in fields(MemStats)}
    present = {name: value for name, value in known.items() if value is not None}
    return json.dumps(present, indent=1).encode()


def _counts(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _LARGEST_NUMBER


def _document(content: bytes) -> dict[str, Any]:
    if len(content) > LARGEST_DOCUMENT_BYTES:
        raise ProfileRejected(
            RejectionReason.TOO_LARGE,
            f"the memory statistics are {len(content)} bytes; at most {LARGEST_DOCUMENT_BYTES} are read",
        )
    if content.lstrip()[:1] == b"#":
        raise ProfileRejected(
            RejectionReason.WRONG_KIND, "this is an answer of /metrics: give it as --metrics"
        )
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ProfileRejected(RejectionReason.DAMAGED, "the memory statistics are not JSON") from error
    if not isinstance(document, dict):
        raise ProfileRejected(RejectionReason.WRONG_KIND, "the memory statistics must be a JSON object")
    return document
