"""What a gate can decide with the traffic there is, asked before a start.

The tests that judge a rollout are run on minutes as they would be (steady.py), so that this says
what they would say. The median of minutes that chance fills is within a factor of 1.5 of it.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, inf
from types import MappingProxyType
from typing import TypeAlias

from controller.core.judge.answers import Found, Lack, Lacking, Power, StepPower
from controller.core.judge.steady import Flow, Trial, is_beside, minutes, trials
from controller.core.measured import FrozenValue
from controller.core.policy import (
    Alarm,
    Attestation,
    Bounded,
    BurnRate,
    Criterion,
    LatencyIncrease,
    LogEvents,
    Policy,
    Share,
    SuccessRate,
    Threshold,
)
from controller.core.policy import Traffic as Arrival
from controller.core.sequential.rate import requests_to_prove

Counting: TypeAlias = Bounded | Share | BurnRate

# What is asked for by name: shares of requests that fail, and increases of a latency.
ERRORS = (0.002, 0.005, 0.01, 0.05, 0.2)
INCREASES = (0.1, 0.5)
# What lies between is looked for in steps of a twentieth, what would help in steps of a quarter.
_FINER, _SPARE = 1.05, 1.25
_SMALLEST = 1e-4
_EVERYTHING, _TENFOLD = 1.0, 9.0
_MOST_TRAFFIC = 100_000.0
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
        _Step(policy, step, per_minute, baselines).power() for step in range(len(policy.steps))
    )


@dataclass(frozen=True, slots=True)
class _Step:
    """One step in steady traffic; times are in minutes."""

    policy: Policy
    number: int
    per_minute: float
    baselines: Mapping[str, FrozenValue]

    def power(self) -> StepPower:
        flow, gate = self._flow(), self.policy.gate(self.number)
        asked = trials(self.policy, self.number, self.baselines)
        found = tuple(
            self._of(name, one, asked.get(name))
            for name, one in gate.items()
            if not isinstance(one, Alarm | Attestation | LogEvents)  # no traffic decides those
        )
        return StepPower(self.number, flow.canary * self._bake, flow.control * self._bake, found)

    @property
    def _warm(self) -> int:
        return minutes(self.policy.warmup_of(self.number))

    @property
    def _bake(self) -> int:
        return minutes(self.policy.steps[self.number].bake)

    @property
    def _hold(self) -> int:
        return minutes(self.policy.max_hold_of(self.number))

    def _flow(self, times: float = 1) -> Flow:
        return Flow.at(self.policy.steps[self.number].weight, self.per_minute * times)

    def _of(self, name: str, criterion: Counting, trial: Trial | None) -> Power:
        rate = self._rate(criterion)
        least = criterion.min if isinstance(criterion, Arrival) else criterion.min_samples
        power = Power(name, rate * self._bake, least, least / rate if rate else inf)
        power = replace(power, lacking=tuple(self._few(Lack.SAMPLES, criterion, least)))
        if trial is None:
            return self._literal(power, criterion)
        power = self._faults(power, trial)
        return self._proof(power, criterion) if isinstance(criterion, SuccessRate) else power

    def _rate(self, criterion: Criterion, times: float = 1) -> float:
        """Return the samples that a pass counts, a minute, in so many times the traffic."""
        flow = self._flow(times)
        if isinstance(criterion, Share):
            return flow.canary + flow.control
        if not is_beside(criterion):
            return flow.canary
        return min(flow.compared() if criterion.sequential else flow)

    # --- judge: threshold -------------------------------------------------------------------------

    def _literal(self, power: Power, criterion: Criterion) -> Power:
        if not isinstance(criterion, SuccessRate | Threshold):
            return power
        window = self._flow().canary * minutes(criterion.over)
        allowed = _allowed_share(criterion)
        return replace(power, window=window, telling=1 / allowed if allowed else None)

    # --- judge: sequential ------------------------------------------------------------------------

    def _faults(self, power: Power, trial: Trial) -> Power:
        """Return `power` with how soon faults are found."""
        allowed, everything, named = self._breaches(trial)
        named = [one for one in named if allowed < one]
        found, all_of_it = list[Found](), self._warm + self._bake + self._hold
        for effect in reversed(named):
            # A smaller one than one that is never found is never found either.
            missed = bool(found) and found[0].minutes is None
            after = None if missed else trial.delay(self._flow(), effect, all_of_it)
            found.insert(0, Found(effect, after))
        largest = found[-1] if found else Found(everything, None)
        late = [one.effect for one in found if (one.minutes or inf) > self._warm + self._bake]
        effects = _ladder(max(allowed, _SMALLEST, *late), everything, _FINER)
        smallest = _first(effects, lambda one: self._finds(trial, one))
        power = replace(power, found=tuple(found), smallest=smallest)
        if smallest is not None and smallest <= largest.effect:
            return power
        blind = self._blind(trial, largest.effect, largest.minutes)
        return replace(power, lacking=(blind, *power.lacking))

    def _breaches(self, trial: Trial) -> tuple[float, float, list[float]]:
        """Return the effect that is still allowed, the largest one, and those that have a name."""
        match trial.bettor.criterion:
            case LatencyIncrease() as one:
                return one.max_increase, _TENFOLD, [*INCREASES]
            case Threshold() if trial.bettor.percentile is not None:
                return 0.0, _TENFOLD, [*INCREASES]
            case Threshold(per=None) as one:  # a count: of all requests it may be this share
                counted = self._flow().canary * minutes(one.over)
                return one.bound / counted if counted else inf, _EVERYTHING, [*ERRORS]
            case one:
                return _allowed_share(one), _EVERYTHING, [*ERRORS]

    def _finds(self, trial: Trial, effect: float, times: float = 1) -> bool:
        """Tell whether `effect` is found within the bake, in so many times the traffic."""
        return trial.delay(self._flow(times), effect, self._warm + self._bake) is not None

    def _blind(self, trial: Trial, effect: float, after: int | None) -> Lacking:
        """Return what would make `effect` be found within the bake, with a quarter to spare."""
        many = _ladder(1, _MOST_TRAFFIC, _SPARE)
        times = _first(many, lambda one: self._finds(trial, effect, one / _SPARE))
        paired = is_beside(trial.bettor.criterion)  # probes of one path alone compare with nothing
        return Lacking(
            Lack.FAULTS,
            effect,
            bake=None if after is None else _bake((after - self._warm) * _SPARE),
            per_minute=None if times is None else times * self.per_minute,
            probes=None if times is None or paired else self._flow(times - 1).canary,
            held=after is not None,
        )

    def _proof(self, power: Power, criterion: SuccessRate) -> Power:
        proof = requests_to_prove(_allowed_share(criterion))
        power = replace(power, proof=proof, proof_per_minute=self._in_all(proof, criterion))
        if criterion.assurance != "proven":
            return power
        lacking = self._few(Lack.PROOF, criterion, proof)
        return replace(power, lacking=(*power.lacking, *lacking))

    # --- too few ----------------------------------------------------------------------------------

    def _few(self, what: Lack, criterion: Criterion, needed: float) -> Iterator[Lacking]:
        """Yield what would help where the bake has fewer samples than are needed."""
        rate, flow = self._rate(criterion), self._flow()
        if rate * self._bake >= needed:
            return
        wanted = needed / self._bake
        more = flow.canary < wanted and (not is_beside(criterion) or flow.control >= wanted)
        yield Lacking(
            what,
            needed,
            bake=_bake(needed / rate) if rate else None,
            per_minute=self._in_all(needed, criterion),
            probes=wanted - flow.canary if more else None,
            held=rate * (self._bake + self._hold) >= needed,
        )

    def _in_all(self, needed: float, criterion: Criterion) -> float | None:
        """Return the requests a minute, of both paths, of which the bake has as many as needed."""
        if not is_beside(criterion):
            return self.per_minute * needed / (self._rate(criterion) * self._bake)
        many = _ladder(1, _MOST_TRAFFIC, _FINER)
        times = _first(many, lambda one: self._rate(criterion, one) * self._bake >= needed)
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


def _bake(needed: float) -> int | None:
    """Return the whole minutes of a bake of `needed` minutes; None where that is too long."""
    return ceil(needed) if needed <= _LONGEST_BAKE else None


def _first(values: Sequence[float], works: Callable[[float], bool]) -> float | None:
    """Return the first of `values` that works, as all after it do; None when none does."""
    place = bisect_left(values, True, key=works)
    return values[place] if place < len(values) else None


def _ladder(low: float, most: float, factor: float) -> list[float]:
    """Return the values above `low`, each `factor` times the one before, and `most` at last."""
    found = list[float]()
    while (low := low * factor) < most:
        found.append(low)
    return [*found, most] if low / factor < most else found
