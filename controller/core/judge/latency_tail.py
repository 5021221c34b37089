"""The tail of a latency: requests slower than a limit, minute by minute, for the sequential judge.

CloudWatch counts them (`TC(412:)`: above 412, interpolated within its bins). For a source without
such counts, the share of slow requests is interpolated between its percentiles.
"""

from collections.abc import Callable, Mapping
from functools import cache, cached_property, lru_cache
from typing import Generic, TypeAlias, TypeVar

from controller.core.judge.criterion_judge import Context
from controller.core.judge.evidence import Tally
from controller.core.judge.facts import Contradiction
from controller.core.judge.sequential import SequentialJudge, ratio
from controller.core.judge.series import INCONSISTENT, SAMPLE_COUNT, Measure, Reader, WindowCounts
from controller.core.policy import LatencyIncrease, Metric, Threshold
from controller.core.stats.counts import Counts
from controller.core.stats.two_sample import LatencyCurve, latency_curve, share_above
from controller.core.units import SHARE_DIGITS, format_percent, measured_text, percent_beside
from controller.immutable import Immutable

_PERCENTILES: Mapping[str, float] = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
# A count is interpolated: this far outside of 0 to SampleCount is rounding.
_ROUNDING = 1e-6
# Shares of slow requests that can be tested against.
_MIN_SLOW_SHARE, _DEFAULT_SLOW_SHARE, MAX_SLOW_SHARE = 0.0001, 0.05, 0.9

# Requests, and those slower than a limit, where none are counted.
_NONE = (0.0, 0.0)

Points: TypeAlias = Mapping[int, float]
PointLookup: TypeAlias = Callable[[str, str], Points]
"""Metric and statistic -> its datapoints."""

SlowCounter: TypeAlias = Callable[[int], tuple[float, float] | None]
"""Start of a minute -> requests, and those slower than a limit; None without requests.

A negative number of slow requests marks inconsistent data.
"""

CurveReader: TypeAlias = Callable[[int], LatencyCurve | None]
"""Start of a minute -> its latencies, between percentiles; None without any."""


class LatencyLimits(Immutable):
    """The limits above which a request is slow, in the unit of the criterion's metric.

    pass_limit: the limit on the canary that decides whether the step passes.
    fail_limit: the same for a rollback: higher where a baseline may have drifted meanwhile.
    control_metric, control_limit: metric and limit of the concurrent control; empty without one.
    hang_limit: a request beyond it hung, on either path; 0 where hangs are not counted.
    stable_metric: the path of a stored baseline, watched beyond `control_limit` while it has any.
    """

    pass_limit: float
    fail_limit: float
    control_metric: str = ""
    control_limit: float = 0.0
    hang_limit: float = 0.0
    stable_metric: str = ""


def percentiles_of(metric: Metric) -> dict[str, float]:
    """Return the percentiles to interpolate between, each with the share of values below it.

    The statistic of the metric itself is one of them, so its share is known exactly.
    """
    own = metric.percentile
    return {**_PERCENTILES, **({metric.statistic: own} if own is not None else {})}


def trimmed_count(limit: float) -> str:
    """Return the statistic that counts the values above `limit`: `TC(412.5:)`."""
    return f"TC({f'{limit:.6f}'.rstrip('0').rstrip('.')}:)"


# --- Criteria that count slow requests ------------------------------------------------------------

L = TypeVar("L", bound=LatencyIncrease | Threshold)


