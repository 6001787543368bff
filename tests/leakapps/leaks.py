"""
The leaks of the programs, what must be said of each, and how what is said is held against the truth.

What the programs say about themselves is the truth that the profiles are held against.
"""

from dataclasses import dataclass

from controller.detection.assessment import GrowthClass
from controller.evidence.diagnosis import Diagnosis, Evidence, diagnose
from controller.evidence.goroutines import GOROUTINE_STACKS
from tests.leakapps.program import Snapshot, running

SHARE_TOLERANCE = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """What a program does and what must be said about it."""

    program: str
    warm: int
    units: int
    cause: str
    growth_class: GrowthClass
    holders: tuple[str, ...]
    """Functions that hold the memory the program counts; the first is the top retainer."""
    culprit: str
    """The function that the cause names."""


HEAP, GOROUTINE = GrowthClass.HEAP, GrowthClass.GOROUTINE
LEAKS = (
    Leak(
        program="bodynotclosed", warm=50, units=3000, cause="response-body-not-closed",
        growth_class=GOROUTINE,
        holders=("net/http.(*conn).serve", "net/http.(*Transport).dialConn"), culprit="main.fetchPrice",
    ),
    Leak(
        program="chansend", warm=100, units=15000, cause="goroutine-blocked-on-channel-send",
        growth_class=GOROUTINE, holders=("main.render",), culprit="main.renderWithin.func1",
    ),
    Leak(
        program="chanreceive", warm=100, units=25000, cause="goroutine-blocked-on-channel-receive",
        growth_class=GOROUTINE, holders=("main.subscribe",), culprit="main.(*subscriber).listen",
    ),
    Leak(
        program="selectforever", warm=100, units=25000, cause="goroutine-blocked-in-select",
        growth_class=GOROUTINE, holders=("main.openSession",), culprit="main.(*session).run",
    ),
    Leak(
        program="lockforever", warm=100, units=25000, cause="goroutine-blocked-on-lock",
        growth_class=GOROUTINE, holders=("main.main.func1.1",), culprit="main.(*ledger).post",
    ),
    Leak(
        program="ticker", warm=100, units=25000, cause="ticker-or-timer-not-stopped", growth_class=GOROUTINE,
        holders=("main.watch", "main.(*watcher).poll"), culprit="main.(*watcher).poll",
    ),
    Leak(
        program="timerheld", warm=1000, units=80000, cause="ticker-or-timer-not-stopped", growth_class=HEAP,
        holders=("main.place",), culprit="main.place",
    ),
    Leak(
        program="contextchild", warm=1000, units=400000, cause="context-not-cancelled", growth_class=HEAP,
        holders=("main.handle",), culprit="main.handle",
    ),
    Leak(
        program="mapcache", warm=1000, units=60000, cause="unbounded-map-or-cache", growth_class=HEAP,
        holders=("main.(*renderCache).page",), culprit="main.(*renderCache).page",
    ),
    Leak(
        program="gocache", warm=1000, units=120000, cause="cache-without-expiry", growth_class=HEAP,
        holders=("main.loadProfile",), culprit="main.loadProfile",
    ),
    Leak(
        program="promlabels", warm=1000, units=120000, cause="metric-label-cardinality", growth_class=HEAP,
        holders=("main.countRequest",), culprit="main.countRequest",
    ),
    Leak(
        program="sqlrows", warm=50, units=3000, cause="rows-not-closed", growth_class=GOROUTINE,
        holders=("bilgepump.dev/leakapps/harness.connector.Connect",), culprit="main.firstID",
    ),
    Leak(
        program="sqlstmt", warm=1000, units=40000, cause="stmt-not-closed", growth_class=HEAP,
        holders=("bilgepump.dev/leakapps/harness.(*conn).Prepare", "main.lookUp"), culprit="main.lookUp",
    ),
    Leak(
        program="subslice", warm=10, units=300, cause="large-buffer-pinned", growth_class=HEAP,
        holders=("main.readUpload",), culprit="main.readUpload",
    ),
    Leak(
        program="requestglobal", warm=500, units=30000, cause="request-kept-by-global", growth_class=HEAP,
        holders=("main.main.func1",), culprit="main.main.func1",
    ),
    Leak(
        program="poolbuffers", warm=100, units=4000, cause="pool-buffers-grow", growth_class=HEAP,
        holders=("main.init.func1",), culprit="main.connect",
    ),
    Leak(
        program="poolbytes", warm=20, units=1500, cause="pool-buffers-grow", growth_class=HEAP,
        holders=("main.(*session).answer",), culprit="main.(*session).answer",
    ),
    Leak(
        program="zaploggers", warm=500, units=20000, cause="unbounded-map-or-cache", growth_class=HEAP,
        holders=("main.(*registry).loggerFor",), culprit="main.(*registry).loggerFor",
    ),
    Leak(
        program="appendforever", warm=10000, units=600000, cause="slice-append-forever", growth_class=HEAP,
        holders=("main.(*trail).record",), culprit="main.(*trail).record",
    ),
    Leak(
        program="connopen", warm=50, units=4000, cause="connection-left-open", growth_class=GOROUTINE,
        holders=("main.serveConnection",), culprit="main.serveConnection",
    ),
    Leak(
        program="sleeploop", warm=100, units=25000, cause="goroutine-never-ends", growth_class=GOROUTINE,
        holders=("main.reconnect",), culprit="main.heartbeat",
    ),
    Leak(
        program="clientpercall", warm=50, units=2000, cause="client-per-call", growth_class=GOROUTINE,
        holders=("net/http.(*Transport).dialConn", "net/http.(*conn).serve"), culprit="main.callBilling",
    ),
    Leak(
        program="notimeout", warm=50, units=4000, cause="call-without-timeout", growth_class=GOROUTINE,
        holders=("net/http.(*Transport).dialConn", "main.refresh"), culprit="main.refresh",
    ),
    Leak(
        program="contextchain", warm=1000, units=300000, cause="context-chain-grows", growth_class=HEAP,
        holders=("main.(*worker).step",), culprit="main.(*worker).step",
    ),
    Leak(
        program="groupcache", warm=1000, units=45000, cause="cache-without-expiry", growth_class=HEAP,
        holders=("main.render", "main.(*pages).get"), culprit="main.(*pages).get",
    ),
    Leak(
        program="lrutoolarge", warm=1000, units=45000, cause="cache-without-expiry", growth_class=HEAP,
        holders=("main.quoteFor",), culprit="main.quoteFor",
    ),
    Leak(
        program="ttlworker", warm=100, units=15000, cause="client-per-call", growth_class=GOROUTINE,
        holders=(
            "main.(*service).lookUp",
            "github.com/jellydator/ttlcache/v3.(*Cache[go.shape.string,go.shape.string]).Start",
        ),
        culprit="main.(*service).lookUp",
    ),
    Leak(
        program="templateset", warm=500, units=8000, cause="registered-again-and-again", growth_class=HEAP,
        holders=("main.letter",), culprit="main.letter",
    ),
    Leak(
        program="poolexhausted", warm=100, units=8000, cause="rows-not-closed", growth_class=GOROUTINE,
        holders=("main.handle", "main.(*repository).exists"), culprit="main.(*repository).exists",
    ),
)  # fmt: skip


