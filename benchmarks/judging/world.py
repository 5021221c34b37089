"""The counts of each minute of one release, drawn from a seed.

Requests are Poisson; failures, and requests slower than a limit, binomial. Latency is lognormal:
its exact share above a limit is used, without drawing single latencies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import erfc, exp, log, pi, sin, sqrt
from random import Random
from typing import NamedTuple

from benchmarks.judging import policy
from controller.core.judge.evidence import BaselineMeasurement
from controller.core.judge.kinds.latency_increase import LatencyIncreaseJudge
from controller.core.judge.latency_tail import Limits
from controller.core.policy import LatencyIncrease
from controller.core.stats.dispersion import dispersion, local_dispersion
from controller.simulation.traffic.random_draws import binomial, poisson

DAY = 24 * 60
HEALTHY = 0.0002  # share of requests that fail anyway

_MEDIAN_MS, _SIGMA = 150.0, 0.5
_P95_MS = _MEDIAN_MS * exp(1.6449 * _SIGMA)
_P95_ERROR = 2.11 * _SIGMA  # standard error of a p95, times the root of the requests
# Rejected requests a minute when the canary has all traffic: one in five minutes.
_REJECTED = 0.2
_BLOCK = 5  # minutes of one datapoint of a baseline

_DIURNAL, _DAY_LEVEL = 0.10, 0.02
_COMMON, _CANARY, _RHO = 0.03, 0.015, 0.9

_BURSTS_A_DAY, _BURST_MINUTES, _BURST_ERRORS = 2.0, 2.0, 0.03
_OUTAGE_MINUTES, _OUTAGE_ERRORS = 10, 0.1


@dataclass(frozen=True, slots=True)
class Release:
    """The true behaviour of one release.

    rpm: requests a minute on both paths. errors, slower: of the canary, from minute `since` on: its
    share of failures, and its relative increase of latency. bursts: with short bursts of failures.
    outage: with one outage of both paths, in the first two steps. noisy: the level of latency
    varies with the time of day, the day and random load, besides sampling noise.
    """

    rpm: int
    errors: float = HEALTHY
    slower: float = 0.0
    since: int = 0
    bursts: bool = False
    outage: bool = False
    noisy: bool = False


class Minute(NamedTuple):
    """The counts of one minute.

    slow, drifted, over: canary requests above the limit to pass, to fail and the absolute one.
    """

    requests: int
    failed: int
    slow: int
    drifted: int
    over: int
    rejected: int
    control: int
    control_failed: int
    control_slow: int


class World:
    """One release in one world, minute by minute."""

    def __init__(self, rng: Random, release: Release) -> None:
        self._rng, self._release = rng, release
        self._noise = _Noise(rng, noisy=release.noisy)
        self.baselines = self._before()
        self.limits = _limits(self.baselines)
        self._minute = 0
        self._burst_left = 0
        self._outage_from = rng.randrange(110) if release.outage else -DAY

    def minute(self, weight: int) -> Minute:
        """Return the next minute, with `weight` percent of the traffic on the canary."""
        rng, release, now, limits = self._rng, self._release, self._minute, self.limits
        self._minute += 1
        share, bad = weight / 100, now >= release.since
        outage = _OUTAGE_ERRORS if 0 <= now - self._outage_from < _OUTAGE_MINUTES else 0.0
        errors = max(release.errors if bad else HEALTHY, outage, self._burst())
        requests = poisson(rng, release.rpm * share)
        control = poisson(rng, release.rpm * (1 - share))
        common, own = self._noise.minute(now)
        level = common + own + (log(1 + release.slower) if bad else 0.0)
        slow, drifted, over = self._nested(
            requests, level, (limits.pass_limit, limits.fail_limit, policy.LIMIT_MS)
        )
        return Minute(
            requests=requests,
            failed=binomial(rng, requests, errors),
            slow=slow,
            drifted=drifted,
            over=over,
            rejected=poisson(rng, _REJECTED * share),
            control=control,
            control_failed=binomial(rng, control, max(HEALTHY, outage)),
            control_slow=binomial(rng, control, _above(limits.control_limit, common))
            if control
            else 0,
        )

    def _nested(self, requests: int, level: float, limits: Sequence[float]) -> list[int]:
        """Return the number of requests above each limit; those above a higher one are included."""
        counts, left, before = [0] * len(limits), requests, 1.0
        for index in sorted(range(len(limits)), key=limits.__getitem__):
            share = _above(limits[index], level)
            left = binomial(self._rng, left, min(1.0, share / before)) if before > 0 else 0
            counts[index], before = left, share
        return counts

    def _burst(self) -> float:
        if not self._release.bursts:
            return 0.0
        if not self._burst_left and self._rng.random() < _BURSTS_A_DAY / DAY:
            self._burst_left = 1
            while self._rng.random() > 1 / _BURST_MINUTES:
                self._burst_left += 1
        if not self._burst_left:
            return 0.0
        self._burst_left -= 1
        return _BURST_ERRORS

    def _before(self) -> dict[str, BaselineMeasurement]:
        """Return the baselines of the day before, by criterion."""
        rng, readings = self._rng, []
        for begin in range(-DAY, 0, _BLOCK):
            level = self._noise.block(begin)
            requests = poisson(rng, self._release.rpm * _BLOCK)
            error = rng.gauss(0.0, _P95_ERROR / sqrt(max(1, requests)))
            readings.append((requests, level, _P95_MS * exp(level + error)))
        samples = sum(requests for requests, _, _ in readings)
        value = sum(requests * p95 for requests, _, p95 in readings) / samples
        blocks = [(one, binomial(rng, one, _above(value, level))) for one, level, _ in readings]
        share = sum(slow for _, slow in blocks) / samples
        baseline = BaselineMeasurement(value, samples, -DAY * 60, 0, share)
        return {
            policy.BESIDE: replace(baseline, dispersion=local_dispersion(blocks)),
            policy.STORED: replace(baseline, dispersion=dispersion(blocks)),
        }


class _Noise:
    """The log of the latency level: time of day, random load, day, and the canary path."""

    def __init__(self, rng: Random, *, noisy: bool) -> None:
        self._rng, self._noisy = rng, noisy
        self._clock = rng.randrange(DAY)
        self._days: dict[int, float] = {}
        self._common = rng.gauss(0.0, _COMMON)
        self._own = rng.gauss(0.0, _CANARY)

    def minute(self, now: int) -> tuple[float, float]:
        """Return the level of both paths in minute `now`, and the addition of the canary."""
        if not self._noisy:
            return 0.0, 0.0
        self._own = self._next(self._own, _CANARY, _RHO)
        self._common = self._next(self._common, _COMMON, _RHO)
        return self._common + self._level(now), self._own

    def block(self, begin: int) -> float:
        """Return the level of the block of minutes that starts at `begin`."""
        if not self._noisy:
            return 0.0
        self._common = self._next(self._common, _COMMON, _RHO**_BLOCK)
        return self._common + self._level(begin)

    def _level(self, now: int) -> float:
        day = now // DAY
        if day not in self._days:
            self._days[day] = self._rng.gauss(0.0, _DAY_LEVEL)
        return self._days[day] + _DIURNAL * sin(2 * pi * (now + self._clock) / DAY)

    def _next(self, before: float, spread: float, rho: float) -> float:
        return rho * before + self._rng.gauss(0.0, spread * sqrt(1 - rho * rho))


def _limits(baselines: Mapping[str, BaselineMeasurement]) -> Limits:
    """Return the latency limits of both relative criteria, which have the same baseline."""
    beside, stored = (
        LatencyIncreaseJudge(name, criterion, policy.POLICY, baselines[name]).limits
        for name in (policy.BESIDE, policy.STORED)
        if isinstance(criterion := policy.POLICY.criteria[name], LatencyIncrease)
    )
    assert beside is not None
    assert stored is not None
    assert beside.pass_limit == stored.pass_limit
    return Limits(stored.pass_limit, stored.fail_limit, beside.control_metric, beside.control_limit)


def _above(limit_ms: float, level: float) -> float:
    """Return the share of a lognormal at `level` that is above `limit_ms`."""
    if limit_ms <= 0:
        return 0.0
    return 0.5 * erfc((log(limit_ms / _MEDIAN_MS) - level) / (_SIGMA * sqrt(2)))
