"""The tables of invariants, and of the planted bugs that prove the invariants are checked."""

from tests.chaos.invariants import ALL
from tests.chaos.planted_bugs import PLANTED_BUGS


def invariants() -> list[list[str]]:
    """Return the table of invariants, row by row, its head first."""
    rows = [[f"`{one.name}`", one.text, one.allows] for one in ALL]
    return [["invariant", "what holds", "what it allows all the same"], *rows]


def planted_bugs() -> list[list[str]]:
    """Return the table of planted bugs, in the order of the invariants that find them."""
    names = [one.name for one in ALL]
    bugs = sorted(PLANTED_BUGS, key=lambda bug: names.index(bug.invariant.name))
    rows = [[bug.description, f"`{bug.invariant.name}`", bug.where] for bug in bugs]
    return [["the bug", "found by", "in the story in which"], *rows]
