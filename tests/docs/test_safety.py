"""docs/safety.md: each row that says what happens has a test that plays it."""

import re
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parents[1]
TEXT: Final = (TESTS.parent / "docs" / "safety.md").read_text(encoding="utf-8")
CLAIMS, _, TESTED = TEXT.partition("\n## Where it is tested\n")


def rows(text: str) -> list[str]:
    """Return the first cell of each row of the tables, without their heads."""
    cells = re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)
    heads = re.findall(r"^\| ([^|]+) \|.*\n\|---", text, re.MULTILINE)
    return [cell for cell in cells if cell not in heads]


def test_each_row_has_a_test_and_no_test_is_of_another_row() -> None:
    assert rows(TESTED) == rows(CLAIMS)


def test_each_test_that_is_named_exists() -> None:
    names = set(re.findall(r"`(test_\w+)`", TESTED))
    code = "".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    assert names - set(re.findall(r"^def (test_\w+)\(", code, re.MULTILINE)) == set()
