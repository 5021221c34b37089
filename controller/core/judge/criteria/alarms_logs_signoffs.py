"""Criteria of kind `alarm`, `attestation` and `log_events`, which read no metric.

A criterion whose kind has no usable model here is never judged.

An alarm that was in ALARM before the rollout began says nothing of it until it has been OK. A
statement is signed off or refused by an operator. An event must be absent or present in the log of
the function: a control event shows that logs arrive at all, and events are counted in closed,
settled minutes, only up to the number that decides.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import ClassVar, Final

from controller.core.judge.criterion_judge import (
    Context,
    CriterionJudge,
    Outcome,
    failed,
    incomplete_series,
    passed,
    undecided,
)
from controller.core.judge.evidence import Tally
from controller.core.judge.facts import (
    AlarmFacts,
    LogBacklog,
    LogFacts,
    MissingKindFacts,
    SignOffFacts,
    Statement,
    UnreadLog,
)
from controller.core.judge.findings import Finding, FindingReason, Label
from controller.core.judge.series import NO_SERIES, Measure, WindowCounts
from controller.core.observation import AlarmReading, AlarmState, LogQuery, Series, Span
from controller.core.policy import Alarm, Attestation, LogEvents, MissingCriterion, alarm_name
from controller.core.stats.counts import Counts
from controller.core.units import MINUTE_S, count_text, format_duration, number_beside

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
    no_estimate: ClassVar[str] = "an alarm decides"

    def alarms(self) -> tuple[str, ...]:
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

    # --- in words ---------------------------------------------------------------------------------

    def demand_text(self) -> str:
        return f"alarm {alarm_name(self.criterion.alarm)} is OK"

    def bound_text(self, bound: float) -> str:
        return "OK"

    def value_text(self, value: float, bound: float) -> str:
        return "ALARM" if value else "OK"


# --- Attestations ---------------------------------------------------------------------------------


class AttestationJudge(CriterionJudge[Attestation]):
    """One statement, and the answer of an operator for the rest of the rollout."""

    has_windows: ClassVar[bool] = False
    no_estimate: ClassVar[str] = "an operator decides"

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

    # --- in words ---------------------------------------------------------------------------------

    def demand_text(self) -> str:
        return f'an operator attests "{self.criterion.statement}"'

    def bound_text(self, bound: float) -> str:
        return "signed"

    def value_text(self, value: float, bound: float) -> str:
        return "signed" if value else "refused"


# What the key of every series of log events begins with.
LOG_KEY_PREFIX = "log:"
# One control event shows that logs arrive; the finding's sentence says how many, up to this.
CONTROL_EVENT_LIMIT = 100
# A tick searches at most this much of a log for an event. It is more than an hour leaves unstored;
# after an outage the rest follows tick by tick, because a search that takes too long is cut off.
MAX_SEARCH_TIME = timedelta(hours=2)


class LogEventsJudge(CriterionJudge[LogEvents]):
    """One event of a log, and the control event beside it."""

    folds_partial: ClassVar[bool] = True
    no_estimate: ClassVar[str] = "events of a log decide"

    # --- what is read -----------------------------------------------------------------------------

    @property
    def group(self) -> str:
        return self.policy.log_group_of(self.criterion)

    @property
    def event_key(self) -> str:
        return f"{LOG_KEY_PREFIX}{self.name}"

    @property
    def control_key(self) -> str:
        return f"{LOG_KEY_PREFIX}{self.name}:control"

    def log_queries(self, stored_end: int, judged_span: Span) -> Iterator[tuple[str, LogQuery]]:
        """Yield the queries for the event, where it was not searched for yet, and its control."""
        if judged_span.start >= judged_span.end:
            return
        criterion, span = self.criterion, self.search_span(stored_end, judged_span)
        if span.start < span.end:
            # One too many, or as many as are required.
            limit = criterion.bound + 1 if criterion.present is None else criterion.bound
            yield self.event_key, LogQuery(self.group, criterion.event, span, limit)
        newest = Span(self._control_start(judged_span.start, judged_span.end), judged_span.end)
        yield (
            self.control_key,
            LogQuery(self.group, criterion.control, newest, CONTROL_EVENT_LIMIT),
        )

    def search_span(self, stored_end: int, judged_span: Span) -> Span:
        """Return where one tick searches for the event; an empty span once all of it is stored."""
        begin, longest = max(judged_span.start, stored_end), int(MAX_SEARCH_TIME.total_seconds())
        return Span(begin, max(begin, min(judged_span.end, begin + longest)))

    def answers(self, series: Mapping[str, Series], searched: Span | None) -> dict[str, Series]:
        """Return the answers for event and control, or for the control alone."""
        searches_event = searched is not None and searched.start < searched.end
        keys = [self.event_key, self.control_key] if searches_event else [self.control_key]
        return {key: series.get(key, NO_SERIES) for key in keys}

    def checkpoint_keys(self) -> list[str]:
        """Return the key of the event: of the control only the newest is read."""
        return [self.event_key]

    def _control_start(self, start: int, closed_end: int) -> int:
        return max(start, closed_end - int(self.criterion.window.total_seconds()))

    # --- what follows -----------------------------------------------------------------------------

    def measure(self, series: Mapping[str, Series], *, has_traffic: bool) -> Measure:
        """Return the function that counts the events of a minute: without any it has 0."""
        points = series.get(self.event_key, NO_SERIES).points

        def measure(start: int) -> WindowCounts:
            count = points.get(start, 0.0)
            return WindowCounts(Counts(0.0, count), count)

        return measure

    def conclude(self, tally: Tally, context: Context) -> Finding:
        """Return the finding on the events of the step, beside the newest control events."""
        amount, limit, requires = tally.counts.amount, self.criterion.bound, self._requires_event
        control_count = self._control_count(context)
        finding = partial(
            self.finding,
            context,
            measured=amount,
            bound=float(limit),
            samples=control_count,
            end=context.closed_end,
        )
        facts = self._facts(control_count)
        if not requires and amount > limit:
            return finding(failed(FindingReason.EVENT_LOGGED), facts)
        if context.closed_end <= context.start:
            return finding(undecided(Label.NOT_JUDGED, FindingReason.NO_MINUTE_YET), facts)
        failure = incomplete_series(self.answers(context.series, context.search_span))
        if failure is not None:
            unread = UnreadLog(failure[1].message.rstrip("."))
            return finding(undecided(Label.QUERY_FAILED, FindingReason.LOG_UNREAD), facts, unread)
        if requires and amount >= limit:
            return finding(passed(FindingReason.EVENTS_FIT), facts)
        if context.search_span.end < context.closed_end:
            backlog = LogBacklog(context.search_span.end)
            return finding(undecided(Label.NOT_JUDGED, FindingReason.LOG_BACKLOG), facts, backlog)
        if not control_count:
            return finding(undecided(Label.NO_DATA, FindingReason.NO_CONTROL_EVENT), facts)
        if requires:
            return finding(undecided(Label.NOT_JUDGED, FindingReason.TOO_FEW_EVENTS), facts)
        return finding(passed(FindingReason.EVENTS_FIT), facts)

    def _facts(self, control_count: float) -> LogFacts:
        return LogFacts(
            event=self.criterion.event,
            side="at least" if self._requires_event else "at most",
            group=self.group,
            control=self.criterion.control,
            control_events=control_count,
            control_limit=CONTROL_EVENT_LIMIT,
            control_window=format_duration(self.criterion.window),
        )

    @property
    def _requires_event(self) -> bool:
        return self.criterion.present is not None

    def _control_count(self, context: Context) -> float:
        """Return how often the control event was logged in the newest window."""
        points = context.series.get(self.control_key, NO_SERIES).points
        begin = self._control_start(context.start, context.closed_end)
        return sum(n for second, n in points.items() if begin <= second < context.closed_end)

    # --- in words ---------------------------------------------------------------------------------

    def demand_text(self) -> str:
        criterion, times = self.criterion, count_text(self.criterion.bound, "time")
        if self._requires_event:
            demand = f"{criterion.event} is logged at least {times} in the step"
        elif criterion.bound:
            demand = f"{criterion.event} is logged at most {times} in the step"
        else:
            demand = f"{criterion.event} is not logged in the step"
        return (
            f"{demand}, in {self.group}; {criterion.control} in "
            f"the newest {format_duration(criterion.window)} shows that logs arrive"
        )

    @property
    def bound(self) -> float:
        """How many events are asked for, or allowed."""
        return float(self.criterion.bound)

    def bound_text(self, bound: float) -> str:
        return f"{'≥' if self._requires_event else '≤'} {number_beside(bound, bound)} events"


# --- A kind that is not installed -----------------------------------------------------------------


class MissingCriterionJudge(CriterionJudge[MissingCriterion]):
    """A criterion that keeps its rollout from every raise, and says why."""

    has_windows: ClassVar[bool] = False
    no_estimate: ClassVar[str] = "the package of the kind is missing"

    def conclude(self, tally: Tally, context: Context) -> Finding:
        """Return the finding that nothing was judged."""
        outcome = undecided(Label.NOT_JUDGED, FindingReason.KIND_MISSING)
        facts = MissingKindFacts(self.criterion.problem)
        return self.finding(context, outcome, facts, end=context.closed_end)

    def demand_text(self) -> str:
        return self.criterion.problem

    def bound_text(self, bound: float) -> str:
        return "the package of its kind"
