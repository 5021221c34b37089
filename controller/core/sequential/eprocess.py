"""The capital of bets on a change for the worse, of unknown size, that begins at an unknown minute.

A mixture over effect sizes and onsets: a Shiryaev-Roberts statistic with weights that add up to one
(Shiryaev 1963; Roberts 1966), so that it is a non-negative supermartingale that starts at one, and
Ville's inequality (1939) holds: P(sup E >= 1/alpha) <= alpha while the rule holds in every minute.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, inf, log

# Below this, what is left of the prior is rounding.
_NOTHING = 1e-12


@dataclass(frozen=True, slots=True)
class Capital:
    """The fold of one test over closed minutes.

    logs: log of the capital that bets on each effect, onsets so far together; empty before the
    first minute. unspent: the share of the prior that bets on an onset still to come.
    """

    logs: tuple[float, ...] = ()
    unspent: float = 1.0

    @property
    def log_e(self) -> float:
        """The log of the e-value: 0 for no evidence, ln(1/alpha) to reject at level alpha."""
        if not self.logs:
            return 0.0
        rest = log(self.unspent) if self.unspent > _NOTHING else -inf
        return log_sum((*(one - log(len(self.logs)) for one in self.logs), rest))


def bet(
    capital: Capital,
    log_ratios: Sequence[float],
    onset: float,
    *,
    cap: float = inf,
    dispersion: float = 1.0,
) -> Capital:
    """Return the capital after one minute.

    log_ratios: log likelihood ratio of the minute's counts, per effect; each has to be an e-value
    under the rule. onset: share of the prior that the change begins with this minute.
    cap: no minute multiplies the capital by more than e**cap; betting less keeps it fair.
    dispersion: at least 1; tempering each ratio by its root keeps E[e] <= 1 (Jensen), and is exact
    where that many requests fail together.
    """
    spent = min(onset, capital.unspent)
    fresh = log(spent) if spent > 0 else -inf
    logs = capital.logs or (-inf,) * len(log_ratios)
    after = tuple(
        _log_add(one, fresh) + min(ratio / dispersion, cap)
        for one, ratio in zip(logs, log_ratios, strict=True)
    )
    return Capital(after, capital.unspent - spent)


def cap_for(alpha: float, datapoints: int) -> float:
    """Return the cap with which no fewer than `datapoints` minutes take E from 1 to 1/alpha."""
    return inf if datapoints <= 1 else 0.999 * log(1 / alpha) / (datapoints - 1)


def log_sum(logs: Iterable[float]) -> float:
    """Return the log of the sum of what `logs` are the logs of; -inf for nothing."""
    values = tuple(logs)
    top = max(values, default=-inf)
    return top if top in (-inf, inf) else top + log(sum(exp(one - top) for one in values))


def combined(log_es: Sequence[float], weights: Sequence[float]) -> float:
    """Return the log of the weighted mean of e-values.

    The mean of e-processes is one whatever their dependence (Vovk and Wang 2021), and never less
    than what Bonferroni makes of the same weights.
    """
    return log_sum(log(weight) + one for weight, one in zip(weights, log_es, strict=True))


def _log_add(one: float, other: float) -> float:
    if other == -inf:
        return one
    high, low = (one, other) if one > other else (other, one)
    return high + log(1.0 + exp(low - high)) if low != -inf else high
