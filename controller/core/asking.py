"""What people may ask of a rollout, and in which phases it fits."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from controller.core.rollout import Phase

Way: TypeAlias = Literal["", "restore", "keep"]


class Verb(StrEnum):
    """What a person can ask of a rollout that exists."""

    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    APPROVE = "approve"
    ATTEST = "attest"
    ROLLBACK = "rollback"
    SET_WEIGHT = "set-weight"
    ACK = "ack"


FITS: Final[Mapping[Verb, frozenset[Phase]]] = {
    Verb.PAUSE: frozenset({Phase.PROGRESSING}),
    Verb.RESUME: frozenset({Phase.PAUSED}),
    Verb.PROMOTE: frozenset({Phase.PROGRESSING, Phase.PAUSED}),
    Verb.APPROVE: frozenset({Phase.PROGRESSING, Phase.PAUSED}),
    Verb.ATTEST: frozenset({Phase.PROGRESSING, Phase.PAUSED}),
    Verb.ROLLBACK: frozenset(Phase),
    Verb.SET_WEIGHT: frozenset({Phase.PROGRESSING, Phase.PAUSED}),
    Verb.ACK: frozenset(Phase),
}


# What is not asked past a criterion that fails already, so it is measured first.
MEASURED: Final = frozenset({Verb.RESUME, Verb.PROMOTE, Verb.SET_WEIGHT})

# After which a rollout may go up by its policy: that has to be the one which its history begins
# with.
UPWARD: Final = frozenset({Verb.RESUME, Verb.PROMOTE, Verb.APPROVE, Verb.ATTEST})


@dataclass(frozen=True, slots=True)
class Ask:
    """What a person asks.

    way: with which weight `resume` goes on after a drift. weight: what is to be set;
    of a rollback: what was live before 0 % was written.
    criterion, refuse, by: what `attest` is about, whether that is a no, and who says it.
    """

    verb: Verb
    reason: str = ""
    way: Way = ""
    weight: int | None = None
    criterion: str = ""
    refuse: bool = False
    by: str = ""

    def data(self) -> dict[str, object]:
        """Return it as plain JSON data, for the history."""
        said: dict[str, object] = {"verb": str(self.verb), "reason": self.reason, "way": self.way}
        if self.verb is Verb.ATTEST:
            return {**said, "criterion": self.criterion, "refuse": self.refuse, "by": self.by}
        return said if self.weight is None else {**said, "weight": self.weight}
