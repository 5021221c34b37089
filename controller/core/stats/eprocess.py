"""The e-process of one test: capital bet on a change of unknown size, from an unknown minute on.

A mixture over effect sizes and onsets: a Shiryaev-Roberts statistic with weights that add up to one
(Shiryaev 1963; Roberts 1966), so that it is a non-negative supermartingale that starts at one, and
Ville's inequality (1939) holds: P(sup E >= 1/alpha) <= alpha while the rule holds in every minute.
The prior of the onset, the minute in which a regression begins, is spread over all of a rollout.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import exp, inf, log

from controller.core.units import MINUTE_S, Amount, Count, Real, Second, Share
from controller.immutable import Immutable

# A larger capital proves no more, and would overflow a float in the end.
_CAPITAL_LIMIT = 1e200


class EProcessState(Immutable, gc=False):
    """The fold of one test over closed minutes.

    bets: the capital on each effect, summed over the onsets so far; empty before the first minute.
    unspent: the share of the prior for an onset still to come.
    minutes: how many were folded; begun: of how many steps, counted from the lowest.
    used: how much of the cap the minutes before have used up.
    newest: end of the newest minute, unix seconds. spacing: the fewest minutes from one with data
    to the next; 0 before the second one.
    """

    bets: tuple[Amount, ...] = ()
    unspent: Share = 1.0
    minutes: Count = 0
    begun: Count = 0
    used: Real = 0.0
    newest: Second = 0
    spacing: Count = 0

    def spacing_at(self, end: int) -> int:
        """Return `spacing` with a minute that ends at `end`, unix seconds."""
        if self.spacing == 1 or not self.newest:
            return self.spacing
        since = (end - self.newest) // MINUTE_S
        return self.spacing if 0 < self.spacing < since else since

    @property
    def e_value(self) -> float:
        """The e-value: 1 for no evidence, 1/alpha to reject at level alpha."""
        bets = self.bets
        return self.unspent + sum(bets) / len(bets) if bets else 1.0


def update_e_process(
    capital: EProcessState,
    log_ratios: Sequence[float],
    prior_share: float,
    *,
    cap: float = inf,
    refill: float = inf,
    dispersion: float = 1.0,
    step: int = 0,
    end: int = 0,
    spacing: int = 0,
) -> EProcessState:
    """Return the capital after one minute.

    log_ratios: log likelihood ratio of the minute's counts, per effect; each has to be an e-value
    under the rule. prior_share: share of the prior that the change begins with this minute.
    cap, refill: a token bucket, so that few bad minutes alone prove nothing: no minute multiplies
    the capital by more than e**cap, and of what it uses only `refill` is back in the next one. A
    smaller ratio, chosen from the past alone, keeps the capital fair.
    dispersion: at least 1; tempering each ratio by its root keeps E[e] <= 1 (Jensen), and is exact
    where that many requests fail together. step: number of the step that the minute belongs to.
    end, spacing: of the minute, as in `EProcessState`.
    """
    unspent, used = capital.unspent, capital.used
    spent = prior_share if prior_share < unspent else unspent
    if dispersion != 1:
        log_ratios = [ratio / dispersion for ratio in log_ratios]
    limit, highest = cap - used, max(log_ratios)
    if limit > _LOG_CAPITAL_LIMIT:
        limit = _LOG_CAPITAL_LIMIT
    if highest > limit:
        highest = limit
        log_ratios = [ratio if ratio < limit else limit for ratio in log_ratios]
    bets = capital.bets or (0.0,) * len(log_ratios)
    after = [(one + spent) * exp(ratio) for one, ratio in zip(bets, log_ratios, strict=True)]
    if highest > 0:
        used += highest
        if max(after) > _CAPITAL_LIMIT:
            after = [min(one, _CAPITAL_LIMIT) for one in after]
    used = used - refill if used > refill else 0.0
    begun = capital.begun if capital.begun > step else step + 1
    return EProcessState(
        tuple(after), unspent - spent, capital.minutes + 1, begun, used, end, spacing
    )


def cap_for(alpha: float, datapoints: int) -> float:
    """Return the cap with which no fewer than `datapoints` minutes take E from 1 to 1/alpha."""
    return inf if datapoints <= 1 else 0.999 * log(1 / alpha) / (datapoints - 1)


_LOG_CAPITAL_LIMIT = log(_CAPITAL_LIMIT)


# A share of the prior is for a regression that the first canary request meets, one for a regression
# that begins with a higher step, the rest for any other minute. Together no more than 1, which
# keeps the capital fair.
_FIRST_MINUTE_SHARE = 0.4
_HIGHER_STEPS_SHARE = 0.2
_ANY_MINUTE_SHARE = 0.4
# Half of what is for any minute is for these first ones.
_ANY_MINUTE_MEDIAN = 240
# No minute has more than the first one of a rollout.
LARGEST_SHARE = _FIRST_MINUTE_SHARE + _ANY_MINUTE_SHARE / (_ANY_MINUTE_MEDIAN + 1)


class ChangePointPrior(Immutable):
    """The prior of one rollout, from its number of steps."""

    steps: int

    def share(self, capital: EProcessState, step: int, minutes: int = 1) -> float:
        """Return the share for an onset in the next minutes, which belong to step number `step`.

        minutes: how many a datapoint of the test is of.

        The share of a step is for its first minute with data. That of any minute falls with the
        square of the minutes so far, so that a rollout on hold for days still has some left.
        """
        any_time = _any_time_share(capital.minutes, minutes)
        if step < capital.begun:
            return any_time
        if not capital.begun:
            return any_time + _FIRST_MINUTE_SHARE
        return any_time + _HIGHER_STEPS_SHARE / max(1, self.steps - 1)


@lru_cache(maxsize=16_384)  # some days: a replay of years goes on from minute to minute
def _any_time_share(before: int, minutes: int) -> float:
    """Return the share of datapoint number `before`; each is of so many minutes."""
    elapsed = _ANY_MINUTE_MEDIAN + before * minutes
    return _ANY_MINUTE_SHARE * _ANY_MINUTE_MEDIAN * minutes / (elapsed * (elapsed + minutes))
