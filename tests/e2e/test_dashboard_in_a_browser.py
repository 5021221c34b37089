"""The dashboard in a real browser, driven by keys alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from controller.tools.dashboard.server import MAX_STREAMS
from controller.tools.simulation.scenario.scenario import load_scenario
from tests.cli.test_report import LADDER
from tests.support.browser import Browser, axe_core, chromium, open_browser
from tests.support.dashboards import Visitor, open_dashboard
from tests.support.stage import Stage, open_stage, short_policy

PROGRAM: Final = chromium()
AXE: Final = axe_core()
SEEN_WITHIN_S: Final = 2.0
PAGE: Final = "/rollouts/ladder%231"

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One tab for all tests."""
    with open_browser(PROGRAM or "") as opened:
        yield opened


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A rollout at 10%, whose canary fails 20 minutes after 50% is applied."""
    played, policy = load_scenario("error-burst"), short_policy(**LADDER, name="ladder")
    with open_stage(tmp_path, played, policy) as opened:
        opened.start()
        opened.tick()
        yield opened


@pytest.fixture
def visitor(stage: Stage) -> Iterator[Visitor]:
    """The dashboard of that stage, with all buttons."""
    with open_dashboard(stage) as opened:
        yield opened


def focus_on(browser: Browser, text: str) -> None:
    """Press Tab until what has the focus says `text`."""
    for _ in range(60):
        browser.press("Tab")
        if browser.value("document.activeElement.textContent.trim()") == text:
            return
    raise AssertionError(f"no key leads to {text!r}")


def act(browser: Browser, verb: str, reason: str) -> None:
    """Open the form of `verb`, and send it with a reason."""
    focus_on(browser, verb)
    browser.press("Enter")
    browser.press("Tab")
    browser.write(reason)
    browser.press("Enter")


def says(text: str) -> str:
    """Return the condition that the head of the page says `text`."""
    return f"document.querySelector('header')?.textContent.includes({text!r}) === true"


IS_LIVE: Final = "document.getElementById('live')?.textContent === 'Live'"


def test_a_rollout_is_seen_and_steered_while_it_walks_and_fails(
    browser: Browser, visitor: Visitor, stage: Stage
) -> None:
    browser.open(visitor.server.guard.address)
    browser.wait_until(IS_LIVE)
    assert browser.value("location.search") == ""
    focus_on(browser, "ladder#1")
    browser.press("Enter")
    browser.wait_until(f"location.pathname === '{PAGE}' && {IS_LIVE}")
    assert browser.value(says("ladder is at 10%"))

    while stage.rollout.weight != 50:
        stage.tick()
    assert browser.wait_until(says("ladder is at 50%")) < SEEN_WITHIN_S

    act(browser, "Pause", "the database is moved")
    browser.wait_until(f"{says('ladder is paused since')} && {IS_LIVE}")
    assert stage.rollout.phase == "paused"
    outcome = browser.value("document.querySelector('.notice[role=status]').textContent.trim()")
    assert outcome == "pause ladder#1: recorded: paused by an operator: the database is moved"

    act(browser, "Resume", "it is moved")
    browser.wait_until(f"{says('ladder is at 50%')} && {IS_LIVE}")
    assert stage.rollout.phase == "progressing"

    while stage.tick().rollout.phase == "progressing":
        pass
    assert browser.wait_until(says("ladder was rolled back from 50% to 0%")) < SEEN_WITHIN_S
    assert "Why it was rolled back: works" in browser.value("document.body.textContent")
    assert browser.problems == []
    outside = [one for one in browser.requests if not one.startswith(visitor.server.guard.origin)]
    assert [one for one in outside if not one.startswith("data:")] == []


def test_what_is_typed_stays_while_the_page_is_read_again_and_is_sent_with_the_new_version(
    browser: Browser, visitor: Visitor, stage: Stage
) -> None:
    browser.open(visitor.server.guard.address)
    browser.open(f"{visitor.server.guard.origin}{PAGE}")
    browser.wait_until(IS_LIVE)
    focus_on(browser, "Pause")
    browser.press("Enter")
    browser.press("Tab")
    browser.write("the data")
    shown = "document.querySelector('#act-pause [name=version]').value"
    before = int(browser.value(shown))
    while stage.rollout.version == before:
        stage.tick()
    browser.wait_until(f"Number({shown}) === {stage.rollout.version}")
    browser.write("base is moved")
    browser.press("Enter")
    browser.wait_until(says("ladder is paused since"))
    assert stage.rollout.sentence == "paused by an operator: the database is moved"


def test_a_dashboard_that_ends_is_named_on_its_pages(browser: Browser, stage: Stage) -> None:
    with open_dashboard(stage) as visitor:
        browser.open(visitor.server.guard.address)
        browser.wait_until(IS_LIVE)
    browser.wait_until("document.getElementById('live').textContent.startsWith('Not live: ')")


def test_a_hidden_tab_gives_its_connection_up_and_is_live_again_when_it_is_seen(
    browser: Browser, visitor: Visitor
) -> None:
    """A browser has six connections to a host: seven open tabs would wait for each other."""

    def become(hidden: str) -> None:
        browser.value(
            f"Object.defineProperty(document, 'hidden', {{value: {hidden}, configurable: true}});"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )

    streams = visitor.server.streams
    browser.open(visitor.server.guard.address)
    browser.wait_until(IS_LIVE)
    open_streams = MAX_STREAMS - streams._value
    become("true")
    browser.value("new Promise(done => setTimeout(done, 2500))")  # two more events
    assert MAX_STREAMS - streams._value == open_streams - 1 == 0
    become("false")
    browser.value("new Promise(done => setTimeout(done, 500))")
    assert MAX_STREAMS - streams._value == 1


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1_280, 375])
@pytest.mark.parametrize("path", ["/", PAGE, "/rollouts/gone%231"])
def test_no_page_scrolls_sideways_or_has_a_barrier(
    browser: Browser, visitor: Visitor, path: str, width: int, dark: bool
) -> None:
    browser.open(visitor.server.guard.address)
    browser.open(f"{visitor.server.guard.origin}{path}", width=width, dark=dark)
    browser.value("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert browser.value("document.documentElement.scrollWidth") <= width
    if AXE is None:
        pytest.skip("no axe-core: npm install axe-core, or AXE_CORE=FILE")
    browser.value(f"{AXE.read_text(encoding='utf-8')};0")
    found = browser.value(
        "axe.run().then(all => all.violations.map(one => one.id + ': ' + one.nodes[0].target))"
    )
    assert found == []
