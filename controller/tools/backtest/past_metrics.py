"""A history of metrics: what each series of a policy showed, period by period.

A history is of one stream of requests, before any of them took the canary. `HistorySplit` divides
it as a
step does: each path gets its share of the counts, and both have the percentiles of the whole.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final, TypeAlias

from controller.core.judge.series import SAMPLE_COUNT
from controller.core.policy import Policy
from controller.core.policy.comparison import Comparison, Ratio
from controller.core.units import MINUTE_S

Points: TypeAlias = Mapping[int, float]
"""Start of a period, unix seconds -> the value of that period."""

ColumnKey: TypeAlias = tuple[str, str]
"""Metric name and statistic."""

# Of all that is drawn, so that a history is always divided alike.
SEED: Final = 1
# Up to this many failures are divided one by one; of more, a normal number is drawn.
_SINGLE_UP_TO: Final = 64


@dataclass(frozen=True, slots=True)
class PastMetrics:
    """What the metrics of a policy showed over some days.

    period_s: length of its periods. columns: by metric and statistic.
    notes: what to know about the source, for people. filled: metrics of the canary that have the
    columns of a metric of the stable path, by name.
    """

    period_s: int
    columns: Mapping[ColumnKey, Points]
    notes: tuple[str, ...] = ()
    filled: Mapping[str, str] = field(default_factory=dict)
    begin: int = field(init=False)
    end: int = field(init=False)

    def __post_init__(self) -> None:
        times = [at for points in self.columns.values() for at in points]
        object.__setattr__(self, "begin", min(times, default=0))
        object.__setattr__(self, "end", max(times, default=-self.period_s) + self.period_s)

    def has(self, metric: str) -> bool:
        """Tell whether any statistic of `metric` has a datapoint."""
        return any(name == metric and points for (name, _), points in self.columns.items())

    def statistics_of(self, metric: str) -> list[str]:
        """Return the statistics that there are of `metric`."""
        return [statistic for name, statistic in self.columns if name == metric]


def compared_metrics(policy: Policy) -> dict[str, str]:
    """Return the metric of the stable path that each metric of the canary is compared with."""
    pairs: dict[str, str] = {}
    for _, comparison in policy.comparisons():
        pairs |= dict(_pairs(comparison))
    return {canary: stable for canary, stable in pairs.items() if canary != stable}


def _pairs(one: Comparison) -> Iterator[tuple[str, str]]:
    if one.metric is not None and one.stable_metric:
        yield one.metric, one.stable_metric
    if all(one.requests):
        yield one.requests
    ours, theirs = one.measured, one.control
    if isinstance(ours, Ratio) and isinstance(theirs, Ratio) and ours.counts == theirs.counts:
        yield from zip(ours.parts, theirs.parts, strict=False)


def request_counts(policy: Policy) -> dict[str, str]:
    """Return the metrics that count requests, by whose they are: `canary`, `stable` or `both`."""
    found: dict[str, str] = {}
    for criterion, comparison in policy.comparisons():
        for name in policy.criteria[criterion].requests_in(comparison):
            found.setdefault(policy.counts[name], name)
    return found


# --- Split between the paths ----------------------------------------------------------------------


class HistorySplit:
    """The columns of a history as they would have been while the canary had `weight` percent.

    Failures and other counts are drawn one by one, so that the canary's vary as they do when
    requests are divided by chance, and alike each time.

    bad_requests: requests of the canary that meet an added fault, by period.
    """

    def __init__(self, policy: Policy, history: PastMetrics, weight: int) -> None:
        self.policy, self.weight = policy, weight
        self.period_s, self.begin, self.end = history.period_s, history.begin, history.end
        self.bad_requests: Points = {}
        self.columns: dict[ColumnKey, dict[int, float]] = {}
        for key, points in history.columns.items():
            self.columns[key] = dict(self._divided(key, points))
        for _, comparison in policy.comparisons():
            for ratio in (comparison.measured, comparison.control):
                if isinstance(ratio, Ratio) and ratio.counts == "successes":
                    self._divide_successes(history, ratio)
        for canary, stable in history.filled.items():
            for statistic in ("Sum", SAMPLE_COUNT):
                self._leave_the_rest(history, (canary, statistic), (stable, statistic))

    def points(self, metric: str, statistic: str) -> dict[int, float]:
        """Return the datapoints of one column, to be read or changed."""
        return self.columns.setdefault((metric, statistic), {})

    def _divided(self, key: ColumnKey, points: Points) -> Points:
        metric, statistic = key
        share = self._share(metric)
        if share == 0:
            return {}
        if share == 1 or statistic not in ("Sum", SAMPLE_COUNT):
            return points
        if statistic == SAMPLE_COUNT or metric in request_counts(self.policy).values():
            divided = {at: float(round(value * share)) for at, value in points.items()}
            return {at: value for at, value in divided.items() if value}
        draw = Random(f"{SEED} {metric} {self.weight}")  # noqa: S311 - a simulation, no secret
        return {at: drawn(draw, value, share) for at, value in sorted(points.items())}

    def _divide_successes(self, history: PastMetrics, counted: Ratio) -> None:
        """Divide by chance what did not succeed; the first count of successes has what is left.

        Requests and successes that are divided one without the other differ by chance alone.
        """
        share, names = self._share(counted.whole[0]), counted.metrics
        keys = [(name, self.policy.metrics[name].statistic) for name in names]
        if len(keys) < 2 or share in (0, 1) or any(key not in history.columns for key in keys):
            return
        draw = Random(f"{SEED} {names[1]} {self.weight}")  # noqa: S311 - a simulation, no secret
        total, first, *others = keys
        for key in others:
            whole = history.columns[key]
            self.columns[key] = {at: float(round(value * share)) for at, value in whole.items()}
        for at, requests in sorted(history.columns[total].items()):
            failed = requests - sum(history.columns[key].get(at, 0.0) for key in (first, *others))
            failed = drawn(draw, failed, share) if failed > 0 else float(round(failed * share))
            elsewhere = sum(self.columns[key].get(at, 0.0) for key in others)
            here = self.columns[total].get(at, 0.0)
            self.columns[first][at] = max(0.0, here - failed - elsewhere)

    def _leave_the_rest(self, history: PastMetrics, canary: ColumnKey, stable: ColumnKey) -> None:
        """Give the stable path what the canary did not get, where both are one column."""
        if stable not in history.columns or canary not in self.columns:
            return
        taken = self.columns[canary]
        rest = {at: count - taken.get(at, 0.0) for at, count in history.columns[stable].items()}
        if self.policy.counts.get(stable[0]) == "stable":
            self.columns[stable] = {at: count for at, count in rest.items() if self.weight < 100}

    def _share(self, metric: str) -> float:
        match self.policy.counts.get(metric, "both"):
            case "canary":
                return self.weight / 100
            case "stable":
                return 1 - self.weight / 100
            case _:
                return 1.0


def drawn(draw: Random, count: float, share: float) -> float:
    """Return how many of `count` take a path with this share of the requests."""
    trials = round(count)
    if trials <= _SINGLE_UP_TO:
        return float(sum(draw.random() < share for _ in range(trials)))
    spread: float = (trials * share * (1 - share)) ** 0.5
    return float(min(max(round(draw.gauss(trials * share, spread)), 0), trials))


# --- Longer periods -------------------------------------------------------------------------------


def longer_periods(points: Points, samples: Points, statistic: str, period_s: int) -> Points:
    """Return `points` in periods of `period_s`: counts add up, other values are averaged.

    samples: how many samples are behind each value, its weight in an average. For a percentile
    that is an approximation.
    """
    groups: dict[int, list[int]] = {}
    for at in points:
        groups.setdefault(at // period_s * period_s, []).append(at)
    return {
        start: _combined(statistic, [(points[at], samples.get(at, 1.0)) for at in times])
        for start, times in groups.items()
    }


def _combined(statistic: str, values: list[tuple[float, float]]) -> float:
    if statistic in ("Sum", SAMPLE_COUNT):
        return sum(value for value, _ in values)
    if statistic in ("Minimum", "Maximum"):
        choose = min if statistic == "Minimum" else max
        return choose(value for value, _ in values)
    total = sum(weight for _, weight in values)
    if not total:
        return sum(value for value, _ in values) / len(values)
    return sum(value * weight for value, weight in values) / total


def as_minutes(points: Points, period_s: int) -> Points:
    """Return `points` by the last minute of their period: they are known once it is over."""
    return {at + period_s - MINUTE_S: value for at, value in points.items()}


def spread_over_minutes(points: Points, period_s: int) -> Points:
    """Return counts by minute, each period's divided evenly among its minutes."""
    minutes = period_s // MINUTE_S
    return {
        at + offset * MINUTE_S: value / minutes
        for at, value in points.items()
        for offset in range(minutes)
    }
