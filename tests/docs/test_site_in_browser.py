"""The site in a real browser: accessible, on light and on dark, and no wider than a phone."""

import functools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ViewportSize

from tests.docs.pages import REPOSITORY

pytestmark = pytest.mark.browser

#: One of each sort: prose with a drawing, commands, wide tables, expressions.
PAGES = ("", "start/kind/", "values/", "alerts/")
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address."""
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)],
        cwd=REPOSITORY,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        check=True,
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_page_is_accessible_and_fits(
    chromium: Browser, site: str, path: str, width: int, scheme: str
) -> None:
    context = chromium.new_context(
        viewport=ViewportSize(width=width, height=900),
        color_scheme="dark" if scheme == "dark" else "light",
    )
    try:
        page = context.new_page()
        foreign: list[str] = []
        page.on("request", lambda request: request.url.startswith(site) or foreign.append(request.url))
        page.goto(f"{site}{path}")
        found = Axe().run(page, options={"runOnly": {"type": "tag", "values": STANDARDS}})
        shown = page.evaluate("document.body.dataset.mdColorScheme")
        assert (shown == "slate") == (scheme == "dark")
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert foreign == []
    finally:
        context.close()
