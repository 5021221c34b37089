"""The tables of docs/policy.md say what the code does."""

import pytest

from controller.core.asked import Verb
from controller.core.rollout import Phase
from tests.tables import DOCUMENT, TABLES, renewed


def test_the_tables_of_the_document_are_those_of_the_code() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert renewed(text) == text, "run: python -m tests.tables"


@pytest.mark.parametrize("table", TABLES)
def test_a_table_has_every_phase(table: str) -> None:
    head, *rows = TABLES[table]()
    assert all(any(f"`{phase}`" in column for column in head) for phase in Phase)
    assert {len(row) for row in rows} == {len(head)}


def test_the_table_of_verbs_has_every_verb() -> None:
    _, *rows = TABLES["what a verb does"]()
    assert all(any(row[0].startswith(f"`{verb}") for row in rows) for verb in Verb)
