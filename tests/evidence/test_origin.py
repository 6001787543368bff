"""Whose code a frame is, and which frame answers for what was allocated."""

import pytest

from controller.evidence.origin import Origin, origin_of, package_of
from controller.evidence.profile import Frame
from controller.evidence.retainer import owner_position


@pytest.mark.parametrize(
    ("function", "package"),
    [
        ("net/http.(*conn).serve", "net/http"),
        ("main.main.func1", "main"),
        ("github.com/a/b/v2/store.(*Store[go.shape.string]).Put", "github.com/a/b/v2/store"),
        ("gopkg.in/yaml%2ev3.unmarshal", "gopkg.in/yaml%2ev3"),
        ("slices.Grow[go.shape.[]uint8,go.shape.uint8]", "slices"),
        ("github.com/a/b.F[github.com/c/d.T]", "github.com/a/b"),
        ("main.init.0", "main"),
    ],
)
def test_package_is_found_in_every_form_of_name(function: str, package: str):
    assert package_of(function) == package


@pytest.mark.parametrize(
    ("function", "file", "origin"),
    [
        pytest.param("main.handle", "/app/main.go", Origin.APPLICATION, id="main package"),
        pytest.param("main.main", "/app/main.go", Origin.ENTRY, id="main function"),
        pytest.param(
            "shop/cart.(*Cart).Add", "/src/shop/cart/cart.go", Origin.APPLICATION, id="module without dot"
        ),
        pytest.param(
            "github.com/acme/shop/cart.Add",
            "/build/cart/cart.go",
            Origin.APPLICATION,
            id="own module with dot",
        ),
        pytest.param(
            "github.com/a/b.F",
            "/root/go/pkg/mod/github.com/a/b@v1.2.3/f.go",
            Origin.LIBRARY,
            id="module cache",
        ),
        pytest.param("github.com/a/b.F", "github.com/a/b@v1.2.3/f.go", Origin.LIBRARY, id="trimmed path"),
        pytest.param("github.com/a/b.F", "/app/vendor/github.com/a/b/f.go", Origin.LIBRARY, id="vendored"),
        pytest.param(
            "encoding/json.Marshal", "encoding/json/encode.go", Origin.PLUMBING, id="trimmed Go itself"
        ),
        pytest.param("bytes.growSlice", "/usr/local/go/src/bytes/buffer.go", Origin.PLUMBING, id="plumbing"),
        pytest.param("log.Setup", "/app/log/setup.go", Origin.APPLICATION, id="own package named like Go's"),
        pytest.param(
            "net/http.(*Transport).dialConn", "/usr/lib/go/src/net/http/t.go", Origin.SUBSYSTEM, id="http"
        ),
        pytest.param(
            "net/http.HandlerFunc.ServeHTTP", "/go/src/net/http/server.go", Origin.DISPATCH, id="router"
        ),
        pytest.param("github.com/gin-gonic/gin.(*Context).Next", "x@v1.0.0/c.go", Origin.DISPATCH, id="gin"),
        pytest.param(
            "main.main.(*Manager).Load.func2",
            "/root/go/pkg/mod/github.com/a/scs@v2.9.0/s.go",
            Origin.LIBRARY,
            id="closure of a library inlined into main",
        ),
        pytest.param(
            "main.init.OnceValue[...].func1",
            "/usr/local/go/src/sync/oncefunc.go",
            Origin.PLUMBING,
            id="closure of Go itself inlined into main",
        ),
        pytest.param("main.run", "/go/src/app/main.go", Origin.APPLICATION, id="built in GOPATH"),
        pytest.param("runtime.malg", "/usr/local/go/src/runtime/proc.go", Origin.RUNTIME, id="runtime"),
    ],
)
def test_origin_is_told_by_function_and_file(function: str, file: str, origin: Origin):
    assert origin_of(Frame(function, file, 1)) is origin


def owner(*stack: tuple[str, Origin]) -> str:
    origins = tuple(origin for _, origin in stack)
    return stack[owner_position(range(len(stack)), origins)][0]


def test_the_nearest_application_frame_answers():
    assert owner(
        ("growSlice", Origin.PLUMBING), ("lib.Put", Origin.LIBRARY), ("app.store", Origin.APPLICATION),
        ("app.handle", Origin.APPLICATION),
    ) == "app.store"  # fmt: skip


def test_middleware_beyond_a_router_does_not_answer_for_a_library():
    assert owner(
        ("growSlice", Origin.PLUMBING), ("metrics.serve", Origin.LIBRARY), ("ServeHTTP", Origin.DISPATCH),
        ("app.logging", Origin.APPLICATION),
    ) == "metrics.serve"  # fmt: skip


def test_main_does_not_answer_for_a_library_that_it_runs():
    assert owner(("lib.loop", Origin.LIBRARY), ("main.main", Origin.ENTRY)) == "lib.loop"


def test_main_answers_for_what_it_allocates_itself():
    assert owner(("io.ReadAll", Origin.PLUMBING), ("main.main", Origin.ENTRY)) == "main.main"


def test_a_subsystem_answers_where_there_is_no_other_code():
    assert owner(("NewReaderSize", Origin.PLUMBING), ("dialConn", Origin.SUBSYSTEM)) == "dialConn"
