"""Criteria of kind `log_events`: an event that must be absent or present in the function's log.

A control event shows that logs arrive at all. Events are counted in closed, settled minutes, and
only up to the number that decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from controller.core.judge.evidence import Tally
from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.judge.log_queries import (
    CONTROL_EVENT_LIMIT,
    control_window_start,
    log_keys,
    log_keys_to_read,
)
from controller.core.judge.series import NO_SERIES, Measure, Window
from controller.core.judge.wording import utc_text
from controller.core.observation import QueryStatus, Series, Span
from controller.core.policy import LogEvents
from controller.core.units import count_text, format_duration


def measure_events(name: str, series: Mapping[str, Series]) -> Measure:
    """Return the function that counts the events of a minute; without any it has 0, not no data."""
    points = series.get(log_keys(name)[0], NO_SERIES).points

    def measure(start: int) -> Window:
        count = points.get(start, 0.0)
        return Window(0.0, count, count)

    return measure


@dataclass(frozen=True, slots=True)
class LogEvidence:
    """The log events of one criterion in its step.

    tally: of its event. series: what was read since the tally was sealed, and the control's newest.
    group: its log group. start, closed_end: the judged and settled time, unix seconds.
    search_span: where the event was searched for now; what is before that is sealed.
    """

    name: str
    criterion: LogEvents
    tally: Tally
    series: Mapping[str, Series]
    group: str
    start: int
    closed_end: int
    search_span: Span

    def finding(self) -> Finding:
        """Return the finding on the criterion."""
        limit = self.criterion.bound
        if self.criterion.present is None and self.tally.amount > limit:
            return self._finding(
                Verdict.FAIL, Label.REFUTED, f"{self.name} fails: {self._event_text}."
            )
        if self.closed_end <= self.start:
            why = "no minute of its step has settled yet"
            return self._inconclusive(Label.NOT_JUDGED, f"{self.name} is not judged yet: {why}.")
        if self._query_failure:
            return self._inconclusive(
                Label.QUERY_FAILED, f"{self.name} cannot be judged: {self._query_failure}."
            )
        if self.criterion.present is not None and self.tally.amount >= limit:
            return self._pass()
        if self.search_span.end < self.closed_end:
            return self._inconclusive(Label.NOT_JUDGED, self._backlog_text)
        if not self._control_count:
            return self._inconclusive(Label.NO_DATA, self._no_control_text)
        if self.criterion.present is not None:
            return self._inconclusive(
                Label.NOT_JUDGED,
                f"{self.name} is undecided: {self._event_text}; {self._control_text}.",
            )
        return self._pass()

    def _pass(self) -> Finding:
        control = f"; {self._control_text}" if self._control_count else ""
        sentence = f"{self.name} holds: {self._event_text}{control}."
        return self._finding(Verdict.PASS, Label.NOT_REFUTED, sentence)

    def _inconclusive(self, label: Label, sentence: str) -> Finding:
        return self._finding(Verdict.INCONCLUSIVE, label, sentence)

    def _finding(self, verdict: Verdict, label: Label, sentence: str) -> Finding:
        end = max(self.start, self.closed_end)
        amount, bound = self.tally.amount, float(self.criterion.bound)
        control_count = int(self._control_count)
        return Finding(
            self.name, verdict, label, amount, bound, control_count, self.start, end, sentence
        )

    @property
    def _query_failure(self) -> str:
        """Why a search did not reach its end; empty when all did."""
        keys = log_keys_to_read(self.name, self.search_span)
        answers = [self.series.get(key, NO_SERIES) for key in keys]
        failure = next((one for one in answers if one.answer is not QueryStatus.COMPLETE), None)
        return "" if failure is None else failure.message.rstrip(".") or "its log was not read"

    @property
    def _control_count(self) -> float:
        """How often the control event was logged in the newest window."""
        points = self.series.get(log_keys(self.name)[1], NO_SERIES).points
        begin = control_window_start(self.criterion, self.start, self.closed_end)
        return sum(n for second, n in points.items() if begin <= second < self.closed_end)

    @property
    def _event_text(self) -> str:
        amount, bound = self.tally.amount, self.criterion.bound
        at_least = "" if amount <= bound else "at least "
        occurrence = (
            f"was logged {at_least}{count_text(amount, 'time')}" if amount else "was not logged"
        )
        side = "at least" if self.criterion.present is not None else "at most"
        limit_text = f"{side} {count_text(bound, 'time')} asked" if bound else "none allowed"
        since = f"since {utc_text(self.start)}"
        return f"{self.criterion.event} {occurrence} in {self.group} {since}, {limit_text}"

    @property
    def _control_text(self) -> str:
        more = "at least " if self._control_count >= CONTROL_EVENT_LIMIT else ""
        times = f"{more}{count_text(self._control_count, 'time')}"
        return f"{self.criterion.control} was logged {times} in the newest {self._window_text}"

    @property
    def _window_text(self) -> str:
        return format_duration(self.criterion.over)

    @property
    def _backlog_text(self) -> str:
        return (
            f"{self.name} is not judged yet: {self.group} was not read for long, and is read up "
            f"to {utc_text(self.search_span.end)} now; the rest follows with each tick."
        )

    @property
    def _no_control_text(self) -> str:
        return (
            f"{self.name} has no data: {self.criterion.control}, which is logged whatever happens, "
            f"was not logged in {self.group} in the newest {self._window_text}; a log into which "
            "nothing arrives proves nothing."
        )
