"""The sequential tests of a policy, and the likelihood ratios of each for one minute."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from controller.core.judge.evidence import BaselineMeasurement, StepInterval
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
from controller.core.stats.combined_tests import ControlState, Fold, LikelihoodRatios, Test
from controller.core.stats.eprocess import Capital, cap_for
from controller.core.stats.prior import ChangePointPrior
from controller.core.stats.two_sample import PairedCounts
from controller.core.units import MINUTE_S

BREAKER, OBJECTIVE = "breaker", "objective"
# Parts of the budget, before they are made to add up to 1.
_BREAKER_PART, _OBJECTIVE_PART, _LATENCY_PART, _LIMIT_PART = 2.0, 4.0, 3.0, 0.5
# A minute counts as no more requests than this for a latency: a deviation of 1 % is no proof.
_MAX_EFFECTIVE_REQUESTS = 300
# Part of a control's counts that is left after a minute: half of them in 23 minutes.
_CONTROL_DECAY = 0.97
# Weight of the prior share of slow requests of a control, in requests.
_PRIOR_REQUESTS = 50.0
# Dispersion of a latency for which it was not measured.
_DEFAULT_DISPERSION = 3.0
# Shares of slow requests that can be tested against.
_MIN_SLOW_SHARE, _DEFAULT_SLOW_SHARE, _MAX_SLOW_SHARE = 0.0001, 0.05, 0.9


def tests_of(policy: Policy) -> tuple[Test, ...]:
    """Return every test of `policy`; their weights add up to 1."""
    parts = [
        test for name, one in policy.sequential_criteria().items() for test in _tests(name, one)
    ]
    total = sum(part for _, part, _ in parts)
    return tuple(
        Test(name, part / total, cap_for(policy.budget * part / total, datapoints))
        for name, part, datapoints in parts
    )


def criterion_of(test: str) -> str:
    """Return the criterion that a test belongs to."""
    return test.partition("/")[0]


def change_point_prior(policy: Policy) -> ChangePointPrior:
    """Return the prior of when a regression begins, for the steps and bake times of `policy`."""
    baked = sum(step.bake.total_seconds() for step in policy.steps)
    return ChangePointPrior(len(policy.steps), int(baked) // MINUTE_S)


def _tests(name: str, criterion: Criterion) -> Iterator[tuple[str, float, int]]:
    """Yield name, part of the budget, and fewest minutes to reject of each test of `criterion`."""
    match criterion:
        case SuccessRate():
            yield f"{name}/{BREAKER}", _BREAKER_PART, 2
            yield f"{name}/{OBJECTIVE}", _OBJECTIVE_PART, 5
        case LatencyIncrease():
            yield name, _LATENCY_PART, 3
        case _:
            yield name, _LIMIT_PART, 5


@dataclass(frozen=True, slots=True)
class CriterionTests:
    """The sequential tests of one criterion.

    prior: of the minute in which a regression begins. caps: by test.
    percentile: the share of values below the statistic of its metric, like 0.95; None for a count.
    baseline: what was read of the stable path before the start.
    allowed_slow_share: the share of requests that may be slower than the limits.
    """

    name: str
    criterion: Criterion
    prior: ChangePointPrior
    caps: Mapping[str, float]
    percentile: float | None
    baseline: BaselineMeasurement | None
    allowed_slow_share: float

    def likelihood_ratios(
        self, window: Window, fold: Fold, interval: StepInterval, minute: int
    ) -> tuple[list[LikelihoodRatios], ControlState]:
        """Return the likelihood ratios of the minute that begins at `minute`, unix seconds.

        And what is known of the control after it. window: consistent data of at least one request;
        fold: over everything before that minute. In the warm-up only the breaker has ratios.
        """
        control = fold.controls.get(self.name, NO_CONTROL)
        judged = minute >= interval.judged_from
        if isinstance(self.criterion, SuccessRate):
            return self._success_rate_ratios(self.criterion, window, fold, interval, judged=judged)
        if not judged:
            return [], control
        if isinstance(self.criterion, Threshold):
            ratios = self._threshold_log_ratios(self.criterion, window)
            return [self._ratios(self.name, ratios, fold, interval.step)], control
        if isinstance(self.criterion, LatencyIncrease):
            return self._latency_ratios(self.criterion, window, control, fold, interval.step)
        return [], control

    def _ratios(
        self, test: str, ratios: tuple[float, ...], fold: Fold, step: int, phi: float = 1.0
    ) -> LikelihoodRatios:
        prior_share = self.prior.share(fold.capitals.get(test, _INITIAL_CAPITAL), step)
        return LikelihoodRatios(test, ratios, prior_share, self.caps[test], phi, step)

    def _success_rate_ratios(
        self,
        criterion: SuccessRate,
        window: Window,
        fold: Fold,
        interval: StepInterval,
        *,
        judged: bool,
    ) -> tuple[list[LikelihoodRatios], ControlState]:
        allowed, step, pair = 1 - criterion.min, interval.step, _paired_counts(window)
        before = fold.controls.get(self.name, NO_CONTROL)
        after = success_rate.update_control(
            before, pair.control_requests, pair.control_slow, allowed
        )
        breaker_ratios = success_rate.breaker_log_ratios(pair, allowed, before, after)
        minute_ratios = [self._ratios(f"{self.name}/{BREAKER}", breaker_ratios, fold, step)]
        if judged:
            ratios = success_rate.log_ratios(pair, allowed, before, after)
            minute_ratios.append(self._ratios(f"{self.name}/{OBJECTIVE}", ratios, fold, step))
        return minute_ratios, after

    def _latency_ratios(
        self,
        criterion: LatencyIncrease,
        window: Window,
        control: ControlState,
        fold: Fold,
        step: int,
    ) -> tuple[list[LikelihoodRatios], ControlState]:
        """Return the ratios against the control of the same minute, or against a stored baseline.

        The usual share of the control is from earlier minutes; a stored baseline allows for its
        own uncertainty.
        """
        if isinstance(criterion.baseline, ConcurrentBaseline):
            pair = _paired_counts(window)
            control_share = (control.slow + self.allowed_slow_share * _PRIOR_REQUESTS) / (
                control.requests + _PRIOR_REQUESTS
            )
            ratios = two_sample.log_ratios(pair, control_share)
            requests = min(pair.requests, pair.control_requests)
            phi = dispersion.cap_effective_samples(
                self._dispersion(requests), requests, _MAX_EFFECTIVE_REQUESTS
            )
            requests, slow = (
                control.requests + pair.control_requests,
                control.slow + pair.control_slow,
            )
            control = ControlState(_CONTROL_DECAY * requests, _CONTROL_DECAY * slow)
        else:
            shares = binomial.effects(self.allowed_slow_share)
            ratios = binomial.log_ratios(
                window.samples, window.fail_amount, self.allowed_slow_share, shares
            )
            phi = dispersion.cap_effective_samples(
                self._dispersion(window.samples), window.samples, _MAX_EFFECTIVE_REQUESTS
            )
        return [self._ratios(self.name, ratios, fold, step, phi)], control

    def _dispersion(self, requests: float) -> float:
        """Return the dispersion of a minute with `requests`, as the blocks of the baseline had."""
        fixed = isinstance(getattr(self.criterion, "baseline", None), FixedBaseline)
        phi = _DEFAULT_DISPERSION if fixed else 1.0
        if self.baseline is not None:
            phi = dispersion.minute_dispersion(self.baseline, requests)
        return phi

    def _threshold_log_ratios(self, criterion: Threshold, window: Window) -> tuple[float, ...]:
        if criterion.per is not None:
            hits, allowed = min(window.amount, window.samples), criterion.bound
            return binomial.log_ratios(window.samples, hits, allowed, binomial.effects(allowed))
        if self.percentile is not None:
            allowed = self.allowed_slow_share
            return binomial.log_ratios(
                window.samples, window.amount, allowed, binomial.effects(allowed)
            )
        minutes = criterion.over.total_seconds() / MINUTE_S
        return poisson.log_ratios(window.value, criterion.bound / minutes)


def allowed_slow_share(
    percentile: float | None, criterion: Criterion, baseline: BaselineMeasurement | None
) -> float:
    """Return the share of requests that may be slower than the limits of `criterion`.

    It is what the percentile leaves above it; for a stored baseline the share that was slower
    then, and its uncertainty.
    """
    share = _DEFAULT_SLOW_SHARE if percentile is None else 1 - percentile
    frozen = isinstance(criterion, LatencyIncrease) and isinstance(
        criterion.baseline, FrozenBaseline
    )
    if frozen and baseline is not None and baseline.share is not None:
        share = two_sample.baseline_share_bound(
            baseline.share, baseline.samples, baseline.dispersion
        )
    return min(max(share, _MIN_SLOW_SHARE), _MAX_SLOW_SHARE)


NO_CONTROL, _INITIAL_CAPITAL = ControlState(), Capital()


def _paired_counts(window: Window) -> PairedCounts:
    return PairedCounts(
        window.samples, window.amount, window.control_samples, window.control_amount
    )


def gate_tests(
    policy: Policy, step: int, baselines: Mapping[str, BaselineMeasurement]
) -> dict[str, CriterionTests]:
    """Return the sequential tests in the gate of step number `step`, by criterion."""
    prior, caps = change_point_prior(policy), {test.name: test.cap for test in tests_of(policy)}
    tests = {}
    for name, one in policy.gate(step).items():
        if one.sequential:
            percentile, baseline = _percentile(policy, one), baselines.get(name)
            slow_share = allowed_slow_share(percentile, one, baseline)
            tests[name] = CriterionTests(name, one, prior, caps, percentile, baseline, slow_share)
    return tests


def _percentile(policy: Policy, criterion: Criterion) -> float | None:
    name = getattr(criterion, "metric", None)
    return policy.metrics[name].percentile if isinstance(name, str) else None
