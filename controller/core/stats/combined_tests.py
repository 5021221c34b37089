"""All tests of a rollout combined, minute by minute, under one budget of false rollbacks.

The rollout is rolled back on the weighted mean of the tests' evidence. It is an e-process whatever
the tests have to do with each other (Vovk and Wang 2021), so it reaches 1/budget with a chance of
at most `budget` while every rule is kept. Its highest value so far counts, so the result does not
depend on how often it is looked at.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from controller.core.stats.eprocess import Capital, update_capital

# What the numbers of a fold mean. A fold of another version, older or newer, starts anew.
JUDGE_VERSION = 3


class Test(NamedTuple):
    """One test of a rollout.

    weight: its part of the budget; those of all tests of a rollout add up to 1.
    cap: what one minute may add to its log capital, so that few minutes alone never roll back.
    """

    name: str
    weight: float
    cap: float


class LikelihoodRatios(NamedTuple):
    """The log likelihood ratios of one test for one minute; fields as in `update_capital`."""

    test: str
    log_ratios: tuple[float, ...]
    prior_share: float
    cap: float
    dispersion: float = 1.0
    step: int = 0


@dataclass(frozen=True, slots=True)
class ControlState:
    """What is known of the control of a criterion.

    requests, slow: recent requests, and those that were slow or failed; for a latency they decay,
    so that the control's share follows the time of day.
    bad: minutes of an outage so far; good: how many good minutes there were since.
    """

    requests: float = 0.0
    slow: float = 0.0
    outage_minutes: int = 0
    good_minutes: int = 0


@dataclass(frozen=True, slots=True)
class Fold:
    """The evidence of a whole rollout, over all closed minutes so far.

    through: end of the last folded minute, unix seconds; 0 before the first.
    version: of the judge that folded it. capitals: by test; controls: by criterion.
    peak: the highest value of the combined evidence so far, 1 for none. peak_at: end of the minute
    of that value, unix seconds; leading_test: the test that had the largest part of it.
    """

    version: int = JUDGE_VERSION
    through: int = 0
    capitals: Mapping[str, Capital] = field(default_factory=dict)
    controls: Mapping[str, ControlState] = field(default_factory=dict)
    peak: float = 1.0
    peak_at: int = 0
    leading_test: str = ""

    def rejects(self, budget: float) -> bool:
        """Tell whether the evidence has ever been strong enough to roll back."""
        return self.peak >= 1 / budget

    @property
    def current_version(self) -> "Fold":
        """This fold; one of another judge version starts anew at the minute it had sealed.

        Its budget is whole again then.
        """
        return self if self.version == JUDGE_VERSION else Fold(through=self.through)


def fold_minute(
    fold: Fold,
    end: int,
    ratios: Iterable[LikelihoodRatios],
    controls: Mapping[str, ControlState],
    tests: Sequence[Test],
) -> Fold:
    """Return `fold` after the minute that ends at `end`, unix seconds.

    A test without ratios keeps its capital. controls: those that changed in this minute.
    """
    capitals = dict(fold.capitals)
    for name, log_ratios, prior_share, cap, dispersion, step in ratios:
        before = capitals.get(name, _INITIAL_CAPITAL)
        capitals[name] = update_capital(
            before, log_ratios, prior_share, cap=cap, dispersion=dispersion, step=step
        )
    peak, peak_at, leading_test = fold.peak, fold.peak_at, fold.leading_test
    capital_of = capitals.get
    parts = [
        weight * one.e_value if (one := capital_of(name)) else weight for name, weight, _ in tests
    ]
    evidence = sum(parts)
    if evidence > peak:
        peak, peak_at, leading_test = evidence, end, tests[parts.index(max(parts))].name
    controls = {**fold.controls, **controls} if controls else fold.controls
    return Fold(fold.version, end, capitals, controls, peak, peak_at, leading_test)


_INITIAL_CAPITAL = Capital()
