"""What is concluded from profiles made by hand, where each fact can be set."""

import json
import random

import hypothesis
import hypothesis.strategies as st
import pytest

from controller.detection.assessment import GrowthClass
from controller.evidence.diagnosis import Diagnosis, Evidence, diagnose
from controller.evidence.document import BadDocument, diagnosis_document, read_diagnosis
from controller.evidence.rejection import ProfileRejected
from controller.evidence.summary import summarize
from tests.evidence.profile_builder import MEBIBYTE, ProfileBuilder, goroutine_profile, heap_profile

SERVED = ("net/http.HandlerFunc.ServeHTTP", "net/http.(*conn).serve")


def compared(now: ProfileBuilder, base: ProfileBuilder | None = None, **parts) -> Diagnosis:
    base = base or heap_profile()
    return diagnose(Evidence(heap=now.gzipped(), heap_baseline=base.gzipped(), **parts))


def causes(diagnosis: Diagnosis) -> list[str]:
    return [each.cause.id for each in diagnosis.causes]


def waiting(*functions: str, count: int) -> bytes:
    return goroutine_profile().sample(functions, [count]).gzipped()


def test_growth_and_share_are_exact_where_everything_was_sampled():
    base = heap_profile().heap("main.cache", inuse=10 * MEBIBYTE).heap("main.other", inuse=MEBIBYTE)
    now = heap_profile().heap("main.cache", inuse=40 * MEBIBYTE).heap("main.other", inuse=11 * MEBIBYTE)
    diagnosis = compared(now, base)
    assert diagnosis.growth_bytes == 40 * MEBIBYTE
    assert diagnosis.plus_minus_bytes == 0
    assert [(each.function, each.share) for each in diagnosis.retainers] == [
        ("main.cache", 0.75),
        ("main.other", 0.25),
    ]


def test_lines_of_one_function_are_added_up():
    now = heap_profile()
    for line in (10, 20):
        now.location("main.cache", "/app/main.go", line)
    now.message.sample.add(location_id=[1], value=[1, 8 * MEBIBYTE, 1, 8 * MEBIBYTE])
    now.message.sample.add(location_id=[2], value=[1, 8 * MEBIBYTE, 1, 8 * MEBIBYTE])
    assert [each.delta_bytes for each in compared(now).retainers] == [16 * MEBIBYTE]


def test_few_samples_are_told_with_the_error():
    now = heap_profile(period=524288).heap("main.cache", inuse=4 * MEBIBYTE)
    diagnosis = compared(now)
    assert any("sampled blocks" in each and "fewer than 20" in each for each in diagnosis.warnings)
    assert diagnosis.confidence < 0.8
    # 8 blocks of 1 KiB were seen of 4 MiB: 1.96 × √8 × 512 KiB
    assert diagnosis.plus_minus_bytes == pytest.approx(1.96 * 8**0.5 * 524288, rel=0.01)


def test_growth_within_the_sampling_error_is_no_growth():
    now = heap_profile(period=8 << 20).heap("main.cache", inuse=12 * MEBIBYTE)
    diagnosis = compared(now)
    assert diagnosis.growth_class is GrowthClass.UNKNOWN
    assert diagnosis.retainers == ()


def test_growth_that_is_small_beside_the_heap_is_no_growth():
    base = heap_profile().heap("main.table", inuse=1000 * MEBIBYTE)
    now = heap_profile().heap("main.table", inuse=1000 * MEBIBYTE).heap("main.cache", inuse=20 * MEBIBYTE)
    assert causes(compared(now, base)) == []


def test_a_baseline_of_another_process_is_noticed():
    base = heap_profile().heap("main.handle", inuse=MEBIBYTE, allocated=900 * MEBIBYTE)
    now = heap_profile().heap("main.handle", inuse=90 * MEBIBYTE, allocated=200 * MEBIBYTE)
    diagnosis = compared(now, base)
    assert diagnosis.confidence < 0.9
    assert any("another process" in each for each in diagnosis.warnings)
    assert causes(diagnosis) == []


def test_blocks_that_are_freed_again_name_no_collection():
    now = heap_profile().heap("main.page", inuse=30 * MEBIBYTE, allocated=300 * MEBIBYTE)
    diagnosis = compared(now)
    assert causes(diagnosis) == []
    assert "as a cache does" in summarize(diagnosis)


