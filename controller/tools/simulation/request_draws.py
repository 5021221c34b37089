"""The traffic model: requests of each path by the minute, with their errors and latencies.

A minute is drawn from the seed, its number and the weights applied during it, and from nothing
else: when and how often metrics are read changes no value. So only past minutes may be read.
"""

from bisect import bisect_right
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from math import floor
from random import Random
from typing import Final, NamedTuple

from controller.core.units import MINUTE_S
from controller.flag import NAMESPACE
from controller.immutable import Immutable, replace
from controller.tools.simulation.histogram import (
    Distribution,
    binomial,
    lognormal,
    merge,
    poisson,
)
from controller.tools.simulation.scenario.metric_roles import (
    LAMBDA,
    LOAD_BALANCER,
    Measure,
    Role,
    TrafficPath,
    is_in_seconds,
)
from controller.tools.simulation.scenario.timeline import ResponseProfile, Script

_BAD_GATEWAYS: Final = frozenset({"died", "raised", "throttled"})
_UNANSWERED: Final = _BAD_GATEWAYS | {"hung"}
_OUTCOMES: Final[Mapping[Measure, frozenset[str]]] = {
    Measure.FAILURES: _UNANSWERED | {"client_errors", "server_errors"},
    Measure.RAISED: frozenset({"raised", "throttled"}),
    Measure.BAD_GATEWAYS: _BAD_GATEWAYS,
    Measure.UNANSWERED: _UNANSWERED,
}


class ServiceCounts(NamedTuple):
    """What a service makes of the outcomes of requests.

    server_errors: those that it counts as such. uncounted: those that are no request to it.
    untimed: those that it measures no latency of. zeros: whether it publishes a 0 for each request
    that a metric does not count.
    """

    server_errors: frozenset[str] = _UNANSWERED | {"server_errors"}
    uncounted: frozenset[str] = frozenset()
    untimed: frozenset[str] = frozenset()
    zeros: bool = True

    def values(self, measure: Measure, requests: int, ended: Mapping[str, int]) -> tuple[int, int]:
        """Return how many values of 1 and of 0 a count has; ended: requests by outcome."""
        counted = requests - _total(ended, self.uncounted)
        match measure:
            case Measure.REQUESTS:
                hits = counted
            case Measure.SUCCESSES:
                hits = requests - sum(ended.values())
            case Measure.SERVER_ERRORS:
                hits = _total(ended, self.server_errors)
            case _:
                hits = _total(ended, _OUTCOMES.get(measure, frozenset({measure.value})))
        return hits, max(0, counted - hits) if self.zeros else 0

    def timed(self, requests: int, ended: Mapping[str, int]) -> int:
        """Return how many of the requests have a latency."""
        return requests - _total(ended, self.untimed)


SERVICES: Final[Mapping[str, ServiceCounts]] = {
    LOAD_BALANCER: ServiceCounts(
        server_errors=frozenset({"server_errors"}),
        untimed=_UNANSWERED | {"aborted"},
        zeros=False,
    ),
    LAMBDA: ServiceCounts(
        server_errors=frozenset({"server_errors", "died", "hung", "raised"}),
        uncounted=frozenset({"throttled"}),
        untimed=frozenset({"throttled"}),
    ),
    # The flag is in the caller: a call without an answer is a failure there, and takes its time.
    NAMESPACE: ServiceCounts(),
}


def _total(ended: Mapping[str, int], outcomes: frozenset[str]) -> int:
    return sum([count for outcome, count in ended.items() if outcome in outcomes])


# Latencies of a minute take some kilobytes; an evicted minute is drawn again, with equal values.
_CACHED_MINUTES = 4_096


