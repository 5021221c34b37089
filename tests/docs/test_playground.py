"""The playground of the site, in a real browser: a rehearsal by rolloutctl itself."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.browser import Browser, axe_core

ROOT: Final = Path(__file__).parents[2]
AXE: Final = axe_core()
MAX_BYTES: Final = 15_000_000
PLAYED_S: Final = 120.0  # 8 s of processor time; a machine that runs tests side by side is slow
TERMINAL: Final = "document.querySelector('#play pre').textContent"
STATE: Final = "document.querySelector('.play-state').textContent"

pytestmark = [
    pytest.mark.deep,  # each page loads a Python
    pytest.mark.skipif(
        not (ROOT / "build" / "playground" / "files").exists(),
        reason="the playground is not built: make playground",
    ),
]


@pytest.fixture(scope="module")
def page(address: str, browser: Browser) -> Iterator[Browser]:
    """The playground, after its first rehearsal."""
    opened(browser, address)
    play(browser)
    yield browser
    foreign = [one for one in browser.requests if not one.startswith((address, "data:", "blob:"))]
    assert (foreign, browser.problems) == ([], [])


def opened(browser: Browser, address: str, state: str = "", **window: int | bool) -> None:
    browser.open("about:blank")
    browser.open(f"{address}/docs/playground.html{state}", **window)  # type: ignore[arg-type]
    browser.wait_until("!!document.querySelector('#play [name=policy]')?.value")


def play(browser: Browser, *, ends: str = "Ended") -> None:
    browser.value("document.querySelector('#play [type=submit]').click()")
    browser.wait_until(f"/^({ends}|The playground failed)/.test({STATE})", PLAYED_S)
    assert browser.value(STATE).startswith(ends)


def write(browser: Browser, field: str, text: str) -> None:
    element = f"document.querySelector('#play [name={field}]')"
    browser.value(f"{element}.value = {json.dumps(text)}")


def test_it_is_small(site: Path) -> None:
    assert sum(file.stat().st_size for file in (site / "playground").iterdir()) < MAX_BYTES


def test_a_rehearsal_prints_its_timeline_and_shows_its_report(page: Browser) -> None:
    assert page.value(STATE).startswith("Ended with exit status 4 ")
    printed = page.value(TERMINAL)
    assert printed.startswith("checkout, scenario error-burst.yaml: 10% for 1h, 50% for 1h")
    assert "rolled_back at 0% after 1h 41m (applied: 10% > 50%)" in printed
    report = page.value("document.querySelector('#play iframe').srcdoc")
    assert "<figure" in report


def test_a_mistake_is_shown_at_its_place_and_leads_there(page: Browser) -> None:
    policy = (ROOT / "policies" / "checkout.yaml").read_text(encoding="utf-8")
    line = policy[: policy.index("weight: 50")].count("\n") + 1
    write(page, "policy", policy.replace("weight: 50", "weight: fifty"))
    play(page, ends="Ended with exit status 2")
    place = f"checkout.yaml:{line}:"
    assert place in page.value(TERMINAL)
    page.value(f"""[...document.querySelectorAll('#play pre button')].find(
        one => one.textContent.startsWith('{place}')).click()""")
    selected = page.value("document.getSelection().toString()")
    assert "fifty" in selected
    assert page.value("document.activeElement.name") == "policy"
    write(page, "policy", policy)


def test_it_works_by_keys_alone(page: Browser) -> None:
    page.value("document.querySelector('#play [name=seed]').focus()")
    page.press("Tab")
    assert page.value("document.activeElement.textContent") == "Play"
    page.press("Enter")
    page.wait_until(f"!{STATE}.startsWith('Ended')")
    page.wait_until(f"{STATE}.startsWith('Ended with exit status 4')", PLAYED_S)
    page.press("Tab")
    assert page.value("document.activeElement.tagName") == "PRE"


def test_the_address_has_what_was_played(page: Browser, address: str) -> None:
    """So it can be sent to a colleague."""
    scenario = page.value("document.querySelector('#play [name=scenario]').value")
    write(page, "scenario", scenario.replace("server_errors: 5%", "server_errors: 40%"))
    play(page)
    state = page.value("location.hash")
    write(page, "scenario", scenario)
    opened(page, address, state, width=375, dark=True)
    page.wait_until("document.querySelector('#play [name=scenario]').value.includes('40%')")


@pytest.mark.skipif(AXE is None, reason="no axe-core: make playground, or AXE_CORE=FILE")
@pytest.mark.parametrize("width", [375, 1_280])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_no_barrier_in_the_form_or_the_result(
    address: str, browser: Browser, dark: bool, width: int
) -> None:
    assert AXE is not None
    opened(browser, address, width=width, dark=dark)
    play(browser)
    assert browser.value("document.documentElement.scrollWidth") <= width
    browser.value(f"{AXE.read_text(encoding='utf-8')};0")
    found = browser.value(
        "axe.run().then(all => all.violations.map(one => one.id + ': ' + one.nodes[0].target))"
    )
    assert found == []
    assert browser.problems == []


def test_a_long_rehearsal_can_be_cancelled_and_another_one_played(page: Browser) -> None:
    """It does not freeze the page."""
    page.value("document.querySelector('#play [name=policy-name]').value = 'quiet-service'")
    page.value("document.querySelector('#play [name=policy-name]').onchange()")
    page.value("document.querySelector('#play [type=submit]').click()")
    page.wait_until(f"{STATE}.startsWith('Playing: ')", PLAYED_S)
    page.value("document.querySelector('#play [name=cancel]').focus()")
    page.press("Enter")
    assert page.value(STATE) == "Cancelled"
    assert page.value("document.activeElement.textContent") == "Play"
    write(page, "policy", "version: 2")
    play(page, ends="Ended with exit status 2")