def test_growth_that_falls_behind_the_requests_names_no_collection():
    """Before the baseline 40 MiB were kept over 200 MiB of requests, since then 10 over 800."""
    base = heap_profile().heap("main.page", *SERVED, inuse=40 * MEBIBYTE)
    base.heap("net/http.readRequest", "net/http.(*conn).serve", inuse=0, allocated=200 * MEBIBYTE)
    now = heap_profile().heap("main.page", *SERVED, inuse=50 * MEBIBYTE)
    now.heap("net/http.readRequest", "net/http.(*conn).serve", inuse=0, allocated=1000 * MEBIBYTE)
    diagnosis = compared(now, base)
    assert diagnosis.retainers[0].function == "main.page"
    assert causes(diagnosis) == []


def test_growth_that_keeps_up_with_the_requests_is_a_leak():
    base = heap_profile().heap("main.page", *SERVED, inuse=10 * MEBIBYTE)
    base.heap("net/http.readRequest", "net/http.(*conn).serve", inuse=0, allocated=200 * MEBIBYTE)
    now = heap_profile().heap("main.page", *SERVED, inuse=50 * MEBIBYTE)
    now.heap("net/http.readRequest", "net/http.(*conn).serve", inuse=0, allocated=1000 * MEBIBYTE)
    assert causes(compared(now, base)) == ["unbounded-map-or-cache"]


def test_requests_in_flight_are_no_leak():
    upstream = (
        "runtime.gopark",
        "runtime.selectgo",
        "net/http.(*persistConn).roundTrip",
        "main.proxy",
        *SERVED,
    )
    reading = ("runtime.gopark", "runtime.selectgo", "net/http.(*persistConn).readLoop")
    now = goroutine_profile().sample(upstream, [400]).sample(reading, [400]).gzipped()
    diagnosis = compared(heap_profile(), goroutines=now, goroutines_baseline=waiting(*upstream, count=2))
    assert causes(diagnosis) == []
    assert diagnosis.growth_class is GrowthClass.UNKNOWN


def test_a_pool_of_workers_that_breathes_is_no_leak():
    worker = ("runtime.gopark", "runtime.chanrecv", "main.(*pool).worker")
    base, now = waiting(*worker, count=400), waiting(*worker, count=500)
    assert causes(compared(heap_profile(), goroutines=now, goroutines_baseline=base)) == []


def test_handlers_that_work_side_by_side_are_no_leak():
    waits = ("runtime.gopark", "runtime.chanrecv", "main.lookUp", *SERVED)
    base, now = waiting(*waits, count=1), waiting(*waits, count=120)
    assert causes(compared(heap_profile(), goroutines=now, goroutines_baseline=base)) == []


def test_goroutines_that_wait_for_bodies_beyond_those_in_flight_are_the_leak():
    reading = ("runtime.gopark", "runtime.selectgo", "net/http.(*persistConn).readLoop")
    calling = ("runtime.gopark", "runtime.selectgo", "net/http.(*persistConn).roundTrip", "main.fetch")
    now = goroutine_profile().sample(reading, [300]).sample(calling, [40]).gzipped()
    heap = heap_profile().heap(
        "net/http.NewRequest", "net/http.(*Client).do", "main.fetch", inuse=3 * MEBIBYTE
    )
    diagnosis = compared(heap, goroutines=now, goroutines_baseline=waiting(*reading, count=10))
    assert causes(diagnosis) == ["response-body-not-closed"]
    assert diagnosis.causes[0].function == "main.fetch"
    assert diagnosis.causes[0].evidence.startswith("250 goroutines")


@pytest.mark.parametrize(
    ("blocks", "named"),
    [
        pytest.param(2, [], id="by chance"),
        pytest.param(8, ["unbounded-map-or-cache"], id="more than chance"),
    ],
)
def test_a_block_or_two_that_were_sampled_are_no_collection(blocks: int, named: list[str]):
    """A server that keeps nothing, at the moment when some readers of its clients are seen."""
    rate = 512 << 10
    now = heap_profile(period=rate).heap("bufio.NewReaderSize", *SERVED, inuse=4 * rate, block=4096)
    now.heap("bufio.NewReaderSize", "main.read", inuse=blocks * rate, block=4096)
    assert causes(compared(now, heap_profile(period=rate))) == named


SESSIONS = "shop/session.(*Store).Remember"


