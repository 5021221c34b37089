"""The exposure of a rollout: the bad requests that it served, and those to expect. Pure.

A bad request is one of the canary that failed, as the first criterion of the step that counts
failures has it. What was served is in the recorded series, so nothing of it is stored apart.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from controller.core.history import Entry
from controller.core.judge.exposure import ExpectedExposure, expected_exposure, rate_lately
from controller.core.judge.queries import queries_for
from controller.core.observation import Series
from controller.core.policy import failure_criteria
from controller.core.rollout import Phase, Rollout
from controller.core.stats.counts import Counts
from controller.core.units import MINUTE_S, ceil_to, floor_to, from_unix
from controller.immutable import Immutable, replace
from controller.operations.recorded.series import (
    Judge,
    RecordedSeries,
    WeightSpan,
    judge_for,
    weight_spans,
    windows_seen,
)


class StepExposure(Immutable):
    """What the recorded minutes of one step cost.

    budget: the bad requests that the policy lets the step be expected to serve; None: it names no
    number. criterion: whose counts these are; empty where none of its gate counts failures.
    counts: requests and failures of the canary, and of the stable path in the same minutes.
    usual: the share of failures that the criterion allows. recorded_to: end of the newest minute
    that is counted, unix seconds; 0 where none is.
    """

    step: int
    weight: int
    budget: int | None
    criterion: str = ""
    counts: Counts = Counts()
    usual: float = 0.0
    recorded_to: int = 0

    @property
    def requests(self) -> float:
        """The requests of the canary."""
        return self.counts.samples

    @property
    def failures(self) -> float:
        """The bad requests."""
        return self.counts.amount

    @property
    def excess(self) -> float:
        """The failures beyond the share of the stable path, or beyond what is allowed."""
        counts, share = self.counts, self.usual
        if counts.control_samples:
            share = counts.control_amount / counts.control_samples
        return max(0.0, counts.amount - share * counts.samples)


class Exposure(Immutable):
    """What a rollout cost so far, and what an outage at its next step is expected to cost.

    duration: how long the canary had traffic. steps: those that were reached, in order.
    expected: at the recorded traffic; None where no step follows, or the traffic is not known.
    """

    duration: timedelta
    steps: tuple[StepExposure, ...] = ()
    expected: ExpectedExposure | None = None

    @property
    def criterion(self) -> str:
        """The first criterion that counts failures; empty where none does."""
        return next((step.criterion for step in self.steps if step.criterion), "")

    @property
    def recorded_to(self) -> datetime | None:
        """The end of the newest minute that is counted; None where none is."""
        end = max((step.recorded_to for step in self.steps), default=0)
        return from_unix(end) if end else None

    @property
    def counts(self) -> Counts:
        """Requests and failures of the canary, and of the stable path in the same minutes."""
        return sum((step.counts for step in self.steps), Counts())

    @property
    def requests(self) -> float:
        """The requests of the canary."""
        return self.counts.samples

    @property
    def failures(self) -> float:
        """The bad requests."""
        return self.counts.amount

    @property
    def excess(self) -> float:
        """The bad requests beyond the share of the stable path, or beyond what is allowed."""
        return sum(step.excess for step in self.steps)

    def at_step(self, step: int) -> StepExposure | None:
        """Return what step number `step` cost; None where it was not reached."""
        return next((one for one in self.steps if one.step == step), None)


def recorded_exposure(rollout: Rollout, entries: Iterable[Entry]) -> Exposure:
    """Return the exposure of `rollout` by its history, of which only the counts are kept."""
    steps = len(rollout.policy.steps)
    judges = filter(None, (_judge(rollout, step) for step in range(steps)))
    series = RecordedSeries(steps, queries_for(judges))
    times = weight_spans(rollout, series.passing(entries))
    return exposure_of(rollout, series.series(), times)


def exposure_of(
    rollout: Rollout, series: Mapping[str, Series], times: Sequence[WeightSpan]
) -> Exposure:
    """Return the exposure of `rollout` by its recorded series and weights."""
    return Exposure(
        duration=sum((one.end - one.begin for one in times), timedelta()),
        steps=tuple(_steps(rollout, series, times)),
        expected=_expected(rollout, series, times),
    )


def _steps(
    rollout: Rollout, series: Mapping[str, Series], times: Sequence[WeightSpan]
) -> Iterator[StepExposure]:
    for step in dict.fromkeys(one.step for one in times):
        weight = rollout.policy.steps[step].weight
        budget = rollout.policy.max_bad_requests_of(step)
        judge = _judge(rollout, step)
        if judge is None:
            yield StepExposure(step, weight, budget)
            continue
        counts, recorded_to = Counts(), 0
        for begin, end in _intervals(step, times, judge.period_s):
            for start, window in windows_seen(judge, series, begin, end):
                counts, recorded_to = counts + window.counts, start + judge.period_s
        # An answer may be counted in a later window than its request: not below 0.
        failed, control = max(0.0, counts.amount), max(0.0, counts.control_amount)
        counts = replace(counts, amount=failed, control_amount=control)
        usual = judge.allowed_failures
        yield StepExposure(step, weight, budget, judge.name, counts, usual, recorded_to)


def _intervals(step: int, times: Sequence[WeightSpan], period_s: int) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each span of a step, unix seconds; no window is in two of them."""
    begins = [floor_to(one.begin, period_s) for one in times]
    ends = [*begins[1:], int(times[-1].end.timestamp())]
    for one, begin, end in zip(times, begins, ends, strict=True):
        if one.step == step:
            yield begin, end


def _judge(rollout: Rollout, step: int) -> Judge | None:
    names = failure_criteria(rollout.policy.gate(step))
    return judge_for(rollout, names[0]) if names else None


def _expected(
    rollout: Rollout, series: Mapping[str, Series], times: Sequence[WeightSpan]
) -> ExpectedExposure | None:
    """Return what an outage at the next step would cost, at the traffic that was recorded last."""
    following = rollout.judged_step + 1
    if rollout.phase not in (Phase.PROGRESSING, Phase.PAUSED) or not times:
        return None
    judge = _judge(rollout, rollout.judged_step)
    if following >= len(rollout.policy.steps) or judge is None:
        return None
    rate = _recorded_rate(judge, series, times[-1])
    return None if rate is None else expected_exposure(rollout.policy, following, rate)


def _recorded_rate(judge: Judge, series: Mapping[str, Series], live: WeightSpan) -> float | None:
    """Return the requests a minute of both paths in the newest final windows of a span."""
    period_s = judge.period_s
    settled = judge.policy.settled_end(live.end)
    begin = ceil_to(ceil_to(int(live.begin.timestamp()), MINUTE_S), period_s)
    seen = windows_seen(judge, series, begin, settled - period_s + 1)
    last = max((start for start, _ in seen), default=None)
    if last is None:
        return None
    return rate_lately(judge, series, range(begin, last + 1, period_s), live.weight)
