"""What really happened, as nobody inside knows it: the ground truth that invariants are about."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from controller.core.history import Entry
from controller.core.rollout import Rollout


@dataclass(frozen=True, slots=True)
class Wrote:
    """The environment of the function was changed, by a process or by another hand.

    before, after: all its variables. weight_before, weight_after: what the pair meant and means;
    None while it contradicts itself. stored: the rollouts as they were stored at that moment.
    """

    at: datetime
    by: str
    before: dict[str, str]
    after: dict[str, str]
    weight_before: int | None
    weight_after: int | None
    stored: Sequence[Rollout]


@dataclass(frozen=True, slots=True)
class Saved:
    """What is stored of a rollout was changed; `before` is None when it was created.

    entries: what the history has gained.
    """

    at: datetime
    by: str
    before: Rollout | None
    after: Rollout
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class Ended:
    """A process ended: with an exit status, or None when it crashed."""

    at: datetime
    by: str
    status: int | None


Happening: TypeAlias = Wrote | Saved | Ended