@pytest.mark.parametrize(
    ("stack", "named"),
    [
        pytest.param((SESSIONS, "shop/api.order", *SERVED), True, id="made while a request was served"),
        pytest.param((SESSIONS, "net/http.(*Client).do", "shop/api.order"), False, id="made in the call"),
    ],
)
def test_a_block_for_each_goroutine_of_gos_own_is_a_leak_of_its_own(stack: tuple[str, ...], named: bool):
    """The demo's service: a session for every request, and every sixth response body left open."""
    reading = ("runtime.gopark", "runtime.selectgo", "net/http.(*persistConn).readLoop")
    diagnosis = compared(
        heap_profile().heap(*stack, inuse=1000 * 8192, block=8192),
        goroutines=waiting(*reading, count=827),
        goroutines_baseline=waiting(*reading, count=10),
    )
    expected = [("response-body-not-closed", reading[-1])]
    expected += [("unbounded-map-or-cache", SESSIONS)] if named else []
    assert [(each.cause.id, each.function) for each in diagnosis.causes] == expected


def test_two_leaks_are_both_named():
    send = ("runtime.gopark", "runtime.chansend", "main.publish")
    heap = heap_profile().heap(
        "github.com/prometheus/client_golang/prometheus.MakeLabelPairs",
        "github.com/prometheus/client_golang/prometheus.(*MetricVec).GetMetricWithLabelValues",
        "main.count",
        inuse=30 * MEBIBYTE,
    )
    diagnosis = compared(
        heap, goroutines=waiting(*send, count=900), goroutines_baseline=waiting(*send, count=9)
    )
    assert set(causes(diagnosis)) == {"metric-label-cardinality", "goroutine-blocked-on-channel-send"}


def test_a_ticker_that_few_samples_show_is_named_where_its_goroutine_leaked():
    ticks = ("runtime.gopark", "runtime.chanrecv", "main.poll")
    heap = heap_profile().heap("time.NewTicker", "main.poll", inuse=MEBIBYTE)
    heap.heap("main.watch", inuse=40 * MEBIBYTE, block=40 * 1024)
    leaking = compared(
        heap, goroutines=waiting(*ticks, count=900), goroutines_baseline=waiting(*ticks, count=9)
    )
    assert causes(leaking) == ["ticker-or-timer-not-stopped"]
    assert leaking.growth_class is GrowthClass.GOROUTINE
    still = compared(heap, goroutines=waiting(*ticks, count=9), goroutines_baseline=waiting(*ticks, count=9))
    assert "ticker-or-timer-not-stopped" not in causes(still)


def stats(**values: int) -> bytes:
    return json.dumps(values).encode()


LRU = "github.com/hashicorp/golang-lru/v2.(*Cache[go.shape.string,go.shape.*uint8]).Add"
GROUPCACHE = "github.com/golang/groupcache/lru.(*Cache).Add"


def test_a_bounded_cache_that_freed_nothing_is_named_and_one_that_frees_is_not():
    def filled(allocated: int) -> Diagnosis:
        now = heap_profile().heap("main.quote", *SERVED, inuse=40 * MEBIBYTE, allocated=allocated * MEBIBYTE)
        return compared(now.heap(LRU, "main.quote", *SERVED, inuse=4 * MEBIBYTE))

    assert causes(filled(40)) == ["cache-without-expiry"]
    assert causes(filled(46)) == []


@pytest.mark.parametrize(
    ("caller", "named"),
    [
        pytest.param("main.load", "cache-without-expiry", id="what grows is given to the cache"),
        pytest.param("main.other", "unbounded-map-or-cache", id="what grows is another's"),
    ],
)
def test_a_cache_whose_few_sampled_tables_did_not_grow_is_named_all_the_same(caller: str, named: str):
    """As many of them were seen before as after: seen in one run of twelve of a real program."""
    table = ("github.com/patrickmn/go-cache.(*cache).Set", caller)
    base = heap_profile().heap(*table, inuse=MEBIBYTE, block=49152)
    now = heap_profile().heap(*table, inuse=MEBIBYTE, allocated=4 * MEBIBYTE, block=49152)
    now.heap("main.load", inuse=40 * MEBIBYTE)
    diagnosis = compared(now, base)
    assert [(each.cause.id, each.function) for each in diagnosis.causes] == [(named, "main.load")]


@pytest.mark.parametrize(
    ("cached", "block"),
    [
        pytest.param(4 * MEBIBYTE, 128, id="its entries are seen"),
        pytest.param(64 * 27264, 27264, id="only its tables are seen"),
    ],
)
def test_what_a_cache_is_given_is_not_a_second_cause(cached: int, block: int):
    now = heap_profile().heap("main.render", "main.get", inuse=40 * MEBIBYTE)
    diagnosis = compared(now.heap(GROUPCACHE, "main.get", inuse=cached, block=block))
    assert diagnosis.retainers[0].function == "main.render"
    assert [(each.cause.id, each.function) for each in diagnosis.causes] == [
        ("cache-without-expiry", "main.get")
    ]


