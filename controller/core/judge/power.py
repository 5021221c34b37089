"""What a gate can decide with the traffic there is, asked before a start.

The tests that judge a rollout are run on minutes as they would be (steady.py), so that this says
what they would say. Chance makes it up to a third sooner, or half as long again.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil, inf
from types import MappingProxyType

from controller.core.judge.answers import Found, Lack, Lacking, Power, StepPower
from controller.core.judge.steady import Flow, Trial, is_beside, minutes, trials
from controller.core.measured import FrozenValue
from controller.core.policy import Criterion, LatencyIncrease, Policy, SuccessRate, Threshold
from controller.core.policy import Traffic as Arrival
from controller.core.sequential.rate import requests_to_prove

# What is asked for by name: shares of requests that fail, and increases of a latency.
ERRORS = (0.002, 0.005, 0.01, 0.05, 0.2)
INCREASES = (0.1, 0.5)
# What lies between is looked for in steps of a twentieth, and more traffic in steps of a quarter.
_FINER, _COARSER = 1.05, 1.25
_SMALLEST = 1e-4
_EVERYTHING, _TENFOLD = 1.0, 9.0
_MOST_TRAFFIC = 100_000.0


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
        found = tuple(self._of(name, one, asked.get(name)) for name, one in gate.items())
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

    def _of(self, name: str, criterion: Criterion, trial: Trial | None) -> Power:
        rate = self._rate(criterion)
        least = criterion.min if isinstance(criterion, Arrival) else criterion.min_samples
        power = Power(name, rate * self._bake, least, least / rate if rate else inf)
        power = replace(power, lacking=tuple(self._few(Lack.SAMPLES, criterion, least)))
        if trial is None:
            return self._literal(power, criterion)
        power = self._faults(power, trial)
        return self._proof(power, criterion) if isinstance(criterion, SuccessRate) else power

    def _rate(self, criterion: Criterion) -> float:
        """Return the samples that a pass counts, a minute."""
        flow = self._flow()
        return min(flow) if is_beside(criterion) else flow.canary

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
        found = list[Found]()
        for effect in reversed(named):
            missed = bool(found) and found[0].minutes is None  # a smaller one is never found sooner
            found.insert(0, Found(effect, None if missed else self._delay(trial, effect)))
        in_bake = self._warm + self._bake
        overlooked = [one.effect for one in found if (one.minutes or inf) > in_bake]
        smallest = self._smallest(trial, max([allowed, *overlooked]), everything)
        power = replace(power, found=tuple(found), smallest=smallest)
        largest = named[-1] if named else everything
        if smallest is not None and smallest <= largest:
            return power
        after = found[-1].minutes if found else None
        return replace(power, lacking=(self._blind(trial, largest, after), *power.lacking))

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

    def _delay(self, trial: Trial, effect: float) -> int | None:
        return trial.delay(self._flow(), effect, self._warm + self._bake + self._hold)

    def _smallest(self, trial: Trial, above: float, most: float) -> float | None:
        """Return the smallest effect above `above` that is found within the bake."""
        effects, within = _ladder(max(above, _SMALLEST), most, _FINER), self._warm + self._bake
        place = bisect_left(
            effects, True, key=lambda one: trial.delay(self._flow(), one, within) is not None
        )
        return effects[place] if place < len(effects) else None

    def _blind(self, trial: Trial, effect: float, after: int | None) -> Lacking:
        """Return what would make `effect` be found within the bake."""
        many, within = _ladder(1, _MOST_TRAFFIC, _COARSER), self._warm + self._bake
        place = bisect_left(
            many, True, key=lambda one: trial.delay(self._flow(one), effect, within) is not None
        )
        times = many[place] if place < len(many) else None
        paired = is_beside(trial.bettor.criterion)  # probes of one path alone compare with nothing
        return Lacking(
            Lack.FAULTS,
            effect,
            bake=None if after is None else after - self._warm,
            per_minute=None if times is None else times * self.per_minute,
            probes=self._flow(times - 1).canary if times and not paired else None,
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
        by_canary = not is_beside(criterion) or flow.control >= wanted
        yield Lacking(
            what,
            needed,
            bake=ceil(needed / rate) if rate else None,
            per_minute=self._in_all(needed, criterion) if rate else None,
            probes=wanted - flow.canary if by_canary else None,
            held=rate * (self._bake + self._hold) >= needed,
        )

    def _in_all(self, needed: float, criterion: Criterion) -> float:
        """Return the requests a minute, of both paths, of which the bake has as many as needed."""
        return self.per_minute * needed / (self._rate(criterion) * self._bake)


def _allowed_share(criterion: Criterion) -> float:
    """Return the share of requests that may fail; 0 where no share is asked for."""
    match criterion:
        case SuccessRate():
            return 1 - criterion.min
        case Threshold(per=str(), max=float() as most):
            return most
        case _:
            return 0.0


def _ladder(low: float, most: float, factor: float) -> list[float]:
    """Return the values above `low`, each `factor` times the one before, and `most` at last."""
    found = list[float]()
    while (low := low * factor) < most:
        found.append(low)
    return [*found, most] if low / factor < most else found
