"""The tables of the documents say what the code does."""

from pathlib import Path

import pytest

from tests.docs.tables import PHASES, TABLES, renewed
from tests.support.core import Phase, Verb


@pytest.mark.parametrize("document", TABLES, ids=lambda one: one.name)
def test_the_tables_of_a_document_are_those_of_the_code(document: Path) -> None:
    assert renewed(document) == document.read_text(encoding="utf-8"), (
        "run: python -m tests.docs.tables"
    )


@pytest.mark.parametrize("table", PHASES)
def test_a_table_has_every_phase(table: str) -> None:
    head, *rows = PHASES[table]()
    assert all(any(f"`{phase}`" in column for column in head) for phase in Phase)
    assert {len(row) for row in rows} == {len(head)}


def test_the_table_of_verbs_has_every_verb() -> None:
    _, *rows = PHASES["what a verb does"]()
    assert all(any(row[0].startswith(f"`{verb}") for row in rows) for verb in Verb)
