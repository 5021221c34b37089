"""What a decision asks of the world. The runner carries effects out; it decides nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from controller.core.judge.evidence import Tally
from controller.core.judge.findings import Finding
from controller.core.rollout import Phase, Reason, Rollout
from controller.core.stats.mixture import Fold


@dataclass(frozen=True, slots=True)
class Shift:
    """Another weight than 0: one shot, under the token that the decision saw.

    More traffic, but for a person who takes back what another hand had raised.
    """

    weight: int
    token: str


@dataclass(frozen=True, slots=True)
class Lower:
    """All traffic back to stable, trying until `within` is over.

    must_succeed: nobody tries again for long, so that a failure is critical at once.
    void: the token of a raise from 0 % that may still be written; while the target carries it, 0 %
        is written even where it stands, and fits no raise any more. Empty: there is none.
    only: the one weight that is taken back; any other is another hand's. None: whatever stands.
    """

    within: timedelta
    must_succeed: bool = False
    void: str = ""
    only: int | None = None


class Severity(StrEnum):
    """How loud a notice is: critical pages somebody."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something people should hear about, once.

    kind: what happened, where the record of the decision does not say it; else empty.
    """

    severity: Severity
    text: str
    kind: str = ""


Move: TypeAlias = Shift | Lower


class Alert(StrEnum):
    """What makes a tick end with a status of its own."""

    ROLLBACK_UNCONFIRMED = "rollback_unconfirmed"
    DRIFT = "drift"


@dataclass(frozen=True, slots=True)
class Record:
    """A history entry to be: what changed and why; the chain and the author are added later.

    keeps_series: the series that the decision saw are kept with it: transitions, hourly evidence.
    because: what decided beside the observation, as JSON data: what a person asked, for instance.
    tallies: the evidence as it was sealed with this entry, by criterion; fold: that which adds up.
    """

    kind: str
    at: datetime
    phase_from: Phase
    phase_to: Phase
    weight_from: int | None
    weight_to: int
    step: int
    reason: Reason
    sentence: str
    findings: tuple[Finding, ...] = ()
    keeps_series: bool = False
    because: Mapping[str, object] = field(default_factory=dict)
    tallies: Mapping[str, Tally] = field(default_factory=dict)
    fold: Fold = field(default_factory=Fold)

    @classmethod
    def without_transition(
        cls, rollout: Rollout, kind: str, sentence: str, now: datetime
    ) -> "Record":
        """Return the entry of what happened to `rollout` and changed neither phase nor weight."""
        return cls(
            kind=kind,
            at=now,
            phase_from=rollout.phase,
            phase_to=rollout.phase,
            weight_from=rollout.weight,
            weight_to=rollout.weight,
            step=rollout.step,
            reason=rollout.reason,
            sentence=sentence,
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """The next state and what leads to it; the rollout in it carries what comes next and why.

    asks: addresses of hooks whose answers it takes to decide; whoever has them decides once more.
    """

    rollout: Rollout
    move: Move | None = None
    notices: tuple[Notice, ...] = ()
    record: Record | None = None
    alert: Alert | None = None
    hooks_to_call: tuple[str, ...] = ()
