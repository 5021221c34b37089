"""Which variables of a function look like a percentage and its boolean."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from controller.ports.inventory import FunctionVariables

# Words that a percentage of traffic is called by.
_WEIGHT_WORDS: Final = frozenset(
    {"PERCENTAGE", "PERCENT", "PCT", "WEIGHT", "SHARE", "CANARY", "ROLLOUT"}
)


def percentage_candidates(variables: FunctionVariables) -> list[str]:
    """Return the variables that hold a percentage and are called like one."""
    return [name for name in variables.percentages if _words(name) & _WEIGHT_WORDS]


class Booleans(NamedTuple):
    """The booleans that share the subject of a percentage, as USE_API does of USE_API_PERCENTAGE.

    fitting: those of the very same words, whose value fits that of the percentage. doubtful: the
    others, like USE_API_CACHE: an on/off switch that is no part of the weight must not be written.
    """

    fitting: Sequence[str]
    doubtful: Sequence[str]


def booleans_of(percentage: str, variables: FunctionVariables) -> Booleans:
    """Return the booleans of `percentage`. Without a percentage, true means 100 %."""
    subject = _words(percentage) - _WEIGHT_WORDS
    related = [name for name in variables.booleans if subject and subject <= _words(name)]
    weight = variables.percentages.get(percentage)
    fitting = [
        name
        for name in related
        if _words(name) == subject
        and (weight is None or (variables.booleans[name] == "true") == (weight == "100"))
    ]
    return Booleans(fitting, [name for name in related if name not in fitting])


def _words(name: str) -> set[str]:
    return set(name.upper().split("_")) - {""}
