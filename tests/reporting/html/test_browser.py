"""The report in a real browser: safe, usable by keyboard and on a phone, accessible, good on paper."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from controller.evidence.diagnosis import Evidence, diagnose
from controller.reporting.html.page import render_report
from controller.reporting.html.report import IncidentReport, LogLines
from tests.evidence.profile_builder import MEBIBYTE, heap_profile
from tests.reporting.html.conftest import Open
from tests.reporting.html.test_page import NOW, a_diagnosis, a_full_report, a_hostile_report

pytestmark = pytest.mark.browser

STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LINES = "2026-03-01T11:59:01Z WARN slow\n" * 90 + "x" * 400
LOG = LogLines(title="Last log lines", replica="api-1", text=LINES)
REPORTS = {
    "incident with log lines": a_full_report(logs=(LOG,)),
    "incident without a diagnosis": a_full_report(diagnosis=None, recovery=None),
    "diagnosis of a file": IncidentReport(title="now.pb.gz", written_at=NOW, diagnosis=a_diagnosis()),
}


def a_wide_graph() -> IncidentReport:
    """Three branches below one root, names as long as real ones."""
    profile = heap_profile()
    for name, size in (("alpha", 60), ("beta", 30), ("gamma", 10)):
        owner = f"github.com/acme/shop/internal/{name}.(*Store).Remember"
        profile = profile.heap("bytes.growSlice", owner, "main.main", inuse=size * MEBIBYTE)
    return a_full_report(diagnosis=diagnose(Evidence(heap=profile.gzipped())))


def box(page: Page, name: str) -> str:
    """The one box of the flame graph with that in its name, as a selector."""
    return f"#flame svg[data-name*='{name}']"


@pytest.mark.parametrize("name", REPORTS)
def test_page_runs_under_its_own_policy_and_asks_for_nothing(opened: Open, name: str) -> None:
    seen = opened(render_report(REPORTS[name]))

    assert seen.complaints == []
    assert seen.requests == []


def test_text_of_others_runs_nothing(opened: Open) -> None:
    seen = opened(render_report(a_hostile_report()))

    assert (seen.dialogs, seen.complaints, seen.requests) == ([], [], [])
    assert seen.page.evaluate("document.scripts.length") == 1
    assert seen.page.locator("img").count() == 0


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize(("width", "dark"), [(1200, False), (1200, True), (390, False)])
def test_page_is_accessible(opened: Open, name: str, width: int, dark: bool) -> None:
    """By axe-core, against WCAG 2.2 AA and its own best practice, with every fold open."""
    page = opened(render_report(REPORTS[name]), width=width, dark=dark).page
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")

    chosen = {"runOnly": {"type": "tag", "values": STANDARDS}, "resultTypes": ["violations", "passes"]}
    found = Axe().run(page, options=chosen)

    assert found.violations_count == 0, found.generate_report()
    passed = {rule["id"] for rule in found.response["passes"]}
    assert {"color-contrast", "document-title", "html-has-lang", "landmark-one-main"} <= passed


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("width", [320, 390, 1200])
def test_page_does_not_scroll_sideways(opened: Open, name: str, width: int) -> None:
    page = opened(render_report(REPORTS[name]), width=width).page

    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("width", "shown"), [(390, "narrow"), (1200, "wide")])
def test_plot_is_drawn_for_the_width_it_is_seen_at(opened: Open, width: int, shown: str) -> None:
    page = opened(render_report(a_full_report()), width=width).page

    visible = [one.get_attribute("class") for one in page.locator("svg.plot").all() if one.is_visible()]
    assert visible == [f"plot {shown}"]
    size = page.locator(f"svg.plot.{shown} text").first.bounding_box()
    assert size is not None
    assert size["height"] >= 10


def test_flame_graph_is_searched_zoomed_and_shown_whole_again(opened: Open) -> None:
    page = opened(render_report(a_wide_graph())).page

    page.get_by_label("Search").fill("REMEMBER")
    assert page.locator("#flame .found").count() == 3
    assert page.locator("#flame-status").inner_text() == "3 boxes found"

    page.locator(box(page, "beta")).click()
    assert page.locator(box(page, "beta")).get_attribute("width") == "100%"
    assert not page.locator(box(page, "alpha")).is_visible()

    page.get_by_role("button", name="Show all").click()
    assert page.locator(box(page, "alpha")).is_visible()
    assert page.locator("#flame .found").count() == 0


def test_flame_graph_is_one_stop_of_the_tab_key_and_walked_by_arrows(opened: Open) -> None:
    page = opened(render_report(a_wide_graph())).page
    focused = "document.activeElement.dataset.name ?? document.activeElement.tagName"
    page.get_by_role("button", name="Show all").focus()

    page.keyboard.press("Tab")
    assert page.evaluate(focused) == "all that grew"
    for key, name in (
        ("ArrowDown", "main.main"),
        ("ArrowDown", "alpha"),
        ("ArrowRight", "beta"),
        ("ArrowRight", "gamma"),
        ("ArrowLeft", "beta"),
    ):
        page.keyboard.press(key)
        assert name in page.evaluate(focused)
    page.keyboard.press("Enter")
    assert page.locator(box(page, "beta")).get_attribute("width") == "100%"
    page.keyboard.press("Tab")
    assert "beta" not in page.evaluate(focused)


def test_without_scripts_everything_but_zoom_and_search_is_there(opened: Open) -> None:
    page = opened(re.sub(r"<script>.*?</script>", "", render_report(a_wide_graph()), flags=re.DOTALL)).page

    assert not page.locator("#flame-tools").is_visible()
    assert page.locator("#flame svg").count() > 3


@pytest.mark.parametrize("name", REPORTS)
def test_paper_shows_what_the_screen_scrolls(opened: Open, name: str) -> None:
    """A4 less its margins is about 700 CSS pixels wide; nothing can be scrolled there."""
    page = opened(render_report(REPORTS[name]), width=700, dark=True).page
    page.emulate_media(media="print")

    cut = """[...document.querySelectorAll('.scroll, pre')]
        .filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.innerText.slice(0, 80))"""
    assert page.evaluate(cut) == []
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("#flame-tools").is_visible()
    assert len(page.pdf(format="A4")) > 10_000
