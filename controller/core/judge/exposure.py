"""Exposure: how many bad requests a step is expected to serve until a fault is found. Pure.

The fault is an outage: every request of the canary fails, from the first minute of the step until
0% is written. It costs more than any smaller fault that the criteria find in the bake, because the
judge waits for more than one bad minute however many requests fail.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import islice
from math import ceil
from typing import Any, Final

from controller.core.judge.criterion_judge import Context, CriterionJudge, judge_of
from controller.core.judge.evidence import StepInterval, Tally
from controller.core.judge.gate import Evidence
from controller.core.judge.sequential_evidence import CriterionTests, gate_tests
from controller.core.judge.series import WindowCounts, window_starts
from controller.core.observation import Series
from controller.core.policy import Policy, failure_criteria
from controller.core.stats.combined_tests import SequentialState
from controller.core.units import MINUTE_S, count_text, duration_text, number_text
from controller.immutable import Immutable

# The traffic of an advance is that of the newest closed windows of this length.
LATELY: Final = timedelta(minutes=15)
# From the minute that is final to the tick that reads it and writes 0%.
UNTIL_WRITTEN: Final = timedelta(minutes=1)

_MINUTE: Final = timedelta(minutes=1)
# Windows with requests in which an outage is looked for; what needs more of them is blind to it.
_MOST_WINDOWS: Final = 1_440
_ROUNDING: Final = 1e-9


# --- Traffic --------------------------------------------------------------------------------------


def measured_rate(evidence: Evidence) -> float | None:
    """Return the requests a minute of users lately, on both paths together.

    It follows from the requests of the canary and the weight that is judged. None where they were
    not answered in full, or no criterion of the gate counts them.
    """
    names = failure_criteria(evidence.gate)
    if not names or not evidence.weight:
        return None
    judge = evidence.judge_of(names[0], evidence.gate[names[0]])
    if evidence.incomplete_series_of(judge) is not None:
        return None
    tally = evidence.tally_of(judge)
    starts = window_starts(judge.period_s, tally, evidence.start, evidence.closed_end)
    if starts:
        return rate_lately(judge, evidence.series, starts, evidence.weight)
    # Everything that is final is in the checkpoint: the step as a whole is what is known.
    windows = tally.windows + tally.empty
    return _users_per_minute(judge, tally.counts.samples, windows, evidence.weight)


def rate_lately(
    judge: CriterionJudge[Any], series: Mapping[str, Series], starts: range, weight: int
) -> float | None:
    """Return the requests a minute of users, on both paths, in the newest windows of `starts`.

    Those are the windows of `LATELY`, and one at least. A window without data has no requests.
    None where no window has consistent data.
    """
    measure = judge.measure(series, has_traffic=True)
    newest = starts[-ceil(LATELY.total_seconds() / judge.period_s) :]
    windows = [measure(start) for start in newest]
    known = [window for window in windows if window is None or window.consistent]
    samples = sum(one.counts.samples for one in known if one is not None)
    return _users_per_minute(judge, samples, len(known), weight)


def _users_per_minute(
    judge: CriterionJudge[Any], samples: float, windows: int, weight: int
) -> float | None:
    """Return the requests a minute on both paths, without declared probes of the canary."""
    if not windows or not weight:
        return None
    counted = samples / (windows * judge.period_s / MINUTE_S)
    users = max(0.0, counted - (judge.policy.probes_per_minute or 0))
    return users if judge.policy.diluted_metrics(judge.name) else users * 100 / weight


# --- What is expected -----------------------------------------------------------------------------


class ExpectedExposure(Immutable):
    """What an outage of the canary is expected to cost at one step.

    step, weight: that it would happen at. per_minute: requests a minute of both paths.
    minutes: from its first bad request to the write of 0%. found: False where no criterion finds
    it in the step; minutes are those of the step then, its longest hold included.
    budget: the bad requests that the policy allows; None: it names no number.
    """

    step: int
    weight: int
    per_minute: float
    minutes: int
    found: bool
    budget: int | None

    @property
    def bad_requests(self) -> float:
        """The requests that fail: all of the canary's."""
        return self.per_minute * self.weight / 100 * self.minutes

    @property
    def exceeds(self) -> bool:
        """True where that is more than the policy allows."""
        return self.budget is not None and self.bad_requests > self.budget

    @property
    def text(self) -> str:
        """What is expected, how it was worked out, and what is allowed."""
        lasting = duration_text(self.minutes * _MINUTE)
        until = f"{lasting} until it is rolled back"
        if not self.found:
            until = f"{lasting}, in which no criterion finds it"
        allowed = "" if self.budget is None else f"; max_bad_requests is {number_text(self.budget)}"
        return (
            f"an outage at {self.weight}% is expected to fail "
            f"{count_text(_rounded(self.bad_requests), 'request')} "
            f"({number_text(_rounded(self.per_minute))} a minute x {self.weight}% x "
            f"{until}){allowed}"
        )

    @property
    def fits_at(self) -> float:
        """The requests a minute, of both paths, at which about the budget is expected."""
        return (self.budget or 0) / (self.weight / 100 * self.minutes)


