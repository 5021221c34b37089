"""The site of `make docs`: every link leads somewhere, and every page is readable on a phone."""

import os
import re
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import pytest

from tests.support.browser import Browser, chromium, open_browser

ROOT: Final = Path(__file__).parents[2]
MKDOCS: Final = ROOT / ".venv-docs" / "bin" / "mkdocs"
BROWSER: Final = chromium()

pytestmark = pytest.mark.skipif(not MKDOCS.exists(), reason="MkDocs is not installed: make docs")
opens_pages = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


class Links(HTMLParser):
    """The links and the anchors of a page."""

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


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site."""
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [MKDOCS, "build", "--strict", "--quiet", "-f", ROOT / "docs/site/mkdocs.yml", "-d", folder],
        check=True,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    (folder / "404.html").unlink()  # its links begin at the root of a server
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """The address of a server of the site."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def browser() -> Iterator[Browser]:
    """One tab."""
    with open_browser(BROWSER or "") as opened:
        yield opened


def test_each_link_of_the_site_leads_to_a_file_and_an_anchor_of_it(site: Path) -> None:
    pages = {page: Links(page) for page in site.rglob("*.html")}
    dead = [
        f"{page.relative_to(site)}: {link}"
        for page, found in pages.items()
        for link in found.links
        if not re.match(r"https?:|data:", link) and not _leads_somewhere(pages, page, link)
    ]
    assert dead == []
    assert len(pages) > 70


def _leads_somewhere(pages: dict[Path, Links], page: Path, link: str) -> bool:
    path, _, anchor = unquote(link).partition("#")
    target = (page.parent / path).resolve() if path else page
    if target.is_dir():
        target /= "index.html"
    return target.exists() and (not anchor or anchor in pages[target].anchors)


def test_each_page_is_in_the_navigation(site: Path) -> None:
    """A page of docs that the navigation leaves out is found by those alone who know its name."""
    home = Links(site / "index.html").links
    pages = {f"docs/{page.stem}.html" for page in (ROOT / "docs").glob("*.md")}
    assert pages - home == set()


@opens_pages
@pytest.mark.deep  # each of 90 pages
def test_no_page_of_the_site_scrolls_sideways_asks_others_or_reports_an_error(
    site: Path, address: str, browser: Browser
) -> None:
    """At 375 pixels, the width of a phone."""
    for page in sorted(site.rglob("*.html")):
        name = page.relative_to(site).as_posix()
        browser.open(f"{address}/{name}", width=375)
        assert browser.value("document.documentElement.scrollWidth") <= 375, name
        elsewhere = [
            request for request in browser.requests if not request.startswith((address, "data:"))
        ]
        assert (elsewhere, browser.problems) == ([], []), name


@opens_pages
@pytest.mark.deep  # with the pages above
def test_the_search_finds_a_page_by_a_word_in_it(address: str, browser: Browser) -> None:
    browser.open(f"{address}/index.html?q=quiet-service")
    found = browser.value(
        "new Promise(done => setInterval(() => {"
        "  const one = document.querySelector('.md-search-result__link');"
        "  if (one) done(one.href);"
        "}, 50))"
    )
    assert found.startswith(f"{address}/")
    assert browser.problems == []
