"""How soon a sequential criterion fails: its tests, run on the minutes of simulated requests.

So the delays are those of the judge. Where no baseline was read, the latency is taken to vary as
that of docs/contributors/judge.md does.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from functools import cached_property
from math import ceil, exp, expm1, inf, log, sqrt
from random import Random
from statistics import NormalDist, median
from typing import Any, NamedTuple, TypeAlias

from controller.core.judge.evidence import BaselineMeasurement, StepInterval
from controller.core.judge.latency_tail import TailJudge
from controller.core.judge.sequential import SequentialJudge
from controller.core.judge.sequential_evidence import CriterionTests, gate_tests
from controller.core.judge.series import WindowCounts
from controller.core.policy import ConcurrentBaseline, FrozenBaseline, Policy
from controller.core.policy.comparison import Increase
from controller.core.stats.combined_tests import SequentialState
from controller.core.stats.counts import Counts
from controller.core.stats.eprocess import EProcessState
from controller.core.units import MINUTE_S
from controller.immutable import Immutable

# Standard deviation of the log of a latency, where it was not measured.
SIGMA = 0.5
_NORMAL = NormalDist()

_ROUNDING = 1e-9

# Rollouts that a median is of: fewer of long ones, whose minutes even out.
_MOST_DRAWS, _FEWEST_DRAWS, _DRAWN_MINUTES = 101, 5, 5_000
# Minutes of a step before that are taken into account: later ones change next to nothing.
_MOST_MINUTES_BEFORE = 240
# So many requests are drawn from a normal distribution.
_NORMAL_FROM = 50.0
# Variance between blocks of a latency that was not measured, as a share of the binomial variance of
# one request: of a day against its mean, of hours against the same ones, beside a control.
_OF_A_DAY, _OF_THE_HOUR, _BESIDE = 0.083, 0.016, 0.002


class RequestRates(NamedTuple):
    """Requests a minute on the canary and on the stable path (`control`)."""

    canary: float
    control: float

    @classmethod
    def at(cls, weight: int, per_minute: float) -> "RequestRates":
        """Return the rates of both paths for `per_minute` requests, at `weight` percent."""
        return cls(per_minute * weight / 100, per_minute * (100 - weight) / 100)

    @property
    def joint_share(self) -> float:
        """The share of minutes in which both paths have a request (Poisson arrivals)."""
        return expm1(-self.canary) * expm1(-self.control)

    def paired(self) -> "RequestRates":
        """Return the requests a minute that fall into minutes in which both paths have one."""
        return RequestRates(
            -self.canary * expm1(-self.control), -self.control * expm1(-self.canary)
        )


_PathCounts: TypeAlias = tuple[int, int, int, int]
"""Requests of the canary in a minute, and those that count against it; the same of the control."""


class DetectionModel(Immutable, dict=True):
    """How soon one sequential criterion fails in one step.

    canary_share: of the requests that it judges; below 1 where its metrics count both paths.
    """

    policy: Policy
    step: int
    criterion_test: CriterionTests
    canary_share: float = 1.0

    @property
    def judge(self) -> SequentialJudge[Any]:
        """The criterion."""
        return self.criterion_test.judge

    def delay(self, rates: RequestRates, effect: float, within: int) -> int | None:
        """Return the minutes of the step until a fault that began with it is rolled back.

        effect: the share of requests that fail or are counted, or the increase of the latency.
        within: minutes that are simulated; the result is None when it takes longer.
        The requests are steady. Earlier steps are assumed to have been healthy.
        """
        return self._rejected_after(self._steady(rates, effect, within))

    def median_delay(self, rates: RequestRates, effect: float, within: int) -> int | None:
        """Return the median of `delay` with Poisson requests; None where that takes longer."""
        steady = self.delay(rates, effect, within)
        if steady is None:
            return None
        draws = max(_FEWEST_DRAWS, min(_MOST_DRAWS, _DRAWN_MINUTES // steady)) | 1
        rng = Random(0)  # noqa: S311 - a simulation, no secret
        delays = (
            self._rejected_after(self._drawn(rng, rates, effect, within)) for _ in range(draws)
        )
        middle = median(inf if delay is None else delay for delay in delays)
        return None if middle == inf else int(middle)

    def _rejected_after(self, counts: Iterable[_PathCounts]) -> int | None:
        """Return after how many minutes of the step with these counts the criterion fails."""
        warmup = whole_minutes(self.policy.warmup_of(self.step))
        stretch = StepInterval(self.step, 0, warmup * MINUTE_S)
        fold = SequentialState(capitals=self._capitals_before)
        end = self.criterion_test.rejected_at(stretch, self._windows(counts), fold)
        return None if end is None else end // MINUTE_S

    @cached_property
    def _capitals_before(self) -> dict[str, EProcessState]:
        """The capital of each test after healthy earlier steps: what is left of its prior."""
        name, prior = self.judge.name, self.criterion_test.combined.prior
        earlier = [step for step in range(self.step) if name in self.policy.gate(step)]
        capitals = {}
        for test in self.judge.tests() if earlier else ():
            capital = EProcessState()
            for step in earlier:
                minutes = min(whole_minutes(self.policy.steps[step].bake), _MOST_MINUTES_BEFORE)
                for _ in range(minutes // test.block):
                    left = capital.unspent - prior.share(capital, step, test.block)
                    capital = EProcessState((), left, capital.minutes + 1, step + 1)
            capitals[test.name] = capital
        return capitals

    @property
    def _usual_share(self) -> float:
        """The share of slow requests at the hour of the fault; 0 where hours are not compared."""
        stored = self.judge.baseline if isinstance(self.judge, TailJudge) else None
        return stored.share or 0.0 if stored is not None and stored.hourly else 0.0

    def _windows(self, counts: Iterable[_PathCounts]) -> Iterator[tuple[int, WindowCounts]]:
        """Yield the begin of each minute that has data, in seconds of the step, and its counts."""
        compares = self.judge.criterion.compares_paths
        for number, (canary, canary_hits, control, control_hits) in enumerate(counts):
            if canary and (control or not compares):
                counted = Counts(canary, canary_hits, control, control_hits, canary_hits)
                yield number * MINUTE_S, WindowCounts(counted, canary_hits, usual=self._usual_share)

    def _drawn(
        self, rng: Random, rates: RequestRates, effect: float, within: int
    ) -> Iterator[_PathCounts]:
        """Yield the counts of random minutes."""
        canary_share, control_share = self._exceeding_shares(effect)
        canary = sum(rates) if self.canary_share < 1 else rates.canary
        for _ in range(within):
            hits = _poisson(rng, canary * canary_share)
            control_hits = _poisson(rng, rates.control * control_share)
            yield (
                hits + _poisson(rng, canary * (1 - canary_share)),
                hits,
                control_hits + _poisson(rng, rates.control * (1 - control_share)),
                control_hits,
            )

    def _steady(self, rates: RequestRates, effect: float, within: int) -> Iterator[_PathCounts]:
        """Yield the counts of steady minutes."""
        canary_share, control_share = self._exceeding_shares(effect)
        if self.canary_share < 1:
            rates = RequestRates(sum(rates), rates.control)
        joint_share = 1.0
        if self.judge.criterion.compares_paths:
            joint_share, rates = rates.joint_share, rates.paired()
        before = (0, 0, 0, 0)
        for number in range(1, within + 1):
            active_minutes = int(number * joint_share + 0.5) / joint_share if joint_share else 0.0
            canary = _floor(rates.canary * active_minutes)
            control = _floor(rates.control * active_minutes)
            hits, control_hits = _floor(canary * canary_share), _floor(control * control_share)
            yield (
                canary - before[0],
                hits - before[1],
                control - before[2],
                control_hits - before[3],
            )
            before = canary, hits, control, control_hits

    def _exceeding_shares(self, effect: float) -> tuple[float, float]:
        """Return the share of requests that count against the test: canary, then control."""
        judge = self.judge
        if not isinstance(judge, TailJudge):
            return effect * self.canary_share, 0.0
        percentile, allowed_factor = judge.metric.percentile or 0.0, judge.rollback_factor
        stored = None if judge.baseline is None else judge.baseline.share
        control_share = stored or 1 - percentile

        def share_beyond(increase: float) -> float:
            slower = log(allowed_factor / (1 + increase)) / SIGMA
            return 1 - _NORMAL.cdf(_NORMAL.inv_cdf(1 - control_share) + slower)

        mixed = self.canary_share * share_beyond(effect)
        return mixed + (1 - self.canary_share) * share_beyond(0.0), control_share


def detection_models(
    policy: Policy, step: int, baselines: Mapping[str, BaselineMeasurement]
) -> dict[str, DetectionModel]:
    """Return a model for each sequential criterion that gates step number `step`, by name."""
    return {
        name: DetectionModel(policy, step, test, canary_share(policy, name, step))
        for name, test in gate_tests(policy, step, baselines).items()
    }


def canary_share(policy: Policy, criterion: str, step: int) -> float:
    """Return the share of the canary in the requests that `criterion` judges in a step."""
    return policy.steps[step].weight / 100 if policy.diluted_metrics(criterion) else 1.0


def whole_minutes(length: timedelta) -> int:
    """Return `length` in minutes, rounded up."""
    return ceil(length / timedelta(minutes=1))


def _floor(number: float) -> int:
    return int(number + _ROUNDING)


def _poisson(rng: Random, mean: float) -> int:
    """Return how many requests came in where `mean` are expected."""
    if mean > _NORMAL_FROM:
        return max(0, round(rng.gauss(mean, sqrt(mean))))
    count, chance, left = 0, exp(-mean), rng.random()
    while left > chance > 0:
        count, left = count + 1, left - chance
        chance *= mean / count
    return count


def typical_baselines(policy: Policy, per_minute: float) -> dict[str, BaselineMeasurement]:
    """Return baselines that vary as a latency does on most days, by criterion."""
    spreads: dict[str, float] = {}
    for name, comparison in policy.comparisons():
        match comparison.measured:
            case Increase(over=ConcurrentBaseline()):
                spreads[name] = _BESIDE
            case Increase(over=FrozenBaseline(same_hours=same_hours)):
                spreads[name] = _OF_THE_HOUR if same_hours else _OF_A_DAY
            case _:
                pass
    samples, day_s = per_minute * 24 * 60, 24 * 60 * MINUTE_S
    return {
        name: BaselineMeasurement(1.0, samples, 0, day_s, dispersion=1 + spread * per_minute)
        for name, spread in spreads.items()
    }
