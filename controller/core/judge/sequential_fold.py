"""What the sequential judge concludes from, beside the tally of the step."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from operator import add

from controller.core.judge.evidence import FrozenValue, Stretch, Tally
from controller.core.judge.latency_tail import Limits
from controller.core.judge.queries import keys_of, slow_limits
from controller.core.judge.sequential_tests import (
    NO_CONTROL,
    Bettor,
    bettors,
    criterion_of,
    tests_of,
)
from controller.core.judge.series import NO_SERIES, Measure, Window, measure_for
from controller.core.observation import QueryStatus, Series
from controller.core.policy import Criterion, LatencyIncrease, Policy
from controller.core.stats.mixture import Bet, Control, Fold, Test, folded
from controller.core.units import MINUTE_S


@dataclass(frozen=True, slots=True)
class Blamed:
    """The minutes for which a criterion fails, unix seconds, and what they showed together."""

    start: int
    end: int
    requests: float
    amount: float
    beyond: float
    control_requests: float
    control_amount: float


@dataclass(frozen=True, slots=True)
class Minutes:
    """What the minutes of a rollout are folded from.

    fold: what is sealed; stretches: where the rest comes from; series: by series key.
    """

    policy: Policy
    fold: Fold
    stretches: tuple[Stretch, ...]
    series: Mapping[str, Series]
    baselines: Mapping[str, FrozenValue]

    def folded(self, end: int) -> Fold:
        """Return the fold over all minutes that are over at `end`, in order and each once.

        A criterion whose series were not answered in full bets nothing.
        """
        fold, tests = self.fold, tests_of(self.policy)
        for stretch in self.stretches:
            until = min(stretch.end or end, end)
            first = max(stretch.begin, fold.through)
            if first < until:
                fold = self._stretch(fold, stretch, range(first, until, MINUTE_S), tests)
        return fold

    def sealed(self, end: int, lost: int) -> Fold:
        """Return the fold as it can be kept: up to `end`, or `lost` while something is unanswered.

        end: what is older can no longer change. lost: what is older is asked for no more.
        """
        return self.folded(end if self.answered else min(end, lost))

    def blamed(self, name: str, fold: Fold) -> Blamed | None:
        """Return the minutes for which criterion `name` fails, of those that are not sealed.

        They end where the evidence was at its peak, and begin where most of it speaks for a change.
        """
        seen: list[tuple[int, Window, tuple[float, ...]]] = []
        for stretch in self.stretches:
            until = min(stretch.end or fold.peak_at, fold.peak_at)
            for bettor, measure in self._players(stretch):
                if bettor.name == name:
                    minutes = range(max(stretch.begin, self.fold.through), until, MINUTE_S)
                    seen += _told(bettor, measure, stretch, minutes, fold.carried)
        return _worst(seen)

    @property
    def answered(self) -> bool:
        """True when every series that anything is folded from was answered in full."""
        return all(
            self._answered(name, one)
            for stretch in self.stretches
            for name, one in self.policy.gate(stretch.step).items()
            if one.sequential
        )

    def _stretch(
        self, fold: Fold, stretch: Stretch, minutes: range, tests: tuple[Test, ...]
    ) -> Fold:
        players = list(self._players(stretch))
        for minute in minutes:
            bets: list[Bet] = []
            controls: dict[str, Control] = {}
            for bettor, measure in players:
                seen = measure(minute)
                if seen is None or not seen.fits:
                    continue
                placed, control = bettor.bets(seen, fold, stretch, minute)
                bets += placed
                if control is not fold.controls.get(bettor.name, NO_CONTROL):
                    controls[bettor.name] = control
            fold = folded(fold, minute + MINUTE_S, bets, controls, tests)
        return fold

    def _players(self, stretch: Stretch) -> Iterator[tuple[Bettor, Measure]]:
        for name, one in bettors(self.policy, stretch.step, self.baselines).items():
            if self._answered(name, one.criterion) and not self._lacks_baseline(one):
                yield one, self._measure(one)

    def _measure(self, one: Bettor) -> Measure:
        metrics, known = self.policy.metrics, one.baseline
        return measure_for(one.criterion, metrics, self.series, reached=True, baseline=known)

    def _lacks_baseline(self, one: Bettor) -> bool:
        latency = isinstance(one.criterion, LatencyIncrease)
        return latency and slow_limits(one.criterion, self.policy.metrics, one.baseline) is None

    def _answered(self, name: str, criterion: Criterion) -> bool:
        keys = keys_of(criterion, self.policy.metrics, self.baselines.get(name))
        return all(
            self.series.get(key, NO_SERIES).answer is QueryStatus.COMPLETE for _, _, key in keys
        )


def _told(
    bettor: Bettor, measure: Measure, stretch: Stretch, minutes: range, test: str
) -> Iterator[tuple[int, Window, tuple[float, ...]]]:
    """Yield each minute with what it showed, and what it says to `test`."""
    fold = Fold()
    for minute in minutes:
        seen = measure(minute)
        if seen is not None and seen.fits:
            placed, control = bettor.bets(seen, fold, stretch, minute)
            fold = replace(fold, controls={bettor.name: control})
            yield from ((minute, seen, one.log_ratios) for one in placed if one.test == test)


def _worst(seen: Sequence[tuple[int, Window, tuple[float, ...]]]) -> Blamed | None:
    """Return the minutes up to the last of `seen` that together speak most for any one effect."""
    best, first = -inf, 0
    sums: tuple[float, ...] = ()
    for index in range(len(seen) - 1, -1, -1):
        ratios = seen[index][2]
        sums = tuple(map(add, sums, ratios)) if sums else ratios
        if max(sums) > best:
            best, first = max(sums), index
    if not seen:
        return None
    windows = [window for _, window, _ in seen[first:]]
    return Blamed(
        start=seen[first][0],
        end=seen[-1][0] + MINUTE_S,
        requests=sum(one.samples for one in windows),
        amount=sum(one.amount for one in windows),
        beyond=sum(one.beyond for one in windows),
        control_requests=sum(one.control_samples for one in windows),
        control_amount=sum(one.control_amount for one in windows),
    )


# --- What is concluded from -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Case:
    """What the whole rollout says about one criterion.

    fold: over all closed minutes. budget: of false rollbacks. blamed: the minutes that a failing
    criterion fails for; None where they are sealed, or it does not fail.
    limits: what slow means; None where the criterion does not count slow requests.
    usual: the share of slow requests that is allowed; statistic: of its metric, like p95.
    """

    fold: Fold
    budget: float
    blamed: Blamed | None = None
    limits: Limits | None = None
    usual: float = 0.0
    statistic: str = ""

    def against(self, name: str) -> bool:
        """Tell whether criterion `name` carried the evidence to its limit."""
        return self.fold.rejects(self.budget) and criterion_of(self.fold.carried) == name

    def fewest(self, tally: Tally) -> float:
        """Return the requests of the step, on the path that has fewer where two are compared."""
        beside = self.limits is not None and self.limits.beside
        return min(tally.samples, tally.control_samples) if beside else tally.samples
