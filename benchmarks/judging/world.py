"""The counts of each minute of one release, drawn from a seed.

Requests are Poisson; failures, and requests slower than a limit, binomial. Latency is lognormal:
its exact share above a limit is used, without drawing single latencies.
"""

from collections.abc import Mapping, Sequence
from math import erfc, exp, log, pi, sin, sqrt
from random import Random
from statistics import NormalDist
from typing import NamedTuple

from benchmarks.judging import policy
from controller.core.judge.criteria.latency_increase_tail import tail_judge
from controller.core.judge.evidence import BaselineMeasurement
from controller.core.judge.latency_tail import LatencyLimits
from controller.core.policy import LatencyIncrease
from controller.core.stats.dispersion import dispersion, local_dispersion
from controller.core.stats.hangs import HANG_FACTOR
from controller.immutable import Immutable, replace
from controller.operations.start.baselines import with_hours
from controller.tools.simulation.histogram import binomial, poisson

DAY = 24 * 60
HEALTHY = 0.0002  # share of requests that fail anyway

_MEDIAN_MS, _SIGMA = 150.0, 0.5
_P95_ERROR = 2.11 * _SIGMA  # standard error of a p95, times the root of the requests
# Rejected requests a minute when the canary has all traffic: one in five minutes.
_REJECTED = 0.2
_BLOCK = 5  # minutes of one datapoint of a baseline

_DIURNAL, _DAY_LEVEL = 0.10, 0.02
_COMMON, _CANARY, _RHO = 0.03, 0.015, 0.9

_SPELLS_A_DAY = 2.0
# An outage in the first two steps ends with them, because no gate passes in an outage.
_OUTAGE_BEFORE, _CONTROL_UNTIL = 110, 120
_ALWAYS = range(10 * DAY)


class Episode(NamedTuple):
    """Failures for a while: how many minutes on average (geometric), and the share that fails."""

    minutes: float
    errors: float

    def length(self, rng: Random) -> int:
        """Return the minutes of one episode."""
        minutes = 1
        while rng.random() > 1 / self.minutes:
            minutes += 1
        return minutes


class Spells(NamedTuple):
    """Failures in `minutes` of each `every` minutes, and the share that fails in them."""

    every: int
    minutes: int
    errors: float


class Release(Immutable):
    """The true behaviour of one release.

    rpm: requests a minute on both paths. errors, slower: of the canary, from minute `since` on: its
    share of failures, and its relative increase of latency; they grow for `creep` minutes.
    breaks_both: the control fails as much. bursts: of failures of the canary, two a day.
    outage: one of both paths, from minute `outage_at` on; 0: in the first two steps. noisy: the
    level of latency varies with the time of day, the day and random load, besides sampling noise.

    hung: share of canary requests that take ten seconds, from minute `since` on; hung_anyway: the
    same for both paths, also on the baseline's day. day: relative latency of both paths against the
    baseline's day, in the minutes of `day_in`; hung_both: the share that hangs on both then.
    stable: the share of requests beside those of the
    canary that the stable path has at 100%. blip: mean minutes in which the canary takes
    `blip_factor` times as long, twice a day. cold: minutes after each raise in which the canary is
    slower by `cold_slower`; cold_fades: by less and less. week: the stored baseline is that of the
    same hours of seven days. period: minutes from one datapoint of the metrics to the next.
    spells: of failures of the canary from minute `since` on. waves: standard deviation of the load
    waves that both paths have from minute `waves_at` on, and that last some `waves_last` minutes.
    """

    rpm: int
    errors: float = HEALTHY
    slower: float = 0.0
    since: int = 0
    bursts: Episode | None = None
    outage: Episode | None = None
    outage_at: int = 0
    noisy: bool = False
    hung: float = 0.0
    hung_anyway: float = 0.0
    creep: int = 0
    breaks_both: bool = False
    day: float = 0.0
    hung_both: float = 0.0
    day_in: range = _ALWAYS
    stable: float = 0.0
    blip: float = 0.0
    blip_factor: float = 2.0
    cold: int = 0
    week: bool = False
    cold_slower: float = 0.3
    cold_fades: bool = False
    period: int = 1
    spells: Spells | None = None
    waves: float = 0.0
    waves_at: int = 0
    waves_last: int = 10


