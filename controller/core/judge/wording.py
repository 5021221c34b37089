"""The sentences of findings: what was measured, the limit, and what is behind the number.

Here are numbers and times as text, the confidence of a success rate, and the sentences of criteria
that are judged window by window. `sequential_wording` has those of the sequential judge.
"""

from dataclasses import dataclass
from math import ceil, floor, log10

from controller.core.judge.evidence import Tally
from controller.core.judge.findings import Label
from controller.core.observation import QueryStatus, Series
from controller.core.policy import (
    Criterion,
    LatencyIncrease,
    MeasuredCriterion,
    SuccessRate,
    Threshold,
)
from controller.core.stats.binomial import (
    CONFIDENCE,
    failure_bound,
    rules_out,
    zero_failure_sample_size,
)
from controller.core.units import (
    clock_text,
    count_text,
    format_duration,
    format_percent,
    from_unix,
    number_text,
)

# More digits than a policy can write, so that no bound is rounded to nothing.
_MAX_DIGITS = 9


# --- Times and numbers ----------------------------------------------------------------------------


def utc_text(second: int) -> str:
    """Return a unix second as text: `2026-11-24 12:00 UTC`."""
    return clock_text(from_unix(second))


def time_range_text(start: int, end: int) -> str:
    """Return a range of unix seconds as text, within a day `2026-11-24 12:00 to 12:15 UTC`."""
    begin, until = utc_text(start), utc_text(end)
    day = begin[: len("2026-11-24 ")]
    if not until.startswith(day):
        return f"{begin} to {until}"
    return f"{begin.removesuffix(' UTC')} to {until.removeprefix(day)}"


def percent(value: float, bound: float, digits: int) -> str:
    """Return `value` as a percent, with enough decimals to differ from `bound`.

    `bound` itself is written in full.
    """
    if value == bound:
        return format_percent(bound, _MAX_DIGITS)
    text = format_percent(value, digits)
    same = text == format_percent(bound, digits)
    return percent(value, bound, digits + 1) if same and digits < _MAX_DIGITS else text


def number(value: float, bound: float) -> str:
    """Return `value` with enough digits to differ from `bound`; `bound` itself is in full."""
    text = number_text(value)
    rounded = not (float(value).is_integer() or float(f"{value:.4g}") == value)
    blurred = rounded if value == bound else text == number_text(bound)
    return f"{value:.{_MAX_DIGITS}g}" if blurred else text


# --- Confidence of a success rate -----------------------------------------------------------------


def confidence_note(objective: float, failures: float, requests: float) -> str:
    """Return the failure rate that the counts leave possible; nothing where it meets `objective`.

    objective: the share of requests that must not fail, as a fraction.
    """
    allowed = 1 - objective
    if rules_out(allowed, ceil(failures), int(requests)):
        return ""
    bound = failure_bound(ceil(failures), int(requests))
    sample_size_note = ""
    if allowed <= 0:
        sample_size_note = " (no number of requests shows that)"
    elif requests < (needed := zero_failure_sample_size(allowed)):
        sample_size_note = f" (that takes {number_text(needed)} without one)"
    return (
        f": at most {_rounded_up(bound)} fail at {CONFIDENCE * 100:g} % confidence, so "
        f"{format_percent(objective)} itself is not shown{sample_size_note}"
    )


def _rounded_up(bound: float) -> str:
    """Return a bound above 0 as a percent of three figures, rounded up so that it holds."""
    scale = 10 ** (2 - floor(log10(bound)))
    return format_percent(ceil(bound * scale) / scale, _MAX_DIGITS)


