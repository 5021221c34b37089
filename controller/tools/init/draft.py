"""The draft of a policy: what it watches, and the steps that its gates can decide."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Final, TypeAlias

from controller.core.policy import Policy, TargetSpec
from controller.core.policy.judge_settings import RATE_SAMPLES
from controller.core.policy.metric import RequestSource
from controller.immutable import Immutable, replace
from controller.tools.init.survey import CountedPaths, Survey
from controller.tools.plan.power import StepPower, power_of

SUCCESS: Final = "success"
OUTAGE: Final = "outage"
LATENCY: Final = "latency"
SUCCESS_AT_100: Final = "success-at-100"
OUTAGE_AT_100: Final = "outage-at-100"
LATENCY_AT_100: Final = "latency-at-100"
TRAFFIC: Final = "traffic"
REFUSED: Final = "refused"
SIGN_OFF: Final = "canary-works"

_CRITERIA: Final = (
    SUCCESS, SUCCESS_AT_100, OUTAGE, OUTAGE_AT_100, REFUSED, LATENCY, LATENCY_AT_100, TRAFFIC,
    SIGN_OFF,
)  # fmt: skip

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(hours=24)
_MINUTE: Final = timedelta(minutes=1)
# The steps that are tried, the usual ones first: with little traffic, 10% of it shows nothing.
_LADDERS: Final = ((10, 50, 100), (25, 50, 100), (50, 100))
_BAKES: Final = (_HOUR, 2 * _HOUR, 4 * _HOUR, 8 * _HOUR, _DAY)
# What a quiet service needs for a pass of its first step: leaves room for a day with less traffic.
_QUIET_SAMPLES: Final = 20
_QUIET_SHARE: Final = 0.7


class StepPlan(Immutable):
    """One step.

    criteria: names of what gates it. requests: on the canary during the bake; None: unknown.
    smallest: the smallest share of failures that is found within the bake; None: unknown, as where
        the requests of both paths are counted together.
    """

    weight: int
    bake: timedelta
    criteria: tuple[str, ...]
    requests: float | None = None
    smallest: float | None = None


class Draft(Immutable):
    """A policy to be written.

    weight: the live one; None: unknown, and taken to be 0. quiet: there is too little traffic for
    evidence that adds up, so windows are compared.
    """

    name: str
    target: TargetSpec
    source: RequestSource
    survey: Survey
    weight: int | None = None
    steps: tuple[StepPlan, ...] = ()
    quiet: bool = False

    @property
    def measures_both(self) -> bool:
        """Whether both paths are measured, each by itself."""
        return bool(self.source.stable)

    @property
    def successes(self) -> tuple[tuple[str, str], ...]:
        """The metrics whose sum is the requests that did not fail, by name; empty: failures are.

        Requests of both paths are judged by the ratio of two metrics.
        """
        return () if self.survey.counts is CountedPaths.BOTH else self.source.metrics.successes

    @property
    def compares_latency(self) -> bool:
        """Whether there is a latency of the stable path to compare with."""
        return not self.quiet and not self.weight and self.survey.baseline_days > 0

    @property
    def criteria(self) -> list[str]:
        """The criteria that a step uses, in the order of the file."""
        used = {name for step in self.steps for name in step.criteria}
        return [criterion for criterion in _CRITERIA if criterion in used]

    @property
    def quiet_samples(self) -> int:
        """The requests that a pass of a quiet service needs."""
        first = self.steps[0].requests or 0
        return max(1, min(_QUIET_SAMPLES, int(first * _QUIET_SHARE)))


PolicyOf: TypeAlias = Callable[[Draft], Policy]


def with_steps(draft: Draft, policy_of: PolicyOf) -> Draft:
    """Return `draft` with the first steps whose success rate is decided at its request rate.

    A latency gates the steps in which it can be judged. Without a known rate these are the usual
    steps. Without any steps that decide, each bakes a day and windows are compared.
    policy_of: the policy that a draft describes.
    """
    rate = draft.survey.per_minute
    if rate is None:
        return _planned(draft, _LADDERS[0], _HOUR)
    for weights, bake in _ladders(rate):
        candidate = _planned(draft, weights, bake)
        powers = power_of(policy_of(candidate), rate)
        if not any({SUCCESS, SUCCESS_AT_100} & _undecided(power) for power in powers):
            return _measured(candidate, powers)
    quiet = _planned(replace(draft, quiet=True), _LADDERS[0], _DAY)
    requests = (rate * step.weight / 100 * (_DAY / _MINUTE) for step in quiet.steps)
    steps = (
        replace(step, requests=count) for step, count in zip(quiet.steps, requests, strict=True)
    )
    return replace(quiet, steps=tuple(steps))


def _ladders(rate: float) -> Iterator[tuple[Sequence[int], timedelta]]:
    """Yield weights and bakes in which the first step has as many requests as a pass needs."""
    for weights in _LADDERS:
        for bake in _BAKES:
            if rate * weights[0] / 100 * (bake / _MINUTE) >= RATE_SAMPLES:
                yield weights, bake


def _planned(draft: Draft, weights: Sequence[int], bake: timedelta) -> Draft:
    """Return `draft` with these steps, each with every criterion that fits; the last is a day."""
    steps = [
        StepPlan(weight, _DAY if weight == 100 else bake, tuple(_gate(draft, weight)))
        for weight in weights
    ]
    return replace(draft, steps=tuple(steps))


def _gate(draft: Draft, weight: int) -> Iterator[str]:
    is_alone = weight == 100 and bool(draft.source.whole)
    yield SUCCESS_AT_100 if is_alone else SUCCESS
    if draft.quiet:
        yield OUTAGE_AT_100 if is_alone else OUTAGE
    elif draft.source.metrics.refused:
        yield REFUSED
    if draft.compares_latency:
        yield LATENCY_AT_100 if draft.measures_both and weight == 100 else LATENCY
    if draft.survey.counts is CountedPaths.CANARY and not is_alone:
        yield TRAFFIC
    if draft.survey.counts is CountedPaths.BOTH and weight < 100:
        yield SIGN_OFF  # no metric shows the canary there


def _measured(draft: Draft, powers: Sequence[StepPower]) -> Draft:
    """Return `draft` with what its steps can decide, without criteria that cannot be judged."""
    alone = draft.survey.counts is CountedPaths.CANARY
    steps = []
    for step, power in zip(draft.steps, powers, strict=True):
        undecided = _undecided(power) & {LATENCY, LATENCY_AT_100}
        (success,) = (
            criterion
            for criterion in power.criteria
            if criterion.criterion in (SUCCESS, SUCCESS_AT_100)
        )
        steps.append(
            replace(
                step,
                criteria=tuple(
                    criterion for criterion in step.criteria if criterion not in undecided
                ),
                requests=power.requests,
                smallest=success.smallest_detectable if alone else None,
            )
        )
    return replace(draft, steps=tuple(steps))


def _undecided(power: StepPower) -> set[str]:
    return {criterion.criterion for criterion in power.criteria if criterion.shortfalls}