def test_a_context_that_is_wrapped_again_and_again_is_not_one_that_was_never_cancelled():
    diagnosis = compared(heap_profile().heap("context.WithValue", "main.step", inuse=30 * MEBIBYTE))
    assert causes(diagnosis) == ["context-chain-grows"]


def test_a_path_that_is_kept_is_not_a_request_that_is_kept():
    line = ("net/textproto.(*Reader).ReadLine", "net/http.readRequest", "net/http.(*conn).serve")
    diagnosis = compared(heap_profile().heap(*line, inuse=30 * MEBIBYTE))
    assert causes(diagnosis) == []


def test_requests_that_are_kept_name_the_function_of_the_application_that_keeps():
    header = ("net/textproto.readMIMEHeader", "net/http.readRequest", "net/http.(*conn).serve")
    now = heap_profile().heap(*header, inuse=30 * MEBIBYTE)
    now.heap("main.(*audit).remember", *SERVED, inuse=256 << 10, block=256 << 10)
    diagnosis = compared(now)
    assert [(each.cause.id, each.function) for each in diagnosis.causes] == [
        ("request-kept-by-global", "main.(*audit).remember")
    ]


def test_calls_that_wait_by_the_thousand_have_no_timeout():
    calling = ("runtime.gopark", "runtime.selectgo", "net/http.(*persistConn).roundTrip", "main.refresh")
    diagnosis = compared(
        heap_profile(),
        goroutines=waiting(*calling, count=1500),
        goroutines_baseline=waiting(*calling, count=3),
    )
    assert [(each.cause.id, each.function) for each in diagnosis.causes] == [
        ("call-without-timeout", "main.refresh")
    ]


def test_a_pool_without_free_connections_is_rows_not_closed():
    waits = ("runtime.gopark", "runtime.selectgo", "database/sql.(*DB).conn", "main.find", *SERVED)
    diagnosis = compared(
        heap_profile(), goroutines=waiting(*waits, count=900), goroutines_baseline=waiting(*waits, count=3)
    )
    assert causes(diagnosis) == ["rows-not-closed"]
    assert diagnosis.causes[0].function == "main.find"


def test_a_librarys_goroutines_are_one_cause_and_name_the_applications_that_came_with_them():
    reading = ("runtime.gopark", "internal/poll.runtime_pollWait", "github.com/fsnotify/fsnotify.(*w).read")
    sending = ("runtime.gopark", "runtime.selectgo", "github.com/fsnotify/fsnotify.(*shared).send")
    own = ("runtime.gopark", "runtime.chanrecv", "main.load.func1")
    now = goroutine_profile().sample(reading, [300]).sample(sending, [150]).sample(own, [300]).gzipped()
    base = goroutine_profile().sample(reading, [1]).gzipped()
    diagnosis = compared(heap_profile(), goroutines=now, goroutines_baseline=base)
    assert [(each.cause.id, each.function) for each in diagnosis.causes] == [
        ("client-per-call", "main.load.func1")
    ]


def test_goroutines_whose_heap_did_not_grow_hold_their_stacks():
    locked = ("runtime.gopark", "sync.runtime_SemacquireMutex", "main.(*stock).reserve")
    diagnosis = compared(
        heap_profile(),
        goroutines=waiting(*locked, count=4000),
        goroutines_baseline=waiting(*locked, count=4),
        memstats=stats(HeapAlloc=MEBIBYTE, StackInuse=4000 * 8192),
    )
    top = diagnosis.retainers[0]
    assert (top.function, top.allocator) == ("main.(*stock).reserve", "goroutine stacks")
    assert top.delta_bytes == 3996 * 8192
    assert top.share == pytest.approx(1)
    assert "31.2 MiB of stacks" in summarize(diagnosis)


def test_goroutines_that_wait_in_a_handler_are_named_before_the_buffers_of_their_connections():
    waits = ("runtime.gopark", "runtime.chanrecv", "main.(*broker).stream", *SERVED)
    heap = heap_profile().heap("bufio.NewReaderSize", "net/http.(*conn).serve", inuse=6 * MEBIBYTE)
    diagnosis = compared(
        heap,
        goroutines=waiting(*waits, count=1024),
        goroutines_baseline=waiting(*waits, count=0),
        memstats=stats(HeapAlloc=MEBIBYTE, StackInuse=1024 * 10240),
    )
    assert [(each.function, each.share) for each in diagnosis.retainers] == [
        ("main.(*broker).stream", 0.625),
        ("net/http.(*conn).serve", 0.375),
    ]


