"""The measurements of a history as series, the weights over time, and a criterion's windows."""

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from math import isnan, nan
from typing import Final, TypeAlias

from controller.core.history import Entry
from controller.core.judge.criterion_judge import CriterionJudge, judge_of
from controller.core.judge.series import WindowCounts
from controller.core.observation import QueryStatus, Series
from controller.core.policy import Criterion
from controller.core.rollout import Phase, Reason, Rollout
from controller.core.units import MINUTE_S
from controller.engine.outbox import HOOK_CALLED
from controller.immutable import Immutable, replace
from controller.operations.recorded.decision import UnreadableEntryError, read_entry

Judge: TypeAlias = CriterionJudge[Criterion]

_HOUR_S: Final = 3_600
_NO_POINTS: Final = (nan,) * (_HOUR_S // MINUTE_S)
_WEIGHT_APPLIED: Final = frozenset({"applied", "started", "resumed"})


class WeightSpan(Immutable):
    """The time in which one weight was applied, from `begin` to below `end`.

    step: index into the steps of the policy. weight: percent.
    """

    step: int
    weight: int
    begin: datetime
    end: datetime


class RecordedPoints(Mapping[int, float]):
    """The points of a series, by start of period: whole minutes, of which months fit in memory.

    An hour of it has 60 values of eight bytes; a table has a hundred bytes a point.
    """

    def __init__(self) -> None:
        self._hours: dict[int, array[float]] = {}

    def update(self, points: Mapping[int, float]) -> None:
        """Add `points`; a moment that is no whole minute is none that anything looks up."""
        for second, value in points.items():
            hour, rest = divmod(second, _HOUR_S)
            if hour not in self._hours:
                self._hours[hour] = array("d", _NO_POINTS)
            if rest % MINUTE_S == 0:
                self._hours[hour][rest // MINUTE_S] = value

    def __getitem__(self, second: int) -> float:
        """Return the value of the period that starts at `second`. Raises KeyError."""
        hour, rest = divmod(second, _HOUR_S)
        value = self._hours[hour][rest // MINUTE_S]
        if rest % MINUTE_S or isnan(value):
            raise KeyError(second)
        return value

    def __iter__(self) -> Iterator[int]:
        """Yield the start of each period that has a point, the earliest first."""
        for hour in sorted(self._hours):
            for minute, value in enumerate(self._hours[hour]):
                if not isnan(value):
                    yield hour * _HOUR_S + minute * MINUTE_S

    def __len__(self) -> int:
        """Return how many points there are."""
        return sum(1 for _ in self)


class RecordedSeries:
    """The series of the entries that were added, of which nothing else is kept.

    An entry stores the minutes since the one before, so that no point is there twice. A series is
    complete when any of its answers was. only: the keys of the series that are kept; None: all.
    """

    def __init__(self, steps: int, only: Collection[str] | None = None) -> None:
        self._steps, self._only = steps, only
        self._points: dict[str, RecordedPoints] = {}
        self._status: dict[str, QueryStatus] = {}

    def add(self, entry: Entry) -> None:
        """Add what `entry` stores; nothing of an entry that was changed in the store."""
        if entry.kind == HOOK_CALLED:
            return
        try:
            observed = read_entry(entry, self._steps).observation.series
        except UnreadableEntryError:
            return
        for key, one in observed.items():
            if self._only is None or key in self._only:
                self._points.setdefault(key, RecordedPoints()).update(one.points)
                if self._status.get(key) is not QueryStatus.COMPLETE:
                    self._status[key] = one.status

    def passing(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Yield `entries`, each of which is added before; one is in memory at a time."""
        for entry in entries:
            self.add(entry)
            yield entry

    def series(self) -> dict[str, Series]:
        """Return every series so far, by its key."""
        return {key: Series(points, self._status[key]) for key, points in self._points.items()}


def weight_spans(rollout: Rollout, entries: Iterable[Entry]) -> list[WeightSpan]:
    """Return the times in which the canary had traffic, the earliest first.

    A weight that was set outside rolloutctl has a span as well, from the pause that followed.
    The last one ends when 0% or success was recorded, or with the newest tick.
    """
    found: list[WeightSpan] = []
    end = rollout.since if rollout.final else rollout.updated
    for entry in entries:
        step, weight = entry.body.get("step"), _applied_weight(entry)
        if not isinstance(step, int) or not 0 <= step < len(rollout.policy.steps) or not weight:
            continue  # an entry that was changed in the store may name any step
        if found and (found[-1].step, found[-1].weight) == (step, weight):
            continue
        if found:
            found[-1] = replace(found[-1], end=entry.at)
        found.append(WeightSpan(step, weight, entry.at, max(end, entry.at)))
    return found


def _applied_weight(entry: Entry) -> int | None:
    """Return the weight that `entry` found applied: of a step, kept by a resume, or drifted."""
    body, phase = entry.body, entry.body.get("phase_to")
    weight = body.get("weight_to")
    if entry.kind == "paused" and body.get("reason") == Reason.DRIFTED:
        observation = body.get("observation")
        target = observation.get("target") if isinstance(observation, dict) else None
        weight = target.get("weight") if isinstance(target, dict) else None
    else:
        applied = entry.kind in _WEIGHT_APPLIED and phase == Phase.PROGRESSING
        if not applied or (entry.kind != "applied" and body.get("weight_from") != weight):
            return None
    return weight if isinstance(weight, int) else None


def judge_for(rollout: Rollout, name: str) -> Judge:
    """Return the judge of the criterion called `name`, with the baseline that was read for it."""
    criterion = rollout.policy.criteria[name]
    return judge_of(name, criterion, rollout.policy, rollout.evidence.baselines.get(name))


def windows_seen(
    judge: Judge, series: Mapping[str, Series], begin: int, end: int
) -> Iterator[tuple[int, WindowCounts]]:
    """Yield start and counts of each window of `judge` from `begin` to below `end` with data."""
    measure = judge.measure(series, has_traffic=True)
    first = begin // judge.period_s * judge.period_s
    for start in range(first, end, judge.period_s):
        one = measure(start)
        if one is not None and one.consistent:
            yield start, one