class WeightTimeline:
    """The weight over time; the first one applies from the beginning."""

    def __init__(self, weight: int) -> None:
        self._seconds = [float("-inf")]
        self._weights = [weight]

    def record(self, weight: int, second: float) -> None:
        """Record that `weight` applies from `second` on."""
        if weight != self._weights[-1]:
            self._seconds.append(second)
            self._weights.append(weight)

    def now(self) -> int:
        """Return the newest weight."""
        return self._weights[-1]

    def segments(self, begin: float, end: float) -> Iterator[tuple[float, float, int, float]]:
        """Yield begin, end, weight, and since when it applies, of each part of a time range."""
        index = bisect_right(self._seconds, begin) - 1
        while begin < end:
            next_index = index + 1
            is_last = next_index == len(self._seconds)
            until = end if is_last else min(end, self._seconds[next_index])
            yield begin, until, self._weights[index], self._seconds[index]
            begin, index = until, next_index


class TrafficSegment(Immutable):
    """Requests of one path under one weight.

    ended: those that did not succeed, by outcome. cold: those that met a cold start.
    """

    requests: int
    ended: tuple[tuple[str, int], ...]
    cold: int
    conditions: ResponseProfile


class TrafficModel:
    """Draws the requests of both paths from a seed.

    probes_per_minute: what is sent to the canary at every weight, beside the requests of users; it
    comes evenly, and is answered as they are.
    """

    def __init__(
        self, script: Script, weights: WeightTimeline, seed: int, probes_per_minute: float = 0.0
    ) -> None:
        self.script = script
        self._weights = weights
        self._seed = seed
        self._probes_per_minute = probes_per_minute
        self._counts: dict[tuple[TrafficPath, int], tuple[TrafficSegment, ...]] = {}

    def counts(self, path: TrafficPath, minute: int) -> tuple[TrafficSegment, ...]:
        """Return the requests of `path` in the minute that begins at unix second `minute`."""
        segments = self._counts.get((path, minute))
        if segments is None:
            rng = Random(f"{self._seed}:counts:{path}:{minute}")
            segments = tuple(
                self._draw_segment(rng, path, *weight_segment)
                for weight_segment in self._weights.segments(minute, minute + MINUTE_S)
            )
            self._counts[path, minute] = segments
        return segments

    def forget_from(self, second: float) -> None:
        """Forget the minutes that end after `second`: the weight changes then."""
        kept = {key: one for key, one in self._counts.items() if key[1] + MINUTE_S <= second}
        self._counts = kept

    def latencies(self, path: TrafficPath, minute: int, service: ServiceCounts) -> Distribution:
        """Return the latencies, in ms, of the requests of `path` that `service` measures."""
        segments = self.counts(path, minute)
        if service.untimed:
            segments = tuple([_timed(segment, service) for segment in segments])
        return draw_latencies(self._seed, path, minute, segments)

    def _draw_segment(
        self, rng: Random, path: TrafficPath, begin: float, end: float, weight: int, since: float
    ) -> TrafficSegment:
        middle = (begin + end) / 2
        share = (weight if path is TrafficPath.CANARY else 100 - weight) / 100
        rate = self.script.requests_per_minute(middle) * share
        requests = poisson(rng, rate * (end - begin) / MINUTE_S)
        if path is TrafficPath.CANARY:
            requests += self._probes_until(end) - self._probes_until(begin)
        conditions = self.script.response_profile(path, middle)
        ended, remaining = list[tuple[str, int]](), requests
        for outcome, share in conditions.outcomes:
            count = binomial(rng, remaining, share)
            remaining -= count
            if count:
                ended.append((outcome, count))
        cold_start = conditions.cold_start
        cold = 0
        if cold_start is not None and middle - since < cold_start.lasting.total_seconds():
            cold = binomial(rng, requests, cold_start.share)
        return TrafficSegment(requests, tuple(ended), cold, conditions)

    def _probes_until(self, second: float) -> int:
        return floor(self._probes_per_minute * second / MINUTE_S)


def _timed(segment: TrafficSegment, service: ServiceCounts) -> TrafficSegment:
    requests = service.timed(segment.requests, dict(segment.ended))
    if requests == segment.requests:
        return segment
    return replace(segment, requests=requests, cold=min(segment.cold, requests), ended=())


