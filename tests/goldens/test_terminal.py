"""What verbs print on a terminal is what is recorded."""

import pytest

from controller.cli import VERBS
from controller.safe_text import width_of
from tests.goldens.terminal import FOLDER, STORIES, WIDTHS, difference
from tests.support.deep_rows import pairs


@pytest.mark.parametrize(
    ("story", "width"), pairs({one: one for one in STORIES}, {str(one): one for one in WIDTHS})
)
def test_a_terminal_shows_what_is_recorded(story: str, width: int) -> None:
    assert difference(story, width) == "", "record it: python -m tests.goldens.terminal --write"


def test_every_verb_is_shown_and_every_file_is_of_a_story() -> None:
    typed = {act.split()[0] for _, acts in STORIES.values() for act in acts if isinstance(act, str)}
    assert VERBS.keys() <= typed
    assert len(list(FOLDER.glob("*.txt"))) == len(STORIES) * len(WIDTHS)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_line_is_wider_than_the_terminal_for_a_single_word_alone(width: int) -> None:
    for path in FOLDER.glob(f"*-{width}.txt"):
        if path.name.startswith("set-up"):
            continue  # documents for other programs, which are never wrapped
        lines = path.read_text(encoding="utf-8").split("\n")
        broken = [line for line in lines if not line.startswith("$ ")]
        assert [one for one in broken if width_of(one.rpartition(" ")[0]) > width] == [], path.name
