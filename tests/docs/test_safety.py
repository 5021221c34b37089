"""docs/safety.md: each row has a test that plays it, in the table of reliability.md."""

import re
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parents[1]
_DOCS: Final = TESTS.parent / "docs"
CLAIMS: Final = (_DOCS / "safety.md").read_text(encoding="utf-8")
_RELIABILITY: Final = (_DOCS / "contributors/reliability.md").read_text(encoding="utf-8")
_, _, _REST = _RELIABILITY.partition("\n## Is it safe, row by row\n")
TESTED, _, _ = _REST.partition("\n## ")


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
