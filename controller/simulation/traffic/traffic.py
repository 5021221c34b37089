"""Requests, minute by minute: how many took which path, and how they were answered.

A minute is drawn from the seed, its number and the weights in force during it, and from nothing
else: when and how often metrics are read changes no value. So only minutes that are over may be
asked for.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from controller.core.units import MINUTE_S
from controller.simulation.scenario.metric_roles import Measure, Path, Role
from controller.simulation.scenario.script import ResponseProfile, Script
from controller.simulation.traffic.histogram import Distribution, merge
from controller.simulation.traffic.random_draws import binomial, lognormal, poisson

# Latencies of a minute take some kilobytes; a minute that was forgotten is drawn again, the same.
_CACHED_MINUTES = 2_048


class WeightTimeline:
    """Which weight was in force when; the first one has been so for ever."""

    def __init__(self, weight: int) -> None:
        self._seconds = [float("-inf")]
        self._weights = [weight]

    def record(self, weight: int, second: float) -> None:
        """Take note that `weight` is in force from `second` on."""
        if weight != self._weights[-1]:
            self._seconds.append(second)
            self._weights.append(weight)

    def now(self) -> int:
        """Return the newest weight."""
        return self._weights[-1]

    def segments(self, begin: float, end: float) -> Iterator[tuple[float, float, int, float]]:
        """Yield begin, end, weight, and since when it was in force, of each part of a time."""
        index = bisect_right(self._seconds, begin) - 1
        while begin < end:
            following = index + 1
            last = following == len(self._seconds)
            until = end if last else min(end, self._seconds[following])
            yield begin, until, self._weights[index], self._seconds[index]
            begin, index = until, following


@dataclass(frozen=True, slots=True)
class TrafficSegment:
    """Requests of one path while nothing changed."""

    requests: int
    client_errors: int
    server_errors: int
    cold: int
    conditions: ResponseProfile


class TrafficModel:
    """Draws the requests of both paths."""

    def __init__(self, script: Script, weights: WeightTimeline, seed: int) -> None:
        self.script = script
        self._weights = weights
        self._seed = seed
        self._counts: dict[tuple[Path, int], tuple[TrafficSegment, ...]] = {}

    def counts(self, path: Path, minute: int) -> tuple[TrafficSegment, ...]:
        """Return the requests of `path` in the minute that begins at unix second `minute`."""
        known = self._counts.get((path, minute))
        if known is None:
            rng = Random(f"{self._seed}:counts:{path}:{minute}")
            known = tuple(
                self._draw_segment(rng, path, *stretch)
                for stretch in self._weights.segments(minute, minute + MINUTE_S)
            )
            self._counts[path, minute] = known
        return known

    def latencies(self, path: Path, minute: int) -> Distribution:
        """Return the latencies, in ms, of the requests of `path` in that minute."""
        return draw_latencies(self._seed, path, minute, self.counts(path, minute))

    def _draw_segment(
        self, rng: Random, path: Path, begin: float, end: float, weight: int, since: float
    ) -> TrafficSegment:
        middle = (begin + end) / 2
        share = (weight if path is Path.CANARY else 100 - weight) / 100
        rate = self.script.requests_per_minute(middle) * share
        requests = poisson(rng, rate * (end - begin) / MINUTE_S)
        conditions = self.script.response_profile(path, middle)
        client = binomial(rng, requests, conditions.client_errors)
        server = binomial(rng, requests - client, conditions.server_errors)
        cold_start = conditions.cold_start
        cold = 0
        if cold_start is not None and middle - since < cold_start.lasting.total_seconds():
            cold = binomial(rng, requests, cold_start.share)
        return TrafficSegment(requests, client, server, cold, conditions)


@lru_cache(maxsize=_CACHED_MINUTES)
def draw_latencies(
    seed: int, path: Path, minute: int, segments: tuple[TrafficSegment, ...]
) -> Distribution:
    """Return the latencies of a minute: the same of the same requests in every world of a seed."""
    rng = Random(f"{seed}:latencies:{path}:{minute}")
    return merge(tuple(_latencies(rng, stretch) for stretch in segments))


def _latencies(rng: Random, segment: TrafficSegment) -> Distribution:
    conditions = segment.conditions
    warm = lognormal(rng, segment.requests - segment.cold, conditions.median_ms, conditions.sigma)
    if not segment.cold or conditions.cold_start is None:
        return warm
    slow_ms = conditions.median_ms * conditions.cold_start.times
    return merge((warm, lognormal(rng, segment.cold, slow_ms, conditions.sigma)))


class TrafficFeed:
    """One metric of the traffic, as a metric store collects it.

    unit: as CloudWatch spells it. scale: what a value of a distribution is multiplied by.
    """

    def __init__(self, traffic: TrafficModel, role: Role) -> None:
        latency = role.measure in (Measure.LATENCY, Measure.INTEGRATION_LATENCY)
        self.unit = "Milliseconds" if latency else "Count"
        self.scale = 1.0
        self._cache: dict[int, Distribution] = {}
        self._traffic = traffic
        self._measure = role.measure
        self._paths = (Path.STABLE, Path.CANARY) if role.path is Path.BOTH else (role.path,)
        if role.measure is Measure.INTEGRATION_LATENCY:
            scenario = traffic.script.scenario
            usual = scenario.stable if role.path is Path.STABLE else scenario.canary
            self.scale = usual.integration

    def minute(self, second: int) -> Distribution:
        """Return the values of the minute that begins at unix second `second`."""
        known = self._cache.get(second)
        if known is None:
            known = merge(tuple(self._distribution(path, second) for path in self._paths))
            self._cache[second] = known
            if len(self._cache) > _CACHED_MINUTES:
                del self._cache[next(iter(self._cache))]
        return known

    def count(self, second: int) -> int:
        """Return how many values that minute has: one for each request."""
        return sum(self._requests(path, second) for path in self._paths)

    def _requests(self, path: Path, second: int) -> int:
        return sum(stretch.requests for stretch in self._traffic.counts(path, second))

    def _distribution(self, path: Path, second: int) -> Distribution:
        if self._measure in (Measure.LATENCY, Measure.INTEGRATION_LATENCY):
            return self._traffic.latencies(path, second)
        counts = self._traffic.counts(path, second)
        requests = self._requests(path, second)
        match self._measure:
            case Measure.CLIENT_ERRORS:
                hits = sum(stretch.client_errors for stretch in counts)
            case Measure.SERVER_ERRORS:
                hits = sum(stretch.server_errors for stretch in counts)
            case Measure.FAILURES:
                hits = sum(stretch.client_errors + stretch.server_errors for stretch in counts)
            case _:
                hits = requests
        # Gateway and flag publish 0 or 1 for each request: a sum of zero exists, with traffic only.
        return Distribution.of({1.0: hits, 0.0: requests - hits})


class RequestLogFeed:
    """The log events of one path: one for each request, all alike."""

    def __init__(self, traffic: TrafficModel, path: Path, message: str) -> None:
        self.message = message
        self._traffic = traffic
        self._path = path

    def count(self, second: int) -> int:
        """Return how many requests the path had in the minute that begins at `second`."""
        return sum(stretch.requests for stretch in self._traffic.counts(self._path, second))
