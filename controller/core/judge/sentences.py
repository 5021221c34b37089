"""Findings in one sentence each, as a person would repeat them on the phone."""

from dataclasses import dataclass

from controller.core.findings import Label
from controller.core.observation import Answer, Series
from controller.core.policy import Criterion, LatencyIncrease, SuccessRate, Threshold
from controller.core.rollout import Tally
from controller.core.units import at, clock_text, format_duration, format_percent, number_text

_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Windows:
    """Sentences about a criterion that compares window by window."""

    name: str
    criterion: SuccessRate | Threshold
    tally: Tally
    unit: str

    @property
    def _limit(self) -> float:
        criterion = self.criterion
        return criterion.min if isinstance(criterion, SuccessRate) else criterion.bound

    @property
    def _at_most(self) -> bool:
        return isinstance(self.criterion, Threshold) and self.criterion.max is not None

    def _value(self, value: float) -> str:
        if isinstance(self.criterion, SuccessRate) or self.criterion.per is not None:
            return _percent(value, self._limit, 3)
        return f"{_number(value, self._limit)} {self.unit}".rstrip()

    @property
    def _last(self) -> str:
        return "nothing" if self.tally.last is None else self._value(self.tally.last)

    @property
    def _subject(self) -> str:
        if isinstance(self.criterion, SuccessRate):
            return "success"
        per = f" per {self.criterion.per}" if self.criterion.per else ""
        return f"{self.criterion.metric}{per}"

    @property
    def _asked(self) -> str:
        return f"{'at most' if self._at_most else 'at least'} {self._value(self._limit)} asked"

    @property
    def _behind(self) -> str:
        """What stands behind the number."""
        if isinstance(self.criterion, SuccessRate):
            failed = _count(self.tally.amount, "failure")
            return f"{failed} in {_count(self.tally.samples, 'request')} of this step"
        return f"{_count(self.tally.samples, 'sample')} in this step"

    @property
    def _over(self) -> str:
        return format_duration(self.criterion.over)

    def holds(self) -> str:
        return (
            f"{self.name} holds: {self._subject} was {self._last} in the newest {self._over}, "
            f"{self._asked}; {self._behind}."
        )

    def fails(self) -> str:
        limit, worst = self.criterion.failure_limit, self.tally.worst
        row = (
            f"{worst} windows of {self._over} in a row"
            if limit > 1
            else f"a window of {self._over}"
        )
        side = "above" if self._at_most else "below"
        return (
            f"{self.name} fails: {self._subject} was {side} {self._value(self._limit)} in {row}, "
            f"last {self._last}; {self._behind}."
        )

    def wavering(self) -> str:
        return (
            f"{self.name} wavers: {self._subject} was {self._last} in the newest {self._over}, "
            f"{self._asked}; {self.tally.run} of {self.criterion.failure_limit} breaches in a row "
            "that fail."
        )

    def lacks(self, lack: Label, start: int) -> str:
        """Say what is missing for a verdict."""
        if lack is Label.BAD_DATA:
            return (
                f"{self.name} cannot be judged: datapoints are missing or contradict each other in "
                f"{_count(self.tally.unknown, 'window')} of {self._over}; check the metric names, "
                "or set `missing: zero` where no datapoint means 0."
            )
        if lack is Label.TOO_FEW:
            return (
                f"{self.name} has too few samples: {number_text(self.tally.samples)} of "
                f"{number_text(self.criterion.min_samples)} that a pass needs; "
                f"last {self._last}, {self._asked}."
            )
        if self.tally.windows == 0:
            return (
                f"{self.name} has no data: no window of {self._over} since {_time(start)} had a "
                "datapoint; check that the canary is reached, and the metric's name and dimensions."
            )
        return (
            f"{self.name} has gone silent: no datapoint since {_time(self.tally.last_end)}; "
            f"{self._behind}."
        )


@dataclass(frozen=True, slots=True)
class Latency:
    """Sentences about a latency that is compared with a baseline."""

    name: str
    criterion: LatencyIncrease
    tally: Tally
    unit: str

    def _compared(self, increase: float, baseline: float) -> str:
        canary = number_text(round(baseline * (1 + increase), 1))
        unit = f" {self.unit}".rstrip()
        sign = "+" if increase >= 0 else "-"
        return (
            f"{self.criterion.metric} was {canary}{unit} against {number_text(round(baseline, 1))}"
            f"{unit}, {sign}{_percent(abs(increase), self.criterion.max_increase, 1)}, at most "
            f"+{format_percent(self.criterion.max_increase)} asked; "
            f"n = {number_text(self.tally.samples)}"
        )

    def holds(self, increase: float, baseline: float) -> str:
        return f"{self.name} holds: {self._compared(increase, baseline)}."

    def fails(self, increase: float, baseline: float) -> str:
        return f"{self.name} fails: {self._compared(increase, baseline)}."

    def so_far(self, increase: float, baseline: float) -> str:
        compared = self._compared(increase, baseline)
        return f"{self.name} is judged at the end of the bake; so far {compared}."

    def too_few(self, control_samples: float) -> str:
        side = "canary" if self.tally.samples <= control_samples else "baseline"
        seen = min(self.tally.samples, control_samples)
        return (
            f"{self.name} has too few samples: {number_text(seen)} on the {side} of "
            f"{number_text(self.criterion.min_samples)} that a comparison needs."
        )

    def silent(self, start: int) -> str:
        return (
            f"{self.name} has no data: no window since {_time(start)} had {self.criterion.metric} "
            "and its baseline."
        )


def not_yet(name: str, criterion: Criterion) -> str:
    over = format_duration(criterion.window)
    return f"{name} is not judged yet: no window of {over} has closed in this step."


def query_failed(name: str, series: str, answer: Series) -> str:
    """Return why a criterion could not be judged although it was asked for."""
    why = {
        Answer.PARTIAL: "CloudWatch answered in part",
        Answer.ERROR: "CloudWatch did not answer",
        Answer.FORBIDDEN: "CloudWatch refused the query (cloudwatch:GetMetricData)",
        Answer.COMPLETE: "CloudWatch answered",
    }[answer.answer]
    detail = f": {answer.message}" if answer.message else ""
    return f"{name} cannot be judged: {why} for {series}{detail}."


def arrived(name: str, seen: float, wanted: int) -> str:
    return (
        f"{name} holds: {_count(seen, 'request')} arrived in this step, at least "
        f"{number_text(wanted)} asked."
    )


def no_traffic(name: str, seen: float, wanted: int, start: int) -> str:
    return (
        f"{name} has no data: {_count(seen, 'request')} since {_time(start)}, at least "
        f"{number_text(wanted)} asked; the canary may not be reached."
    )


def unreached(name: str, expected: float, control: float) -> str:
    return (
        f"{name} fails: no request reached the canary while the control counted "
        f"{_count(control, 'request')}; about {number_text(round(expected))} were due."
    )


def _time(second: int) -> str:
    return clock_text(at(second))


def _count(number: float, noun: str) -> str:
    return f"{number_text(number)} {noun}" + ("" if number == 1 else "s")


def _percent(value: float, bound: float, digits: int) -> str:
    """Return `value` with as many decimals as it takes to tell it from `bound`."""
    text = format_percent(value, digits)
    same = text == format_percent(bound, digits) and value != bound
    return _percent(value, bound, digits + 1) if same and digits < _DIGITS else text


def _number(value: float, bound: float) -> str:
    """Return `value` with more digits where it would read like `bound` and is not."""
    text = number_text(value)
    same = text == number_text(bound) and value != bound
    return f"{value:.{_DIGITS}g}" if same else text
