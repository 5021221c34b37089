"""What a gate can decide with the traffic there is, asked before a start.

The tests that judge a rollout are run on minutes as they would be, so that this says
what they would say. The median of minutes that chance fills is within a factor of 1.5 of it.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from math import ceil, expm1, inf, log
from statistics import NormalDist
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from controller.core.judge.evidence import FrozenValue, Stretch
from controller.core.judge.sequential_tests import Bettor, bettors, tests_of
from controller.core.judge.series import Window
from controller.core.policy import (
    Alarm,
    Attestation,
    BoundedCriterion,
    BurnRate,
    ConcurrentBaseline,
    Criterion,
    LatencyIncrease,
    LogEvents,
    Policy,
    Share,
    SuccessRate,
    Threshold,
)
from controller.core.policy import Traffic as Arrival
from controller.core.stats.binomial import requests_to_prove
from controller.core.stats.mixture import Fold, Test, folded
from controller.core.units import MINUTE_S


class ShortfallKind(StrEnum):
    """Why a criterion cannot decide: it overlooks large faults, or a pass asks for more."""

    FAULTS = "faults"
    SAMPLES = "samples"
    PROOF = "proof"


@dataclass(frozen=True, slots=True)
class Detection:
    """A fault, and the minutes of its step until it is rolled back for; None: never in the step."""

    effect: float
    minutes: int | None


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Why a criterion cannot decide within a bake, and what would help.

    needed: the fault that is overlooked, or the samples or requests that are lacking.
    bake: minutes that would do. per_minute: requests in all that would. probes: as many more on
    the canary. None where that does not help, or nobody knows how much.
    held: the gate decides later, while it holds after the bake.
    """

    kind: ShortfallKind
    needed: float
    bake: int | None
    per_minute: float | None
    probes: float | None
    decides_in_hold: bool


