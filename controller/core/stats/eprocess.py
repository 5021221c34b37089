"""The capital of bets on a change for the worse, of unknown size, that begins at an unknown minute.

A mixture over effect sizes and onsets: a Shiryaev-Roberts statistic with weights that add up to one
(Shiryaev 1963; Roberts 1966), so that it is a non-negative supermartingale that starts at one, and
Ville's inequality (1939) holds: P(sup E >= 1/alpha) <= alpha while the rule holds in every minute.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, log

# More than this proves no more, and would one day be too much for a float.
_MOST = 1e200


# Not frozen: that takes several times as long to make, and each minute makes one for each test.
@dataclass(slots=True)
class Capital:
    """The fold of one test over closed minutes; nobody changes one.

    bets: the capital that bets on each effect, onsets so far together; empty before the first
    minute. unspent: the share of the prior that bets on an onset still to come.
    minutes: how many were bet on; begun: of how many steps, counted from the lowest.
    """

    bets: tuple[float, ...] = ()
    unspent: float = 1.0
    minutes: int = 0
    begun: int = 0

    @property
    def e(self) -> float:
        """The e-value: 1 for no evidence, 1/alpha to reject at level alpha."""
        bets = self.bets
        return self.unspent + sum(bets) / len(bets) if bets else 1.0


def bet(
    capital: Capital,
    log_ratios: Sequence[float],
    onset: float,
    *,
    cap: float = inf,
    dispersion: float = 1.0,
    step: int = 0,
) -> Capital:
    """Return the capital after one minute.

    log_ratios: log likelihood ratio of the minute's counts, per effect; each has to be an e-value
    under the rule. onset: share of the prior that the change begins with this minute.
    cap: no minute multiplies the capital by more than e**cap; betting less keeps it fair.
    dispersion: at least 1; tempering each ratio by its root keeps E[e] <= 1 (Jensen), and is exact
    where that many requests fail together. step: the minute is of the step with that number.
    """
    unspent = capital.unspent
    spent = onset if onset < unspent else unspent
    bets = capital.bets or (0.0,) * len(log_ratios)
    most = cap if cap < _LOG_MOST else _LOG_MOST
    if dispersion != 1:
        log_ratios = [ratio / dispersion for ratio in log_ratios]
    after = tuple(
        [
            (one + spent) * exp(ratio if ratio < most else most)
            for one, ratio in zip(bets, log_ratios, strict=True)
        ]
    )
    if max(after) > _MOST:
        after = tuple([min(one, _MOST) for one in after])
    begun = capital.begun if capital.begun > step else step + 1
    return Capital(after, unspent - spent, capital.minutes + 1, begun)


def cap_for(alpha: float, datapoints: int) -> float:
    """Return the cap with which no fewer than `datapoints` minutes take E from 1 to 1/alpha."""
    return inf if datapoints <= 1 else 0.999 * log(1 / alpha) / (datapoints - 1)


_LOG_MOST = log(_MOST)