class TailJudge(SequentialJudge[L], Generic[L]):
    """A criterion on a latency, whose evidence is the share of requests beyond a limit."""

    @property
    def limits(self) -> LatencyLimits | None:
        """What slow means; None where no slow requests are counted."""
        raise NotImplementedError

    def usual_share(self, start: int) -> float:
        """Return the share of slow requests that is usual at the time of day of `start`, or 0."""
        return 0.0

    @property
    def allowed_increase(self) -> float:
        """The increase of the latency that is allowed."""
        return 0.0

    @property
    def rollback_factor(self) -> float:
        """How many times the baseline a latency may be before it speaks for a rollback."""
        return 1.0

    @cached_property
    def metric(self) -> Metric:
        """The metric that is judged."""
        return self.metrics[self.criterion.metric]

    @cached_property
    def allowed_slow_share(self) -> float:
        """The share of requests that may be slow: what the percentile leaves above it."""
        return min(max(self._known_slow_share, _MIN_SLOW_SHARE), MAX_SLOW_SHARE)

    @property
    def _known_slow_share(self) -> float:
        percentile = self.metric.percentile
        return _DEFAULT_SLOW_SHARE if percentile is None else 1 - percentile

    @property
    def percentiles(self) -> dict[str, float] | None:
        """The percentiles that shares are interpolated between; None where there are counts."""
        return percentiles_of(self.metric) if self.criterion.exceedance == "percentiles" else None

    def tail_statistics(self, limits: LatencyLimits) -> list[tuple[str, str]]:
        """Return metric name and statistic of every series that slow shares are made from."""
        limits_by_metric = [
            (self.criterion.metric, limits.pass_limit),
            (self.criterion.metric, limits.fail_limit),
        ]
        if limits.control_metric:
            limits_by_metric.append((limits.control_metric, limits.control_limit))
        if limits.hang_limit:
            names = dict.fromkeys(name for name, _ in limits_by_metric)
            limits_by_metric += [(name, limits.hang_limit) for name in names]
        if limits.stable_metric:
            limits_by_metric.append((limits.stable_metric, limits.control_limit))
        pairs = [
            (name, statistic)
            for name, limit in limits_by_metric
            for statistic in self.percentiles or [trimmed_count(limit)]
        ]
        pairs += [(name, SAMPLE_COUNT) for name, _ in limits_by_metric]
        pairs.append((self.criterion.metric, self.metric.statistic))  # the counts must fit it
        return list(dict.fromkeys(pairs))

    def measure_tail(self, limits: LatencyLimits, reader: Reader) -> Measure:
        """Return the function that counts the slow requests of one minute."""

        curves = self._curves(reader)

        def counter(metric: str, limit: float) -> SlowCounter:
            return slow_counter(reader.points, metric, limit, curves)

        metric, control = self.criterion.metric, limits.control_metric
        passing, failing = (metric, limits.pass_limit), (metric, limits.fail_limit)
        hanging, control_hanging = (metric, limits.hang_limit), (control, limits.hang_limit)
        beside = (control, limits.control_limit)
        others = (failing, hanging, beside, control_hanging)
        places = list(dict.fromkeys(place for place in (passing, *others) if all(place)))
        counters = [counter(*place) for place in places]
        counters[0] = self._checked(counters[0], limits, reader)
        # Where each is among the counts of a minute; those that are not read are the last one.
        fail, hang, stable, stable_hang = (
            places.index(place) if place in places else -1 for place in others
        )
        usual_share = self.usual_share
        watched = (limits.stable_metric, limits.control_limit)
        watch = counter(*watched) if all(watched) else None

        def measure(start: int) -> WindowCounts | None:
            counts, consistent = [], True
            for count in counters:
                one = count(start)
                if one is None:
                    return None  # a window without its control compares with nothing
                consistent &= one[1] >= 0
                counts.append(one)
            if not consistent:
                return INCONSISTENT
            counts.append(_NONE)
            requests, slow = counts[0]
            control = counts[stable]
            if watch is not None and (seen := watch(start)) is not None and seen[1] >= 0:
                control = seen
            both = Counts(
                requests, slow, *control, counts[fail][1], counts[hang][1], counts[stable_hang][1]
            )
            return WindowCounts(both, slow / requests, usual=usual_share(start))

        return measure

    def _curves(self, reader: Reader) -> Callable[[str], CurveReader] | None:
        """Return what reads the latencies of a metric between percentiles; None: it has counts."""
        percentiles = self.percentiles
        if percentiles is None:
            return None
        return cache(lambda metric: curve_reader(reader.points, metric, percentiles))

    def _checked(self, count: SlowCounter, limits: LatencyLimits, reader: Reader) -> SlowCounter:
        """Return `count`, for which a minute is inconsistent that its percentile contradicts.

        Above a p95 are 5% of the requests. Both are interpolated within bins and may be of few
        requests, so a factor of two and one request are no contradiction.
        """
        percentile, values = self.metric.percentile, reader.points(self.criterion.metric)
        if percentile is None or self.percentiles is not None:
            return count

        def count_checked(start: int) -> tuple[float, float] | None:
            counts, value = count(start), values.get(start)
            if counts is None or value is None:
                return counts
            requests, slow = counts
            above, is_slow = (1 - percentile) * requests, value > limits.pass_limit
            fits = slow >= above / 2 - 1 if is_slow else slow <= 2 * above + 1
            return counts if fits else (requests, -1.0)

        return count_checked

    def contradiction(self, context: Context) -> Contradiction | None:
        """Return the newest minute whose slow requests its percentile contradicts."""
        limits, reader = self.limits, self.reader(context.series)
        if limits is None:
            return None
        curves = self._curves(reader)
        count = slow_counter(reader.points, self.criterion.metric, limits.pass_limit, curves)
        checked, values = self._checked(count, limits, reader), reader.points(self.criterion.metric)
        for start in sorted(values, reverse=True):
            counts = count(start)
            if counts is not None and counts[1] >= 0 and checked(start) != counts:
                return Contradiction(
                    at=start,
                    requests=counts[0],
                    slow=counts[1],
                    counted_by=trimmed_count(limits.pass_limit),
                    limit=limits.pass_limit,
                    statistic=self.metric.statistic,
                    value=values[start],
                    unit=self.metric.unit,
                )
        return None

    def step_share(self, tally: Tally) -> tuple[float | None, float]:
        """Return the share of slow requests, and the share that may be slow."""
        return ratio(tally.counts.amount, tally.counts.samples), self.allowed_slow_share

    def target_text(self) -> str:
        return self.bound_text(self.allowed_slow_share)

    def bound_text(self, bound: float) -> str:
        if self.limits is None:
            return super().bound_text(bound)
        limit = measured_text(self.limits.pass_limit, self.metric.unit)
        return f"≤ {format_percent(bound, SHARE_DIGITS)} take > {limit}"

    def value_text(self, value: float, bound: float) -> str:
        return percent_beside(value, bound)


