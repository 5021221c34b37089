"""Whether the names of a pair are those of the function: a name that nothing reads lowers nothing.

Only names are told, never a value.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from controller.adapters.pair import Pair
from controller.ports import Obstacle


def doubts(function: str, pair: Pair, variables: Mapping[str, str]) -> list[Obstacle]:
    """Return why 0 % in `pair` may not be 0 % of traffic.

    Fatal when the percentage is not set and the boolean does not say otherwise: that reads as 0 %
    whatever another variable, which was meant, may hold.
    """
    found: list[Obstacle] = []
    if pair.percentage not in variables:
        fatal = pair.weight(variables) == 0
        text = f"{pair.percentage} is not set on {function}"
        if fatal and pair.boolean is not None:
            text += f", and {pair.boolean} says nothing else"
        found.append(Obstacle(fatal, f"{text}; {_alike(pair.percentage, variables)}"))
    if pair.boolean not in variables:
        found += (
            Obstacle(
                fatal=False,
                text=f"{name} is on, looks as if it belonged to {pair.percentage}, and is left "
                f"alone; if it does, name it (--boolean {name})",
            )
            for name in _partners(pair.percentage, variables)
        )
    return found


def _alike(name: str, names: Iterable[str]) -> str:
    alike = get_close_matches(name, names, n=3)
    return f"was {' or '.join(alike)} meant?" if alike else "no variable there has a similar name"


def _partners(percentage: str, variables: Mapping[str, str]) -> list[str]:
    """Return the variables that are true and begin with the same word as `percentage`."""
    word = percentage.partition("_")[0]
    return [
        name
        for name, value in variables.items()
        if value == "true" and name != percentage and name.partition("_")[0] == word
    ]
