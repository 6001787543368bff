"""
Whose code a frame is: the application's, a library's, or the standard library's.

A profile says only function and file. The file decides where it can: module caches carry a version
(`…/pkg/mod/github.com/a/b@v1.2.3/…`, with `-trimpath` `github.com/a/b@v1.2.3/…`), vendored code a
`vendor` folder, the standard library its own package names. What is left is the application.
"""

import re
from enum import IntEnum

from controller.evidence.profile import Frame


class Origin(IntEnum):
    """In order of how little a person could change there."""

    ALLOCATION = -1
    """The runtime's allocator itself."""
    RUNTIME = 0
    """The Go runtime: goroutine descriptors and the like."""
    PLUMBING = 1
    """Standard packages that allocate for their caller: bytes, encoding/json, crypto …"""
    SUBSYSTEM = 2
    """Standard packages that hold on to things themselves: net/http, database/sql, context, time …"""
    DISPATCH = 3
    """Calls whatever was registered (routers, middleware chains): what is beyond it is not involved."""
    LIBRARY = 4
    ENTRY = 5
    """`main.main` and package initialisers: everything on the main goroutine is below them."""
    APPLICATION = 6


_STANDARD_ROOTS = frozenset(
    (
        *("archive", "bufio", "bytes", "cmp", "compress", "container", "context", "crypto", "database"),
        *("debug", "embed", "encoding", "errors", "expvar", "flag", "fmt", "go", "hash", "html", "image"),
        *("index", "internal", "io", "iter", "log", "maps", "math", "mime", "net", "os", "path", "plugin"),
        *("reflect", "regexp", "runtime", "slices", "sort", "strconv", "strings", "structs", "sync"),
        *("syscall", "testing", "text", "time", "type", "unicode", "unique", "unsafe", "vendor", "weak"),
    )
)
_SUBSYSTEMS = frozenset(
    ("net/http", "database/sql", "context", "time", "os/exec", "os/signal", "log/slog", "expvar")
)
_HOSTS_WITH_OWNERS = frozenset(("github.com", "gitlab.com", "bitbucket.org", "golang.org"))
_VERSIONED = re.compile(r"@v\d|/pkg/mod/|/vendor/|^vendor/")
_STANDARD_FILE = re.compile(rf"(/go[^/]*/src/|^)({'|'.join(sorted(_STANDARD_ROOTS))})/[^@]*\.go$")
_DISPATCH = re.compile(
    r"""^net/http\.(HandlerFunc\.ServeHTTP|\(\*ServeMux\)\.ServeHTTP|serverHandler\.ServeHTTP
        |\(\*conn\)\.serve|\(\*Server\)\.(Serve|ListenAndServe)|\(\*timeoutHandler\)\.ServeHTTP
        |ListenAndServe|Serve$)
      |^github\.com/gin-gonic/gin\.\(\*(Context\)\.Next|Engine\)\.)
      |^github\.com/labstack/echo(/v\d+)?\.\(\*Echo\)\.
      |^github\.com/go-chi/chi(/v\d+)?\.(\(\*Mux\)|\(\*ChainHandler\))\.
      |^github\.com/gorilla/mux\.\(\*Router\)\.ServeHTTP
      |^github\.com/gofiber/fiber(/v\d+)?\.\(\*(App|Ctx|DefaultCtx)\)\.(next|Next|handler)
      |^github\.com/valyala/fasthttp\.\(\*Server\)\.
      |^google\.golang\.org/grpc\.\(\*Server\)\.
      |^github\.com/spf13/cobra\.\(\*Command\)\.|^github\.com/urfave/cli
      |^golang\.org/x/sync/errgroup\.
      |^testing\.""",
    re.VERBOSE,
)
_ALLOCATION = re.compile(r"^runtime\.(mallocgc|newobject|makeslice|growslice|systemstack|mcall|newarray)")
_PLUMBING = re.compile(r"^net/http\.newBufio(Reader|Writer)|^net/http\.(Header|cloneURL|cloneMultipart)")
_OBSERVER = re.compile(
    r"^net/http/pprof\.|^expvar\.|^runtime/pprof\.(write|profileWriter|\(\*(Profile\)\.WriteTo|profileBuilder\)))"
)
_ENTRY = re.compile(r"^main\.main$|^main\.init(\.\d+)?$|\.init(\.\d+)?$|^runtime\.main$")


def package_of(function: str) -> str:
    """`net/http` of `net/http.(*conn).serve`; generic arguments and receivers do not confuse it."""
    plain = function.split("[", 1)[0]
    slash = plain.rfind("/", 0, plain.find("(") if "(" in plain else len(plain))
    dot = plain.find(".", slash + 1)
    return plain if dot < 0 else plain[:dot]


def module_of(function: str) -> str:
    """About the module: `github.com/a/b` of `github.com/a/b/v2/store.Put`, `google.golang.org/grpc` …"""
    parts = package_of(function).split("/")
    return "/".join(parts[: 3 if parts[0] in _HOSTS_WITH_OWNERS else 2])


def observes(frame: Frame) -> bool:
    """Whether the frame belongs to the taking of the profile: its own allocations are not the program's."""
    return _OBSERVER.match(frame.function) is not None


def origin_of(frame: Frame) -> Origin:
    """Whose code this frame is."""
    function = frame.function
    if _DISPATCH.match(function):
        return Origin.DISPATCH
    package = package_of(function)
    root = package.split("/", 1)[0]
    if root in _STANDARD_ROOTS and _in_standard_tree(package, frame.file):
        return _standard_origin(package, function)
    if _VERSIONED.search(frame.file):
        return Origin.LIBRARY
    if _STANDARD_FILE.search(
        frame.file
    ):  # a closure that was inlined bears the name of who it was inlined into
        return Origin.PLUMBING
    return Origin.ENTRY if _ENTRY.search(function) else Origin.APPLICATION


def _in_standard_tree(package: str, file: str) -> bool:
    """An application's module may be called `log`: then its files do not lie where Go's own do."""
    if package.split("/", 1)[0] == "runtime":
        return True
    folder = file.rpartition("/")[0]
    absolute = file.startswith("/") or file[1:3] == ":/"
    return not absolute or folder.endswith(f"/src/{package}") or "/src/" in folder


def _standard_origin(package: str, function: str) -> Origin:
    if package == "runtime" or package.startswith(("runtime/", "internal/runtime", "type")):
        return Origin.ALLOCATION if _ALLOCATION.match(function) else Origin.RUNTIME
    if package not in _SUBSYSTEMS or _PLUMBING.match(function):
        return Origin.PLUMBING
    return Origin.SUBSYSTEM