def test_handler_that_waits_is_named_before_the_larger_buffers_of_its_connections():
    waits = ("runtime.gopark", "internal/poll.runtime_pollWait", "main.live", *SERVED)
    heap = heap_profile().heap("bufio.NewReaderSize", "net/http.(*conn).serve", inuse=30 * MEBIBYTE)
    diagnosis = compared(
        heap, goroutines=waiting(*waits, count=1024), goroutines_baseline=waiting(*waits, count=0)
    )
    assert [each.function for each in diagnosis.retainers] == ["main.live", "net/http.(*conn).serve"]


IDLE = ("internal/poll.runtime_pollWait", "bufio.(*Reader).Peek", "net/http.(*conn).serve")
IN_USE = ("internal/poll.runtime_pollWait", "main.query", "net/http.serverHandler.ServeHTTP", *SERVED)


@pytest.mark.parametrize(
    ("idle", "in_use", "named"),
    [
        pytest.param(2500, 0, ["connection-left-open"], id="idle"),
        pytest.param(600, 0, [], id="too few to say"),
        pytest.param(0, 150, [], id="in a handler"),
    ],
)
def test_idle_connections_of_a_server_are_told_from_those_in_use(idle: int, in_use: int, named: list[str]):
    now = goroutine_profile().sample(IDLE, [idle]).sample(IN_USE, [in_use]).gzipped()
    heap = heap_profile().heap("bufio.NewReaderSize", "net/http.(*conn).serve", inuse=10 * MEBIBYTE)
    diagnosis = compared(heap, goroutines=now, goroutines_baseline=waiting(*IDLE, count=5))
    assert causes(diagnosis) == named


def test_servers_ends_of_a_programs_own_connections_are_no_second_cause():
    reading = ("runtime.gopark", "runtime.selectgo", "net/http.(*persistConn).readLoop")
    now = goroutine_profile().sample(reading, [3000]).sample(IDLE, [3000]).gzipped()
    diagnosis = compared(heap_profile(), goroutines=now, goroutines_baseline=waiting(*reading, count=5))
    assert causes(diagnosis) == ["response-body-not-closed"]


ZAP = "go.uber.org/zap"
POOLED = ("sync.(*Pool).Get", f"{ZAP}/internal/pool.(*Pool).Get", f"{ZAP}/zapcore.(*jsonEncoder).clone")
LOGS = (f"{ZAP}/buffer.NewPool.func1", *POOLED, f"{ZAP}.(*Logger).Info", "main.order")


@pytest.mark.parametrize(
    ("loggers", "holder", "share"),
    [
        pytest.param(20_000, "main.loggerFor", 1.0, id="a logger for each buffer"),
        pytest.param(400, "main.order", 0.998, id="a few loggers"),
    ],
)
def test_blocks_of_a_librarys_pool_are_held_by_whoever_keeps_as_many_of_its_things(
    loggers: int, holder: str, share: float
):
    now = heap_profile().heap(*LOGS, inuse=20_000 * 1024, block=1024)
    now.heap(
        f"{ZAP}.(*Logger).clone", f"{ZAP}.(*Logger).With", "main.loggerFor", inuse=loggers * 96, block=96
    )
    diagnosis = compared(now)
    assert diagnosis.retainers[0].function == holder
    assert diagnosis.retainers[0].share == pytest.approx(share, abs=0.001)
    assert [(each.cause.id, each.function) for each in diagnosis.causes] == [
        ("unbounded-map-or-cache", holder)
    ]


def test_pool_is_to_blame_where_the_application_takes_from_it_and_not_where_a_library_does():
    taken = heap_profile().heap("main.init.func1", "sync.(*Pool).Get", "main.encode", inuse=30 * MEBIBYTE)
    assert causes(compared(taken)) == ["pool-buffers-grow"]


@pytest.mark.parametrize(
    ("pool_in", "block", "named"),
    [
        pytest.param("main", 4096, "pool-buffers-grow", id="a pool in the same package"),
        pytest.param("github.com/acme/other", 4096, "unbounded-map-or-cache", id="a pool elsewhere"),
        pytest.param("github.com/acme/other", 1 << 16, "pool-buffers-grow", id="large, by writing"),
    ],
)
def test_buffers_that_grew_by_writing_are_those_of_a_pool(pool_in: str, block: int, named: str):
    wrote = ("bytes.growSlice", "bytes.(*Buffer).Write", "main.encode")
    now = heap_profile().heap(*wrote, inuse=32 * MEBIBYTE, block=block)
    now.heap(f"{pool_in}.init.func1", "sync.(*Pool).Get", f"{pool_in}.borrow", inuse=0, allocated=1024)
    assert causes(compared(now)) == [named]


