"""Minutes of steady traffic with one fault in it, shown to the tests that judge a rollout.

Requests come evenly, and so do those that the fault hits; a minute shows those that are whole by
then. Half a failure in each of two minutes would slip under the cap that holds one in two back.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import ceil, expm1, log
from statistics import NormalDist
from typing import NamedTuple

from controller.core.judge.bets import Bettor, bettors, tests_of
from controller.core.judge.window import Window
from controller.core.measured import FrozenValue, Stretch
from controller.core.policy import ConcurrentBaseline, Criterion, LatencyIncrease, Policy
from controller.core.sequential.trial import Fold, Test, folded
from controller.core.units import MINUTE_S

# The spread of the log of a latency, where nobody has measured it.
SIGMA = 0.5
_NORMAL = NormalDist()
_ROUNDING = 1e-9


class Flow(NamedTuple):
    """Requests a minute on the canary, and on the stable path beside it."""

    canary: float
    control: float

    @classmethod
    def at(cls, weight: int, per_minute: float) -> "Flow":
        """Return how `per_minute` requests are parted at `weight` percent."""
        return cls(per_minute * weight / 100, per_minute * (100 - weight) / 100)

    @property
    def met(self) -> float:
        """The share of minutes in which both paths have a request: Poisson."""
        return expm1(-self.canary) * expm1(-self.control)

    def compared(self) -> "Flow":
        """Return the requests a minute that come in a minute in which both paths have one."""
        return Flow(-self.canary * expm1(-self.control), -self.control * expm1(-self.canary))


def is_beside(criterion: Criterion) -> bool:
    """Tell whether two paths are compared in the same minute, so that both need requests."""
    return isinstance(criterion, LatencyIncrease) and isinstance(
        criterion.baseline, ConcurrentBaseline
    )


@dataclass(frozen=True, slots=True)
class Trial:
    """One criterion in one step, asked how soon it fails."""

    policy: Policy
    step: int
    bettor: Bettor
    tests: tuple[Test, ...]

    def delay(self, flow: Flow, effect: float, within: int) -> int | None:
        """Return after how many minutes of the step a fault from its begin on is rolled back for.

        effect: the share of requests that fail or are counted, or the increase of the latency.
        within: how many minutes are looked at; None: not in these. Earlier steps showed nothing.
        """
        warm = minutes(self.policy.warmup_of(self.step))
        stretch = Stretch(self.step, 0, warm * MINUTE_S)
        fold = Fold()
        for minute, seen in self._minutes(flow, effect, within):
            placed, control = self.bettor.bets(seen, fold, stretch, minute)
            controls = {self.bettor.name: control}
            fold = folded(fold, minute + MINUTE_S, placed, controls, self.tests)
            if fold.rejects(self.policy.budget):
                return fold.through // MINUTE_S
        return None

    def _minutes(self, flow: Flow, effect: float, within: int) -> Iterator[tuple[int, Window]]:
        """Yield the begin of each minute that has data, and what it shows."""
        hit, usual = self._shares(effect)
        met = 1.0
        if is_beside(self.bettor.criterion):
            met, flow = flow.met, flow.compared()
        before = (0, 0, 0, 0)
        for number in range(1, within + 1):
            passed = int(number * met + 0.5) / met if met else 0.0
            canary, control = _whole(flow.canary * passed), _whole(flow.control * passed)
            after = canary, _whole(canary * hit), control, _whole(control * usual)
            own, bad, other, slow = (new - old for new, old in zip(after, before, strict=True))
            before = after
            if own:
                seen = Window(own, bad, bad, False, other, slow, beyond=bad)
                yield (number - 1) * MINUTE_S, seen

    def _shares(self, effect: float) -> tuple[float, float]:
        """Return the shares of requests that are hit, on the canary and beside it."""
        one = self.bettor
        if one.percentile is None:
            return effect, 0.0
        usual, room = 1 - one.percentile, 1.0
        if isinstance(one.criterion, LatencyIncrease):
            room = (1 + one.criterion.max_increase) * (1 + one.criterion.allowance)
            if one.baseline is not None and one.baseline.share:
                usual = one.baseline.share
        limit = _NORMAL.inv_cdf(1 - usual) + log(room / (1 + effect)) / SIGMA
        return 1 - _NORMAL.cdf(limit), usual


def trials(policy: Policy, step: int, baselines: Mapping[str, FrozenValue]) -> dict[str, Trial]:
    """Return what can be asked of the gate of step number `step`, by sequential criterion."""
    tests = tests_of(policy)
    return {
        name: Trial(policy, step, one, tests)
        for name, one in bettors(policy, step, baselines).items()
    }


def minutes(length: timedelta) -> int:
    """Return how many whole minutes it takes for `length` to pass."""
    return ceil(length / timedelta(minutes=1))


def _whole(number: float) -> int:
    return int(number + _ROUNDING)
