"""Findings in one sentence each, as a person would repeat them on the phone."""

from dataclasses import dataclass
from math import ceil, floor, log10

from controller.core.judge.evidence import Tally
from controller.core.judge.findings import Label
from controller.core.observation import QueryStatus, Series
from controller.core.policy import Criterion, LatencyIncrease, SuccessRate, Threshold
from controller.core.stats.binomial import (
    CONFIDENCE,
    failure_bound,
    needed_without_failure,
    rules_out,
)
from controller.core.units import (
    clock_text,
    count_text,
    format_duration,
    format_percent,
    from_unix,
    number_text,
)

_DIGITS = 9


def moment(second: int) -> str:
    """Return a unix second as a person reads it: `2026-11-24 12:00 UTC`."""
    return clock_text(from_unix(second))


def stretch(start: int, end: int) -> str:
    """Return a stretch of time, within a day as `2026-11-24 12:00 to 12:15 UTC`."""
    begin, until = moment(start), moment(end)
    day = begin[: len("2026-11-24 ")]
    if not until.startswith(day):
        return f"{begin} to {until}"
    return f"{begin.removesuffix(' UTC')} to {until.removeprefix(day)}"


def percent(value: float, bound: float, digits: int) -> str:
    """Return `value` with decimals enough to tell it from `bound`, and `bound` itself in full."""
    if value == bound:
        return format_percent(bound, _DIGITS)
    text = format_percent(value, digits)
    same = text == format_percent(bound, digits)
    return percent(value, bound, digits + 1) if same and digits < _DIGITS else text


def number(value: float, bound: float) -> str:
    """Return `value` with digits enough to tell it from `bound`, and `bound` itself in full."""
    text = number_text(value)
    rounded = not (float(value).is_integer() or float(f"{value:.4g}") == value)
    blurred = rounded if value == bound else text == number_text(bound)
    return f"{value:.{_DIGITS}g}" if blurred else text


# --- What a success rate leaves open --------------------------------------------------------------

# More digits than a policy can write, so that no bound is rounded to nothing.
_BOUND_DIGITS = 9


def unshown(asked: float, failures: float, requests: float) -> str:
    """Return how many may fail for all that was seen; nothing where that is what was asked.

    asked: the share of requests that must not fail.
    """
    allowed = 1 - asked
    if rules_out(allowed, ceil(failures), int(requests)):
        return ""
    bound = failure_bound(ceil(failures), int(requests))
    takes = ""
    if allowed <= 0:
        takes = " (no number of requests shows that)"
    elif requests < (needed := needed_without_failure(allowed)):
        takes = f" (that takes {number_text(needed)} without one)"
    return (
        f": at most {_rounded_up(bound)} fail at {CONFIDENCE * 100:g} % confidence, so "
        f"{format_percent(asked)} itself is not shown{takes}"
    )


def _rounded_up(bound: float) -> str:
    """Return a bound above 0 as a percent of three figures, rounded up so that it holds."""
    scale = 10 ** (2 - floor(log10(bound)))
    return format_percent(ceil(bound * scale) / scale, _BOUND_DIGITS)


