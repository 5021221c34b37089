"""What a graph shows of a rollout's history: which weight was in force from when on."""

from collections.abc import Iterable, Iterator
from typing import Final

from controller.core.history import Entry
from controller.core.monitoring.parts import Moment

# More lines than a graph has room for: of a rollout with so many, the newest.
_MOST: Final = 20
_ENDS: Final = {"rolled_back": "0 %: rolled back", "succeeded": "100 %: succeeded"}


def moments(history: Iterable[Entry]) -> tuple[Moment, ...]:
    """Return when a weight was in force, and how the rollout ended, oldest first."""
    return tuple(_moments(history))[-_MOST:]


def _moments(history: Iterable[Entry]) -> Iterator[Moment]:
    for entry in history:
        if entry.kind == "settled":
            yield Moment(entry.at, f"{entry.body['weight_to']} %")
        elif entry.kind == "started" and entry.body.get("because", {}).get("adopted") is not None:
            yield Moment(entry.at, f"{entry.body['weight_to']} %: adopted")
        elif entry.kind in _ENDS:
            yield Moment(entry.at, _ENDS[entry.kind])
