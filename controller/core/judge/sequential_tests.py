"""The sequential tests of a policy, and the likelihood ratios of each for one minute."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from controller.core.judge.evidence import BaselineMeasurement, StepInterval
from controller.core.judge.kind import kinds_of
from controller.core.judge.sequential import MinuteRatios, SequentialKind
from controller.core.judge.series import Window
from controller.core.policy import Criterion, Policy
from controller.core.stats.combined_tests import ControlState, Fold, LikelihoodRatios, Test
from controller.core.stats.eprocess import Capital, cap_for
from controller.core.stats.prior import ChangePointPrior
from controller.core.units import MINUTE_S

NO_CONTROL, _INITIAL_CAPITAL = ControlState(), Capital()


def tests_of(policy: Policy) -> tuple[Test, ...]:
    """Return every test of `policy`; their weights add up to 1."""
    kinds = _sequential_kinds(policy, policy.criteria, {})
    parts = [part for kind in kinds for part in kind.tests()]
    total = sum(one.part for one in parts)
    return tuple(
        Test(name, part / total, cap_for(policy.budget * part / total, min_minutes))
        for name, part, min_minutes in parts
    )


def change_point_prior(policy: Policy) -> ChangePointPrior:
    """Return the prior of when a regression begins, for the steps and bake times of `policy`."""
    baked = sum(step.bake.total_seconds() for step in policy.steps)
    return ChangePointPrior(len(policy.steps), int(baked) // MINUTE_S)


@dataclass(frozen=True, slots=True)
class CriterionTests:
    """The sequential tests of one criterion.

    prior: of the minute in which a regression begins. caps: by test.
    """

    kind: SequentialKind[Any]
    prior: ChangePointPrior
    caps: Mapping[str, float]

    def likelihood_ratios(
        self, window: Window, fold: Fold, interval: StepInterval, minute: int
    ) -> tuple[list[LikelihoodRatios], ControlState]:
        """Return the likelihood ratios of the minute that begins at `minute`, unix seconds.

        And what is known of the control after it. window: consistent data of at least one request;
        fold: over everything before that minute.
        """
        before = fold.controls.get(self.kind.name, NO_CONTROL)
        judged = minute >= interval.judged_from
        ratios, after = self.kind.minute_ratios(window, before, judged=judged)
        return [self._with_prior(one, fold, interval.step) for one in ratios], after

    def _with_prior(self, ratios: MinuteRatios, fold: Fold, step: int) -> LikelihoodRatios:
        test, log_ratios, dispersion = ratios
        prior_share = self.prior.share(fold.capitals.get(test, _INITIAL_CAPITAL), step)
        return LikelihoodRatios(test, log_ratios, prior_share, self.caps[test], dispersion, step)


def gate_tests(
    policy: Policy, step: int, baselines: Mapping[str, BaselineMeasurement]
) -> dict[str, CriterionTests]:
    """Return the sequential tests in the gate of step number `step`, by criterion."""
    prior, caps = change_point_prior(policy), {test.name: test.cap for test in tests_of(policy)}
    return {
        kind.name: CriterionTests(kind, prior, caps)
        for kind in _sequential_kinds(policy, policy.gate(step), baselines)
    }


def _sequential_kinds(
    policy: Policy,
    criteria: Mapping[str, Criterion],
    baselines: Mapping[str, BaselineMeasurement],
) -> Iterator[SequentialKind[Any]]:
    for kind in kinds_of(policy, criteria, baselines):
        if kind.criterion.sequential and isinstance(kind, SequentialKind):
            yield kind
