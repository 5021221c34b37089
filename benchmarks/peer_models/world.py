"""The traces that every judge of the comparison gets: the counts of each minute of one release.

10% for an hour, 50% for an hour, 100% for a day, or longer where a judge holds. Requests are
Poisson, failures binomial. Latencies are those of benchmarks/judging/world.py.
"""

from math import pi, sin
from random import Random
from typing import Final, NamedTuple, Protocol

from benchmarks.judging import world as judging
from controller.immutable import Immutable
from controller.tools.simulation.histogram import binomial, poisson

# Weight of each step, and the minutes of its bake.
STEPS: Final = ((10, 60), (50, 60), (100, 1_440))
MINUTES: Final = sum(bake for _, bake in STEPS)
KINDS: Final = ("steady", "bursty", "noisy", "day and night")
LATENCY_KINDS: Final = ("steady", "varying")
# What the limit of a latency is multiplied with, to tune a judge.
MULTIPLES: Final = (1.0, 1.05, 1.1, 1.15, 1.2, 1.3, 1.4, 1.6, 2.0, 3.0)
# Bursty: twice a day, two minutes on average, in which 3% of the canary's requests fail.
_BURSTS_A_MINUTE, _BURST_ENDS, _BURST_SHARE = 2 / 1_440, 0.5, 0.03
# Day and night: traffic between a fifth and nine fifths of its mean.
_SWING: Final = 0.8


class Release(Immutable):
    """One release: requests a minute on both paths, and its fault from its first minute on.

    errors: its share of failures; usual: that of the stable path. slower: by how much its latencies
    are higher. kind: of the world. clump: how many failures come at once in a noisy one, as where a
    client tries again.
    """

    rpm: int
    kind: str
    errors: float = 0.0
    usual: float = 0.0
    slower: float = 0.0
    clump: int = 3


class Minute(NamedTuple):
    """One minute: its number and weight; requests and failures of both paths.

    Of a latency, a failure is a request beyond the limit, and `beyond` has those of the canary
    beyond each multiple of it. seen: what the judge of rolloutctl counts then.
    """

    number: int
    weight: int
    requests: int
    failed: int
    control: int
    control_failed: int
    beyond: tuple[int, ...] = ()
    seen: judging.Minute | None = None

    def beyond_multiple(self, index: int) -> "Minute":
        """Return this minute with the requests beyond another limit as its failures."""
        return self._replace(failed=self.beyond[index])


class World(Protocol):
    """One release, minute by minute."""

    def minute(self, weight: int) -> Minute:
        """Return the next minute, with `weight` percent of the requests on the canary."""
        ...


def weight_at(minute: int) -> int:
    """Return the weight of the canary in a minute of the planned schedule."""
    for weight, bake in STEPS:
        minute -= bake
        if minute < 0:
            return weight
    raise ValueError("the schedule is over")


class FailingWorld:
    """A release that fails."""

    def __init__(self, seed: str, release: Release) -> None:
        self._rng, self._release, self._burst = Random(seed), release, False
        self._offset = self._rng.random()
        self._next = 0

    def minute(self, weight: int) -> Minute:
        """Return the next minute."""
        number, self._next = self._next, self._next + 1
        release, rng = self._release, self._rng
        rpm = float(release.rpm)
        if release.kind == "day and night":
            rpm *= 1 + _SWING * sin(2 * pi * (number / 1_440 + self._offset))
        errors = release.errors
        if release.kind == "bursty":
            chance = 1 - _BURST_ENDS if self._burst else _BURSTS_A_MINUTE
            self._burst = rng.random() < chance
            errors = max(errors, _BURST_SHARE) if self._burst else errors
        requests = poisson(rng, rpm * weight / 100)
        control = poisson(rng, rpm * (1 - weight / 100))
        return Minute(
            number, weight, requests, self._failed(requests, errors),
            control, self._failed(control, release.usual),
        )  # fmt: skip

    def _failed(self, requests: int, share: float) -> int:
        if self._release.kind != "noisy":
            return binomial(self._rng, requests, share)
        clump = self._release.clump
        return min(requests, clump * binomial(self._rng, requests, share / clump))


class SlowWorld:
    """A release whose latencies are higher.

    The limit is a p95 that is 5% above the one of the day before.
    """

    def __init__(self, seed: str, release: Release) -> None:
        own = judging.Release(release.rpm, slower=release.slower, noisy=release.kind == "varying")
        self._world = judging.World(Random(seed), own, MULTIPLES)
        self.baselines = self._world.baselines
        self._next = 0

    def minute(self, weight: int) -> Minute:
        """Return the next minute."""
        number, self._next = self._next, self._next + 1
        seen = self._world.minute(weight)
        return Minute(
            number, weight, seen.requests, seen.slow, seen.control, seen.control_slow,
            seen.beyond, seen,
        )  # fmt: skip
