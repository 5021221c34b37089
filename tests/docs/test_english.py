"""Pages for users read as a native engineer writes: no tic of a translation comes back."""

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = {
    page.relative_to(ROOT).as_posix(): page
    for page in (
        ROOT / "README.md", *(ROOT / "docs").glob("*.md"),
        ROOT / "deploy" / "README.md", ROOT / "deploy" / "github" / "README.md",
    )
}  # fmt: skip
# What a sentence does not have, and what it says instead.
TICS: Final = {
    r"\d %": "a percent without a space: 10%",
    r"\b\d{1,3} \d{3} (requests|samples|rollouts|bytes)": "a comma for thousands: 8,214",
    r"\bof its own\b": "its, or separate",
    r"\bsays so\b": "reports that, or nothing",
    r"\bstands? in (the|a|its)\b": "is in",
    r"(^|[.:] )(Judged|Read|Written|Counted|Shown|Asked) (are|is|was|were)\b": "the subject first",
    r"(^|[.:] )What \w+s (is|are)\b": "the noun: the failure, not what fails",
    r"\b(it|that|this) alone\b": "only",
    r"\bwith whom\b|\bwhat was told\b": "the name of the thing",
}
# A sentence has room for a semicolon; a page that chains them is taken apart.
MOST_SEMICOLONS: Final = 3


def prose(page: Path) -> str:
    """Return the sentences of a page: no code, no table, no comment."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    lines = (line for line in text.splitlines() if not line.startswith(("|", "<!--", "![")))
    return re.sub(r"`[^`\n]+`", "CODE", "\n".join(lines))


@pytest.mark.parametrize("page", PAGES)
def test_no_sentence_has_a_tic(page: str) -> None:
    found = {
        match[0]: f"write {better}"
        for tic, better in TICS.items()
        if (match := re.search(tic, prose(PAGES[page]), re.MULTILINE))
    }
    assert found == {}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_no_chain_of_semicolons(page: str) -> None:
    assert prose(PAGES[page]).count(";") <= MOST_SEMICOLONS