# --- Sentences ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Windows:
    """Sentences about a criterion that compares window by window, from `start` on."""

    name: str
    criterion: SuccessRate | Threshold
    tally: Tally
    unit: str
    start: int

    @property
    def _limit(self) -> float:
        criterion = self.criterion
        return criterion.min if isinstance(criterion, SuccessRate) else criterion.bound

    @property
    def _at_most(self) -> bool:
        return isinstance(self.criterion, Threshold) and self.criterion.max is not None

    def _value(self, value: float) -> str:
        if isinstance(self.criterion, SuccessRate) or self.criterion.per is not None:
            return percent(value, self._limit, 3)
        return f"{number(value, self._limit)} {self.unit}".rstrip()

    @property
    def _last(self) -> str:
        return self._known(self.tally.last)

    def _known(self, value: float | None) -> str:
        return "nothing" if value is None else self._value(value)

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
            failed = count_text(self.tally.amount, "failure")
            requests = count_text(self.tally.samples, "request")
            return f"{failed} in {requests} since {self._since}"
        return f"{count_text(self.tally.samples, 'sample')} since {self._since}"

    @property
    def _unshown(self) -> str:
        """What so many requests leave open about a rate."""
        if not isinstance(self.criterion, SuccessRate):
            return ""
        return unshown(self.criterion.min, self.tally.amount, self.tally.samples)

    @property
    def _since(self) -> str:
        return moment(self.start)

    @property
    def _over(self) -> str:
        return format_duration(self.criterion.over)

    def holds(self) -> str:
        return (
            f"{self.name} holds: {self._subject} was {self._last} in the newest {self._over}, "
            f"{self._asked}; {self._behind}{self._unshown}."
        )

    def fails(self, seen_until: int) -> str:
        """Say which windows fail; of one that is still open, what was read of it."""
        worst = self.tally.worst
        side = "above" if self._at_most else "below"
        return (
            f"{self.name} fails: {self._subject} was {side} {self._value(self._limit)} in "
            f"{self._row}, from {stretch(worst.start, min(worst.end, seen_until))}, "
            f"last {self._known(worst.value)}; {self._behind}."
        )

    @property
    def _row(self) -> str:
        """How many windows breach; they are in a row only where no silence lies between."""
        worst = self.tally.worst
        if worst.length == 1:
            return f"a window of {self._over}"
        whole = worst.end - worst.start == worst.length * self.criterion.over.total_seconds()
        return f"{worst.length} windows of {self._over} {'in a row' if whole else 'with data'}"

    def wavering(self) -> str:
        return (
            f"{self.name} wavers: {self._subject} was {self._last} in the newest {self._over}, "
            f"{self._asked}; {self.tally.run.length} of {self.criterion.failure_limit} breaches "
            "in a row that fail."
        )

    def lacks(self, lack: Label) -> str:
        """Say what is missing for a verdict."""
        if lack is Label.BAD_DATA:
            return (
                f"{self.name} cannot be judged: datapoints are missing or contradict each other in "
                f"{count_text(self.tally.unknown, 'window')} of {self._over}; check the metric "
                "names, or set `missing: zero` where no datapoint means 0."
            )
        if lack is Label.TOO_FEW:
            failed = count_text(self.tally.amount, "failure")
            reserve = f"; {failed}{self._unshown}" if self._unshown else ""
            return (
                f"{self.name} has too few samples: {number_text(self.tally.samples)} of "
                f"{number_text(self.criterion.min_samples)} that a pass needs; "
                f"last {self._last}, {self._asked}{reserve}."
            )
        if self.tally.windows == 0:
            return (
                f"{self.name} has no data: no window of {self._over} since {self._since} had a "
                "datapoint; check that the canary is reached, and the metric's name and dimensions."
            )
        return (
            f"{self.name} has gone silent: no datapoint since {moment(self.tally.last_end)}; "
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
            f"{unit}, {sign}{percent(abs(increase), self.criterion.max_increase, 1)}, at most "
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
            f"{self.name} has no data: no window since {moment(start)} had {self.criterion.metric} "
            "and its baseline."
        )


def not_yet(name: str, criterion: Criterion) -> str:
    over = format_duration(criterion.window)
    return f"{name} is not judged yet: no window of {over} has closed in this step."


def query_failed(name: str, series: str, answer: Series) -> str:
    """Return why a criterion could not be judged although it was asked for."""
    why = {
        QueryStatus.PARTIAL: "CloudWatch answered in part",
        QueryStatus.ERROR: "CloudWatch did not answer",
        QueryStatus.FORBIDDEN: "CloudWatch refused the query (cloudwatch:GetMetricData)",
        QueryStatus.COMPLETE: "CloudWatch answered",
    }[answer.answer]
    detail = f": {answer.message}" if answer.message else ""
    return f"{name} cannot be judged: {why} for {series}{detail}."


def lost(criterion: Criterion, tally: Tally) -> str:
    """Return how much was never seen, beside whatever the rest says."""
    windows = count_text(tally.lost, "window")
    verb = "was" if tally.lost == 1 else "were"
    return f"{windows} of {format_duration(criterion.window)} {verb} never answered and left out."


def arrived(name: str, seen: float, wanted: int, start: int) -> str:
    return (
        f"{name} holds: {count_text(seen, 'request')} arrived since {moment(start)}, at least "
        f"{number_text(wanted)} asked."
    )


def no_traffic(name: str, seen: float, wanted: int, start: int) -> str:
    return (
        f"{name} has no data: {count_text(seen, 'request')} since {moment(start)}, at least "
        f"{number_text(wanted)} asked; the canary may not be reached."
    )


def unreached(name: str, expected: float, control: float) -> str:
    return (
        f"{name} fails: no request reached the canary while the control counted "
        f"{count_text(control, 'request')}; about {number_text(round(expected))} were due."
    )
