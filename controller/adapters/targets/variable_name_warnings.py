"""Warnings about mistaken variable names: a write to a variable that is never read has no effect.

Warnings quote names of variables, never a secret value.
"""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Final

from controller.adapters.targets.weight_variables import Pair
from controller.ports.target import NameWarning


def name_warnings(function: str, pair: Pair, variables: Mapping[str, str]) -> list[NameWarning]:
    """Return why 0 % in `pair` may not be 0 % of traffic.

    A missing percentage is not mistaken while the boolean is on: together they mean 100 %.
    """
    warnings: list[NameWarning] = []
    if pair.percentage not in variables:
        unset = pair.weight(variables) == 0
        text = f"{pair.percentage} is not set on {function}"
        if unset and pair.boolean is not None:
            text += f", and {pair.boolean} does not contradict that"
        warnings.append(
            NameWarning(f"{text}; {_similar_names(pair.percentage, variables)}", unset, unset)
        )
    if pair.boolean is not None and pair.boolean not in variables:
        text = f"{pair.boolean} is not set on {function}; {_similar_names(pair.boolean, variables)}"
        warnings.append(
            NameWarning(f"{text} (leave --boolean out where there is none)", mistaken=True)
        )
    for name, mismatch in pair.type_mismatches(variables).items():
        text = f"{name} of {function} has {mismatch}, which would be lost"
        foreign = name in pair.foreign_values(variables)
        warnings.append(NameWarning(f"{text}; if it is the right one: --force", True, foreign))
    contradiction = pair.contradiction(variables)
    if contradiction and pair.boolean not in _left_on(pair.percentage, variables):
        text = f"on {function}, {contradiction}, so one of them belongs to something else"
        warnings.append(NameWarning(f"{text}; if both are right: --force", mistaken=True))
    if pair.boolean not in variables:
        warnings += (
            NameWarning(
                f"{name} is on, seems to belong to {pair.percentage}, and is left as it is",
                left_on=name,
            )
            for name in _related_flags(pair.percentage, variables)
        )
    return warnings


def _similar_names(name: str, names: Iterable[str]) -> str:
    alike = get_close_matches(name, names, n=3)
    return f"was {' or '.join(alike)} meant?" if alike else "no variable there has a similar name"


# Words in names of weights and switches that say nothing of their subject.
_COMMON_WORDS: Final = frozenset(
    {"PERCENTAGE", "PERCENT", "PCT", "WEIGHT", "SHARE", "USE", "ENABLE", "ENABLED", "IS", "ON"}
)


def _left_on(percentage: str, variables: Mapping[str, str]) -> list[str]:
    """Return the booleans that a rollback of `percentage` alone has left on, and names itself."""
    at_zero = variables.get(percentage) == "0"
    return [*_related_flags(percentage, variables)] if at_zero else []


def _related_flags(percentage: str, variables: Mapping[str, str]) -> Iterator[str]:
    """Yield the variables that are true and share the subject of `percentage`."""
    subject = _words(percentage) - _COMMON_WORDS
    for name, value in variables.items():
        if subject and name != percentage and value.lower() == "true" and subject <= _words(name):
            yield name


def _words(name: str) -> set[str]:
    return set(name.upper().split("_"))
