"""One rollout of a release under the real judge: its tests, their fold, and what they conclude."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from math import inf
from random import Random
from statistics import fmean
from typing import ClassVar, NamedTuple

from benchmarks.judging import policy
from benchmarks.judging.policy import POLICY, WITHOUT_STABLE
from benchmarks.judging.world import Minute, Release, World
from controller.core.due import minutes_without_rejection
from controller.core.judge.criterion_judge import Context
from controller.core.judge.evidence import (
    BaselineMeasurement,
    SequentialResult,
    StepInterval,
    Tally,
)
from controller.core.judge.findings import Verdict, gate_verdict
from controller.core.judge.sequential_evidence import (
    CriterionTests,
    step_tests,
    tests_of,
)
from controller.core.judge.series import WindowCounts
from controller.core.policy import Policy
from controller.core.stats.combined_tests import (
    NO_CONTROL,
    CombinedTests,
    ControlState,
    MinuteRatios,
    SequentialState,
)
from controller.core.stats.counts import Counts
from controller.core.units import MINUTE_S
from controller.core.visit_order import FARTHEST
from controller.immutable import replace

# An inconclusive bake is held for up to this many times its length in total, by default; then an
# operator has to decide.
LONGEST = 3
_NOTHING = Minute._make([0] * 11 + [0.0, ()])


class End(StrEnum):
    """How a rollout ended."""

    ROLLED_BACK = "rolled back"
    HELD = "held"
    PROMOTED = "promoted"
    BAKED = "baked"


class Outcome(NamedTuple):
    """How one rollout ended.

    minute, step: when. failed: the failures of the canary so far. test: the one that rolled back.
    held: how many minutes longer than its bakes it takes, if each step waits until its gate passes;
    infinite: it is paused. None: that was not played.
    """

    end: End
    minute: int
    step: int
    failed: int
    test: str
    held: float | None = None


def bake(rng: Random, release: Release, policy: Policy = POLICY) -> Outcome:
    """Run the planned steps, without waiting for a pass, until the judge rolls back."""
    rollout = _Rollout(World(rng, release), policy)
    for number, step in enumerate(policy.steps):
        rollout.enter(number)
        length = policy.warmup_of(number) + step.bake
        for _ in range(_minutes(length.total_seconds())):
            if rollout.rejects():
                return rollout.outcome(End.ROLLED_BACK)
    return rollout.outcome(End.BAKED)


def climb(
    rng: Random,
    release: Release,
    criteria: Callable[[str], bool] = bool,
    longest: int = LONGEST,
    policy: Policy = POLICY,
) -> Outcome:
    """Run each step until all `criteria` pass, for up to `longest` times its bake."""
    rollout, held = _Rollout(World(rng, release), policy, counting=True), 0
    for number, step in enumerate(policy.steps):
        rollout.enter(number)
        planned = _minutes(step.bake.total_seconds())
        for minute in range(1, planned * longest + 1):
            if rollout.rejects():
                held += max(0, minute - planned)
                return rollout.outcome(End.ROLLED_BACK)._replace(held=held)
            if minute >= planned and rollout.passes(criteria):
                held += minute - planned
                break
        else:
            return rollout.outcome(End.HELD)._replace(held=inf)
    return rollout.outcome(End.PROMOTED)._replace(held=held)


def bake_and_climb(rng: Random, release: Release, policy: Policy = POLICY) -> Outcome:
    """Run the planned steps as `bake` does, and tell how long the same release is held."""
    before = rng.getstate()
    climbed = climb(rng, release, policy=policy)
    if not climbed.held:  # each gate passed with the end of its bake, so both are the same
        return climbed
    rng.setstate(before)
    return bake(rng, release, policy)._replace(held=climbed.held)


class JudgedRollout:
    """The judge's view of one rollout: its evidence of all steps, and the tallies of the step.

    counting: whether `passes` will be asked. only_when_due: it is looked at when it is due, as by a
    tick, and not each minute.
    """

    only_when_due: ClassVar[bool] = False

    def __init__(
        self,
        policy: Policy,
        baselines: Mapping[str, BaselineMeasurement],
        *,
        counting: bool = False,
    ) -> None:
        self.policy, self.fold, self.step = policy, SequentialState(), 0
        self._baselines, self._counting = baselines, counting

    def enter(self, step: int, minute: int) -> None:
        """Begin step number `step`; minute: how many there were before."""
        self.step, begin = step, minute * MINUTE_S
        self._due = begin
        judged = begin + int(self.policy.warmup_of(step).total_seconds())
        self._interval = StepInterval(step, begin, judged)
        self._players = step_tests(self.policy, step, self._baselines)
        self._tallies = dict.fromkeys(self._players, Tally())
        self._windows: dict[str, dict[int, WindowCounts | None]] = {
            name: {} for name in self._players
        }

    def rejects(self, windows: Mapping[str, WindowCounts | None], minute: int) -> bool:
        """Take in what each criterion sees of a minute; tell whether the evidence rolls back."""
        now = minute * MINUTE_S
        tests = tests_of(self.policy)
        self.fold = after(tests, self.fold, self._players, windows, self._interval, now)
        if self._counting:
            for name, one in self._players.items():
                seen = self._windows[name]
                seen[now] = windows[name]
                self._tallies[name] = one.judge.fold(self._tallies[name], seen.get, (now,))
        if self.only_when_due:
            if now < self._due:
                return False
            most = FARTHEST // timedelta(minutes=1) - 1
            quiet = minutes_without_rejection(tests, self.fold, self.step, most)
            self._due = now + (quiet + 1) * MINUTE_S
        return bool(self.fold.rejections)

    def passes(self, minute: int, criteria: Callable[[str], bool] = bool) -> bool:
        """Tell whether those `criteria` of the step pass; minute: how many are over."""
        now = minute * MINUTE_S
        context = Context(
            start=self._interval.begin,
            closed_end=now,
            open_end=now,
            bake_over=True,
            weight=self.policy.steps[self.step].weight,
        )
        controls, later = self.fold.controls, self.policy.judged_after(self.step)

        bake_s = int(self.policy.steps[self.step].bake.total_seconds())
        newest_start = max(self._interval.begin, now - bake_s)
        minutes = range(newest_start, now, MINUTE_S)

        def own_context(name: str) -> Context:
            result, newest = SequentialResult(control=controls.get(name, NO_CONTROL)), None
            if name in later:
                judge = self._players[name].judge
                newest = judge.fold(Tally(), self._windows[name].get, minutes)
            return replace(context, result=result, newest=newest, newest_start=newest_start)

        findings = (
            one.judge.conclude(self._tallies[name], own_context(name))
            for name, one in self._players.items()
            if one.gates and criteria(name)
        )
        return gate_verdict(findings) is Verdict.PASS


class _Rollout:
    """One rollout of a policy of the benchmark in a world."""

    def __init__(self, world: World, policy: Policy, *, counting: bool = False) -> None:
        self._world, self._minute, self._failed = world, 0, 0
        self._period, self._open = world.release.period, list[Minute]()
        self._judged = JudgedRollout(policy, world.baselines, counting=counting)

    def enter(self, step: int) -> None:
        """Begin step number `step`."""
        self._judged.enter(step, self._minute)

    def rejects(self) -> bool:
        """Run one minute, and tell whether the evidence rolls back."""
        counts = self._world.minute(self._judged.policy.steps[self._judged.step].weight)
        self._failed += counts.failed
        self._minute += 1
        if self._judged.policy is WITHOUT_STABLE:
            counts = counts._replace(control=0, control_failed=0, control_slow=0, control_hung=0)
        self._open.append(counts)
        if len(self._open) < self._period:
            return self._judged.rejects(windows_of(_NOTHING), self._minute - 1)
        datapoint, self._open = _sum_of(self._open), []
        return self._judged.rejects(windows_of(datapoint), self._minute - 1)

    def passes(self, criteria: Callable[[str], bool]) -> bool:
        """Tell whether those `criteria` of the step pass."""
        return self._judged.passes(self._minute, criteria)

    def outcome(self, end: End) -> Outcome:
        """Return the outcome at this minute."""
        test = next(iter(self._judged.fold.rejections), "")
        return Outcome(end, self._minute, self._judged.step, self._failed, test)


def _sum_of(minutes: Sequence[Minute]) -> Minute:
    """Return the counts of some minutes as one datapoint."""
    if len(minutes) == 1:
        return minutes[0]
    *sums, usual, _ = (list(column) for column in zip(*minutes, strict=True))
    return Minute._make([*map(sum, sums), fmean(usual), ()])


def after(
    combined: CombinedTests,
    fold: SequentialState,
    players: Mapping[str, CriterionTests],
    windows: Mapping[str, WindowCounts | None],
    stretch: StepInterval,
    minute: int,
) -> SequentialState:
    """Return `fold` after one minute, as `SequentialEvidence` folds it."""
    bets: list[MinuteRatios] = []
    controls: dict[str, ControlState] = {}
    for name, one in players.items():
        counts = windows[name]
        if counts is None:
            continue
        placed, control = one.likelihood_ratios(counts, fold, stretch, minute)
        bets += placed
        if control is not None:
            controls[name] = control
    return combined.fold_minute(fold, minute + MINUTE_S, stretch.step, bets, controls)


def windows_of(counts: Minute) -> dict[str, WindowCounts | None]:
    """Return what each criterion sees of a minute; None without requests."""
    requests, control = counts.requests, counts.control
    if not requests:
        return dict.fromkeys(POLICY.sequential_criteria())

    def share(part: int) -> float:
        return part / requests

    slow = Counts(
        requests,
        counts.slow,
        control,
        counts.control_slow,
        counts.slow,
        counts.hung,
        counts.control_hung,
    )
    drifted = replace(slow, fail_amount=counts.drifted, control_hung=0.0)
    over = Counts(requests, counts.over, fail_amount=counts.over)
    failed = Counts(requests, counts.failed, control, counts.control_failed)
    return {
        policy.OBJECTIVE: WindowCounts(failed, 1 - share(counts.failed)),
        policy.BESIDE: WindowCounts(slow, share(counts.slow)) if control else None,
        policy.STORED: WindowCounts(drifted, share(counts.slow), usual=counts.usual),
        policy.REJECTED: WindowCounts(Counts(requests, counts.rejected), counts.rejected),
        **dict.fromkeys(policy.ABSOLUTE, WindowCounts(over, share(counts.over))),
    }


def _minutes(seconds: float) -> int:
    return int(seconds) // MINUTE_S
