"""docs/decisions: every file has the same four headings, is short, and is in the list."""

import re
from pathlib import Path
from typing import Final

import pytest

FOLDER: Final = Path(__file__).parents[2] / "docs" / "decisions"
README: Final = (FOLDER / "README.md").read_text(encoding="utf-8")
HEADINGS: Final = ("Question.", "Answer.", "What could have gone otherwise.", "Lost.")
MOST_WORDS: Final = 260


@pytest.mark.parametrize("path", sorted(FOLDER.glob("[0-9]*.md")), ids=lambda path: path.name[:4])
def test_a_decision_has_the_headings_and_is_listed_with_its_title(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    title = text.partition("\n")[0].removeprefix("# ")
    assert title.startswith(f"{int(path.name[:4])}. ")
    assert tuple(re.findall(r"^\*\*(.+?)\*\*", text, re.MULTILINE)) == HEADINGS
    assert len(text.split()) <= MOST_WORDS
    assert f"- [{title}]({path.name})\n" in README
