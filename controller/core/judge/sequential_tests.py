"""The tests of a policy's sequential criteria, and what each of them bets in one minute."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from controller.core.judge.evidence import FrozenValue, Stretch
from controller.core.judge.series import Window
from controller.core.policy import (
    ConcurrentBaseline,
    Criterion,
    FixedBaseline,
    FrozenBaseline,
    LatencyIncrease,
    Policy,
    SuccessRate,
    Threshold,
)
from controller.core.stats import binomial, dispersion, poisson, success_rate, two_sample
from controller.core.stats.eprocess import Capital, cap_for
from controller.core.stats.mixture import Bet, Control, Fold, Test
from controller.core.stats.prior import Onsets
from controller.core.stats.two_sample import Pair
from controller.core.units import MINUTE_S

BREAKER, OBJECTIVE = "breaker", "objective"
# Parts of the budget, before they are made to add up to 1.
_BREAKER, _OBJECTIVE, _LATENCY, _LIMIT = 2.0, 4.0, 3.0, 0.5
# A minute counts as no more requests than this for a latency: a wobble of 1 % is no proof.
_MOST = 300
# How much of what is known of a control's slow requests is left after a minute: half in 23 minutes.
_FADING = 0.97
# What is believed of a control before its first minute, in requests.
_BELIEVED = 50.0
# How much a latency varies of which nobody has measured it.
_UNMEASURED = 3.0
# Shares of slow requests that can be bet against.
_LEAST, _USUAL, _MOST_ALLOWED = 0.0001, 0.05, 0.9


def tests_of(policy: Policy) -> tuple[Test, ...]:
    """Return every test of `policy`; their weights add up to 1."""
    found = [
        test for name, one in policy.sequential_criteria().items() for test in _tests(name, one)
    ]
    whole = sum(part for _, part, _ in found)
    return tuple(
        Test(name, part / whole, cap_for(policy.budget * part / whole, datapoints))
        for name, part, datapoints in found
    )


def criterion_of(test: str) -> str:
    """Return the criterion that a test belongs to."""
    return test.partition("/")[0]


def onsets_of(policy: Policy) -> Onsets:
    """Return the prior of when a change for the worse begins."""
    baked = sum(step.bake.total_seconds() for step in policy.steps)
    return Onsets(len(policy.steps), int(baked) // MINUTE_S)


def _tests(name: str, criterion: Criterion) -> Iterator[tuple[str, float, int]]:
    """Yield name and part of the budget of each test, and how many minutes it takes at least."""
    match criterion:
        case SuccessRate():
            yield f"{name}/{BREAKER}", _BREAKER, 2
            yield f"{name}/{OBJECTIVE}", _OBJECTIVE, 5
        case LatencyIncrease():
            yield name, _LATENCY, 3
        case _:
            yield name, _LIMIT, 5


@dataclass(frozen=True, slots=True)
class Bettor:
    """What one criterion bets.

    caps: by test.
    percentile: what the statistic of its metric leaves below, like 0.95; None for a count.
    baseline: what was read of the stable path before the start.
    usual: the share of requests that may be slower than the limits.
    """

    name: str
    criterion: Criterion
    onsets: Onsets
    caps: Mapping[str, float]
    percentile: float | None
    baseline: FrozenValue | None
    usual: float

    def bets(
        self, seen: Window, fold: Fold, stretch: Stretch, minute: int
    ) -> tuple[list[Bet], Control]:
        """Return the bets on the minute that begins at `minute`, and what the control shows then.

        seen: what fits together, of at least one request; fold: everything before that minute.
        In the warm-up only the breaker bets.
        """
        control = fold.controls.get(self.name, NO_CONTROL)
        judged = minute >= stretch.judged_from
        if isinstance(self.criterion, SuccessRate):
            return self._success(self.criterion, seen, fold, stretch, judged=judged)
        if not judged:
            return [], control
        if isinstance(self.criterion, Threshold):
            ratios = self._limit(self.criterion, seen)
            return [self._bet(self.name, ratios, fold, stretch.step)], control
        if isinstance(self.criterion, LatencyIncrease):
            return self._slower(self.criterion, seen, control, fold, stretch.step)
        return [], control

    def _bet(
        self, test: str, ratios: tuple[float, ...], fold: Fold, step: int, phi: float = 1.0
    ) -> Bet:
        onset = self.onsets.share(fold.capitals.get(test, _NOTHING_YET), step)
        return Bet(test, ratios, onset, self.caps[test], phi, step)

    def _success(
        self, criterion: SuccessRate, seen: Window, fold: Fold, stretch: Stretch, *, judged: bool
    ) -> tuple[list[Bet], Control]:
        allowed, step, pair = 1 - criterion.min, stretch.step, _pair(seen)
        before = fold.controls.get(self.name, NO_CONTROL)
        after = success_rate.beside(before, pair.control, pair.control_slow, allowed)
        tripped = success_rate.breaker_log_ratios(pair, allowed, before, after)
        bets = [self._bet(f"{self.name}/{BREAKER}", tripped, fold, step)]
        if judged:
            ratios = success_rate.log_ratios(pair, allowed, before, after)
            bets.append(self._bet(f"{self.name}/{OBJECTIVE}", ratios, fold, step))
        return bets, after

    def _slower(
        self, criterion: LatencyIncrease, seen: Window, control: Control, fold: Fold, step: int
    ) -> tuple[list[Bet], Control]:
        """Compare with the control of the same minute, or with what was stored.

        What is usual for the control was seen before; what is stored allows for its own doubt.
        """
        if isinstance(criterion.baseline, ConcurrentBaseline):
            pair = _pair(seen)
            usual = (control.slow + self.usual * _BELIEVED) / (control.requests + _BELIEVED)
            ratios = two_sample.log_ratios(pair, usual)
            requests = min(pair.requests, pair.control)
            phi = dispersion.thinned(self._varied(requests), requests, _MOST)
            requests, slow = control.requests + pair.control, control.slow + pair.control_slow
            control = Control(_FADING * requests, _FADING * slow)
        else:
            shares = binomial.effects(self.usual)
            ratios = binomial.log_ratios(seen.samples, seen.beyond, self.usual, shares)
            phi = dispersion.thinned(self._varied(seen.samples), seen.samples, _MOST)
        return [self._bet(self.name, ratios, fold, step, phi)], control

    def _varied(self, requests: float) -> float:
        """Return how many times more a minute varies than chance, as the baseline's blocks did."""
        fixed = isinstance(getattr(self.criterion, "baseline", None), FixedBaseline)
        phi = _UNMEASURED if fixed else 1.0
        if self.baseline is not None:
            phi = dispersion.scaled(self.baseline, requests)
        return phi

    def _limit(self, criterion: Threshold, seen: Window) -> tuple[float, ...]:
        if criterion.per is not None:
            hits, allowed = min(seen.amount, seen.samples), criterion.bound
            return binomial.log_ratios(seen.samples, hits, allowed, binomial.effects(allowed))
        if self.percentile is not None:
            allowed = self.usual
            return binomial.log_ratios(
                seen.samples, seen.amount, allowed, binomial.effects(allowed)
            )
        minutes = criterion.over.total_seconds() / MINUTE_S
        return poisson.log_ratios(seen.value, criterion.bound / minutes)


