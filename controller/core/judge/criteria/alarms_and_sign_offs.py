"""Criteria of kind `alarm` and `attestation`: the state of a CloudWatch alarm, and a statement.

An alarm that was in ALARM before the rollout began says nothing of it until it has been OK. A
statement is signed off or refused by an operator.
"""

from collections.abc import Mapping
from functools import partial
from typing import ClassVar, Final

from controller.core.judge.criterion_judge import (
    Context,
    CriterionJudge,
    Outcome,
    failed,
    passed,
    undecided,
)
from controller.core.judge.evidence import Tally
from controller.core.judge.facts import AlarmFacts, SignOffFacts, Statement
from controller.core.judge.findings import Finding, FindingReason, Label
from controller.core.observation import AlarmReading, AlarmState
from controller.core.policy import Alarm, Attestation, alarm_name
from controller.core.units import MINUTE_S

# --- Alarms ---------------------------------------------------------------------------------------

_OUTCOMES: Final[Mapping[AlarmState, Outcome]] = {
    AlarmState.OK: passed(FindingReason.ALARM_OK),
    AlarmState.ALARM: failed(FindingReason.IN_ALARM),
    AlarmState.INSUFFICIENT_DATA: undecided(Label.NO_DATA, FindingReason.ALARM_WITHOUT_DATA),
    AlarmState.MISSING: undecided(Label.NO_DATA, FindingReason.ALARM_MISSING),
    AlarmState.UNREAD: undecided(Label.QUERY_FAILED, FindingReason.ALARM_UNREAD),
}
_NO_READING: Final = AlarmReading(AlarmState.UNREAD, reason="it was not queried")


class AlarmJudge(CriterionJudge[Alarm]):
    """One alarm, as the tick read it."""

    has_windows: ClassVar[bool] = False

    def alarms(self) -> tuple[str, ...]:
        """Return the alarm."""
        return (self.criterion.alarm,)

    def conclude(self, tally: Tally, context: Context) -> Finding:
        """Return the finding on the state of the alarm.

        An alarm that went into ALARM in the warm-up, and still is, counts.
        """
        evidence, now = context.non_metric, context.open_end - MINUTE_S
        reading = evidence.alarms.get(self.criterion.alarm, _NO_READING)
        outcome = _OUTCOMES[reading.state]
        if now < context.start:
            outcome = undecided(Label.NOT_JUDGED, FindingReason.ALARM_IN_WARM_UP)
        elif reading.state is AlarmState.ALARM and reading.since <= evidence.rollout_start:
            outcome = undecided(Label.ALARM_BEFORE_START, FindingReason.ALARM_BEFORE_START)
        facts = AlarmFacts(alarm_name(self.criterion.alarm), reading.since, reading.reason)
        measured = {AlarmState.OK: 0.0, AlarmState.ALARM: 1.0}.get(reading.state)
        return self.finding(context, outcome, facts, measured=measured, end=now)

    @property
    def no_estimate(self) -> str:
        """What decides instead of a count of requests."""
        return "an alarm decides"

    # --- in words ---------------------------------------------------------------------------------

    def demand_text(self) -> str:
        """Return the state that is asked for."""
        return f"alarm {alarm_name(self.criterion.alarm)} is OK"

    def bound_text(self, bound: float) -> str:
        """Return the state that is asked for."""
        return "OK"

    def value_text(self, value: float, bound: float) -> str:
        """Return the state of the alarm."""
        return "ALARM" if value else "OK"


# --- Attestations ---------------------------------------------------------------------------------


class AttestationJudge(CriterionJudge[Attestation]):
    """One statement, and the answer of an operator for the rest of the rollout."""

    has_windows: ClassVar[bool] = False

    def conclude(self, tally: Tally, context: Context) -> Finding:
        """Return the finding on the sign-off or the refusal."""
        evidence, now = context.non_metric, context.open_end - MINUTE_S
        finding = partial(self.finding, context, bound=1.0, end=now)
        sign_off = evidence.sign_offs.get(self.name)
        if sign_off is None:
            unsigned = Statement(self.criterion.statement, evidence.rollout_id)
            return finding(undecided(Label.NOT_ATTESTED, FindingReason.NOT_ATTESTED), unsigned)
        signature = SignOffFacts(sign_off.by, sign_off.at, sign_off.note)
        if sign_off.refused:
            outcome = failed(FindingReason.REFUSED, Label.REFUSED)
            return finding(outcome, signature, measured=0.0, samples=1)
        outcome = passed(FindingReason.ATTESTED, Label.ATTESTED)
        return finding(outcome, signature, measured=1.0, samples=1)

    @property
    def no_estimate(self) -> str:
        """What decides instead of a count of requests."""
        return "an operator decides"

    # --- in words ---------------------------------------------------------------------------------

    def demand_text(self) -> str:
        """Return the statement."""
        return f'an operator attests "{self.criterion.statement}"'

    def bound_text(self, bound: float) -> str:
        """Return the answer that passes."""
        return "signed"

    def value_text(self, value: float, bound: float) -> str:
        """Return what the operator did."""
        return "signed" if value else "refused"
