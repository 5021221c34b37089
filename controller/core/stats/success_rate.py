"""The two tests of a success rate: a circuit breaker for outages, and one for its objective.

Two, because one bad minute must not roll back a release that keeps its objective, and because an
outage in which a quarter of all requests fails must not take five minutes of data to be found.
While the control fails too, both compare the canary with it, whatever the size of the outage.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import log

from controller.core.stats import binomial
from controller.core.stats.combined_tests import ControlState
from controller.core.stats.two_sample import PairedCounts
from controller.immutable import replace

# The breaker's rule: no more than this share fails, or than ten times what is allowed.
_BREAKER_SHARE = 0.05
_BREAKER_MULTIPLE = 10
# A control is bad when this many of its recent requests failed, and three times what is allowed.
_MIN_OUTAGE_FAILURES = 2
OUTAGE_MULTIPLE = 3
# Part of a control's counts that is left after a minute: half of them in three minutes.
_CONTROL_DECAY = 0.8
# After so many minutes in a row without it, an outage of the control is over.
OUTAGE_MINUTES = 15
# A request and its retries fail together: so many failures are evidence of one.
_FAILURES_TOGETHER = 3
# Counts of which the ratios are kept: a backtest folds each minute for a hundred starts.
_MINUTES_KEPT = 4_096


def breaker_threshold(allowed: float) -> float:
    """Return the share of failures above which a criterion that allows `allowed` trips at once."""
    return max(allowed, min(0.5, max(_BREAKER_SHARE, _BREAKER_MULTIPLE * allowed)))


def update_control(control: ControlState, requests: float, failed: float) -> ControlState:
    """Return what is known of the control after one more minute; without requests, no change."""
    if requests <= 0:
        return control
    return replace(
        control,
        requests=_CONTROL_DECAY * control.requests + requests,
        slow=_CONTROL_DECAY * control.slow + failed,
    )


def carry_over(
    counts: PairedCounts, surpluses: tuple[float, float]
) -> tuple[PairedCounts, tuple[float, float]]:
    """Return `counts` without failures below 0, and what is left of `surpluses` after them.

    A request near the end of a minute may be counted in it, and its answer in the next. The first
    minute then has a failure too many, and the second has one below 0: that is kept, and taken off
    the next minute that has one too many. So of requests that are all answered no more count as
    failures, over any number of minutes, than were ever open at once.
    """
    (surplus, control_surplus), failed, control_failed = surpluses, counts.slow, counts.control_slow
    if not surplus and not control_surplus and failed >= 0 and control_failed >= 0:
        return counts, surpluses
    failed, surplus = max(0.0, failed - surplus), max(0.0, surplus - failed)
    control_failed, control_surplus = (
        max(0.0, control_failed - control_surplus),
        max(0.0, control_surplus - control_failed),
    )
    return counts._replace(slow=failed, control_slow=control_failed), (surplus, control_surplus)


def in_shared_outage(control: ControlState, allowed: float) -> bool:
    """Tell whether a control that allows `allowed` fails; control: after the minute in question."""
    bad = max(_MIN_OUTAGE_FAILURES, OUTAGE_MULTIPLE * allowed * control.requests)
    return control.slow >= bad


def breaker_log_ratios(
    counts: PairedCounts, allowed: float, control: ControlState
) -> tuple[float, ...]:
    """Return the log e-value of each effect for the breaker's rule, for one minute.

    control: what is known of it after that minute.
    """
    if counts.control_requests > 0 and in_shared_outage(control, allowed):
        rule, effects = _breaker(allowed)
        return control_log_ratios(counts, rule, [share / rule for share in effects.shares])
    return _breaker_alone(counts.requests, counts.slow, allowed)


@lru_cache(maxsize=_MINUTES_KEPT)
def _breaker_alone(requests: float, failed: float, allowed: float) -> tuple[float, ...]:
    """Return the log e-value of each effect for the breaker's rule, without a control."""
    return binomial.log_ratios(requests, failed, _breaker(allowed)[1])


@lru_cache(maxsize=64)
def _breaker(allowed: float) -> tuple[float, binomial.Effects]:
    """Return the breaker's rule, and the failure shares tested for."""
    rule = breaker_threshold(allowed)
    return rule, binomial.effects(rule)


def log_ratios(counts: PairedCounts, allowed: float, control: ControlState) -> tuple[float, ...]:
    """Return the log e-value of each effect for the objective, for one minute.

    The failures of one minute are censored, so that bursts add up to less than their number. While
    the control fails too the canary is compared with it. Which of both it is depends on the control
    alone, so the e-value stays fair. control: what is known of it after that minute.
    """
    if counts.control_requests > 0 and in_shared_outage(control, allowed):
        shares = binomial.effects(allowed).shares
        return control_log_ratios(counts, allowed, [share / allowed for share in shares])
    return _objective_alone(counts.requests, counts.slow, allowed)


@lru_cache(maxsize=_MINUTES_KEPT)
def _objective_alone(requests: float, failed: float, allowed: float) -> tuple[float, ...]:
    """Return the log e-value of each effect for the objective, without a control."""
    return binomial.censored_log_ratios(requests, failed, binomial.effects(allowed))


def control_log_ratios(
    counts: PairedCounts, allowed: float, odds_ratios: Sequence[float]
) -> tuple[float, ...]:
    """Return the log e-value of each of `odds_ratios` for one minute, whatever the level.

    H0: the canary fails no more often than the control, or than `allowed`. Of all failures, those
    of the canary are its part of the requests then: at most binomial (Hoeffding 1963), k ln(w'/w) +
    j ln((1-w')/(1-w)), with w the canary's part and w' that at the odds ratio. The control counts
    with at least the failures j that are allowed, so that a canary which keeps the rule is no worse
    than a control without a failure.
    """
    part = counts.requests / (counts.requests + counts.control_requests)
    control_failures = max(counts.control_slow, allowed * counts.control_requests)
    ratios = []
    for odds in odds_ratios:
        scale = log(1 + part * (odds - 1))
        ratios.append(counts.slow * (log(odds) - scale) - control_failures * scale)
    return tuple(ratios)


def log_e_value_better(counts: PairedCounts, allowed: float) -> float:
    """Return the log e-value that the canary fails less often than the control, over a step.

    `control_log_ratios` with the sides exchanged, whatever is allowed. H0: the control fails no
    more often than the canary. It is tempered, because retries make failures come together: where
    three do, a ratio of 100 would be one of 100 ** (1/3) without that, or 1 in 5.
    """
    canary, control = counts[:2], counts[2:]
    odds_ratios = [share / allowed for share in binomial.effects(allowed).shares]
    ratios = control_log_ratios(PairedCounts(*control, *canary), 0.0, odds_ratios)
    tempered = [ratio / _FAILURES_TOGETHER for ratio in ratios]
    return binomial.log_sum_exp(tempered) - log(len(tempered))
