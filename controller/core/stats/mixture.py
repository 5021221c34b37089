"""All tests of a rollout together, minute by minute, under one budget of false rollbacks.

What is rolled back for is the weighted mean of the tests' evidence: it is an e-process whatever the
tests have to do with each other (Vovk and Wang 2021), so it reaches 1/budget with a chance of at
most `budget` while every rule holds. The highest it ever stood at counts, so it does not matter how
often anybody looks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from controller.core.stats.eprocess import Capital, bet

# What the numbers of a fold mean. A fold of another version, older or newer, starts anew.
JUDGE_VERSION = 3


class Test(NamedTuple):
    """One test, as the whole rollout knows it.

    weight: its part of the budget; those of all tests of a rollout add up to 1.
    cap: what one minute may add to its log capital, so that few minutes alone never roll back.
    """

    name: str
    weight: float
    cap: float


class Bet(NamedTuple):
    """What one test does with one minute: see `eprocess.bet`."""

    test: str
    log_ratios: tuple[float, ...]
    onset: float
    cap: float
    dispersion: float = 1.0
    step: int = 0


@dataclass(frozen=True, slots=True)
class Control:
    """What a criterion has seen of its control.

    requests, slow: recent ones, and those that were slow or failed; for a latency sums that fade,
    so that the control's share follows the time of day.
    bad: minutes of an outage so far; good: how many good ones there were since.
    """

    requests: float = 0.0
    slow: float = 0.0
    bad: int = 0
    good: int = 0


@dataclass(frozen=True, slots=True)
class Fold:
    """The evidence of a whole rollout, over all closed minutes so far.

    through: end of the last folded minute, unix seconds; 0 before the first.
    capitals: by test; controls: by criterion.
    peak: the highest that the combined evidence ever stood at, 1 for none; that was at the end of
    the minute `peak_at`, when the test `carried` held the largest part of it.
    """

    version: int = JUDGE_VERSION
    through: int = 0
    capitals: Mapping[str, Capital] = field(default_factory=dict)
    controls: Mapping[str, Control] = field(default_factory=dict)
    peak: float = 1.0
    peak_at: int = 0
    carried: str = ""

    def rejects(self, budget: float) -> bool:
        """Tell whether the evidence has ever been strong enough to roll back."""
        return self.peak >= 1 / budget

    @property
    def usable(self) -> "Fold":
        """The fold to go on with: one of another version starts anew where that had sealed.

        Its budget is whole again then.
        """
        return self if self.version == JUDGE_VERSION else Fold(through=self.through)


def folded(
    fold: Fold,
    end: int,
    bets: Iterable[Bet],
    controls: Mapping[str, Control],
    tests: Sequence[Test],
) -> Fold:
    """Return `fold` after the minute that ends at `end`; a test without a bet keeps its capital."""
    capitals = dict(fold.capitals)
    for name, log_ratios, onset, cap, dispersion, step in bets:
        before = capitals.get(name, _NOTHING_YET)
        capitals[name] = bet(before, log_ratios, onset, cap=cap, dispersion=dispersion, step=step)
    peak, peak_at, carried = fold.peak, fold.peak_at, fold.carried
    known = capitals.get
    parts = [weight * one.e if (one := known(name)) else weight for name, weight, _ in tests]
    evidence = sum(parts)
    if evidence > peak:
        peak, peak_at, carried = evidence, end, tests[parts.index(max(parts))].name
    controls = {**fold.controls, **controls} if controls else fold.controls
    return Fold(fold.version, end, capitals, controls, peak, peak_at, carried)


_NOTHING_YET = Capital()
