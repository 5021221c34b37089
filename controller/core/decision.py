"""A decision: the next state of a rollout, and the effects that lead to it.

The tick (`controller.engine`) carries the effects out and decides nothing.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from controller.core.judge.evidence import Tally
from controller.core.judge.findings import Finding
from controller.core.judge.judgement import Judgement
from controller.core.message import Severity
from controller.core.rollout import Phase, Reason, Rollout
from controller.core.stats.combined_tests import SequentialState
from controller.immutable import Immutable, field


class SetWeight(Immutable):
    """A write of a weight above 0%: tried once, under the token that the decision saw.

    It raises traffic, unless an operator restores or sets a lower weight.
    """

    weight: int
    token: str


class SetZero(Immutable):
    """A write of 0%, all traffic back to stable: tried until `within` is over.

    must_succeed: no later tick tries again for long, so a failure is critical at once.
    outdated_token: the token of a raise from 0% that may still be written. While the target has
        this token, 0% is written even where it is live: that changes the token, and the raise no
        longer fits. Empty: there is no such raise.
    only: the one weight that is lowered; any other was set outside rolloutctl. None: any weight.
    """

    within: timedelta
    must_succeed: bool = False
    outdated_token: str = ""
    only: int | None = None


class Notice(Immutable):
    """A message for people, sent once to each recipient.

    kind: the event, where the record of the decision does not name it; else empty.
    has_table: the table of the criteria belongs below the text. `decide` adds it, because a
        backtest, which takes the decisions without it, reads none.
    """

    severity: Severity
    text: str
    kind: str = ""
    has_table: bool = False


Move: TypeAlias = SetWeight | SetZero


class Alert(StrEnum):
    """A condition that gives a tick an exit status of its own."""

    ROLLBACK_UNCONFIRMED = "rollback_unconfirmed"
    DRIFT = "drift"


class Record(Immutable):
    """The content of a new history entry: what changed and why; hash and author are added later.

    keeps_series: the entry stores the series that the decision saw, as transitions and hourly
        evidence do.
    cause: the causes besides the observation, as JSON data: the command of an operator, for
        instance.
    tallies: the evidence in the checkpoint of this entry, by criterion. fold: that of the
        whole rollout, where it adds up.
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
    cause: Mapping[str, object] = field(default_factory=dict)
    tallies: Mapping[str, Tally] = field(default_factory=dict)
    fold: SequentialState = field(default_factory=SequentialState)

    @classmethod
    def of(
        cls,
        kind: str,
        before: Rollout,
        after: Rollout,
        weight_from: int | None,
        now: datetime,
        *,
        reason: Reason | None = None,
        sentence: str | None = None,
        findings: tuple[Finding, ...] | None = None,
        keeps_series: bool = False,
    ) -> "Record":
        """Return the record of a transition from `before` to `after`; both may be the same.

        reason, sentence: those of `after` when left out. findings: those of `before`.
        """
        return cls(
            kind=kind,
            at=now,
            phase_from=before.phase,
            phase_to=after.phase,
            weight_from=weight_from,
            weight_to=after.weight,
            step=after.step,
            reason=reason or after.reason,
            sentence=after.sentence if sentence is None else sentence,
            findings=before.evidence.findings if findings is None else findings,
            keeps_series=keeps_series,
        )


class Decision(Immutable):
    """The next state of a rollout and the effects that lead to it, with what comes before what.

    hooks_to_call: addresses of hooks whose answers are needed. Nothing else is carried out before
        they are called; with their answers, the run decides again.
    move: `SetZero` is written BEFORE anything is saved, and `rollout` is saved whatever came of it.
        `SetWeight` is written once, AFTER `rollout` and `record` are durable, under the token that
        the decision saw.
    rollout, record: the next state and its history entry; saved in one write, with the messages of
        `notices` in the outbox.
    notices: shown in the log and sent to channels and hooks AFTER that write, and sent after the
        move. A message is removed from the outbox after it arrived.
    alert: sets the exit status of the run; nothing is durable for it.
    judgement: that of a tick, for those who look ahead; None of a start and of a command.
    """

    rollout: Rollout
    move: Move | None = None
    notices: tuple[Notice, ...] = ()
    record: Record | None = None
    alert: Alert | None = None
    hooks_to_call: tuple[str, ...] = ()
    judgement: Judgement | None = None
