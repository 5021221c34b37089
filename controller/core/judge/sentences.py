"""Findings in one sentence each, as a person would repeat them on the phone."""

from dataclasses import dataclass

from controller.core.findings import Label
from controller.core.observation import Answer, Series
from controller.core.policy import LatencyIncrease, SuccessRate, Threshold
from controller.core.rollout import Tally
from controller.core.units import at, format_duration, format_percent, number_text


@dataclass(frozen=True, slots=True)
class Windows:
    """Sentences about a criterion that compares window by window."""

    name: str
    criterion: SuccessRate | Threshold
    tally: Tally
    unit: str

    @property
    def _rate(self) -> bool:
        return isinstance(self.criterion, SuccessRate)

    def _value(self, value: float | None) -> str:
        if value is None:
            return "nothing"
        if isinstance(self.criterion, SuccessRate) or self.criterion.per is not None:
            return format_percent(value, 3)
        return f"{number_text(value)} {self.unit}".rstrip()

    @property
    def _subject(self) -> str:
        if isinstance(self.criterion, SuccessRate):
            return "success"
        per = f" per {self.criterion.per}" if self.criterion.per else ""
        return f"{self.criterion.metric}{per}"

    @property
    def _bound(self) -> str:
        if isinstance(self.criterion, SuccessRate):
            return f"at least {self._value(self.criterion.min)}"
        word = "at most" if self.criterion.max is not None else "at least"
        return f"{word} {self._value(self.criterion.bound)}"

    @property
    def _behind(self) -> str:
        """What stands behind the number."""
        samples = number_text(self.tally.samples)
        if self._rate:
            failed = number_text(self.tally.amount)
            return f"{failed} failures in {samples} requests of this step"
        return f"{samples} samples in this step"

    @property
    def _over(self) -> str:
        return format_duration(self.criterion.over)

    def holds(self) -> str:
        return (
            f"{self.name} holds: {self._subject} was {self._value(self.tally.last)} in the newest "
            f"{self._over}, {self._bound} asked; {self._behind}."
        )

    def fails(self) -> str:
        limit = self.criterion.failure_limit
        row = f"{self.tally.worst} windows of {self._over} in a row" if limit > 1 else self._over
        return (
            f"{self.name} fails: {self._subject} was outside its bound ({self._bound}) for {row}, "
            f"last {self._value(self.tally.last)}; {self._behind}."
        )

    def wavering(self) -> str:
        return (
            f"{self.name} wavers: {self._subject} was {self._value(self.tally.last)} in the newest "
            f"{self._over}, {self._bound} asked; {self.tally.run} of "
            f"{self.criterion.failure_limit} breaches in a row that fail."
        )

    def lacks(self, lack: Label, start: int) -> str:
        """Say what is missing for a verdict."""
        if lack is Label.BAD_DATA:
            return (
                f"{self.name} cannot be judged: datapoints are missing or contradict each other in "
                f"{self.tally.unknown} windows of {self._over}; check the metric names, or set "
                "`missing: zero` where no datapoint means 0."
            )
        if lack is Label.TOO_FEW:
            return (
                f"{self.name} has too few samples: {number_text(self.tally.samples)} of "
                f"{number_text(self.criterion.min_samples)} that a pass needs; "
                f"last {self._value(self.tally.last)}, {self._bound} asked."
            )
        if self.tally.windows == 0:
            return f"{self.name} has no data: no {self._over} since {_time(start)} had a datapoint."
        return (
            f"{self.name} has gone silent: the last datapoints ended {_time(self.tally.last_end)}; "
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
            f"{unit}, {sign}{format_percent(abs(increase), 1)}, at most "
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
        f"{name} holds: {number_text(seen)} requests arrived in this step, at least {wanted} asked."
    )


def no_traffic(name: str, seen: float, wanted: int, start: int) -> str:
    return (
        f"{name} has no data: {number_text(seen)} requests since {_time(start)}, at least "
        f"{wanted} asked; the canary may not be reached."
    )


def unreached(name: str, expected: float, control: float) -> str:
    return (
        f"{name} fails: no request reached the canary while the control counted "
        f"{number_text(control)}; about {number_text(round(expected))} were due."
    )


def _time(second: int) -> str:
    return f"{at(second):%H:%M} UTC"
