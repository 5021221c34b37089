"""Power analysis before a start: what each gate can detect and confirm at a request rate.

A delay that is reported is the median over random minutes; a search uses steady ones.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from math import ceil, floor, inf, log10
from types import MappingProxyType
from typing import Annotated, Any, TypeAlias

from controller.core.judge.criterion_judge import CriterionJudge, judges_of
from controller.core.judge.evidence import BaselineMeasurement
from controller.core.judge.exposure import ExpectedExposure, expected_exposure
from controller.core.judge.latency_tail import TailJudge
from controller.core.judge.sequential import SequentialJudge
from controller.core.judge.threshold_judge import WindowJudge
from controller.core.policy import Policy
from controller.core.stats.binomial import requests_to_prove
from controller.immutable import Immutable, field, replace
from controller.ports.json_view import Count, Number, printed_as
from controller.tools.plan.detection_delay import (
    DetectionModel,
    RequestRates,
    canary_share,
    detection_models,
    typical_baselines,
    whole_minutes,
)

# Effects that are always reported: shares of requests that fail, and increases of a latency.
ERROR_SHARES = (0.002, 0.005, 0.01, 0.05, 0.2)

LATENCY_INCREASES = (0.1, 0.5)

# Search grids: smallest detectable effects in steps of 5%, remedies in steps of 25%.
_FINE_FACTOR, _SPARE_FACTOR = 1.05, 1.25
_MIN_EFFECT = 1e-4
_MAX_ERROR_SHARE, _MAX_INCREASE = 1.0, 9.0
_MAX_TRAFFIC_FACTOR = 100_000.0
_LONGEST_BAKE = 14 * 24 * 60  # minutes that a policy may ask for

# --- Results --------------------------------------------------------------------------------------


def round_up(value: float) -> float:
    """Return `value` rounded up to two digits; to a whole number from 100 on."""
    if value >= 100 or not value:
        return ceil(round(value, 6))
    scale = 10.0 ** (1 - floor(log10(value)))
    return ceil(round(value * scale, 6)) / scale


# As many as suffice, or a size from which a fault is found.
Sufficient: TypeAlias = Annotated[float, printed_as(round_up)]


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


class ShortfallData(Immutable):
    """Why a criterion cannot decide within the bake, and what would help."""

    kind: ShortfallKind = field(name="lacks")
    """What is missing: large faults go undetected, or samples or requests are too few."""
    needed: Number
    """The undetected effect, or the samples or requests that a decision needs."""
    decides_in_hold: bool = field(name="decides_after_the_bake")
    """Whether the gate decides later, while it holds after the bake."""
    bake: Count | None = field(name="bake_minutes")
    """Minutes of bake that suffice; null: a longer bake does not help."""
    per_minute: Sufficient | None = field(name="requests_per_minute")
    """Requests a minute, of both paths, that suffice; null: unknown, or more do not help."""
    probes: Sufficient | None = field(name="probes_per_minute")
    """Additional requests a minute on the canary that suffice; null: unknown, or no help."""


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
    shortfalls: tuple[ShortfallData, ...] = ()


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
        """Return the rates of both paths, with the probes that the policy declares."""
        weight = self.policy.steps[self.number].weight
        canary, control = RequestRates.at(weight, self.per_minute * traffic_factor)
        return RequestRates(canary + (self.policy.probes_per_minute or 0), control)

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
            if not isinstance(judge, WindowJudge):
                return power
            window, allowed = rate * whole_minutes(judge.criterion.period), judge.allowed_failures
            fewest = 1 / allowed if allowed else None
            return replace(power, window=window, min_window_requests=fewest)
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
    ) -> ShortfallData:
        """Return what would make `effect` be detected within the bake, with a margin of 25%."""
        factors = _geometric_steps(1, _MAX_TRAFFIC_FACTOR, _SPARE_FACTOR)
        factor = _first_that_works(
            factors, lambda one: self._detects(model, effect, one / _SPARE_FACTOR)
        )
        # Probes of one path alone compare with nothing, and what is diluted is not theirs.
        probes = None
        if factor and not model.judge.criterion.compares_paths and model.canary_share == 1:
            weight = self.policy.steps[self.number].weight
            probes = RequestRates.at(weight, self.per_minute * (factor - 1)).canary
        return ShortfallData(
            ShortfallKind.FAULTS,
            effect,
            bake=None
            if detected_after is None
            else _bake_minutes((detected_after - self._warmup) * _SPARE_FACTOR),
            per_minute=None if factor is None else factor * self.per_minute,
            probes=probes,
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
    ) -> Iterator[ShortfallData]:
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
        yield ShortfallData(
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
