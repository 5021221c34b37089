"""docs/field-bugs.md: each report has a test or an invariant that exists, or a reason."""

import re
from pathlib import Path
from typing import Final

from tests.chaos.invariants import ALL

TESTS: Final = Path(__file__).parents[1]
TEXT: Final = (TESTS.parent / "docs" / "field-bugs.md").read_text(encoding="utf-8")
ROWS: Final = re.findall(r"^\| (?!report|---)(.+) \| (.+) \| (.+) \| (.+) \|$", TEXT, re.MULTILINE)
MOST_WORDS: Final = 1_500


def test_each_report_has_its_row_and_the_page_is_short() -> None:
    assert len(ROWS) == 42
    assert len(TEXT.split()) <= MOST_WORDS


def test_each_test_and_invariant_that_is_named_exists() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    known = {*re.findall(r"^def (test_\w+)\(", code, re.MULTILINE)}
    known |= {one.name for one in ALL}
    named = {name for *_, tests in ROWS for name in re.findall(r"`([\w-]+)`", tests)}
    assert named - known == set()


def test_a_row_without_a_test_says_why() -> None:
    silent = [report for report, *_, tests in ROWS if "`" not in tests and len(tests) < 20]
    assert silent == []