# --- Criteria judged window by window -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WindowSentences:
    """Sentences about a criterion whose windows are compared with a bound.

    unit: of its metric. start: begin of the first judged window, unix seconds.
    """

    name: str
    criterion: SuccessRate | Threshold | MeasuredCriterion
    tally: Tally
    unit: str
    start: int

    @property
    def _limit(self) -> float:
        criterion = self.criterion
        return criterion.min if isinstance(criterion, SuccessRate) else criterion.bound

    @property
    def _has_maximum(self) -> bool:
        if isinstance(self.criterion, MeasuredCriterion):
            return self.criterion.is_maximum
        return isinstance(self.criterion, Threshold) and self.criterion.max is not None

    def _value(self, value: float) -> str:
        if isinstance(self.criterion, MeasuredCriterion):
            return f"{number(value, self._limit)} {self.criterion.unit}".rstrip()
        if isinstance(self.criterion, SuccessRate) or self.criterion.per is not None:
            return percent(value, self._limit, 3)
        return f"{number(value, self._limit)} {self.unit}".rstrip()

    @property
    def _last_value(self) -> str:
        return self._optional_value(self.tally.last)

    def _optional_value(self, value: float | None) -> str:
        return "nothing" if value is None else self._value(value)

    @property
    def _subject(self) -> str:
        if isinstance(self.criterion, SuccessRate):
            return "success"
        if isinstance(self.criterion, MeasuredCriterion):
            return self.criterion.subject
        per = f" per {self.criterion.per}" if self.criterion.per else ""
        return f"{self.criterion.metric}{per}"

    @property
    def _limit_text(self) -> str:
        return f"{'at most' if self._has_maximum else 'at least'} {self._value(self._limit)} asked"

    @property
    def _counts_text(self) -> str:
        """How many requests or samples are behind the number."""
        if isinstance(self.criterion, SuccessRate):
            failures = count_text(self.tally.amount, "failure")
            requests = count_text(self.tally.samples, "request")
            return f"{failures} in {requests} since {self._since}"
        return f"{count_text(self.tally.samples, 'sample')} since {self._since}"

    @property
    def _confidence_note(self) -> str:
        """What the counts leave possible for a success rate; empty for a threshold."""
        if not isinstance(self.criterion, SuccessRate):
            return ""
        return confidence_note(self.criterion.min, self.tally.amount, self.tally.samples)

    @property
    def _since(self) -> str:
        return utc_text(self.start)

    @property
    def _window_text(self) -> str:
        return format_duration(self.criterion.over)

    def passes(self) -> str:
        return (
            f"{self.name} holds: {self._subject} was {self._last_value} in the newest "
            f"{self._window_text}, {self._limit_text}; {self._counts_text}{self._confidence_note}."
        )

    def fails(self, open_end: int) -> str:
        """Return which windows fail; one that is still open ends at `open_end`, unix seconds."""
        worst = self.tally.worst
        side = "above" if self._has_maximum else "below"
        return (
            f"{self.name} fails: {self._subject} was {side} {self._value(self._limit)} in "
            f"{self._breaches_text}, from "
            f"{time_range_text(worst.start, min(worst.end, open_end))}, "
            f"last {self._optional_value(worst.value)}; {self._counts_text}."
        )

    @property
    def _breaches_text(self) -> str:
        """How many windows breach; they are in a row only where each window had data."""
        worst = self.tally.worst
        if worst.length == 1:
            return f"a window of {self._window_text}"
        whole = worst.end - worst.start == worst.length * self.criterion.over.total_seconds()
        return (
            f"{worst.length} windows of {self._window_text} {'in a row' if whole else 'with data'}"
        )

    def breaching(self) -> str:
        return (
            f"{self.name} wavers: {self._subject} was {self._last_value} in the newest "
            f"{self._window_text}, {self._limit_text}; {self.tally.run.length} of "
            f"{self.criterion.failure_limit} breaches in a row that fail."
        )

    def inconclusive(self, lack: Label) -> str:
        """Return what is missing for a verdict."""
        if lack is Label.BAD_DATA:
            return (
                f"{self.name} cannot be judged: datapoints are missing or contradict each other in "
                f"{count_text(self.tally.unknown, 'window')} of {self._window_text}; check the "
                "metric names, or set `missing: zero` where no datapoint means 0."
            )
        if lack is Label.TOO_FEW:
            failures = count_text(self.tally.amount, "failure")
            confidence = f"; {failures}{self._confidence_note}" if self._confidence_note else ""
            return (
                f"{self.name} has too few samples: {number_text(self.tally.samples)} of "
                f"{number_text(self.criterion.min_samples)} that a pass needs; "
                f"last {self._last_value}, {self._limit_text}{confidence}."
            )
        if self.tally.windows == 0:
            return (
                f"{self.name} has no data: no window of {self._window_text} since {self._since} "
                "had a datapoint; check that the canary is reached, and the metric's name and "
                "dimensions."
            )
        return (
            f"{self.name} has gone silent: no datapoint since {utc_text(self.tally.last_end)}; "
            f"{self._counts_text}."
        )


