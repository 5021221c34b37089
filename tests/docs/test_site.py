"""The site of `make docs`: every link leads somewhere, and every page is readable on a phone."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import pytest

from tests.support.browser import Browser, axe_core

ROOT: Final = Path(__file__).parents[2]
AXE: Final = axe_core()
# The corner of a table whose rows and columns both have names may be empty.
ALLOWED: Final = "empty-table-header"


class Page(HTMLParser):
    """The links, the anchors and the navigation of a page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links = set[str]()
        self.anchors = set[str]()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.links.add(value)


def test_each_link_of_the_site_leads_to_a_file_and_an_anchor_of_it(site: Path) -> None:
    pages = {page: Page(page) for page in site.rglob("*.html")}
    dead = [
        f"{page.relative_to(site)}: {link}"
        for page, found in pages.items()
        for link in found.links
        if not re.match(r"https?:|data:", link) and not _leads_somewhere(pages, page, link)
    ]
    assert dead == []
    assert len(pages) > 70


def _leads_somewhere(pages: dict[Path, Page], page: Path, link: str) -> bool:
    path, _, anchor = unquote(link).partition("#")
    target = (page.parent / path).resolve() if path else page
    if target.is_dir():
        target /= "index.html"
    return target.exists() and (not anchor or anchor in pages[target].anchors)


def test_each_page_is_in_the_navigation(site: Path) -> None:
    """A page of docs that the navigation leaves out is found by those alone who know its name."""
    home = {link.removeprefix("./") for link in Page(site / "index.html").links}
    pages = {f"docs/{page.stem}.html" for page in (ROOT / "docs").glob("*.md")}
    assert pages - home == set()


def test_the_navigation_is_short(site: Path) -> None:
    """At most 15 entries by what a reader wants to do; the pages are below them."""
    settings = (ROOT / "docs" / "site" / "mkdocs.yml").read_text(encoding="utf-8")
    _, _, navigation = settings.partition("\nnav:\n")
    assert 8 <= len(re.findall(r"^  - ", navigation, re.MULTILINE)) <= 15


def test_each_page_shows_the_version(site: Path) -> None:
    version = re.findall(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert f"rolloutctl {version[0]}" in (site / "docs" / "policy.html").read_text(encoding="utf-8")


@pytest.mark.deep  # each of 110 pages, twice
@pytest.mark.parametrize(("width", "dark"), [(375, True), (1_280, False)], ids=["phone", "desk"])
def test_no_page_of_the_site_scrolls_sideways_asks_others_or_reports_an_error(
    site: Path, address: str, browser: Browser, width: int, dark: bool
) -> None:
    """At 375 pixels, the width of a phone."""
    for page in sorted(site.rglob("*.html")):
        name = page.relative_to(site).as_posix()
        browser.open(f"{address}/{name}", width=width, dark=dark)
        assert browser.value("document.documentElement.scrollWidth") <= width, name
        elsewhere = [
            request for request in browser.requests if not request.startswith((address, "data:"))
        ]
        assert (elsewhere, browser.problems) == ([], []), name


@pytest.mark.deep  # with the pages above
def test_the_search_finds_a_page_by_a_word_in_it(address: str, browser: Browser) -> None:
    browser.open(f"{address}/index.html")
    browser.value("document.querySelector('.md-search__button').click()")
    dialog = "document.activeElement?.shadowRoot"
    browser.wait_until(f"!!{dialog}?.activeElement?.matches('input')")
    browser.write("quiet-service")
    browser.wait_until(f"/quiet/i.test({dialog}?.querySelector('[role=option]')?.textContent)")
    assert browser.problems == []


@pytest.mark.deep  # with the pages above
def test_the_switch_turns_a_page_dark(address: str, browser: Browser) -> None:
    browser.open(f"{address}/index.html")
    browser.value("document.querySelector('[title=\"Switch to light colours\"]').click()")
    browser.value("document.querySelector('[title=\"Switch to dark colours\"]').click()")
    browser.wait_until("document.body.dataset.mdColorScheme === 'slate'")
    browser.value("localStorage.clear()")


@pytest.mark.deep  # with the pages above
@pytest.mark.skipif(AXE is None, reason="no axe-core: make playground, or AXE_CORE=FILE")
@pytest.mark.parametrize("width", [375, 1_280])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["index", "docs/policy", "docs/commands", "docs/comparison"])
def test_axe_finds_no_barrier(
    address: str, browser: Browser, name: str, dark: bool, width: int
) -> None:
    assert AXE is not None
    browser.open(f"{address}/{name}.html", width=width, dark=dark)
    browser.value(f"{AXE.read_text(encoding='utf-8')};0")
    found = browser.value(
        "axe.run().then(all => all.violations.map(one => one.id + ': ' + one.nodes[0].target))"
    )
    assert [one for one in found if not one.startswith(ALLOWED)] == []