@pytest.mark.parametrize(
    ("maker", "named"),
    [
        pytest.param("main.read", "large-buffer-pinned", id="the application's own bytes"),
        pytest.param("io.ReadAll", "large-buffer-pinned", id="bytes that were read"),
        pytest.param("compress/flate.NewWriter", "unbounded-map-or-cache", id="a compressor"),
        pytest.param("image.NewRGBA", "unbounded-map-or-cache", id="a picture"),
    ],
)
def test_only_what_can_be_cut_is_called_pinned(maker: str, named: str):
    diagnosis = compared(heap_profile().heap(maker, "main.keep", inuse=64 * MEBIBYTE, block=1 << 17))
    assert causes(diagnosis) == [named]


def test_most_of_a_heap_in_time_series_is_suspected_without_a_baseline():
    series = (
        "github.com/prometheus/client_golang/prometheus.newHistogram",
        "github.com/prometheus/client_golang/prometheus.(*HistogramVec).WithLabelValues",
        "main.observe",
    )
    heap = heap_profile().heap(*series, inuse=60 * MEBIBYTE).heap("main.table", inuse=30 * MEBIBYTE)
    diagnosis = diagnose(Evidence(heap=heap.gzipped()))
    assert causes(diagnosis) == ["metric-label-cardinality"]
    assert diagnosis.causes[0].confidence <= 0.5
    assert "of the heap in use" in diagnosis.causes[0].evidence


def test_a_few_handles_tell_who_holds_native_memory():
    query = ("github.com/mattn/go-sqlite3.(*conn).open", "database/sql.(*DB).Query", "main.first")
    memstats = stats(HeapAlloc=20 * MEBIBYTE, HeapIdle=0, HeapReleased=0, Sys=50 * MEBIBYTE)
    diagnosis = compared(
        heap_profile().heap(*query, inuse=MEBIBYTE, block=512),
        memstats=memstats,
        rss_bytes=350 * MEBIBYTE,
    )
    assert diagnosis.growth_class is GrowthClass.NATIVE
    assert [(each.cause.id, each.function) for each in diagnosis.causes] == [
        ("rows-not-closed", "main.first"),
        ("native-memory", "main.first"),
    ]


def test_a_table_that_is_loaded_once_is_no_leak():
    once = ("main.load", "main.init.func1", "sync.(*Once).doSlow", "main.handle", *SERVED)
    diagnosis = compared(heap_profile().heap(*once, inuse=40 * MEBIBYTE))
    assert diagnosis.retainers[0].function == "main.load"
    assert causes(diagnosis) == []
    assert any("sync.Once" in each for each in diagnosis.warnings)


def test_a_timer_for_each_thing_that_is_kept_is_the_cause_however_small_it_is():
    now = heap_profile().heap("main.receive", *SERVED, inuse=40 * MEBIBYTE, block=4096)
    now.heap("time.newTimer", "time.AfterFunc", "main.receive", *SERVED, inuse=MEBIBYTE, block=112)
    assert causes(compared(now)) == ["ticker-or-timer-not-stopped"]


def test_what_a_librarys_workers_make_is_held_by_who_starts_them():
    """As of a client of grpc for every call: nothing of the application is on most of its stacks."""
    grpc = "google.golang.org/grpc"
    reader = f"{grpc}/internal/transport.(*http2Client).reader"
    now = heap_profile().heap(f"{grpc}.NewClient", "main.check", inuse=MEBIBYTE)
    now.heap("golang.org/x/net/http2/hpack.addEntry", reader, inuse=6 * MEBIBYTE)
    now.heap("net.newFD", "net.(*Dialer).DialContext", f"{grpc}/internal/transport.dial", inuse=3 * MEBIBYTE)
    waits = ("runtime.gopark", "internal/poll.runtime_pollWait", reader)
    diagnosis = compared(
        now, goroutines=waiting(*waits, count=600), goroutines_baseline=waiting(*waits, count=2)
    )
    assert [(each.cause.id, each.function) for each in diagnosis.causes] == [
        ("client-per-call", "main.check")
    ]
    assert [(each.function, each.share) for each in diagnosis.retainers] == [("main.check", 1.0)]