def usual_share(
    percentile: float | None, criterion: Criterion, baseline: FrozenValue | None
) -> float:
    """Return the share of requests that may be slower than the limits of `criterion`.

    What the percentile leaves above it; of a stored baseline what was slower then, and its doubt.
    """
    share = _USUAL if percentile is None else 1 - percentile
    frozen = isinstance(criterion, LatencyIncrease) and isinstance(
        criterion.baseline, FrozenBaseline
    )
    if frozen and baseline is not None and baseline.share is not None:
        share = two_sample.frozen_share(baseline.share, baseline.samples, baseline.dispersion)
    return min(max(share, _LEAST), _MOST_ALLOWED)


NO_CONTROL, _NOTHING_YET = Control(), Capital()


def _pair(seen: Window) -> Pair:
    return Pair(seen.samples, seen.amount, seen.control_samples, seen.control_amount)


def bettors(policy: Policy, step: int, baselines: Mapping[str, FrozenValue]) -> dict[str, Bettor]:
    """Return what bets in the gate of step number `step`, by criterion."""
    onsets, caps = onsets_of(policy), {test.name: test.cap for test in tests_of(policy)}
    found = {}
    for name, one in policy.gate(step).items():
        if one.sequential:
            percentile, baseline = _percentile(policy, one), baselines.get(name)
            usual = usual_share(percentile, one, baseline)
            found[name] = Bettor(name, one, onsets, caps, percentile, baseline, usual)
    return found


def _percentile(policy: Policy, criterion: Criterion) -> float | None:
    name = getattr(criterion, "metric", None)
    return policy.metrics[name].percentile if isinstance(name, str) else None