def diagnosed(first: Snapshot, second: Snapshot) -> Diagnosis:
    return diagnose(
        Evidence(
            heap=second.files["heap"],
            heap_baseline=first.files["heap"],
            goroutines=second.files["goroutine"],
            goroutines_baseline=first.files["goroutine"],
            goroutineleak=second.files.get("goroutineleak"),
            memstats=second.files["memory"],
            rss_bytes=second.rss_bytes,
            limit_bytes=512 << 20,
        )
    )


def observed(program: str, warm: int, units: int, **environment: str) -> tuple[Diagnosis, Snapshot, Snapshot]:
    with running(program, **environment) as app:
        first, second = app.work(warm), app.work(units)
    return diagnosed(first, second), first, second


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Of the growth, in 0..1: what the program counts, and what the diagnosis gives to the same functions."""

    counted: float
    named: float

    @property
    def error(self) -> float:
        return abs(self.named - self.counted)


def shares_of(leak: Leak, diagnosis: Diagnosis, first: Snapshot, second: Snapshot) -> Shares:
    """Of heap and stacks together where the diagnosis speaks of both."""
    on_heap = [each for each in diagnosis.retainers if each.allocator != GOROUTINE_STACKS]
    whole = second.heap_alloc_bytes - first.heap_alloc_bytes
    if len(on_heap) < len(diagnosis.retainers):
        whole += second.stack_inuse_bytes - first.stack_inuse_bytes
    return Shares(
        counted=min((second.retained_bytes - first.retained_bytes) / whole, 1.0),
        named=sum(each.share for each in on_heap if each.function in leak.holders),
    )