@dataclass(frozen=True, slots=True)
class LatencySentences:
    """Sentences about a latency that is compared with a baseline; unit: of its metric."""

    name: str
    criterion: LatencyIncrease
    tally: Tally
    unit: str

    def _comparison(self, increase: float, baseline: float) -> str:
        canary = number_text(round(baseline * (1 + increase), 1))
        unit = f" {self.unit}".rstrip()
        sign = "+" if increase >= 0 else "-"
        return (
            f"{self.criterion.metric} was {canary}{unit} against {number_text(round(baseline, 1))}"
            f"{unit}, {sign}{percent(abs(increase), self.criterion.max_increase, 1)}, at most "
            f"+{format_percent(self.criterion.max_increase)} asked; "
            f"n = {number_text(self.tally.samples)}"
        )

    def passes(self, increase: float, baseline: float) -> str:
        return f"{self.name} holds: {self._comparison(increase, baseline)}."

    def fails(self, increase: float, baseline: float) -> str:
        return f"{self.name} fails: {self._comparison(increase, baseline)}."

    def so_far(self, increase: float, baseline: float) -> str:
        comparison = self._comparison(increase, baseline)
        return f"{self.name} is judged at the end of the bake; so far {comparison}."

    def too_few(self, control_samples: float) -> str:
        side = "canary" if self.tally.samples <= control_samples else "baseline"
        samples = min(self.tally.samples, control_samples)
        return (
            f"{self.name} has too few samples: {number_text(samples)} on the {side} of "
            f"{number_text(self.criterion.min_samples)} that a comparison needs."
        )

    def no_data(self, start: int) -> str:
        return (
            f"{self.name} has no data: no window since {utc_text(start)} had "
            f"{self.criterion.metric} and its baseline."
        )


# --- Traffic --------------------------------------------------------------------------------------


def enough_traffic(name: str, requests: float, minimum: int, start: int) -> str:
    return (
        f"{name} holds: {count_text(requests, 'request')} arrived since {utc_text(start)}, at "
        f"least {number_text(minimum)} asked."
    )


def no_traffic(name: str, requests: float, minimum: int, start: int) -> str:
    return (
        f"{name} has no data: {count_text(requests, 'request')} since {utc_text(start)}, at least "
        f"{number_text(minimum)} asked; the canary may not be reached."
    )


def canary_unreached(name: str, expected: float, control: float) -> str:
    return (
        f"{name} fails: no request reached the canary while the control counted "
        f"{count_text(control, 'request')}; about {number_text(round(expected))} were due."
    )


# --- Missing windows and failed queries -----------------------------------------------------------


def not_judged_yet(name: str, criterion: Criterion) -> str:
    window = format_duration(criterion.window)
    return f"{name} is not judged yet: no window of {window} has closed in this step."


def query_failed(name: str, series: str, answer: Series) -> str:
    """Return that a criterion cannot be judged because the query for `series` failed, and why."""
    why = {
        QueryStatus.PARTIAL: "CloudWatch answered in part",
        QueryStatus.ERROR: "CloudWatch did not answer",
        QueryStatus.FORBIDDEN: "CloudWatch refused the query (cloudwatch:GetMetricData)",
        QueryStatus.COMPLETE: "CloudWatch answered",
    }[answer.answer]
    detail = f": {answer.message}" if answer.message else ""
    return f"{name} cannot be judged: {why} for {series}{detail}."


def unanswered_windows(criterion: Criterion, tally: Tally) -> str:
    """Return how many windows were given up unanswered: a sentence to add to any finding."""
    windows = count_text(tally.lost, "window")
    verb = "was" if tally.lost == 1 else "were"
    return f"{windows} of {format_duration(criterion.window)} {verb} never answered and left out."
