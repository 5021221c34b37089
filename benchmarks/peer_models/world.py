"""The traces that every judge of the comparison gets: the counts of each minute of one release.

10 % for an hour, 50 % for an hour, 100 % for a day. Requests are Poisson, failures binomial.
"""

from dataclasses import dataclass
from math import pi, sin
from random import Random
from typing import Final, NamedTuple

from controller.simulation.traffic.random_draws import binomial, poisson

WEIGHTS: Final = ((60, 10), (120, 50), (1_560, 100))
MINUTES: Final = WEIGHTS[-1][0]
KINDS: Final = ("steady", "bursty", "noisy", "day and night")
# Bursty: twice a day, two minutes on average, in which 3 % of the canary's requests fail.
_BURSTS_A_MINUTE, _BURST_ENDS, _BURST_SHARE = 2 / 1_440, 0.5, 0.03
# Noisy: failures come in threes, as where a client tries again.
_CLUMP: Final = 3
# Day and night: traffic between a fifth and nine fifths of its mean.
_SWING: Final = 0.8


@dataclass(frozen=True, slots=True)
class Release:
    """One release: requests a minute on both paths, its share of failures, and that of the stable.

    The canary fails so from its first minute on.
    """

    rpm: int
    errors: float
    usual: float
    kind: str


class Minute(NamedTuple):
    """One minute: its number and weight; requests and failures of both paths."""

    number: int
    weight: int
    requests: int
    failed: int
    control: int
    control_failed: int


def weight_at(minute: int) -> int:
    """Return the weight of the canary in a minute."""
    return next(weight for end, weight in WEIGHTS if minute < end)


class World:
    """One release, minute by minute. history: the control's failure shares of an earlier day."""

    def __init__(self, seed: str, release: Release) -> None:
        self._rng, self._release, self._burst = Random(seed), release, False
        self._offset = self._rng.random()
        self._next = 0

    def minute(self) -> Minute:
        """Return the next minute."""
        number, self._next = self._next, self._next + 1
        weight, release, rng = weight_at(number), self._release, self._rng
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
        return min(requests, _CLUMP * binomial(self._rng, requests, share / _CLUMP))