def test_workers_that_a_library_has_another_start_are_one_cause_of_who_calls_the_first():
    watching = ("syscall.Syscall6", "github.com/fsnotify/fsnotify.(*inotify).readEvents")
    waits = ("runtime.gopark", "sync.runtime_SemacquireWaitGroup", "github.com/spf13/viper.watch.func1")
    now = goroutine_profile().sample(watching, [60]).sample(waits, [60]).gzipped()
    heap = heap_profile().heap("github.com/spf13/viper.New", "main.config", inuse=MEBIBYTE)
    diagnosis = compared(heap, goroutines=now, goroutines_baseline=waiting("main.main", count=1))
    assert [(each.cause.id, each.function) for each in diagnosis.causes] == [
        ("client-per-call", "main.config")
    ]


def test_a_librarys_worker_started_per_call_names_who_starts_it():
    ttl = "github.com/jellydator/ttlcache/v3.(*Cache[go.shape.string]).Start"
    waits = ("runtime.gopark", "runtime.selectgo", ttl)
    now = heap_profile().heap(
        "github.com/jellydator/ttlcache/v3.New[go.shape.string]", "main.look", inuse=MEBIBYTE
    )
    now.heap("time.newTimer", ttl, inuse=4 * MEBIBYTE)
    diagnosis = compared(
        now, goroutines=waiting(*waits, count=3000), goroutines_baseline=waiting(*waits, count=3)
    )
    assert [(each.cause.id, each.function) for each in diagnosis.causes] == [("client-per-call", "main.look")]


def test_a_stream_of_grpc_that_is_not_finished_is_told_from_a_client_per_call():
    waits = ("runtime.gopark", "runtime.selectgo", "google.golang.org/grpc.newClientStreamWithParams.func4")
    diagnosis = compared(
        heap_profile(), goroutines=waiting(*waits, count=900), goroutines_baseline=waiting(*waits, count=3)
    )
    assert causes(diagnosis) == ["stream-not-finished"]


def test_connections_that_stay_are_suspected_without_a_goroutine_profile():
    dialled = ("bufio.NewReaderSize", "net/http.(*Transport).dialConn", "net/http.(*Transport).dialConnFor")
    now = heap_profile().heap(*dialled, inuse=30 * MEBIBYTE)
    now.heap("net/http.NewRequest", "net/http.(*Client).Get", "main.fetch", inuse=MEBIBYTE)
    diagnosis = compared(now)
    assert [(each.cause.id, each.function) for each in diagnosis.causes] == [
        ("response-body-not-closed", "main.fetch")
    ]
    assert diagnosis.causes[0].confidence <= 0.5
    one = waiting("runtime.gopark", "main.main", count=1)
    assert causes(compared(now, goroutines=one, goroutines_baseline=one)) == []


def test_more_goroutines_are_seen_by_their_descriptors():
    made = ("runtime.mallocgc", "runtime.malg", "runtime.newproc1")
    diagnosis = compared(heap_profile().heap(*made, inuse=4 * MEBIBYTE, block=448))
    assert any("9362 goroutines more" in each for each in diagnosis.warnings)


def test_a_blind_profile_blames_and_clears_nobody():
    blind = ProfileBuilder(period=0).heap("main.early", inuse=256).gzipped()
    diagnosis = diagnose(Evidence(heap=blind, heap_baseline=blind))
    assert diagnosis.confidence <= 0.1
    assert "blind" in diagnosis.answers.right_direction_because
    assert any("MemProfileRate is 0" in each for each in diagnosis.warnings)


def test_a_profile_that_shows_little_of_the_heap_is_not_trusted():
    heap = heap_profile().heap("main.table", inuse=5 * MEBIBYTE)
    diagnosis = compared(heap, heap, memstats=stats(HeapAlloc=300 * MEBIBYTE))
    assert diagnosis.confidence <= 0.1
    assert any("shows only 5 MiB" in each for each in diagnosis.warnings)


def test_memory_that_was_only_not_returned_can_be_freed_by_hand():
    memstats = stats(
        HeapAlloc=20 * MEBIBYTE, HeapIdle=400 * MEBIBYTE, HeapReleased=10 * MEBIBYTE, Sys=450 * MEBIBYTE
    )
    diagnosis = compared(heap_profile(), memstats=memstats, rss_bytes=430 * MEBIBYTE)
    assert diagnosis.growth_class is GrowthClass.FRAGMENTATION
    assert diagnosis.answers.can_memory_be_freed_by_hand is True
    assert "390 MiB" in diagnosis.answers.freed_by_hand_because