class Minute(NamedTuple):
    """The counts of one minute.

    slow, drifted, over, hung: canary requests above the limit to pass, to fail, the absolute one,
    and that of a hang. usual: the share of slow requests at this time of the baseline's day.
    beyond: canary requests above each of the other limits that the world was asked for.
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
    hung: int
    control_hung: int
    usual: float
    beyond: tuple[int, ...] = ()


class World:
    """One release in one world, minute by minute.

    multiples: of the limit to pass, beyond which the requests of the canary are counted too.
    """

    def __init__(self, rng: Random, release: Release, multiples: Sequence[float] = ()) -> None:
        self._rng, self.release, self._multiples = rng, release, multiples
        self._noise = _Noise(rng, noisy=release.noisy)
        self.baselines = self._before()
        self.limits = _limits(self.baselines)
        self._minute = 0
        self._weight, self._raised = 0, 0
        self._burst = _Spells(rng, release.bursts.minutes if release.bursts else 0.0)
        self._blip = _Spells(rng, release.blip)
        begin = rng.randrange(_OUTAGE_BEFORE)
        length = release.outage.length(rng) if release.outage else 0
        self._outage = range(begin, min(begin + length, _CONTROL_UNTIL))
        if release.outage_at:
            self._outage = range(release.outage_at, release.outage_at + length)

    def minute(self, weight: int) -> Minute:
        """Return the next minute, with `weight` percent of the traffic on the canary."""
        rng, release, now, limits = self._rng, self.release, self._minute, self.limits
        self._minute += 1
        if weight != self._weight:
            self._weight, self._raised = weight, now
        share, part = weight / 100, self._part_of_fault(now)
        outage = release.outage.errors if release.outage and now in self._outage else 0.0
        burst = release.bursts.errors if release.bursts and self._burst.hits() else 0.0
        fault = HEALTHY + part * (release.errors - HEALTHY)
        control_errors = max(fault if release.breaks_both else HEALTHY, outage)
        spells, since = release.spells, now - release.since
        in_spell = spells is not None and since >= 0 and since % spells.every < spells.minutes
        errors = max(fault, outage, burst, spells.errors if spells and in_spell else 0.0)
        requests = poisson(rng, release.rpm * share)
        control = poisson(rng, release.rpm * max(1 - share, release.stable))
        common, own = self._noise.minute(now)
        common += log(1 + release.day) * (now in release.day_in)
        if release.waves and now >= release.waves_at:
            common += self._noise.wave(release.waves, exp(-1 / release.waves_last))
        level = common + own + log(1 + part * release.slower) + self._short_slowness(now)
        above = (limits.pass_limit, limits.fail_limit, policy.LIMIT_MS, limits.hang_limit)
        hung_anyway = release.hung_anyway + release.hung_both * (now in release.day_in)
        hung = hung_anyway + (release.hung if part else 0.0)
        further = [limits.pass_limit * one for one in self._multiples]
        slow, drifted, over, far, *beyond = self._nested(requests, level, hung, (*above, *further))
        control_above = (limits.control_limit, limits.hang_limit)
        control_slow, control_hung = self._nested(control, common, hung_anyway, control_above)
        return Minute(
            requests=requests,
            failed=binomial(rng, requests, errors),
            slow=slow,
            drifted=drifted,
            over=over,
            rejected=poisson(rng, _REJECTED * share),
            control=control,
            control_failed=binomial(rng, control, control_errors),
            control_slow=control_slow,
            hung=far,
            control_hung=control_hung,
            usual=self.baselines[policy.STORED].share_at(now * 60),
            beyond=tuple(beyond),
        )

    def _part_of_fault(self, now: int) -> float:
        """Return how much of the fault is there: 0 before it begins, 1 when it is complete."""
        since, creep = now - self.release.since, self.release.creep
        if since < 0:
            return 0.0
        return min(1.0, since / creep) if creep else 1.0

    def _short_slowness(self, now: int) -> float:
        """Return the log of how much slower the canary is for a few minutes."""
        release = self.release
        left = max(0.0, 1 - (now - self._raised) / release.cold) if release.cold else 0.0
        cold = release.cold_slower * (left if release.cold_fades else left > 0)
        blip = self._blip.hits()
        return log(1 + cold) + log(release.blip_factor) * blip

    def _nested(
        self, requests: int, level: float, hung: float, limits: Sequence[float]
    ) -> list[int]:
        """Return the number of requests above each limit; those above a higher one are included.

        hung: the share of requests above every limit.
        """
        counts, left, before = [0] * len(limits), requests, 1.0
        for index in sorted(range(len(limits)), key=limits.__getitem__):
            share = hung + (1 - hung) * _above(limits[index], level)
            left = binomial(self._rng, left, min(1.0, share / before)) if before > 0 else 0
            counts[index], before = left, share
        return counts

    def _before(self) -> dict[str, BaselineMeasurement]:
        """Return the baselines of the day before, by criterion."""
        rng, readings, hung = self._rng, [], self.release.hung_anyway
        p95 = _MEDIAN_MS * exp(NormalDist().inv_cdf(0.95 / (1 - hung)) * _SIGMA)
        first = -(7 if self.release.week else 1) * DAY
        for begin in range(first, 0, _BLOCK):
            level = self._noise.block(begin)
            requests = poisson(rng, self.release.rpm * _BLOCK)
            error = rng.gauss(0.0, _P95_ERROR / sqrt(max(1, requests)))
            readings.append((requests, level, p95 * exp(level + error)))
        samples = sum(requests for requests, _, _ in readings)
        value = sum(requests * reading for requests, _, reading in readings) / samples
        blocks = [
            (one, binomial(rng, one, hung + (1 - hung) * _above(value, level)))
            for one, level, _ in readings
        ]
        share = sum(slow for _, slow in blocks) / samples
        times = range(first * 60, 0, _BLOCK * 60)
        far = [
            (one, hung + (1 - hung) * _above(HANG_FACTOR * value, at)) for one, at, _ in readings
        ]
        # What a p95 and a p99 leave: a twentieth of the requests, or a hundredth.
        beyond = sum(one * (0.05 if binomial(rng, one, p) > one / 100 else 0.01) for one, p in far)
        most = beyond / samples
        baseline = BaselineMeasurement(value, samples, first * 60, 0, share, hung_share=most)
        return {
            policy.BESIDE: replace(baseline, dispersion=local_dispersion(blocks)),
            policy.STORED: with_hours(
                replace(baseline, dispersion=dispersion(blocks)),
                times,
                blocks,
                same_hours=self.release.week,
            ),
        }


class _Spells:
    """Short spells of trouble, twice a day, of a geometric length with a mean in minutes."""

    def __init__(self, rng: Random, mean: float) -> None:
        self._rng, self._mean, self._left = rng, mean, 0

    def hits(self) -> bool:
        """Tell whether the next minute is in a spell."""
        if not self._mean:
            return False
        if not self._left and self._rng.random() < _SPELLS_A_DAY / DAY:
            self._left = 1
            while self._rng.random() > 1 / self._mean:
                self._left += 1
        if not self._left:
            return False
        self._left -= 1
        return True


class _Noise:
    """The log of the latency level: time of day, random load, day, and the canary path."""

    def __init__(self, rng: Random, *, noisy: bool) -> None:
        self._rng, self._noisy = rng, noisy
        self._clock = rng.randrange(DAY)
        self._days: dict[int, float] = {}
        self._common = rng.gauss(0.0, _COMMON)
        self._own = rng.gauss(0.0, _CANARY)
        self._wave = 0.0

    def minute(self, now: int) -> tuple[float, float]:
        """Return the level of both paths in minute `now`, and the addition of the canary."""
        if not self._noisy:
            return 0.0, 0.0
        self._own = self._next(self._own, _CANARY, _RHO)
        self._common = self._next(self._common, _COMMON, _RHO)
        return self._common + self._level(now), self._own

    def wave(self, spread: float, rho: float) -> float:
        """Return the addition of a load wave to the next minute of both paths."""
        self._wave = self._next(self._wave, spread, rho)
        return self._wave

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


def _limits(baselines: Mapping[str, BaselineMeasurement]) -> LatencyLimits:
    """Return the latency limits of both relative criteria, which have the same baseline."""
    beside, stored = (
        tail_judge(name, criterion, policy.POLICY, baselines[name]).limits
        for name in (policy.BESIDE, policy.STORED)
        if isinstance(criterion := policy.POLICY.criteria[name], LatencyIncrease)
    )
    assert beside is not None
    assert stored is not None
    assert beside.pass_limit == stored.pass_limit
    assert beside.hang_limit == stored.hang_limit
    assert beside.control_limit == stored.control_limit
    return replace(stored, control_metric=beside.control_metric, control_limit=beside.control_limit)


def _above(limit_ms: float, level: float) -> float:
    """Return the share of a lognormal at `level` that is above `limit_ms`."""
    if limit_ms <= 0:
        return 0.0
    return 0.5 * erfc((log(limit_ms / _MEDIAN_MS) - level) / (_SIGMA * sqrt(2)))