@dataclass(frozen=True, slots=True)
class Power:
    """What one criterion can decide in one step; None where there is no such thing.

    samples: by the end of the bake; least: that a pass asks for, after so many minutes of the bake.
    found: the faults that are asked for by name; smallest_detectable: the one that is found within the bake.
    proof_requests: requests without a failure that prove the rate, and requests a minute, of both paths,
    in which the bake has them.
    window: requests in a window, where windows are compared; telling: with fewer, one failure is a
    breach.
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
    shortfalls: tuple[Shortfall, ...] = ()


@dataclass(frozen=True, slots=True)
class StepPower:
    """What the gate of a step can decide; requests of its bake, on the canary and beside it."""

    step: int
    requests: float
    control: float
    criteria: tuple[Power, ...]


# --- Steady traffic -------------------------------------------------------------------------------

# The spread of the log of a latency, where nobody has measured it.
SIGMA = 0.5
_NORMAL = NormalDist()
_ROUNDING = 1e-9


class RequestRates(NamedTuple):
    """Requests a minute on the canary, and on the stable path beside it."""

    canary: float
    control: float

    @classmethod
    def at(cls, weight: int, per_minute: float) -> "RequestRates":
        """Return how `per_minute` requests are parted at `weight` percent."""
        return cls(per_minute * weight / 100, per_minute * (100 - weight) / 100)

    @property
    def joint_share(self) -> float:
        """The share of minutes in which both paths have a request: Poisson."""
        return expm1(-self.canary) * expm1(-self.control)

    def paired(self) -> "RequestRates":
        """Return the requests a minute that come in a minute in which both paths have one."""
        return RequestRates(
            -self.canary * expm1(-self.control), -self.control * expm1(-self.canary)
        )


def is_concurrent(criterion: Criterion) -> bool:
    """Tell whether two paths are compared in the same minute, so that both need requests."""
    return isinstance(criterion, LatencyIncrease) and isinstance(
        criterion.baseline, ConcurrentBaseline
    )


@dataclass(frozen=True, slots=True)
class DetectionModel:
    """One criterion in one step, asked how soon it fails."""

    policy: Policy
    step: int
    criterion_test: Bettor
    tests: tuple[Test, ...]

    def delay(self, rates: RequestRates, effect: float, within: int) -> int | None:
        """Return after how many minutes of the step a fault from its begin on is rolled back for.

        effect: the share of requests that fail or are counted, or the increase of the latency.
        within: how many minutes are looked at; None: not in these. Earlier steps showed nothing.
        """
        warm = whole_minutes(self.policy.warmup_of(self.step))
        stretch = Stretch(self.step, 0, warm * MINUTE_S)
        fold = Fold()
        for minute, seen in self._minutes(rates, effect, within):
            placed, control = self.criterion_test.bets(seen, fold, stretch, minute)
            controls = {self.criterion_test.name: control}
            fold = folded(fold, minute + MINUTE_S, placed, controls, self.tests)
            if fold.rejects(self.policy.budget):
                return fold.through // MINUTE_S
        return None

    def _minutes(
        self, rates: RequestRates, effect: float, within: int
    ) -> Iterator[tuple[int, Window]]:
        """Yield the begin of each minute that has data, and what it shows."""
        hit, usual = self._shares(effect)
        met = 1.0
        if is_concurrent(self.criterion_test.criterion):
            met, rates = rates.joint_share, rates.paired()
        before = (0, 0, 0, 0)
        for number in range(1, within + 1):
            passed = int(number * met + 0.5) / met if met else 0.0
            canary, control = _floor(rates.canary * passed), _floor(rates.control * passed)
            after = canary, _floor(canary * hit), control, _floor(control * usual)
            own, bad, other, slow = (new - old for new, old in zip(after, before, strict=True))
            before = after
            if own:
                seen = Window(own, bad, bad, False, other, slow, beyond=bad)
                yield (number - 1) * MINUTE_S, seen

    def _shares(self, effect: float) -> tuple[float, float]:
        """Return the shares of requests that are hit, on the canary and beside it."""
        one = self.criterion_test
        if one.percentile is None:
            return effect, 0.0
        usual, room = 1 - one.percentile, 1.0
        if isinstance(one.criterion, LatencyIncrease):
            room = (1 + one.criterion.max_increase) * (1 + one.criterion.allowance)
            if one.baseline is not None and one.baseline.share:
                usual = one.baseline.share
        limit = _NORMAL.inv_cdf(1 - usual) + log(room / (1 + effect)) / SIGMA
        return 1 - _NORMAL.cdf(limit), usual


def detection_models(
    policy: Policy, step: int, baselines: Mapping[str, FrozenValue]
) -> dict[str, DetectionModel]:
    """Return what can be asked of the gate of step number `step`, by sequential criterion."""
    tests = tests_of(policy)
    return {
        name: DetectionModel(policy, step, one, tests)
        for name, one in bettors(policy, step, baselines).items()
    }


def whole_minutes(length: timedelta) -> int:
    """Return how many whole minutes it takes for `length` to pass."""
    return ceil(length / timedelta(minutes=1))


def _floor(number: float) -> int:
    return int(number + _ROUNDING)


# --- Power ----------------------------------------------------------------------------------------

TrafficCriterion: TypeAlias = BoundedCriterion | Share | BurnRate

# What is asked for by name: shares of requests that fail, and increases of a latency.
ERROR_SHARES = (0.002, 0.005, 0.01, 0.05, 0.2)
LATENCY_INCREASES = (0.1, 0.5)
# What lies between is looked for in steps of a twentieth, what would help in steps of a quarter.
_FINE_FACTOR, _SPARE_FACTOR = 1.05, 1.25
_MIN_EFFECT = 1e-4
_MAX_ERROR_SHARE, _MAX_INCREASE = 1.0, 9.0
_MAX_TRAFFIC_FACTOR = 100_000.0
_LONGEST_BAKE = 14 * 24 * 60  # minutes that a policy may ask for


def power_of(
    policy: Policy,
    per_minute: float,
    baselines: Mapping[str, FrozenValue] = MappingProxyType({}),
) -> tuple[StepPower, ...]:
    """Return what each gate of `policy` can decide in `per_minute` requests, of both paths.

    per_minute: above 0. baselines: what was read of the stable path, where that is known.
    """
    return tuple(
        _StepAnalysis(policy, step, per_minute, baselines).power()
        for step in range(len(policy.steps))
    )


@dataclass(frozen=True, slots=True)
class _StepAnalysis:
    """One step in steady traffic; times are in minutes."""

    policy: Policy
    number: int
    per_minute: float
    baselines: Mapping[str, FrozenValue]

    def power(self) -> StepPower:
        flow, gate = self._flow(), self.policy.gate(self.number)
        asked = detection_models(self.policy, self.number, self.baselines)
        found = tuple(
            self._power_of(name, one, asked.get(name))
            for name, one in gate.items()
            if not isinstance(one, Alarm | Attestation | LogEvents)  # no traffic decides those
        )
        return StepPower(self.number, flow.canary * self._bake, flow.control * self._bake, found)

    @property
    def _warmup(self) -> int:
        return whole_minutes(self.policy.warmup_of(self.number))

    @property
    def _bake(self) -> int:
        return whole_minutes(self.policy.steps[self.number].bake)

    @property
    def _hold(self) -> int:
        return whole_minutes(self.policy.max_hold_of(self.number))

    def _flow(self, traffic_factor: float = 1) -> RequestRates:
        return RequestRates.at(
            self.policy.steps[self.number].weight, self.per_minute * traffic_factor
        )

    def _power_of(
        self, name: str, criterion: TrafficCriterion, model: DetectionModel | None
    ) -> Power:
        rate = self._rate(criterion)
        least = criterion.min if isinstance(criterion, Arrival) else criterion.min_samples
        power = Power(name, rate * self._bake, least, least / rate if rate else inf)
        power = replace(
            power, shortfalls=tuple(self._sample_shortfall(ShortfallKind.SAMPLES, criterion, least))
        )
        if model is None:
            return self._threshold_power(power, criterion)
        power = self._with_detections(power, model)
        return self._with_proof(power, criterion) if isinstance(criterion, SuccessRate) else power

    def _rate(self, criterion: Criterion, traffic_factor: float = 1) -> float:
        """Return the samples that a pass counts, a minute, in so many times the traffic."""
        flow = self._flow(traffic_factor)
        if isinstance(criterion, Share):
            return flow.canary + flow.control
        if not is_concurrent(criterion):
            return flow.canary
        return min(flow.paired() if criterion.sequential else flow)

    # --- judge: threshold -------------------------------------------------------------------------

    def _threshold_power(self, power: Power, criterion: Criterion) -> Power:
        if not isinstance(criterion, SuccessRate | Threshold):
            return power
        window = self._flow().canary * whole_minutes(criterion.over)
        allowed = _allowed_share(criterion)
        return replace(power, window=window, min_window_requests=1 / allowed if allowed else None)

    # --- judge: sequential ------------------------------------------------------------------------

    def _with_detections(self, power: Power, model: DetectionModel) -> Power:
        """Return `power` with how soon faults are found."""
        allowed, everything, named = self._effects(model)
        named = [one for one in named if allowed < one]
        found, all_of_it = list[Detection](), self._warmup + self._bake + self._hold
        for effect in reversed(named):
            # A smaller one than one that is never found is never found either.
            missed = bool(found) and found[0].minutes is None
            after = None if missed else model.delay(self._flow(), effect, all_of_it)
            found.insert(0, Detection(effect, after))
        largest = found[-1] if found else Detection(everything, None)
        late = [one.effect for one in found if (one.minutes or inf) > self._warmup + self._bake]
        effects = _geometric_steps(max(allowed, _MIN_EFFECT, *late), everything, _FINE_FACTOR)
        smallest = _first_that_works(effects, lambda one: self._detects(model, one))
        power = replace(power, detections=tuple(found), smallest_detectable=smallest)
        if smallest is not None and smallest <= largest.effect:
            return power
        blind = self._fault_shortfall(model, largest.effect, largest.minutes)
        return replace(power, shortfalls=(blind, *power.shortfalls))

    def _effects(self, model: DetectionModel) -> tuple[float, float, list[float]]:
        """Return the effect that is still allowed, the largest one, and those that have a name."""
        match model.criterion_test.criterion:
            case LatencyIncrease() as one:
                return one.max_increase, _MAX_INCREASE, [*LATENCY_INCREASES]
            case Threshold() if model.criterion_test.percentile is not None:
                return 0.0, _MAX_INCREASE, [*LATENCY_INCREASES]
            case Threshold(per=None) as one:  # a count: of all requests it may be this share
                counted = self._flow().canary * whole_minutes(one.over)
                return one.bound / counted if counted else inf, _MAX_ERROR_SHARE, [*ERROR_SHARES]
            case one:
                return _allowed_share(one), _MAX_ERROR_SHARE, [*ERROR_SHARES]

    def _detects(self, model: DetectionModel, effect: float, traffic_factor: float = 1) -> bool:
        """Tell whether `effect` is found within the bake, in so many times the traffic."""
        return (
            model.delay(self._flow(traffic_factor), effect, self._warmup + self._bake) is not None
        )

    def _fault_shortfall(
        self, model: DetectionModel, effect: float, detected_after: int | None
    ) -> Shortfall:
        """Return what would make `effect` be found within the bake, with a quarter to spare."""
        many = _geometric_steps(1, _MAX_TRAFFIC_FACTOR, _SPARE_FACTOR)
        times = _first_that_works(
            many, lambda one: self._detects(model, effect, one / _SPARE_FACTOR)
        )
        paired = is_concurrent(
            model.criterion_test.criterion
        )  # probes of one path alone compare with nothing
        return Shortfall(
            ShortfallKind.FAULTS,
            effect,
            bake=None
            if detected_after is None
            else _bake_minutes((detected_after - self._warmup) * _SPARE_FACTOR),
            per_minute=None if times is None else times * self.per_minute,
            probes=None if times is None or paired else self._flow(times - 1).canary,
            decides_in_hold=detected_after is not None,
        )

    def _with_proof(self, power: Power, criterion: SuccessRate) -> Power:
        proof = requests_to_prove(_allowed_share(criterion))
        power = replace(
            power,
            proof_requests=proof,
            proof_per_minute=self._requests_per_minute(proof, criterion),
        )
        if criterion.assurance != "proven":
            return power
        lacking = self._sample_shortfall(ShortfallKind.PROOF, criterion, proof)
        return replace(power, shortfalls=(*power.shortfalls, *lacking))

    # --- too few ----------------------------------------------------------------------------------

    def _sample_shortfall(
        self, kind: ShortfallKind, criterion: Criterion, needed: float
    ) -> Iterator[Shortfall]:
        """Yield what would help where the bake has fewer samples than are needed."""
        rate, flow = self._rate(criterion), self._flow()
        if rate * self._bake >= needed:
            return
        wanted = needed / self._bake
        more = flow.canary < wanted and (not is_concurrent(criterion) or flow.control >= wanted)
        yield Shortfall(
            kind,
            needed,
            bake=_bake_minutes(needed / rate) if rate else None,
            per_minute=self._requests_per_minute(needed, criterion),
            probes=wanted - flow.canary if more else None,
            decides_in_hold=rate * (self._bake + self._hold) >= needed,
        )

    def _requests_per_minute(self, needed: float, criterion: Criterion) -> float | None:
        """Return the requests a minute, of both paths, of which the bake has as many as needed."""
        if not is_concurrent(criterion):
            return self.per_minute * needed / (self._rate(criterion) * self._bake)
        many = _geometric_steps(1, _MAX_TRAFFIC_FACTOR, _FINE_FACTOR)
        times = _first_that_works(
            many, lambda one: self._rate(criterion, one) * self._bake >= needed
        )
        return None if times is None else times * self.per_minute


def _allowed_share(criterion: Criterion) -> float:
    """Return the share of requests that may fail; 0 where no share is asked for."""
    match criterion:
        case SuccessRate():
            return 1 - criterion.min
        case Threshold(per=str(), max=float() as most):
            return most
        case _:
            return 0.0


def _bake_minutes(needed: float) -> int | None:
    """Return the whole minutes of a bake of `needed` minutes; None where that is too long."""
    return ceil(needed) if needed <= _LONGEST_BAKE else None


def _first_that_works(values: Sequence[float], works: Callable[[float], bool]) -> float | None:
    """Return the first of `values` that works, as all after it do; None when none does."""
    place = bisect_left(values, True, key=works)
    return values[place] if place < len(values) else None


def _geometric_steps(low: float, most: float, factor: float) -> list[float]:
    """Return the values above `low`, each `factor` times the one before, and `most` at last."""
    found = list[float]()
    while (low := low * factor) < most:
        found.append(low)
    return [*found, most] if low / factor < most else found
