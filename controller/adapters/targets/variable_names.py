"""Whether the names of a pair are those of the function: a name that nothing reads lowers nothing.

Only names are told, never a value.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from controller.adapters.targets.weight_variables import Pair


@dataclass(frozen=True, slots=True)
class NameWarning:
    """Why 0 % in a pair may not be 0 % of traffic.

    mistaken: the function has no variable of that name, and what it has says nothing else; or what
    stands in it is nothing of the kind, and 0 % would be written over it. foreign: the same, where
    no rollout can have left it so: the weight is not in this variable.
    left_on: the variable that may still send all traffic to the canary; empty: none.
    """

    text: str
    mistaken: bool = False
    foreign: bool = False
    left_on: str = ""


def name_warnings(function: str, pair: Pair, variables: Mapping[str, str]) -> list[NameWarning]:
    """Return why 0 % in `pair` may not be 0 % of traffic.

    A percentage that is not set is none where the boolean is on: that means 100 %.
    """
    found: list[NameWarning] = []
    if pair.percentage not in variables:
        unset = pair.weight(variables) == 0
        text = f"{pair.percentage} is not set on {function}"
        if unset and pair.boolean is not None:
            text += f", and {pair.boolean} says nothing else"
        found.append(
            NameWarning(f"{text}; {_similar_names(pair.percentage, variables)}", unset, unset)
        )
    if pair.boolean is not None and pair.boolean not in variables:
        text = f"{pair.boolean} is not set on {function}; {_similar_names(pair.boolean, variables)}"
        found.append(
            NameWarning(f"{text} (leave --boolean out where there is none)", mistaken=True)
        )
    for name, holds in pair.type_mismatches(variables).items():
        text = f"{name} of {function} holds {holds}, and that would be lost"
        foreign = name in pair.foreign_values(variables)
        found.append(NameWarning(f"{text}; if it is the right one: --force", True, foreign))
    if pair.boolean not in variables:
        found += (
            NameWarning(
                f"{name} is on, looks as if it belonged to {pair.percentage}, and is left alone",
                left_on=name,
            )
            for name in _related_flags(pair.percentage, variables)
        )
    return found


def _similar_names(name: str, names: Iterable[str]) -> str:
    alike = get_close_matches(name, names, n=3)
    return f"was {' or '.join(alike)} meant?" if alike else "no variable there has a similar name"


# What names of weights and of switches say beside what they are about.
_COMMON_WORDS: Final = frozenset(
    {"PERCENTAGE", "PERCENT", "PCT", "WEIGHT", "SHARE", "USE", "ENABLE", "ENABLED", "IS", "ON"}
)


def _related_flags(percentage: str, variables: Mapping[str, str]) -> Iterator[str]:
    """Yield the variables that are true and about the same as `percentage`."""
    about = _words(percentage) - _COMMON_WORDS
    for name, value in variables.items():
        if about and name != percentage and value.lower() == "true" and about <= _words(name):
            yield name


def _words(name: str) -> set[str]:
    return set(name.upper().split("_"))
