"""Debian's Chromium, as the reader of a report would have it: no network, nothing bypassed."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from tests.cluster.prerequisites import DebianPackage, require_packages

PACKAGES = (
    DebianPackage(name="chromium", evidence="chromium"),
    DebianPackage(name="fonts-dejavu-core", evidence="/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"),
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Only while a module needs it: playwright's loop runs in this thread, and others want their own."""
    require_packages(PACKAGES)
    with sync_playwright() as playwright:
        # Root has no sandbox of its own; the pages are ours.
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@dataclass
class Opened:
    """A page in the browser, and what it complained of or asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)


Open = Callable[..., Opened]


@pytest.fixture
def opened(chromium: Browser, tmp_path: Path) -> Iterator[Open]:
    """Opens a page: `opened(html, width=390, dark=True)`."""
    contexts = []

    def open_page(html: str, *, width: int = 1200, dark: bool = False) -> Opened:
        context = chromium.new_context(
            viewport=ViewportSize(width=width, height=900),
            color_scheme="dark" if dark else "light",
            offline=True,
        )
        contexts.append(context)
        file = tmp_path / f"report-{len(contexts)}.html"
        file.write_text(html, encoding="utf-8")
        seen = Opened(page=context.new_page())
        seen.page.on("console", lambda message: seen.complaints.append(message.text))
        seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        seen.page.on("request", lambda request: seen.requests.append(request.url))
        seen.page.on("dialog", lambda dialog: (seen.dialogs.append(dialog.message), dialog.dismiss()))
        seen.page.goto(file.as_uri())
        seen.requests.remove(file.as_uri())
        return seen

    yield open_page
    for context in contexts:
        context.close()
