"""Power analysis before a start: what each gate can detect and confirm at a request rate.

The sequential tests that judge a rollout are run on simulated minutes, so that the delays are those
of the judge: the median over random minutes for a delay that is reported, and steady minutes for a
search. Where no baseline was read, its latency is taken to vary as that of docs/judge.md does.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from math import ceil, exp, expm1, inf, log, sqrt
from random import Random
from statistics import NormalDist, median
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from controller.core.judge.criterion_judge import CriterionJudge, judges_of
from controller.core.judge.evidence import BaselineMeasurement, StepInterval
from controller.core.judge.exposure import ExpectedExposure, expected_exposure
from controller.core.judge.latency_tail import TailJudge
from controller.core.judge.sequential import SequentialJudge
from controller.core.judge.sequential_evidence import CriterionTests, gate_tests
from controller.core.judge.series import WindowCounts
from controller.core.judge.threshold_judge import WindowJudge
from controller.core.policy import ConcurrentBaseline, FrozenBaseline, Policy
from controller.core.policy.comparison import Increase
from controller.core.stats.binomial import requests_to_prove
from controller.core.stats.combined_tests import SequentialState
from controller.core.stats.counts import Counts
from controller.core.stats.eprocess import EProcessState
from controller.core.units import MINUTE_S
from controller.immutable import Immutable, replace
from controller.ports.json_view import Count

# Effects that are always reported: shares of requests that fail, and increases of a latency.
ERROR_SHARES = (0.002, 0.005, 0.01, 0.05, 0.2)

LATENCY_INCREASES = (0.1, 0.5)

# Standard deviation of the log of a latency, where it was not measured.
SIGMA = 0.5
_NORMAL = NormalDist()

_ROUNDING = 1e-9

# Search grids: smallest detectable effects in steps of 5 %, remedies in steps of 25 %.
_FINE_FACTOR, _SPARE_FACTOR = 1.05, 1.25
_MIN_EFFECT = 1e-4
_MAX_ERROR_SHARE, _MAX_INCREASE = 1.0, 9.0
_MAX_TRAFFIC_FACTOR = 100_000.0
_LONGEST_BAKE = 14 * 24 * 60  # minutes that a policy may ask for

# Rollouts that a median is of: fewer of long ones, whose minutes even out.
_MOST_DRAWS, _FEWEST_DRAWS, _DRAWN_MINUTES = 101, 5, 5_000
# Minutes of a step before that are taken into account: later ones change next to nothing.
_MOST_MINUTES_BEFORE = 240
# So many requests are drawn from a normal distribution.
_NORMAL_FROM = 50.0
# Variance between blocks of a latency that was not measured, as a share of the binomial variance of
# one request: of a day against its mean, of hours against the same ones, beside a control.
_OF_A_DAY, _OF_THE_HOUR, _BESIDE = 0.083, 0.016, 0.002


# --- Results --------------------------------------------------------------------------------------


class ShortfallKind(StrEnum):
    """Why a criterion cannot decide: large faults go undetected, or too few samples for a pass."""

    FAULTS = "faults"
    SAMPLES = "samples"
    PROOF = "proof"


class Detection(Immutable):
    """How long a fault of one size runs before it is rolled back."""

    effect: float
    """Share of requests that fail, or increase of a latency, as a fraction."""
    minutes: Count | None
    """Minutes of the step until the rollback; null: not within the step."""


class Shortfall(Immutable):
    """Why a criterion cannot decide within a bake, and what would help.

    needed: the undetected effect, or the samples or requests that a decision needs.
    bake: minutes of bake that suffice. per_minute: requests a minute, of both paths, that suffice.
    probes: additional requests a minute on the canary that suffice.
        None: it does not help, or the amount is unknown.
    decides_in_hold: the gate decides later, while it holds after the bake.
    """

    kind: ShortfallKind
    needed: float
    bake: int | None
    per_minute: float | None
    probes: float | None
    decides_in_hold: bool


class Power(Immutable):
    """What one criterion can decide in one step; a field is None where it does not apply.

    samples: by the end of the bake.
    min_samples: that a pass needs; min_samples_after: minutes of the bake until they are there.
    detections: the delay of each effect in ERROR_SHARES or LATENCY_INCREASES.
    smallest_detectable: the smallest effect that is detected within the bake.
    proof_requests: requests without a failure that confirm the rate.
    proof_per_minute: requests a minute, of both paths, with which the bake has as many.
    window: requests in a window, for a criterion that compares windows.
    min_window_requests: with fewer requests in a window, one failure is a breach.
    canary_share: of the requests that it judges; below 1 where its metrics count both paths.
    shortfalls: why the criterion cannot decide; empty: it can.
    """

    criterion: str
    samples: float
    min_samples: int
    min_samples_after: float
    detections: tuple[Detection, ...] = ()
    smallest_detectable: float | None = None
    proof_requests: float | None = None
    proof_per_minute: float | None = None
    window: float | None = None
    min_window_requests: float | None = None
    canary_share: float = 1.0
    shortfalls: tuple[Shortfall, ...] = ()


class StepPower(Immutable):
    """What the gate of a step can decide.

    requests, control: requests during the bake, on the canary and on the stable path.
    without_estimate: why nothing is known of the other criteria of the gate, by id.
    expected: what an outage of the canary would cost; None where nothing counts its failures.
    """

    step: int
    requests: float
    control: float
    criteria: tuple[Power, ...]
    without_estimate: Mapping[str, str]
    expected: ExpectedExposure | None = None


# --- Detection delay in steady traffic ------------------------------------------------------------


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


# --- Power of the gates ---------------------------------------------------------------------------


def power_of(
    policy: Policy,
    per_minute: float,
    baselines: Mapping[str, BaselineMeasurement] = MappingProxyType({}),
) -> tuple[StepPower, ...]:
    """Return what each gate of `policy` can decide at `per_minute` requests, of both paths.

    per_minute: above 0. baselines: baselines that were read, by criterion.
    """
    known = {**typical_baselines(policy, per_minute), **baselines}
    return tuple(
        _StepAnalysis(policy, step, per_minute, known).power() for step in range(len(policy.steps))
    )


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


class _StepAnalysis(Immutable):
    """The power analysis of one step in steady traffic; times are in minutes."""

    policy: Policy
    number: int
    per_minute: float
    baselines: Mapping[str, BaselineMeasurement]

    def power(self) -> StepPower:
        rates, gate = self._rates(), self.policy.gate(self.number)
        models = detection_models(self.policy, self.number, self.baselines)
        judges = list(judges_of(self.policy, gate, self.baselines))
        powers = tuple(
            self._power_of(judge, judge.min_samples, models.get(judge.name))
            for judge in judges
            if judge.min_samples is not None
        )
        unknown = {one.name: one.no_estimate for one in judges if one.min_samples is None}
        expected = expected_exposure(self.policy, self.number, self.per_minute)
        canary, control = rates.canary * self._bake, rates.control * self._bake
        return StepPower(self.number, canary, control, powers, unknown, expected)

    @property
    def _warmup(self) -> int:
        return whole_minutes(self.policy.warmup_of(self.number))

    @property
    def _bake(self) -> int:
        return whole_minutes(self.policy.steps[self.number].bake)

    @property
    def _hold(self) -> int:
        return whole_minutes(self.policy.max_hold_of(self.number))

    def _rates(self, traffic_factor: float = 1) -> RequestRates:
        canary, control = self._user_rates(traffic_factor)
        return RequestRates(canary + (self.policy.probes_per_minute or 0), control)

    def _user_rates(self, traffic_factor: float) -> RequestRates:
        """Return the rates without the probes that the policy declares."""
        return RequestRates.at(
            self.policy.steps[self.number].weight, self.per_minute * traffic_factor
        )

    def _power_of(
        self, judge: CriterionJudge[Any], min_samples: int, model: DetectionModel | None
    ) -> Power:
        rate = self._rate(judge)
        power = Power(
            judge.name,
            rate * self._bake,
            min_samples,
            min_samples / rate if rate else inf,
            canary_share=canary_share(self.policy, judge.name, self.number),
            shortfalls=tuple(self._sample_shortfall(ShortfallKind.SAMPLES, judge, min_samples)),
        )
        if model is None:
            return self._threshold_power(power, judge)
        power = self._with_detections(power, model)
        proven = model.judge.provable_share
        if proven is None or model.canary_share < 1:  # a proof about a mixture proves nothing
            return power
        return self._with_proof(power, model.judge, proven)

    def _rate(self, judge: CriterionJudge[Any], traffic_factor: float = 1) -> float:
        """Return the samples a minute that count for a pass, at a multiple of the traffic."""
        rates = self._rates(traffic_factor)
        if judge.counts_both_paths or self.policy.diluted_metrics(judge.name):
            return rates.canary + rates.control
        if not judge.criterion.compares_paths:
            return rates.canary
        return min(rates.paired() if judge.criterion.sequential else rates)

    # --- judge: threshold -------------------------------------------------------------------------

    def _threshold_power(self, power: Power, judge: CriterionJudge[Any]) -> Power:
        if not isinstance(judge, WindowJudge):
            return power
        window = self._rate(judge) * whole_minutes(judge.criterion.period)
        allowed = judge.allowed_failures
        return replace(power, window=window, min_window_requests=1 / allowed if allowed else None)

    # --- judge: sequential ------------------------------------------------------------------------

    def _with_detections(self, power: Power, model: DetectionModel) -> Power:
        """Return `power` with the delays of its detections."""
        allowed, max_effect, named = self._effects(model)
        named = [one for one in named if allowed < one]
        detections, longest_step = list[Detection](), self._warmup + self._bake + self._hold
        for effect in reversed(named):
            # An effect smaller than an undetected one is undetected too.
            undetected = bool(detections) and detections[0].minutes is None
            delay = None if undetected else model.median_delay(self._rates(), effect, longest_step)
            detections.insert(0, Detection(effect, delay))
        largest = detections[-1] if detections else Detection(max_effect, None)
        late_effects = [
            detection.effect
            for detection in detections
            if (detection.minutes or inf) > self._warmup + self._bake
        ]
        effects = _geometric_steps(
            max(allowed, _MIN_EFFECT, *late_effects), max_effect, _FINE_FACTOR
        )
        found = [
            detection.effect for detection in detections if detection.effect not in late_effects
        ]
        smallest = _first_that_works(effects, lambda one: self._detects(model, one))
        smallest = min(filter(None, (smallest, *found)), default=None)
        power = replace(power, detections=tuple(detections), smallest_detectable=smallest)
        if smallest is not None and smallest <= largest.effect:
            return power
        shortfall = self._fault_shortfall(model, largest.effect, largest.minutes)
        return replace(power, shortfalls=(shortfall, *power.shortfalls))

    def _effects(self, model: DetectionModel) -> tuple[float, float, list[float]]:
        """Return the largest allowed effect, the largest possible one, and the reported ones."""
        judge = model.judge
        if isinstance(judge, TailJudge):
            return judge.allowed_increase, _MAX_INCREASE, [*LATENCY_INCREASES]
        mean = judge.mean_count
        if mean is not None:  # convert it to a share of all requests
            requests = self._rates().canary * whole_minutes(judge.criterion.window)
            return mean / requests if requests else inf, _MAX_ERROR_SHARE, [*ERROR_SHARES]
        return judge.allowed_failures, _MAX_ERROR_SHARE, [*ERROR_SHARES]

    def _detects(self, model: DetectionModel, effect: float, traffic_factor: float = 1) -> bool:
        """Tell whether `effect` is detected within the bake, at a multiple of the traffic."""
        return (
            model.delay(self._rates(traffic_factor), effect, self._warmup + self._bake) is not None
        )

    def _fault_shortfall(
        self, model: DetectionModel, effect: float, detected_after: int | None
    ) -> Shortfall:
        """Return what would make `effect` be detected within the bake, with a margin of 25 %."""
        factors = _geometric_steps(1, _MAX_TRAFFIC_FACTOR, _SPARE_FACTOR)
        factor = _first_that_works(
            factors, lambda one: self._detects(model, effect, one / _SPARE_FACTOR)
        )
        # Probes of one path alone compare with nothing, and what is diluted is not theirs.
        probes_help = factor and not model.judge.criterion.compares_paths
        probes_help = probes_help and model.canary_share == 1
        return Shortfall(
            ShortfallKind.FAULTS,
            effect,
            bake=None
            if detected_after is None
            else _bake_minutes((detected_after - self._warmup) * _SPARE_FACTOR),
            per_minute=None if factor is None else factor * self.per_minute,
            probes=self._user_rates(factor - 1).canary if factor and probes_help else None,
            decides_in_hold=detected_after is not None,
        )

    def _with_proof(self, power: Power, judge: SequentialJudge[Any], failure_rate: float) -> Power:
        proof = requests_to_prove(failure_rate)
        power = replace(
            power, proof_requests=proof, proof_per_minute=self._requests_per_minute(proof, judge)
        )
        if not judge.requires_proof:
            return power
        shortfall = self._sample_shortfall(ShortfallKind.PROOF, judge, proof)
        return replace(power, shortfalls=(*power.shortfalls, *shortfall))

    # --- shortfalls -------------------------------------------------------------------------------

    def _sample_shortfall(
        self, why: ShortfallKind, judge: CriterionJudge[Any], needed: float
    ) -> Iterator[Shortfall]:
        """Yield a shortfall when the bake has fewer samples than `needed`."""
        rate, rates = self._rate(judge), self._rates()
        if rate * self._bake >= needed:
            return
        hold = self._hold
        if why is ShortfallKind.SAMPLES:  # what it waits for does not count
            hold += whole_minutes(self.policy.data_wait)
        needed_rate = needed / self._bake
        probes_help = rates.canary < needed_rate and (
            not judge.criterion.compares_paths or rates.control >= needed_rate
        )
        probes_help &= not self.policy.diluted_metrics(judge.name)
        yield Shortfall(
            why,
            needed,
            bake=_bake_minutes(needed / rate) if rate else None,
            per_minute=self._requests_per_minute(needed, judge),
            probes=needed_rate - rates.canary if probes_help else None,
            decides_in_hold=rate * (self._bake + hold) >= needed,
        )

    def _requests_per_minute(self, needed: float, judge: CriterionJudge[Any]) -> float | None:
        """Return the requests a minute, of both paths, with which the bake has `needed` samples.

        None where no rate within the search limit suffices.
        """
        if not judge.criterion.compares_paths:
            probes = self.policy.probes_per_minute or 0  # they do not grow with the traffic
            return self.per_minute * (needed / self._bake - probes) / (self._rate(judge) - probes)
        factors = _geometric_steps(1, _MAX_TRAFFIC_FACTOR, _FINE_FACTOR)
        factor = _first_that_works(
            factors, lambda one: self._rate(judge, one) * self._bake >= needed
        )
        return None if factor is None else factor * self.per_minute


def _bake_minutes(needed: float) -> int | None:
    """Return `needed` minutes rounded up; None when a policy may not have so long a bake."""
    return ceil(needed) if needed <= _LONGEST_BAKE else None


def _first_that_works(values: Sequence[float], works: Callable[[float], bool]) -> float | None:
    """Return the first of `values` for which `works` is true; None when there is none.

    `works` has to be true for every value after the first such one (binary search).
    """
    index = bisect_left(values, True, key=works)
    return values[index] if index < len(values) else None


def _geometric_steps(low: float, high: float, factor: float) -> list[float]:
    """Return values above `low`, each `factor` times the one before, ending with `high`."""
    steps = list[float]()
    while (low := low * factor) < high:
        steps.append(low)
    return [*steps, high] if low / factor < high else steps
