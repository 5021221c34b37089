"""The status page: a card for what is urgent, a row for the rest, and how old it all is."""

from datetime import datetime, timedelta

import pytest

from controller.immutable import replace
from controller.operations.overview import Overview
from controller.render.html.status import MOST_CARDS, age_text, status_html
from tests.support.core import Phase, Rollout
from tests.support.pages import read_page
from tests.support.rollouts import NOON, a_rollout, a_state

LATER = NOON + timedelta(hours=2, minutes=10)


def page_of(*rollouts: Rollout, now: datetime = LATER) -> str:
    """Return the page of these rollouts."""
    return status_html(Overview(rollouts, ()), now)


def progressing(rollout_id: str, updated: datetime = LATER) -> Rollout:
    """Return a rollout in its first bake since noon."""
    return replace(a_rollout(rollout_id, state=a_state(applied=True)), updated=updated)


def test_a_card_says_once_what_follows_and_in_words_how_old_it_is() -> None:
    text = page_of(progressing("orders#1", LATER - timedelta(minutes=4)))
    words = " ".join(read_page(text).texts("p"))
    assert words.lower().count("next:") == 1
    assert "Progressing for 2 hours. Last tick: 4 minutes ago, " in words


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(seconds=59), "less than a minute"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(minutes=119), "1 hour"),
        (timedelta(days=2, hours=23), "2 days"),
    ],
)
def test_an_age_is_a_number_of_its_largest_unit(length: timedelta, text: str) -> None:
    assert age_text(length) == text


def test_a_link_reads_the_page_again_without_a_script() -> None:
    text = page_of(progressing("orders#1"))
    assert '<a href="">Read again</a>' in text
    assert "<script" not in text
    assert 'http-equiv="refresh"' not in text


def test_of_a_thousand_the_worst_have_cards_and_each_other_one_a_row() -> None:
    late = [progressing(f"late-{n}#1", NOON) for n in range(30)]
    fine = [progressing(f"fine-{n}#1") for n in range(970)]
    page = read_page(page_of(*fine, *late))
    assert page.texts("h1") == ["30 rollouts need an operator; 970 in progress, 0 over"]
    assert page.texts("h2") == ["Needs an operator", "In progress"]
    cards = page.texts("h3")
    assert len(cards) == MOST_CARDS
    assert all(card.startswith("late-") for card in cards[:30])
    rows = [text for text in page.texts("th") if text.startswith("fine-")]
    assert len(cards) + len(rows) == 1_000


def test_what_is_over_is_sorted_by_its_end_the_newest_first() -> None:
    ended = [
        a_rollout(f"n{hours}#1", state=replace(a_state(Phase.SUCCEEDED), since=NOON - hours * HOUR))
        for hours in (3, 1, 2)
    ]
    page = read_page(page_of(*ended))
    assert [one for one in page.texts("th") if "#" in one] == ["n1#1", "n2#1", "n3#1"]
    assert any("3 hours ago, 2" in one for one in page.texts("td"))


HOUR = timedelta(hours=1)
