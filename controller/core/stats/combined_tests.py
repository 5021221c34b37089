"""The sequential tests of a rollout, minute by minute, each under its part of one budget.

Every test has its own part of the budget of false rollbacks, and rolls back when its own evidence
reaches 1/part. The parts add up to the budget, so a release that keeps every rule is rolled back
with a chance of at most the budget, whatever the tests have to do with each other (Bonferroni).
The highest evidence of a test counts, so the result does not depend on how often it is looked at.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from math import ceil, inf
from typing import NamedTuple

from msgspec import UNSET, UnsetType

from controller.core.stats.counts import Counts
from controller.core.stats.eprocess import (
    LARGEST_SHARE,
    ChangePointPrior,
    EProcessState,
    cap_for,
    update_e_process,
)
from controller.core.stats.hangs import NO_HANGS, HangsBeside
from controller.core.stats.spells import MinuteBlock
from controller.core.units import Amount, Count, Real, Second
from controller.immutable import Immutable, field

# What the numbers of a fold mean. A fold of another version, older or newer, starts anew.
JUDGE_VERSION = 8


class Test(NamedTuple):
    """One test of a rollout.

    part: of the budget: the chance with which this test may roll back a healthy release.
    minutes: the fewest bad minutes in a row that can roll back with the default budget, at the
    evidence of each. saved: of how many of them the evidence may come from a single minute after
    quiet ones. default_part: of the default budget; what a minute may prove follows from it, so
    that evidence depends on no budget, and a larger one never rolls back later. 0: as `part`.
    block: how many minutes one datapoint of the test is of.
    """

    name: str
    part: float
    minutes: int
    saved: int = 1
    default_part: float = 0.0
    block: int = 1


class MinuteRatios(Immutable, gc=False):
    """The log likelihood ratios of one test for one minute, one for each effect.

    test: its name. dispersion: as in `update_e_process`. minutes: of the test, for a minute like
    this one; None: as its `Test` says. block: the minutes that end with this one, and their counts,
    where the ratios are of all of them. withheld: True where nothing is rolled back now, however
    much evidence there is.
    """

    test: str
    log_ratios: Sequence[float]
    dispersion: float = 1.0
    minutes: int | None = None
    block: MinuteBlock | None = None
    withheld: bool = False


class ControlState(Immutable, gc=False):
    """What is known of the control of a criterion.

    requests, slow: recent requests, and those that were slow or failed; they decay from minute to
    minute, so that the control's share follows the time of day, or an outage.
    hangs: of a canary that hangs beside this control. expected: of all recent requests, those that
    were slow at the same time of day in a stored baseline.
    surpluses: answers of the canary and of the control that were counted in a later minute than
    their requests, and that a later minute may lack. blocks: of the canary, not over yet.
    recovered: minutes in a row in which a control that failed before the start kept its bound, up
        to those after which its outage is over; UNSET: of any other control.
    """

    requests: Amount = 0.0
    slow: Amount = 0.0
    hangs: HangsBeside = NO_HANGS
    expected: Amount = 0.0
    surpluses: tuple[Amount, Amount] = (0.0, 0.0)
    blocks: tuple[MinuteBlock, ...] = ()
    recovered: Count | UnsetType = UNSET


NO_CONTROL = ControlState()


class Rejection(Immutable):
    """A test whose evidence has reached its limit.

    e_value: the highest so far. limit: 1/part, what rolls back. at: end of the minute of that
    value, unix seconds.
    """

    e_value: Amount
    limit: Amount
    at: Second


class RegressionStart(Immutable):
    """The minutes up to the newest that together speak most for one effect of a test.

    effect: its index among the effects of the test. log_ratio: the sum over these minutes.
    start: of the first one, unix seconds.
    """

    effect: Count
    log_ratio: Real
    start: Second
    counts: Counts


class SequentialState(Immutable):
    """The evidence of a whole rollout, over all closed minutes so far.

    through: end of the last folded minute, unix seconds; 0 before the first.
    version: of the judge that folded it. capitals: by test; controls: by criterion.
    rejections: by test, of those whose evidence has ever been strong enough to roll back.
    onsets: by test, where its minutes up to the last checkpoint speak for a change. They are for
    sentences and decide nothing, so they make no two folds different.
    """

    version: Count = JUDGE_VERSION
    through: Second = 0
    capitals: Mapping[str, EProcessState] = field(default_factory=dict)
    controls: Mapping[str, ControlState] = field(default_factory=dict)
    rejections: Mapping[str, Rejection] = field(default_factory=dict)
    onsets: Mapping[str, RegressionStart] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        """Tell whether both are the same evidence, whatever their onsets."""
        return isinstance(other, SequentialState) and self._evidence == other._evidence

    @property
    def _evidence(self) -> tuple[object, ...]:
        return self.version, self.through, self.capitals, self.controls, self.rejections

    @property
    def current_version(self) -> "SequentialState":
        """This fold; one of another judge version starts anew at the minute it had reached.

        Its budget is whole again then.
        """
        return self if self.version == JUDGE_VERSION else SequentialState(through=self.through)


class CombinedTests(Immutable):
    """The tests of a policy, by name; their parts add up to its budget.

    prior: of the minute in which a regression begins.
    """

    by_name: Mapping[str, Test]
    prior: ChangePointPrior

    def fold_minute(
        self,
        fold: SequentialState,
        end: int,
        step: int,
        ratios: Iterable[MinuteRatios],
        controls: Mapping[str, ControlState],
    ) -> SequentialState:
        """Return `fold` after the minute of step number `step` that ends at `end`, unix seconds.

        A test without ratios keeps its capital. controls: those that changed in this minute.
        """
        capitals, rejections, share_of = dict(fold.capitals), fold.rejections, self.prior.share
        for one in ratios:
            name, log_ratios = one.test, one.log_ratios
            test, before = self.by_name[name], capitals.get(name, _INITIAL_CAPITAL)
            spacing = before.spacing_at(end)
            # A minute that speaks for no change needs no limit, and few speak for one.
            speaks = max(log_ratios) > 0
            limited = speaks or before.used
            cap, refill = limits(test, spacing, one.minutes) if limited else _NO_LIMITS
            capital = update_e_process(
                before,
                log_ratios,
                share_of(before, step, test.block),
                cap=cap,
                refill=refill,
                dispersion=one.dispersion,
                step=step,
                end=end,
                spacing=spacing,
            )
            capitals[name] = capital
            # Without a ratio in favour of a change the evidence is no higher than it was.
            if speaks and not one.withheld and (e_value := capital.e_value) * test.part >= 1:
                highest = rejections.get(name)
                if highest is None or e_value > highest.e_value:
                    rejections = {**rejections, name: Rejection(e_value, 1 / test.part, end)}
        controls = {**fold.controls, **controls} if controls else fold.controls
        return SequentialState(fold.version, end, capitals, controls, rejections, fold.onsets)


_INITIAL_CAPITAL = EProcessState()
_NO_LIMITS = (inf, inf)


@lru_cache(maxsize=1024)
def limits(test: Test, spacing: int, minutes: int | None = None) -> tuple[float, float]:
    """Return `cap` and `refill` of `update_e_process` for a datapoint of `test`.

    spacing: minutes from one datapoint to the next. Where it is longer, fewer of them are enough:
    as many as have, between the first and the last, the bad minutes of `minutes` in a row.
    minutes: of the test, for this datapoint; None: as it says.
    """
    minutes, spacing = test.minutes if minutes is None else minutes, max(spacing, test.block)
    part = test.default_part or test.part
    if spacing <= 1 or minutes <= 2:
        refill = cap_for(part, minutes)
        return test.saved * refill, refill
    fresh = part * LARGEST_SHARE  # of the prior, with which the capital on a change begins
    refill = cap_for(fresh, 2 + ceil((minutes - 2) / spacing))
    return refill, refill
