"""The tail of a latency: requests slower than a limit, minute by minute, for the sequential judge.

CloudWatch counts them (`TC(412:)`: above 412, interpolated within its bins). For a source without
such counts, the share of slow requests is interpolated between its percentiles.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeAlias, TypeVar

from controller.core.judge.evidence import IntervalTotals, Tally
from controller.core.judge.findings import Fact
from controller.core.judge.sequential import SequentialJudge, ratio
from controller.core.judge.series import INCONSISTENT, SAMPLE_COUNT, Measure, Reader, Window
from controller.core.policy import LatencyIncrease, Metric, Threshold
from controller.core.stats.two_sample import share_above

_PERCENTILES: Mapping[str, float] = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
# A count is interpolated: this far outside of 0 to SampleCount is rounding.
_ROUNDING = 1e-6
# Shares of slow requests that can be tested against.
_MIN_SLOW_SHARE, _DEFAULT_SLOW_SHARE, MAX_SLOW_SHARE = 0.0001, 0.05, 0.9

Points: TypeAlias = Mapping[int, float]
PointLookup: TypeAlias = Callable[[str, str], Points]
"""Metric and statistic -> its datapoints."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits above which a request is slow, in the unit of the criterion's metric.

    pass_limit: the limit on the canary that decides whether the step passes.
    fail_limit: the same for a rollback: higher where a baseline may have drifted meanwhile.
    control_metric, control_limit: metric and limit of the concurrent control; empty without one.
    hang_limit: a request beyond it hung, on either path; 0 where hangs are not counted.
    """

    pass_limit: float
    fail_limit: float
    control_metric: str = ""
    control_limit: float = 0.0
    hang_limit: float = 0.0


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
    def limits(self) -> Limits | None:
        """What slow means; None where no slow requests are counted."""
        raise NotImplementedError

    @property
    def counts_slow(self) -> bool:
        """True when the metric is a percentile."""
        return self.metric.percentile is not None

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

    def tail_statistics(self, limits: Limits) -> list[tuple[str, str]]:
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
        pairs = [
            (name, statistic)
            for name, limit in limits_by_metric
            for statistic in self.percentiles or [trimmed_count(limit)]
        ]
        pairs += [(name, SAMPLE_COUNT) for name, _ in limits_by_metric]
        return list(dict.fromkeys(pairs))

    def measure_tail(self, limits: Limits, reader: Reader) -> Measure:
        """Return the function that counts the slow requests of one minute."""

        def counter(metric: str, limit: float) -> SlowCounter:
            if not metric or not limit:
                return lambda _: (0.0, 0.0)
            return slow_counter(reader.points, metric, limit, self.percentiles)

        metric, control = self.criterion.metric, limits.control_metric
        counters = (
            counter(metric, limits.pass_limit),
            counter(metric, limits.fail_limit),
            counter(metric, limits.hang_limit),
            counter(control, limits.control_limit),
            counter(control, limits.hang_limit),
        )

        def measure(start: int) -> Window | None:
            counts = [one for count in counters if (one := count(start)) is not None]
            if len(counts) < len(counters):
                return None  # a window without its control compares with nothing
            if min(number for _, number in counts) < 0:
                return INCONSISTENT
            (requests, slow), (_, beyond), (_, hung), (control_requests, control_slow), last = (
                counts
            )
            return Window(
                requests,
                slow,
                slow / requests,
                False,
                control_requests,
                control_slow,
                True,
                beyond,
                hung,
                last[1],
            )

        return measure

    def step_share(self, tally: Tally) -> tuple[float | None, float]:
        """Return the share of slow requests, and the share that may be slow."""
        return ratio(tally.amount, tally.samples), self.allowed_slow_share

    def slow_facts(self, totals: IntervalTotals, limit: float) -> dict[str, Fact]:
        """Return how many requests were slower than `limit`, and how many may be."""
        return {
            "slow": totals.amount,
            "requests": totals.requests,
            "allowed_share": self.allowed_slow_share,
            "limit": limit,
            "unit": self.metric.unit,
        }


SlowCounter: TypeAlias = Callable[[int], tuple[float, float] | None]
"""Start of a minute -> requests, and those slower than a limit; None without requests.

A negative number of slow requests marks inconsistent data.
"""


def slow_counter(
    points: PointLookup, metric: str, limit: float, percentiles: Mapping[str, float] | None
) -> SlowCounter:
    """Return a function that counts the requests of `metric` that are slower than `limit`.

    percentiles: the percentiles to interpolate between; None where there are counts.
    """
    requests = points(metric, SAMPLE_COUNT)
    if percentiles:
        points_by_share = {share: points(metric, name) for name, share in percentiles.items()}
        return lambda start: _interpolated_count(
            requests.get(start, 0.0), points_by_share, limit, start
        )
    counts = points(metric, trimmed_count(limit))

    def count_slow(start: int) -> tuple[float, float] | None:
        total = requests.get(start, 0.0)
        if total <= 0:
            return None
        count = counts.get(start)
        if count is None or not -_ROUNDING <= count <= total + _ROUNDING:
            return total, -1.0
        return total, min(max(count, 0.0), total)

    return count_slow


def _interpolated_count(
    requests: float, percentiles: Mapping[float, Points], limit: float, start: int
) -> tuple[float, float] | None:
    if requests <= 0:
        return None
    values = {share: one[start] for share, one in percentiles.items() if start in one}
    if not values:
        return requests, -1.0
    slow_share = share_above(limit, values)
    if slow_share is None:  # one value: all requests are alike
        slow_share = float(max(values.values()) > limit)
    return requests, slow_share * requests
