"""
The catalogue of causes, as data: what each looks like in a profile, and what a person does about it.

A cause is recognised by goroutines that grew (`blocked`), by stacks whose memory grew (`grown`), or by the
kind of collection that holds it (`heap_shape.py`). `docs/diagnosis.md` lists them.
"""

import re
from dataclasses import dataclass

from controller.evidence.goroutines import WaitState
from controller.evidence.heap_shape import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """Goroutines that grew and wait in a certain function."""

    function: re.Pattern[str]
    """Matched against every function of the stack."""
    states: frozenset[WaitState] = frozenset()
    """Any, where empty."""
    at_least: int = 20
    unless: re.Pattern[str] | None = None
    """Goroutines in these functions are the healthy counterpart: as many are subtracted."""
    called_through: re.Pattern[str] | None = None
    """Calls by which the application comes to it, to name the caller where the stack does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """Memory that grew under a call, made by the application or a library (not by Go's own packages)."""

    call: re.Pattern[str]
    at_least_share: float = 0.15
    keeps_what_it_is_given: bool = False
    """What the call's owner allocates counts as well: the values of a cache are made by its caller."""
    at_least_share_in_leaked: float | None = None
    """Enough where the caller is also where goroutines leaked."""
    unless: re.Pattern[str] | None = None
    """Stacks with one of these functions are about something else."""
    one_for_each: bool = False
    """Enough where the caller keeps about as many of other blocks: one for each of what it holds."""
    without_goroutines: bool = False
    """Asked only where there is no goroutine profile, which would tell it better."""
    called_through: re.Pattern[str] | None = None
    """Calls by which the application comes to it, to name the caller where the stack does not."""
    called_by_anyone: bool = False
    """Also where Go's own packages made the call."""
    called_by_application: bool = False
    """Only where it made the call itself: what a library takes for its own use is a part of what it gives."""
    beside: re.Pattern[str] | None = None
    """Only in packages of the application that make this call as well, however little it allocates there."""
    at_least_kept: float = 0.7
    """Of what was allocated there and by its owner since the baseline, never freed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One way to leak."""

    id: str
    title: str
    why: str
    look_for: str
    linter: str
    fix: str
    blocked: tuple[Blocked, ...] = ()
    grown: tuple[Grown, ...] = ()
    waits: frozenset[WaitState] = frozenset()
    """For the general causes: any goroutine of the application that grew and waits like this."""
    shapes: frozenset[Shape] = frozenset()
    """For the general causes: any memory of the application that grew and is held like this."""
    owns_native: bool = False
    """Its Go objects may be handles of something larger outside the Go heap, as those of a C database."""
    starts_workers: bool = False
    """Whoever is named for it had a library's goroutines run, and holds what these make."""
    without_baseline: bool = False
    """No healthy program holds a large part of its heap like this, so one profile is enough to suspect it."""


def _r(*alternatives: str) -> re.Pattern[str]:
    return re.compile("|".join(alternatives))


_SELECT = frozenset({WaitState.SELECT})
_IO = frozenset({WaitState.IO_WAIT})

_HTTP_CALLS = _r(r"^net/http\.\(\*(Client|Transport)\)\.", r"^net/http\.(Get|Post|Head|PostForm)$")

_POOL = _r(r"^sync\.\(\*Pool\)\.")

_HTTP_WAITS = _r(r"^net/http\.\(\*persistConn\)\.roundTrip$", r"^net/http\.\(\*bodyEOFSignal\)\.Read$")

BOUNDED_CACHES = _r(
    r"^github\.com/hashicorp/golang-lru(/v\d+)?[./]",
    r"^github\.com/(dgraph-io/ristretto|elastic/go-freelru|Yiling-J/theine-go"
    r"|maypok86/otter|coocood/freecache|vmihailenco/go-tinylfu)(/v\d+)?[./]",
)
"""Caches that cannot be made without a bound: while they fill they look like a leak."""
FREED_NOTHING = 0.97
"""Kept of what was allocated: a bounded cache that is full frees one entry for each it takes in."""

CATALOGUE: tuple[Cause, ...] = (
    Cause(
        id="response-body-not-closed",
        title="HTTP response body not closed",
        why="Every response whose body is neither read to the end nor closed keeps its connection, two "
        "goroutines and their buffers for ever.",
        look_for="calls of http.Get, Client.Do and the like without `defer resp.Body.Close()`, also on the "
        "paths that return early or only look at the status",
        linter="bodyclose",
        fix="`defer resp.Body.Close()` right after the error check; read what is left with "
        "`io.Copy(io.Discard, resp.Body)` so that the connection can be used again",
        blocked=(
            Blocked(
                function=_r(r"^net/http\.\(\*persistConn\)\.readLoop$"),
                states=_SELECT,
                called_through=_HTTP_CALLS,
                unless=_HTTP_WAITS,
            ),
            Blocked(
                function=_r(
                    r"^(net/http\.\(\*http2"
                    r"|golang\.org/x/net/http2\.\(\*)clientStream\)\.(doRequest|writeRequest)$"
                ),
                states=_SELECT,
                called_through=_HTTP_CALLS,
                unless=_r(
                    r"^(net/http\.\(\*http2"
                    r"|golang\.org/x/net/http2\.\(\*)ClientConn\)\.(roundTrip|RoundTrip)$"
                ),
            ),
        ),
        grown=(
            Grown(
                call=_r(r"^net/http\.\(\*Transport\)\.dialConn$"),
                at_least_share=0.30,
                without_goroutines=True,
                called_through=_HTTP_CALLS,
                called_by_anyone=True,
            ),
        ),
    ),
    Cause(
        id="call-without-timeout",
        title="Outgoing calls wait without a timeout",
        why="http.Get and http.DefaultClient wait for ever for a service that accepts and does not "
        "answer; each call keeps its goroutine, its connection and all that its caller holds.",
        look_for="http.Get, http.Post, http.DefaultClient and clients without Timeout; requests made "
        "without a context that ends",
        linter="noctx",
        fix="`http.Client{Timeout: …}`, or http.NewRequestWithContext with a deadline; bound how many "
        "calls are under way",
        blocked=(Blocked(function=_HTTP_WAITS, at_least=1000),),
    ),
    Cause(
        id="rows-not-closed",
        title="sql.Rows not closed",
        why="A result set that is not read to its end holds its connection; the pool opens another for "
        "each, or where it has a bound lets everybody wait.",
        look_for="Query or QueryContext without `defer rows.Close()`, loops over rows.Next that "
        "return early, transactions without Commit or Rollback",
        linter="sqlclosecheck, rowserrcheck",
        fix="`defer rows.Close()` after the error check, QueryRow where one row is wanted, and a bound: "
        "db.SetMaxOpenConns",
        owns_native=True,
        blocked=(
            Blocked(
                function=_r(r"^database/sql\.\(\*(Rows|Tx)\)\.awaitDone$"),
                called_through=_r(r"^database/sql\.\(\*(DB|Tx|Conn|Stmt)\)\.(Query|Begin)"),
            ),
            Blocked(function=_r(r"^database/sql\.\(\*DB\)\.conn$"), states=_SELECT, at_least=200),
        ),
        grown=(Grown(call=_r(r"^database/sql\.\(\*(DB|Conn|Tx)\)\.(Query|QueryContext|Begin|BeginTx)$")),),
    ),
    Cause(
        id="stmt-not-closed",
        title="sql.Stmt not closed",
        why="Every prepared statement is kept by its connections and on the server until it is closed.",
        look_for="Prepare or PrepareContext inside a request instead of once at start, without "
        "`defer stmt.Close()`",
        linter="sqlclosecheck",
        fix="prepare once and share the statement, or `defer stmt.Close()`",
        owns_native=True,
        without_baseline=True,
        grown=(Grown(call=_r(r"^database/sql\.\(\*(DB|Conn|Tx)\)\.(Prepare|PrepareContext)$")),),
    ),
    Cause(
        id="client-per-call",
        title="A client, connection or worker of a library started per call and never closed",
        why="Each client, cache or logger of a library has its own background goroutines, and often "
        "connections; they outlive the call.",
        look_for="http.Transport, sql.Open, grpc.NewClient, redis.NewClient, New and Start of a cache, a "
        "logger with rotation and the like inside a function that runs per request",
        linter="none; goleak in tests finds it",
        fix="make one client at start and share it (they are safe for concurrent use), or close it",
        starts_workers=True,
        blocked=(
            Blocked(
                function=_r(r"^database/sql\.\(\*DB\)\.connectionOpener$"),
                at_least=5,
                called_through=_r(r"^database/sql\.Open(DB)?$"),
            ),
            Blocked(
                function=_r(r"^net/http\.\(\*persistConn\)\.readLoop$"),
                states=_IO,
                at_least=150,
                called_through=_HTTP_CALLS,
                unless=_HTTP_WAITS,
            ),
            Blocked(
                function=_r(
                    r"^google\.golang\.org/grpc/internal/transport\.\(\*http2Client\)\.reader$",
                    r"^google\.golang\.org/grpc/internal/grpcsync\.\(\*CallbackSerializer\)\.run$",
                    r"^github\.com/(redis/go-redis|go-redis/redis)(/v\d+)?/internal/pool\.",
                    r"^go\.mongodb\.org/mongo-driver(/v\d+)?/x/mongo/driver/topology\.",
                    r"^github\.com/(IBM|Shopify)/sarama\.",
                    r"^github\.com/segmentio/kafka-go\.",
                    r"^github\.com/nats-io/nats\.go\.\(\*Conn\)\.",
                    r"^github\.com/(rabbitmq/amqp091-go|streadway/amqp)\.\(\*Connection\)\.",
                    r"^github\.com/fsnotify/fsnotify\.",
                ),
                called_through=_r(
                    r"\.(New|NewClient|NewConn|Dial|DialContext|Connect|NewReader|NewWriter"
                    r"|NewWatcher|NewConsumer)$",
                    r"^google\.golang\.org/grpc\.(NewClient|Dial)",
                ),
            ),
        ),
    ),
    Cause(
        id="stream-not-finished",
        title="gRPC streams never read to their end nor cancelled",
        why="A stream lives until Recv returns an error, its context ends or its connection is closed; "
        "until then it keeps its goroutine and its buffers.",
        look_for="streaming calls on context.Background() that take a first message and return",
        linter="noctx, contextcheck; goleak in tests",
        fix="`ctx, cancel := context.WithCancel(ctx); defer cancel()` around every streaming call",
        starts_workers=True,
        blocked=(
            Blocked(
                function=_r(r"^google\.golang\.org/grpc\.newClientStream"),
                states=_SELECT,
                called_through=_r(r"^google\.golang\.org/grpc\.\(\*ClientConn\)\.NewStream$"),
            ),
        ),
    ),
    Cause(
        id="ticker-or-timer-not-stopped",
        title="Ticker or timer never stopped",
        why="A running timer is held by the runtime with all that its function refers to, and a "
        "goroutine that "
        "ranges over a ticker's channel never ends: Stop does not close it.",
        look_for="time.NewTicker, time.AfterFunc or time.NewTimer without Stop; loops over "
        "`ticker.C` without a "
        "case that leaves",
        linter="none; goleak in tests finds the goroutine",
        fix="`defer ticker.Stop()` and select on the ticker together with `ctx.Done()`",
        grown=(
            Grown(
                call=_r(r"^time\.(NewTicker|NewTimer|AfterFunc|After|Tick|newTimer)$"),
                at_least_share=0.10,
                at_least_share_in_leaked=0.01,
                one_for_each=True,
            ),
        ),
    ),
    Cause(
        id="context-not-cancelled",
        title="Child context never cancelled",
        why="A cancellable context registers with its parent until one of the two is cancelled; under a "
        "long-lived parent that is never.",
        look_for="`ctx, _ := context.WithCancel(…)`, WithTimeout or WithDeadline whose cancel "
        "function is dropped "
        "or not called on every path",
        linter="go vet (lostcancel), contextcheck, fatcontext",
        fix="`ctx, cancel := …; defer cancel()`",
        without_baseline=True,
        blocked=(Blocked(function=_r(r"^context\.\(\*cancelCtx\)\.propagateCancel\.func\d+$")),),
        grown=(
            Grown(
                call=_r(
                    r"^context\.(With(Cancel|Timeout|Deadline)|AfterFunc"
                    r"|\(\*cancelCtx\)\.propagateCancel|withCancel|newCancelCtx)"
                ),
                at_least_share=0.20,
            ),
        ),
    ),
    Cause(
        id="context-chain-grows",
        title="A context is wrapped again and again",
        why="context.WithValue refers to the context that it wraps; one that is kept and wrapped for "
        "every event is a list that only grows.",
        look_for="`ctx = context.WithValue(ctx, …)` in a loop, or in a field that outlives the request",
        linter="fatcontext, containedctx",
        fix="wrap the request's own context and drop it with the request; keep values in a struct",
        grown=(Grown(call=_r(r"^context\.WithValue$"), at_least_share=0.20),),
    ),
    Cause(
        id="metric-label-cardinality",
        title="Unbounded metric label cardinality",
        why="A metric keeps one time series for every combination of label values it ever saw.",
        look_for="label values that come from outside or count up: user ids, full URLs, error texts, "
        "timestamps",
        linter="promlinter; none for the values themselves",
        fix="drop the label or map its values to a small fixed set; delete series that are no longer needed "
        "(DeleteLabelValues)",
        without_baseline=True,
        grown=(
            Grown(
                call=_r(
                    r"^github\.com/prometheus/client_golang/prometheus\.(\(\*(MetricVec|metricMap|CounterVec"
                    r"|GaugeVec|HistogramVec|SummaryVec)\)\.|MakeLabelPairs|v2\.New|NewCounter|NewHistogram)",
                    r"^github\.com/VictoriaMetrics/metrics\.\(\*Set\)\.",
                    r"^go\.opentelemetry\.io/otel/sdk/metric/",
                    r"^github\.com/(hashicorp|armon)/go-metrics(/\w+)?\.",
                    r"^github\.com/rcrowley/go-metrics\.",
                    r"^go\.opencensus\.io/stats/view\.",
                    r"^expvar\.\(\*Map\)\.",
                )
            ),
        ),
    ),
    Cause(
        id="pool-buffers-grow",
        title="Buffers of a sync.Pool, or used again otherwise, grow and are never cut or not put back",
        why="A pool hands out the same buffers again and again; after one large use each of them "
        "stays large. What is taken and kept is the pool's no more.",
        look_for="`pool.Put(buf)` without a check of `buf.Cap()`; Get without Put on every path; a "
        "bytes.Buffer in a field that is only Reset, or whose Bytes() are kept",
        linter="none (staticcheck SA6002 finds a related mistake)",
        fix="do not put buffers back above a size (`if buf.Cap() <= 64<<10 { pool.Put(buf) }`)",
        grown=(
            Grown(call=_POOL, at_least_share=0.20, called_by_application=True),
            # Writing made it large, and New only its beginning: both stacks belong to the same buffer.
            Grown(
                call=_r(r"^bytes\.\(\*Buffer\)\."), at_least_share=0.20, called_by_anyone=True, beside=_POOL
            ),
        ),
        shapes=frozenset({Shape.GROWN_BUFFERS}),
    ),
    Cause(
        id="request-kept-by-global",
        title="Requests kept after they were answered",
        why="A collection that outlives the request refers to it, and with it to its headers, body "
        "and context.",
        look_for="package-level maps and slices, or goroutines and closures, that receive the request, its "
        "context or its header",
        linter="none (gochecknoglobals lists the package-level variables)",
        fix="copy the few fields that are needed, and remove the entry when the request ends",
        grown=(
            Grown(
                call=_r(
                    r"^net/http\.(readRequest|\(\*Request\)\.(Clone|WithContext)|Header\.(Set|Add"
                    r"|Clone)|NewRequest)",
                    r"^net/textproto\.",
                    r"^github\.com/gin-gonic/gin\.\(\*Engine\)\.(allocateContext|New)",
                ),
                at_least_share=0.25,
                # The line alone stays where only a part of the path is kept, as the key of a map.
                unless=_r(
                    r"^net/http\.\(\*(persistConn|Client|Transport)\)\.",
                    r"^net/textproto\.\(\*Reader\)\.ReadLine$",
                ),
                called_by_anyone=True,
            ),
        ),
        without_baseline=True,
    ),
    Cause(
        id="registered-again-and-again",
        title="Something is registered again and again",
        why="Jobs, hooks, handlers and templates stay registered until somebody removes them.",
        look_for="AddFunc, AddHook, Notify, Handle or Parse in code that runs per request instead of once "
        "at start",
        linter="none",
        fix="register once at start, or remove the registration when its owner ends",
        grown=(
            Grown(
                call=_r(
                    r"^github\.com/robfig/cron(/v\d+)?\.\(\*Cron\)\.(AddFunc|AddJob|Schedule)$",
                    r"^github\.com/sirupsen/logrus\.(AddHook|\(\*Logger\)\.AddHook|LevelHooks\.Add)$",
                    r"^(text|html)/template\.\(\*Template\)\.(New|Parse|AddParseTree)$",
                    r"^os/signal\.Notify",
                    r"^net/http\.\(\*ServeMux\)\.(Handle|HandleFunc)$",
                    r"^runtime\.(SetFinalizer|AddCleanup)$",
                ),
                at_least_share=0.10,
                keeps_what_it_is_given=True,
            ),
        ),
    ),
    Cause(
        id="cache-without-expiry",
        title="A cache library used without expiry or bound",
        why="The library keeps what it is given until it expires or a bound is met, and here neither "
        "happens.",
        look_for="the cache's constructor: no expiration, no clean-up interval, no maximum size or one "
        "that memory does not have room for (a bound in entries, a cost that is not in bytes), keys that "
        "never come again",
        linter="none",
        fix="give the cache an expiry and a bound, and leave what is unique (timestamps, ids) out of "
        "its keys",
        grown=(
            Grown(
                call=_r(
                    r"^github\.com/(patrickmn/go-cache|golang/groupcache/lru)\.",
                    r"^github\.com/(allegro/bigcache|muesli/cache2go|bluele/gcache"
                    r"|jellydator/ttlcache|ReneKroon/ttlcache|eko/gocache|karlseguin/ccache|zekroTJA/timedmap"
                    r"|orcaman/concurrent-map|alexedwards/scs|Code-Hex/go-generics-cache)(/v\d+)?[./]",
                ),
                at_least_share=0.01,
                keeps_what_it_is_given=True,
            ),
            Grown(
                call=BOUNDED_CACHES,
                at_least_share=0.01,
                keeps_what_it_is_given=True,
                at_least_kept=FREED_NOTHING,
            ),
        ),
    ),
    Cause(
        id="goroutine-blocked-on-channel-send",
        title="Goroutines blocked on a channel send",
        why="The receiver is gone: it timed out or returned early, and an unbuffered send waits for ever.",
        look_for="a goroutine that sends its result while the caller selects on a timeout or an error",
        linter="none; goleak in tests, goroutineleak profile (Go 1.27)",
        fix="give the channel room for one (`make(chan T, 1)`), or select the send together with "
        "`ctx.Done()`",
        waits=frozenset({WaitState.CHAN_SEND}),
    ),
    Cause(
        id="goroutine-blocked-on-channel-receive",
        title="Goroutines blocked on a channel receive",
        why="Nobody sends any more and nobody closed the channel.",
        look_for="`for … range ch` and `<-ch` where the sending side can end without close(ch)",
        linter="none; goleak in tests, goroutineleak profile (Go 1.27)",
        fix="close the channel when its sender ends (`defer close(ch)`), or select together with "
        "`ctx.Done()`",
        waits=frozenset({WaitState.CHAN_RECEIVE}),
    ),
    Cause(
        id="goroutine-blocked-in-select",
        title="Goroutines blocked in a select",
        why="None of its channels is ever ready again: no one sends, closes or cancels.",
        look_for="`for { select { … } }` without a case on a context that really gets cancelled",
        linter="contextcheck; goleak in tests, goroutineleak profile (Go 1.27)",
        fix="end the loop with the owner: cancel its context or close its stop channel",
        waits=frozenset({WaitState.SELECT}),
    ),
    Cause(
        id="goroutine-blocked-on-lock",
        title="Goroutines blocked on a lock or wait group",
        why="Whoever holds the lock never gives it back, or a counter never reaches zero.",
        look_for="a return between Lock and Unlock, locks taken in two orders, wg.Add without Done",
        linter="staticcheck (SA2001), go vet (copylocks); goleak in tests",
        fix="`defer mu.Unlock()` right after Lock; `defer wg.Done()` at the top of the goroutine",
        waits=frozenset({WaitState.LOCK, WaitState.WAIT_GROUP, WaitState.CONDITION}),
    ),
    Cause(
        id="connection-left-open",
        title="Connections left open, each with a goroutine that waits for I/O",
        why="A peer that went away without closing is never noticed; without a deadline the read "
        "waits for ever.",
        look_for="net.Conn, websocket and stream handlers without Close on every path and without "
        "SetReadDeadline, ping or keep-alive; an http.Server without IdleTimeout",
        linter="noctx; goleak in tests",
        fix="`defer conn.Close()`, a deadline that is renewed with every message, keep-alive pings",
        blocked=(
            # Idle connections of a server; those in a handler are their healthy counterpart.
            Blocked(
                function=_r(r"^net/http\.\(\*conn\)\.serve$"),
                states=_IO,
                at_least=1000,
                unless=_r(r"^net/http\.serverHandler\.ServeHTTP$"),
            ),
        ),
        waits=frozenset({WaitState.IO_WAIT}),
    ),
    Cause(
        id="goroutine-never-ends",
        title="Goroutines that sleep and loop for ever, started again and again",
        why="A background loop belongs to the program; here every call starts another.",
        look_for="`go func() { for { …; time.Sleep(…) } }()` in code that runs per request or per reconnect",
        linter="contextcheck; goleak in tests",
        fix="start it once, or end it with its owner: select on `ctx.Done()` and a timer instead of Sleep",
        waits=frozenset({WaitState.SLEEP}),
    ),
    Cause(
        id="slice-append-forever",
        title="A slice is appended to for ever",
        why="A slice that outlives the request only grows; doubling it also needs old and new at once.",
        look_for="`append` to a package-level variable or to a field of something that lives as long as the "
        "program",
        linter="none (gochecknoglobals lists the package-level variables)",
        fix="bound it (ring buffer), write it out and start anew, or keep it per request",
        shapes=frozenset({Shape.SLICE}),
    ),
    Cause(
        id="large-buffer-pinned",
        title="Large buffers kept alive, perhaps by a small part of each",
        why="A sub-slice or substring refers to the whole buffer it was cut from.",
        look_for="`buf[:n]` or `s[i:j]` of something large that is put into a map, a slice or a field; "
        "buffers that are used again (a sync.Pool, a field) and never cut after a large use",
        linter="none",
        fix="copy the part that is needed: bytes.Clone, strings.Clone, or append to a nil slice; drop a "
        "buffer above a size instead of using it again",
        shapes=frozenset({Shape.LARGE_BLOCKS}),
    ),
    Cause(
        id="unbounded-map-or-cache",
        title="Unbounded map or cache",
        why="Entries are added and never removed; what each of them refers to stays with it.",
        look_for="a map (or sync.Map), list or queue that is only added to, keys that are new every time, "
        "a cache without expiry or bound; keys and values cut from larger strings (strings.Clone)",
        linter="none (gochecknoglobals lists the package-level variables)",
        fix="delete entries when their owner ends, or use a cache with a bound and an expiry",
        shapes=frozenset({Shape.MAP, Shape.UNKNOWN}),
    ),
    Cause(
        id="native-memory",
        title="Native memory outside the Go heap",
        why="The process holds far more than Go accounts for: C code (cgo), its arenas, or mapped memory.",
        look_for="C.malloc, C.CString, C.CBytes without C.free; objects of C libraries without their "
        "close or "
        "free; mmap without munmap",
        linter="none; valgrind, AddressSanitizer (`go build -asan`) or jemalloc's heap profile",
        fix="free what C allocated (`defer C.free(…)`), close native handles; against fragmentation "
        "MALLOC_ARENA_MAX=2 or jemalloc",
    ),
)

BY_ID = {cause.id: cause for cause in CATALOGUE}
NATIVE = BY_ID["native-memory"]
PER_CALL = BY_ID["client-per-call"]
