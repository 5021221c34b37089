"""Pages for users stay short: a word has a letter or a digit, so a bar of a table is none."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
MOST_ON_A_PAGE: Final = 1_500
MOST_IN_ALL: Final = 30_000
# A reader looks something up there, and reads none of them from start to end.
REFERENCES: Final = frozenset({"policy.md", "commands.md", "troubleshooting.md"})


def _words() -> dict[Path, int]:
    pages = [
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / name for name in ("README.md", "deploy/README.md", "deploy/github/README.md")),
    ]
    return {page: _words_of(page.read_text(encoding="utf-8")) for page in pages}


def _words_of(text: str) -> int:
    return sum(any(map(str.isalnum, token)) for token in text.split())


def test_each_page_is_short_unless_it_is_a_reference() -> None:
    long = {
        page.relative_to(ROOT).as_posix(): words
        for page, words in _words().items()
        if words > MOST_ON_A_PAGE and page.name not in REFERENCES
    }
    assert not long, (
        f"more than {MOST_ON_A_PAGE:,} words: {long}. Say it in fewer, or move what only "
        "contributors need to docs/contributors"
    )


def test_all_pages_together_are_short() -> None:
    over = sum(_words().values()) - MOST_IN_ALL
    assert over <= 0, (
        f"the pages for users have {over} words too many: take as many out of any of them, or move "
        "what only contributors need to docs/contributors"
    )