def _rounded(value: float) -> float:
    return round(value) if value >= 10 else float(f"{value:.2g}")


def expected_exposure(policy: Policy, step: int, per_minute: float) -> ExpectedExposure | None:
    """Return what an outage is expected to cost at step number `step`.

    per_minute: requests of both paths, 0 or more. None where no criterion of its gate counts
    failures and decides over the rollout.
    """
    gate = policy.gate(step)
    names = [name for name in failure_criteria(gate) if gate[name].gating]
    if not names:
        return None
    weight, baked = policy.steps[step].weight, policy.planned_time_of(step)
    longest = ceil((baked + policy.longest_hold_of(step)) / _MINUTE)
    tests = gate_tests(policy, step, {})
    found = [
        minutes
        for name in names
        if (minutes := _Outage(policy, step, name, per_minute).found_after(tests, longest))
    ]
    delay = ceil((policy.evaluation_delay + UNTIL_WRITTEN) / _MINUTE)
    minutes = min(found) + delay if found else longest + delay
    budget = policy.max_bad_requests_of(step)
    return ExpectedExposure(step, weight, per_minute, minutes, bool(found), budget)


class _Outage(Immutable):
    """An outage of the canary in steady traffic, as one criterion sees it: every request fails."""

    policy: Policy
    step: int
    criterion: str
    per_minute: float

    def found_after(self, tests: Mapping[str, CriterionTests], longest: int) -> int | None:
        """Return after how many minutes of the step the criterion fails; None: not in `longest`."""
        own = tests.get(self.criterion)
        warmup = ceil(self.policy.warmup_of(self.step) / _MINUTE)
        if own is None:
            return self._breached_after(warmup, longest)
        interval = StepInterval(self.step, 0, warmup * MINUTE_S)
        end = own.rejected_at(interval, self._windows(range(longest), own.judge), SequentialState())
        return None if end is None else end // MINUTE_S

    def _breached_after(self, warmup: int, longest: int) -> int | None:
        """Return the same where closed windows are compared, which begin after the warm-up."""
        criteria = self.policy.criteria
        judge = judge_of(self.criterion, criteria[self.criterion], self.policy)
        period = ceil(judge.criterion.period / _MINUTE)
        tally = Tally()
        for start, window in self._windows(range(max(1, longest // period)), judge):
            end = start + judge.period_s
            tally = judge.fold(tally, {start: window}.get, (start,))
            context = Context(0, end, end, bake_over=False, weight=self._weight)
            if judge.conclude(tally, context).fails:
                # A weight may be applied up to a window before the first one that is judged.
                return warmup + end // MINUTE_S + period - 1
        return None

    @property
    def _weight(self) -> int:
        return self.policy.steps[self.step].weight

    def _windows(
        self, numbers: range, judge: CriterionJudge[Any]
    ) -> Iterator[tuple[int, WindowCounts]]:
        """Yield the begin of each window that has requests, in seconds, and its counts."""
        return islice(self._all_windows(numbers, judge), _MOST_WINDOWS)

    def _all_windows(
        self, numbers: range, judge: CriterionJudge[Any]
    ) -> Iterator[tuple[int, WindowCounts]]:
        canary = self.per_minute * self._weight / 100
        bad = canary * judge.period_s / MINUTE_S
        others = (self.per_minute - canary) * judge.period_s / MINUTE_S
        probes = (self.policy.probes_per_minute or 0) * judge.period_s / MINUTE_S
        diluted = bool(self.policy.diluted_metrics(self.criterion))
        for number in numbers:
            failed = _whole(bad + probes, number)
            good = _whole(others, number) if diluted else 0
            if failed + good:
                start = number * judge.period_s
                yield start, _window(judge, start, failed, good, _whole(others, number))


def _whole(rate: float, number: int) -> int:
    """Return the requests of window `number` where `rate` of them arrive in each, evenly."""
    return int(rate * (number + 1) + _ROUNDING) - int(rate * number + _ROUNDING)


def _counts(counted: Any, failed: int, good: int) -> dict[str, int]:
    """Return what each metric of a success rate, its control or a burn rate counts."""
    successes = getattr(counted, "successes", None) or ()
    names, first = (successes, good) if successes else (counted.failures, failed)
    return {**dict.fromkeys(names, 0), names[0]: first, counted.total: failed + good}


def _window(
    judge: CriterionJudge[Any], start: int, failed: int, good: int, control: int
) -> WindowCounts:
    """Return the window at `start` as `judge` reads it: so many requests of each sort."""
    criterion = judge.criterion
    counts = _counts(criterion, failed, good)
    if getattr(criterion, "control", None) is not None:
        counts |= _counts(criterion.control, 0, control)
    series = {key: Series({start: float(counts[metric])}) for metric, _, key in judge.series_keys}
    window = judge.measure(series, has_traffic=True)(start)
    if window is None:
        raise ValueError(f"{judge.name} counts no requests")
    return window