@lru_cache(maxsize=_CACHED_MINUTES)
def draw_latencies(
    seed: int, path: TrafficPath, minute: int, segments: tuple[TrafficSegment, ...]
) -> Distribution:
    """Return the latencies of a minute: equal for equal requests in every world of a seed."""
    rng = Random(f"{seed}:latencies:{path}:{minute}")
    return merge([_latencies(rng, segment) for segment in segments])


def _latencies(rng: Random, segment: TrafficSegment) -> Distribution:
    conditions = segment.conditions
    warm = lognormal(rng, segment.requests - segment.cold, conditions.median_ms, conditions.sigma)
    if not segment.cold or conditions.cold_start is None:
        return warm
    slow_ms = conditions.median_ms * conditions.cold_start.times
    return merge([warm, lognormal(rng, segment.cold, slow_ms, conditions.sigma)])


class TrafficFeed:
    """One metric of the traffic, as a `MetricFeed`.

    unit: as CloudWatch spells it. scale: factor of every value. namespace: of the service whose
    metric it is. A load balancer measures latency in seconds.
    """

    def __init__(self, traffic: TrafficModel, role: Role, namespace: str = "") -> None:
        self._is_latency = role.measure in (Measure.LATENCY, Measure.INTEGRATION_LATENCY)
        in_seconds = self._is_latency and is_in_seconds(namespace)
        self.unit = "Seconds" if in_seconds else "Milliseconds" if self._is_latency else "Count"
        self.scale = 0.001 if in_seconds else 1.0
        self._service = SERVICES.get(namespace, ServiceCounts())
        self._cache: OrderedDict[int, Distribution] = OrderedDict()
        self._traffic = traffic
        self._measure = role.measure
        self._paths = (
            (TrafficPath.STABLE, TrafficPath.CANARY)
            if role.path is TrafficPath.BOTH
            else (role.path,)
        )
        if role.measure is Measure.INTEGRATION_LATENCY:
            scenario = traffic.script.scenario
            path_model = scenario.stable if role.path is TrafficPath.STABLE else scenario.canary
            self.scale = path_model.integration

    def minute(self, second: int) -> Distribution:
        values = self._cache.get(second)
        if values is None:
            values = merge([self._distribution(path, second) for path in self._paths])
            self._cache[second] = values
            if len(self._cache) > _CACHED_MINUTES:
                self._cache.popitem(last=False)
        return values

    def count(self, second: int) -> int:
        """Return how many values that minute has: one for each request, or for each failed one."""
        ended = [self._ended(path, second) for path in self._paths]
        if self._is_latency:
            return sum([self._service.timed(*one) for one in ended])
        return sum([sum(self._service.values(self._measure, *one)) for one in ended])

    def _ended(self, path: TrafficPath, second: int) -> tuple[int, Mapping[str, int]]:
        """Return the requests of that minute, and how many of them ended how."""
        segments = self._traffic.counts(path, second)
        if len(segments) == 1:
            return segments[0].requests, dict(segments[0].ended)
        ended = Counter[str]()
        for segment in segments:
            ended.update(dict(segment.ended))
        return sum([segment.requests for segment in segments]), ended

    def _distribution(self, path: TrafficPath, second: int) -> Distribution:
        if self._is_latency:
            return self._traffic.latencies(path, second, self._service)
        hits, misses = self._service.values(self._measure, *self._ended(path, second))
        return Distribution.of_ones(hits, misses)


class RequestLogFeed:
    """The log events of one path: one for each request, all with the same message."""

    def __init__(self, traffic: TrafficModel, path: TrafficPath, message: str) -> None:
        self.message = message
        self._traffic = traffic
        self._path = path

    def count(self, second: int) -> int:
        return sum(segment.requests for segment in self._traffic.counts(self._path, second))
