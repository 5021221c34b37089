"""Tables of the documents, made by running the code.

`python -m tests.docs.tables` writes them into the documents; a test says whether they are current.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeAlias

from tests.docs.tables import crashes, hook_answers, policy_fields
from tests.docs.tables.addresses import addresses
from tests.docs.tables.conditions import conditions
from tests.docs.tables.core_types import core_types
from tests.docs.tables.edges import legend
from tests.docs.tables.exit_statuses import commands, statuses
from tests.docs.tables.observations import observations
from tests.docs.tables.options import options
from tests.docs.tables.phases import phases
from tests.docs.tables.reliability import invariants, planted_bugs
from tests.docs.tables.targets import targets
from tests.docs.tables.tenants import foreign
from tests.docs.tables.verbs import verbs
from tests.docs.tables.walk import walk
from tests.docs.tables.wording import markdown

_DOCS = Path(__file__).parents[3] / "docs"

Table: TypeAlias = Callable[[], list[list[str]]]

# Tables of docs/contributors/state-machine.md with a column for every phase.
PHASES: Mapping[str, Table] = {
    "what a tick does": observations,
    "what a verb does": verbs,
}
TABLES: Mapping[Path, Mapping[str, Table]] = {
    _DOCS / "commands.md": {
        "what a command takes": options,
        "exit statuses": statuses,
        "what a command ends with": commands,
    },
    _DOCS / "policy.md": policy_fields.TABLES,
    _DOCS / "contributors" / "state-machine.md": {
        "phases": phases,
        "edges": legend,
        "walk": walk,
        **PHASES,
        "conditions": conditions,
    },
    _DOCS / "contributors" / "hooks.md": {
        "bodies": hook_answers.bodies,
        "what a host sends": hook_answers.sent,
        "addresses": addresses,
    },
    _DOCS / "contributors" / "glossary.md": {"types of the core": core_types},
    _DOCS / "contributors" / "security-model.md": {"foreign": foreign},
    _DOCS / "contributors" / "reliability.md": {
        "what must hold": invariants,
        "planted bugs": planted_bugs,
        "verbs of each kind of target": targets,
        "a tick that advances": crashes.advancing,
        "a tick that rolls back": crashes.rolling_back,
        "a start": crashes.starting,
        "a rollback by hand": crashes.by_hand,
    },
}


def marked(name: str) -> re.Pattern[str]:
    """Return what finds the table called `name` in the document."""
    begin, end = re.escape(f"<!-- {name}: python -m tests.docs.tables -->\n"), "\n<!-- end -->"
    return re.compile(f"(?<={begin}).*?(?={end})", re.DOTALL)


# `<!-- file: PATH -->`, and behind it the file as a block of code.
_EMBEDDED: Final = re.compile(r"<!-- file: (?P<path>\S+) -->\n(?:\n```.*?\n```\n)?", re.DOTALL)


def _embed(place: re.Match[str]) -> str:
    path = _DOCS.parent / place["path"]
    content = path.read_text(encoding="utf-8").rstrip()
    return f"{place[0].splitlines()[0]}\n\n```{path.suffix[1:]}\n{content}\n```\n"


def renewed(document: Path) -> str:
    """Return the text of `document` with its tables as the code makes them now."""
    text = document.read_text(encoding="utf-8")
    text = _EMBEDDED.sub(_embed, text)
    for name, table in TABLES[document].items():
        place = marked(name).search(text)
        if place is None:
            raise LookupError(f"{document.name} has no place for {name}")
        text = text[: place.start()] + markdown(table()) + text[place.end() :]
    return text
