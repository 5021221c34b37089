"""The tables of docs/policy.md, "Phases and verbs", made by running the code.

`python -m tests.tables` writes them into the document; a test says whether they are current.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.tables.seen import observations
from tests.tables.verbs import verbs
from tests.tables.words import markdown

DOCUMENT = Path(__file__).parents[2] / "docs" / "policy.md"

TABLES: Mapping[str, Callable[[], list[list[str]]]] = {
    "what a tick does": observations,
    "what a verb does": verbs,
}


def marked(name: str) -> re.Pattern[str]:
    """Return what finds the table called `name` in the document."""
    begin, end = re.escape(f"<!-- {name}: python -m tests.tables -->\n"), "\n<!-- end -->"
    return re.compile(f"(?<={begin}).*?(?={end})", re.DOTALL)


def renewed(text: str) -> str:
    """Return the document `text` with its tables as the code makes them now."""
    for name, table in TABLES.items():
        place = marked(name).search(text)
        if place is None:
            raise LookupError(f"the document has no place for {name}")
        text = text[: place.start()] + markdown(table()) + text[place.end() :]
    return text
