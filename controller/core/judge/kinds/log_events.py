"""Events in the log of a function: one that must be absent, or present, while logs arrive.

They are counted in closed, settled minutes, and only as many as tell as much as all would.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from controller.core.judge.evidence import Tally
from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.judge.log_queries import (
    ENOUGH_OF_CONTROL,
    control_from,
    log_keys,
    log_keys_read,
)
from controller.core.judge.series import NO_SERIES, Measure, Window
from controller.core.judge.wording import moment
from controller.core.observation import QueryStatus, Series, Span
from controller.core.policy import LogEvents
from controller.core.units import count_text, format_duration


def measure_events(name: str, series: Mapping[str, Series]) -> Measure:
    """Return how many events a minute has; a minute of a log is never empty, only silent."""
    points = series.get(log_keys(name)[0], NO_SERIES).points

    def measure(start: int) -> Window:
        count = points.get(start, 0.0)
        return Window(0.0, count, count)

    return measure


@dataclass(frozen=True, slots=True)
class Logged:
    """What the log of the step says of one criterion.

    tally: its events. series: what was read since they were sealed, and the control's newest.
    function: whose log it is. start, closed: the judged and settled time, unix seconds.
    read: where its event was looked for now; what is before that is sealed.
    """

    name: str
    criterion: LogEvents
    tally: Tally
    series: Mapping[str, Series]
    function: str
    start: int
    closed: int
    read: Span

    def finding(self) -> Finding:
        """Return what it says, in numbers and in words."""
        most = self.criterion.bound
        if self.criterion.present is None and self.tally.amount > most:
            return self._found(Verdict.FAIL, Label.REFUTED, f"{self.name} fails: {self._seen}.")
        if self.closed <= self.start:
            why = "no minute of its step has settled yet"
            return self._open(Label.NOT_YET, f"{self.name} is not judged yet: {why}.")
        if self._unread:
            return self._open(Label.QUERY_FAILED, f"{self.name} cannot be judged: {self._unread}.")
        if self.criterion.present is not None and self.tally.amount >= most:
            return self._holds()
        if self.read.end < self.closed:
            return self._open(Label.NOT_YET, self._behind)
        if not self._heard:
            return self._open(Label.NO_DATA, self._deaf)
        if self.criterion.present is not None:
            return self._open(
                Label.NOT_YET, f"{self.name} is undecided: {self._seen}; {self._control}."
            )
        return self._holds()

    def _holds(self) -> Finding:
        control = f"; {self._control}" if self._heard else ""
        sentence = f"{self.name} holds: {self._seen}{control}."
        return self._found(Verdict.PASS, Label.NOT_REFUTED, sentence)

    def _open(self, label: Label, sentence: str) -> Finding:
        return self._found(Verdict.INCONCLUSIVE, label, sentence)

    def _found(self, verdict: Verdict, label: Label, sentence: str) -> Finding:
        end = max(self.start, self.closed)
        amount, bound = self.tally.amount, float(self.criterion.bound)
        heard = int(self._heard)
        return Finding(self.name, verdict, label, amount, bound, heard, self.start, end, sentence)

    @property
    def _unread(self) -> str:
        """Why an event could not be counted to the end; empty when all were."""
        keys = log_keys_read(self.name, self.read)
        answers = [self.series.get(key, NO_SERIES) for key in keys]
        failed = next((one for one in answers if one.answer is not QueryStatus.COMPLETE), None)
        return "" if failed is None else failed.message.rstrip(".") or "its log was not read"

    @property
    def _heard(self) -> float:
        """How often the control was logged in the newest stretch."""
        points = self.series.get(log_keys(self.name)[1], NO_SERIES).points
        begin = control_from(self.criterion, self.start, self.closed)
        return sum(n for second, n in points.items() if begin <= second < self.closed)

    @property
    def _group(self) -> str:
        return self.criterion.log_group_of(self.function)

    @property
    def _seen(self) -> str:
        amount, bound = self.tally.amount, self.criterion.bound
        least = "" if amount <= bound else "at least "
        logged = f"was logged {least}{count_text(amount, 'time')}" if amount else "was not logged"
        word = "at least" if self.criterion.present is not None else "at most"
        asked = f"{word} {count_text(bound, 'time')} asked" if bound else "none allowed"
        return (
            f"{self.criterion.event} {logged} in {self._group} since {moment(self.start)}, {asked}"
        )

    @property
    def _control(self) -> str:
        more = "at least " if self._heard >= ENOUGH_OF_CONTROL else ""
        often = f"{more}{count_text(self._heard, 'time')}"
        return f"{self.criterion.control} was logged {often} in the newest {self._newest}"

    @property
    def _newest(self) -> str:
        return format_duration(self.criterion.over)

    @property
    def _behind(self) -> str:
        return (
            f"{self.name} is not judged yet: {self._group} was not read for long, and is read up "
            f"to {moment(self.read.end)} now; the rest follows with each tick."
        )

    @property
    def _deaf(self) -> str:
        return (
            f"{self.name} has no data: {self.criterion.control}, which is logged whatever happens, "
            f"was not logged in {self._group} in the newest {self._newest}; a log into which "
            "nothing arrives proves nothing."
        )