def test_native_memory_is_left_out_of_gomemlimit():
    memstats = stats(HeapAlloc=20 * MEBIBYTE, HeapIdle=0, HeapReleased=0, Sys=50 * MEBIBYTE)
    diagnosis = compared(
        heap_profile(), memstats=memstats, rss_bytes=350 * MEBIBYTE, limit_bytes=1000 * MEBIBYTE
    )
    assert diagnosis.growth_class is GrowthClass.NATIVE
    assert diagnosis.advice.gomemlimit_bytes == (900 - 300) * MEBIBYTE
    assert causes(diagnosis) == ["native-memory"]


def test_a_loud_profiler_is_told():
    memstats = stats(HeapAlloc=MEBIBYTE, Sys=200 * MEBIBYTE, BuckHashSys=90 * MEBIBYTE)
    assert any("profstackdepth" in each for each in compared(heap_profile(), memstats=memstats).warnings)


def test_the_profiles_own_allocations_are_nobodys():
    own = (
        "compress/flate.NewWriter",
        "runtime/pprof.(*profileBuilder).build",
        "net/http/pprof.handler.ServeHTTP",
    )
    diagnosis = compared(heap_profile().heap(*own, inuse=90 * MEBIBYTE))
    assert diagnosis.growth_bytes == 0


def test_a_diagnosis_survives_its_document():
    send = ("runtime.gopark", "runtime.chansend", "main.publish")
    now = heap_profile().heap("bytes.growSlice", "main.publish", *SERVED, inuse=30 * MEBIBYTE)
    diagnosis = compared(
        now,
        goroutines=waiting(*send, count=900),
        goroutines_baseline=waiting(*send, count=9),
        limit_bytes=10**9,
    )
    document = diagnosis_document(diagnosis, with_flame=True)
    assert diagnosis_document(read_diagnosis(json.dumps(document)), with_flame=True) == document


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param({"class": "teapot"}, id="unknown class"),
        pytest.param({"retainers": [{"function": 7}]}, id="function that is a number"),
        pytest.param({"answers": None}, id="no answers"),
        pytest.param({"confidence": "high"}, id="confidence in words"),
    ],
)
def test_a_document_that_is_no_diagnosis_is_refused(damage: dict[str, object]):
    document = diagnosis_document(compared(heap_profile()), with_flame=True) | damage
    with pytest.raises(BadDocument):
        read_diagnosis(json.dumps(document))


def test_a_sample_without_a_stack_counts_and_is_named_so():
    heap = heap_profile().heap("main.page", *SERVED, inuse=MEBIBYTE).heap(inuse=30 * MEBIBYTE)

    diagnosis = diagnose(Evidence(heap=heap.plain()))

    assert diagnosis.growth_bytes == 31 * MEBIBYTE
    assert diagnosis.retainers[0].function == "<no stack>"


@hypothesis.settings(max_examples=150, deadline=None)
@hypothesis.example(seed=175350364, flips=2, same=True)
@hypothesis.given(st.integers(0, 2**32), st.integers(1, 10), st.booleans())
def test_whatever_the_files_say_it_is_diagnosed_or_refused(seed: int, flips: int, same: bool):
    """Damage that the reader lets pass, negative sizes for instance, reaches every later step."""
    dice = random.Random(seed)

    def damaged(content: bytes) -> bytes:
        changed = bytearray(content)
        for _ in range(flips):
            changed[dice.randrange(len(changed))] = dice.randrange(256)
        return bytes(changed)

    heap = heap_profile(period=524288).heap(
        "main.page", *SERVED, inuse=30 * MEBIBYTE, allocated=90 * MEBIBYTE
    )
    heap.heap("time.newTimer", "time.AfterFunc", "main.page", *SERVED, inuse=MEBIBYTE, block=112)
    heap.heap(GROUPCACHE, "main.get", *SERVED, inuse=4 * MEBIBYTE, block=48)
    waits = goroutine_profile().sample(("runtime.chansend", "main.send"), [900]).plain()
    baseline = heap.plain() if same else damaged(heap_profile().heap("main.page", inuse=MEBIBYTE).plain())
    try:
        diagnosis = diagnose(
            Evidence(
                heap=damaged(heap.plain()),
                heap_baseline=baseline,
                goroutines=damaged(waits),
                goroutines_baseline=waits,
                rss_bytes=64 << 20,
            )
        )
    except ProfileRejected:
        return
    text = json.dumps(diagnosis_document(diagnosis, with_flame=True), allow_nan=False)
    assert diagnosis_document(read_diagnosis(text), with_flame=True) == json.loads(text)
