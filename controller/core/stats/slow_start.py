"""What a latency may show in the first minutes after a raise, when environments start cold.

A canary that is a third slower for five minutes is no regression, and one that takes twice as long
is. Both are far from "no slower", so the evidence against that does not tell them apart.
"""

from math import log

# Odds of a slow request, as multiples of the usual ones: of a latency that is 30% higher, which
# cold starts may explain, and of one that is 50% higher (lognormal, sigma 0.5, p95 + 5%).
_EXPLAINED, _UNEXPLAINED = 2.6, 4.4
# The same right after all environments were replaced: 50% higher, and twice as high. It fades.
_ALL_COLD, _NOT_COLD = 4.4, 2.4
# How decisive a minute is between the two, beyond a margin for the chance of few requests; and what
# each request may say in any case: about as much as those of a latency that is 10% higher do.
_SHARPNESS, _MARGIN, _PER_REQUEST = 10.0, 0.4, 0.003


def largest_log_ratio(requests: float, slow: float, usual: float, cold: float = 0.0) -> float:
    """Return the largest log ratio that one such minute may have, for any effect.

    requests, slow: of the canary. usual: the share of slow requests without a regression. cold: how
    much is left of the cold starts of a target that replaces its environments, 1 at the raise.
    """
    odds, more, least = _EXPLAINED, _UNEXPLAINED, _PER_REQUEST * requests
    if cold:
        odds = 1 + (_ALL_COLD - 1) * cold
        more, least = _NOT_COLD * odds, 0.0
    explained, unexplained = _share(usual, odds), _share(usual, more)
    between = slow * log(unexplained / explained)
    between += (requests - slow) * log((1 - unexplained) / (1 - explained))
    return max(least, _SHARPNESS * (between - _MARGIN))


def _share(usual: float, odds_ratio: float) -> float:
    return odds_ratio * usual / (1 - usual + odds_ratio * usual)