def slow_counter(
    points: PointLookup,
    metric: str,
    limit: float,
    curves: Callable[[str], CurveReader] | None,
) -> SlowCounter:
    """Return a function that counts the requests of `metric` that are slower than `limit`.

    curves: by metric, what reads its latencies between percentiles; None where there are counts.
    """
    requests = points(metric, SAMPLE_COUNT)
    if curves is not None:
        curve_at = curves(metric)

        def interpolate(start: int) -> tuple[float, float] | None:
            total = requests.get(start, 0.0)
            if total <= 0:
                return None
            curve = curve_at(start)
            return total, -1.0 if curve is None else share_above(limit, curve) * total

        return interpolate
    counts = points(metric, trimmed_count(limit))

    def count_slow(start: int) -> tuple[float, float] | None:
        total = requests.get(start, 0.0)
        if total <= 0:
            return None
        count = counts.get(start, -1.0)
        if 0.0 <= count <= total:
            return total, count
        if not -_ROUNDING <= count <= total + _ROUNDING:
            return total, -1.0
        return total, min(max(count, 0.0), total)

    return count_slow


def curve_reader(points: PointLookup, metric: str, percentiles: Mapping[str, float]) -> CurveReader:
    """Return a function that reads the latencies of `metric` between `percentiles`."""
    by_share = {share: points(metric, name) for name, share in percentiles.items()}
    columns = list(by_share.items())

    @lru_cache(maxsize=1)  # a minute is compared with one limit after the other
    def curve_at(start: int) -> LatencyCurve | None:
        values = tuple([(share, one[start]) for share, one in columns if start in one])
        return latency_curve(values) if values else None

    return curve_at
