"""The series that a history entry stores, in which form, and what replay restores of them."""

from collections import deque
from collections.abc import Mapping, Sequence
from itertools import count, pairwise
from math import inf, isfinite
from typing import Any, Final

from msgspec import convert

from controller.core.judge.criterion_judge import judges_of
from controller.core.judge.queries import JUDGED_PHASES
from controller.core.judge.sequential_evidence import step_judges
from controller.core.notice_rules import ConditionKind
from controller.core.observation import QueryStatus, Series
from controller.core.rollout import Rollout
from controller.core.units import MAX_INTEGER, MINUTE_S, Real, Second
from controller.immutable import Immutable, plain_data, replace


def trim_series(before: Rollout, after: Rollout, series: Mapping[str, Series]) -> dict[str, Series]:
    """Return the part of `series` that the history entry from `before` to `after` stores.

    An hourly entry stores the minutes of its checkpoint, so that none is stored twice; a transition
    stores everything since the last checkpoint, for that is what its decision was made from. An
    entry that finds a silence stores all that was read: it is found in minutes before the step.
    """
    if ConditionKind.SILENT in after.conditions.keys() - before.conditions.keys():
        return dict(series)
    begin, end = _checkpoint_ends(before), dict[str, int]()
    checkpoint_at = after.evidence.checkpoint_at
    if checkpoint_at is not None and checkpoint_at != before.evidence.checkpoint_at:
        end = _checkpoint_ends(after)
    trimmed: dict[str, Series] = {}
    for key, one in series.items():
        first, last = begin.get(key, 0), end.get(key, inf)
        points = {at: value for at, value in one.points.items() if first <= at < last}
        trimmed[key] = replace(one, points=points)
    return trimmed


# A tick reads no further back than this: the newest day of a step, and windows of a day before.
_READ_AGAIN_S: Final = 3 * 24 * 3_600


class StoredPoints:
    """The points that hourly entries stored, by series, as far as a tick may read them again."""

    def __init__(self) -> None:
        self._entries = deque[tuple[int, Mapping[str, Series]]]()

    def add(self, series: Mapping[str, Series]) -> None:
        """Add what the next entry has stored."""
        newest = max((max(one.points, default=0) for one in series.values()), default=0)
        self._entries.append((newest, series))
        while self._entries[0][0] < newest - _READ_AGAIN_S:
            self._entries.popleft()

    def since(self, start: int) -> dict[str, dict[int, float]]:
        """Return the points from `start` on, unix seconds, by series."""
        points: dict[str, dict[int, float]] = {}
        for newest, series in self._entries:
            for key, one in series.items() if newest >= start else ():
                points.setdefault(key, {}).update(one.points)
        return points


def restore_series(
    before: Rollout, series: Mapping[str, Series], stored_points: Mapping[str, Mapping[int, float]]
) -> dict[str, Series]:
    """Return `series`, as trimmed by `trim_series`, with the points that earlier entries stored.

    One criterion may have stored what another still reads. An answer that was not complete stays as
    it is: it is not known which of those points it had.
    """
    if before.phase not in JUDGED_PHASES:
        return dict(series)
    return {
        key: replace(one, points={**stored_points.get(key, {}), **one.points})
        if one.status is QueryStatus.COMPLETE
        else one
        for key, one in series.items()
    }


def _checkpoint_ends(rollout: Rollout) -> dict[str, int]:
    """Return the end of the checkpoint of each series, by the criterion whose checkpoint is latest.

    The fold of the whole rollout is stored for all sequential criteria at once, across steps: up
    to its end, or further where a tally of the step ends later.
    """
    ends: dict[str, int] = {}
    tallied: dict[str, int] = {}
    policy, start = rollout.policy, rollout.judged_from or 0
    for judge in judges_of(policy, policy.gate(rollout.judged_step), rollout.evidence.baselines):
        tally = rollout.evidence.tallies.get(judge.name)
        through = 0 if tally is None else tally.through
        for key in judge.checkpoint_keys():
            ends[key] = max(ends.get(key, start), through)
            tallied[key] = max(tallied.get(key, 0), through)
    intervals = rollout.intervals_after_checkpoint
    for interval in intervals:
        through = max(intervals[0].begin, rollout.evidence.fold.through)
        for judge in step_judges(policy, interval.step, rollout.evidence.baselines):
            for key in judge.checkpoint_keys():
                ends[key] = max(tallied.get(key, 0), through)
    return ends


# --- As JSON --------------------------------------------------------------------------------------


class _StoredSeries(Immutable, omit_defaults=True):
    """A series as an entry has it.

    runs: the moment of a point, unix seconds, and the values from there on, a period apart; after a
    gap another run begins. period: seconds. same: the key of another series with the same points:
    each latency of a path counts the same requests.
    """

    runs: tuple[tuple[Real, ...], ...] = ()
    period: Second = MINUTE_S
    same: str = ""
    status: QueryStatus = QueryStatus.COMPLETE
    message: str = ""


def series_data(series: Mapping[str, Series]) -> dict[str, Any]:
    """Return the series of an observation as plain JSON data."""
    first_keys: dict[tuple[tuple[int, float], ...], str] = {}
    data: dict[str, Any] = {}
    for key, one in series.items():
        points = tuple(sorted(one.points.items()))
        first = first_keys.setdefault(points, key)
        if points and first != key:
            stored = _StoredSeries(same=first, status=one.status, message=one.message)
        else:
            stored = _StoredSeries(*_runs_of(points), status=one.status, message=one.message)
        data[key] = plain_data(stored)
    return data


def series_of(data: Mapping[str, Any]) -> dict[str, Series]:
    """Return the series that `series_data` wrote. Raises ValueError and KeyError."""
    stored = convert(data, dict[str, _StoredSeries])
    points = {key: _points_of(one) for key, one in stored.items() if not one.same}
    return {
        key: Series(points[one.same or key], one.status, one.message) for key, one in stored.items()
    }


def _runs_of(points: Sequence[tuple[int, float]]) -> tuple[tuple[tuple[float, ...], ...], int]:
    """Return the runs of `points`, and their period: the shortest time between two of them."""
    period = min((later - at for (at, _), (later, _) in pairwise(points)), default=MINUTE_S)
    runs, due = list[list[float]](), -1
    for at, value in points:
        if at != due:
            runs.append([at])
        runs[-1].append(short_number(value))
        due = at + period
    return tuple(map(tuple, runs)), period


def _points_of(stored: _StoredSeries) -> dict[int, float]:
    points: dict[int, float] = {}
    for start, *values in stored.runs:
        points.update(zip(count(int(start), stored.period), values))
    if not all(map(isfinite, points.values())):
        raise ValueError("a datapoint is no number")
    return points


def short_number(value: float) -> float:
    """Return `value` without decimals where it has none: most measurements are counts."""
    return int(value) if abs(value) <= MAX_INTEGER and value == int(value) else value
