"""SC-004 minute by minute: a breaker for what is plainly broken, and the objective itself.

Two tiers, because one bad minute must not roll back a release that keeps its objective, and nobody
wants to wait for five minutes of data while a quarter of all requests fails.
"""

from dataclasses import dataclass
from math import log

from controller.core.sequential.eprocess import Capital, bet
from controller.core.sequential.rate import effects, log_ratios

# The breaker's rule: no more than this share fails, or than ten times what is allowed.
_BROKEN = 0.05
_TIMES_ALLOWED = 10


@dataclass(frozen=True, slots=True)
class Tier:
    """One test of a criterion.

    allowed: the largest share of failures under its rule. weight: its part of the budget.
    datapoints: it never rejects on fewer minutes.
    """

    name: str
    allowed: float
    weight: float
    datapoints: int

    def cap(self, budget: float) -> float:
        """Return what one minute may add to the log capital; `budget`: chance of a false alarm."""
        needed = log(1 / (budget * self.weight))
        return 0.999 * needed / max(1, self.datapoints - 1)


def breaker(allowed: float, weight: float) -> Tier:
    """Return the tier that trips within minutes, for a criterion that allows `allowed` failures."""
    return Tier("breaker", min(0.5, max(_BROKEN, _TIMES_ALLOWED * allowed)), weight, 2)


def objective(allowed: float, weight: float) -> Tier:
    """Return the tier that asks whether the objective itself is missed."""
    return Tier("objective", allowed, weight, 5)


def folded(
    capital: Capital,
    tier: Tier,
    requests: float,
    failed: float,
    onset: float,
    *,
    budget: float,
    dispersion: float = 1.0,
) -> Capital:
    """Return the capital of `tier` after one closed minute; one without requests bets nothing."""
    ratios = log_ratios(requests, failed, tier.allowed, effects(tier.allowed))
    return bet(capital, ratios, onset, cap=tier.cap(budget), dispersion=dispersion)
