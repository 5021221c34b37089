"""Which variables of a function look like a percentage and its boolean."""

from collections.abc import Mapping, Sequence
from typing import Final

from controller.ports.inventory import FunctionVariables

# Words that a percentage of traffic is called by.
_WEIGHT_WORDS: Final = frozenset(
    {"PERCENTAGE", "PERCENT", "PCT", "WEIGHT", "SHARE", "CANARY", "ROLLOUT"}
)


def percentage_candidates(variables: FunctionVariables) -> list[str]:
    """Return the variables that hold a percentage and are called like one."""
    return [name for name in variables.percentages if _words(name) & _WEIGHT_WORDS]


def boolean_candidates(percentage: str, booleans: Mapping[str, str]) -> Sequence[str]:
    """Return the booleans with the subject of `percentage`, as USE_API of USE_API_PERCENTAGE.

    The one that has the same words, and none more, is the only candidate where it exists.
    """
    subject = _words(percentage) - _WEIGHT_WORDS
    related = [name for name in booleans if subject and subject <= _words(name)]
    return [name for name in related if _words(name) == subject] or related


def is_boolean_of_weight(text: str, percentage: str) -> bool:
    """Tell whether a boolean with the value `text` is true exactly where the percentage is 100."""
    return (text.lower() == "true") == (percentage == "100")


def _words(name: str) -> set[str]:
    return set(name.upper().split("_")) - {""}
