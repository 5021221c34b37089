"""Silence at 100%: all or many requests of a canary are missing when it gets all traffic.

Silence fails no criterion and rolls nothing back. What is found here is a notice: without it,
operators would learn at the end of the bake that no request is counted any more, and never that
only some of them are.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from math import exp, log, prod, sqrt
from typing import Final

from controller.core.judge.criterion_judge import judges_of
from controller.core.judge.evidence import BaselineMeasurement
from controller.core.judge.facts import MissingRequests
from controller.core.judge.sequential import SILENCE_SIGNIFICANCE
from controller.core.judge.series import NO_SERIES, SAMPLE_COUNT, Measure
from controller.core.observation import QueryStatus, Series, Span
from controller.core.policy import Policy
from controller.core.rollout import Rollout
from controller.core.units import MINUTE_S, ceil_to, next_minute
from controller.immutable import Immutable

# For so long after 100% was applied a silence may begin; all of it is read in each tick.
_WATCH: Final = timedelta(hours=1)
# The minutes before 100% was applied that say how unlikely a silence is.
_BEFORE_S: Final = 20 * MINUTE_S
# Settled minutes without a request after which a silence may be found.
_LEAST_S: Final = 5 * MINUTE_S
# Periods before 100% that say how many requests the quietest one has.
_LEAST_PERIODS: Final = 3
# Requests that may come together, as from one caller that tries again.
_CLUMP: Final = 10

# A loss shows in the newest blocks of minutes beside those of the hour before 100% was applied.
# The first and the newest minutes of that hour may be of another weight. It has to begin with the
# raise: half an hour later, a night or the end of a day's work looks the same.
_BLOCK_S: Final = 5 * MINUTE_S
_LOSS_WATCH_S, _NEWEST_BLOCKS, _HOUR_S = 30 * MINUTE_S, 4, 60 * MINUTE_S
# So many of the requests that are due have to be there, less twice what they vary by anyway.
_KEPT: Final = 0.85
# The same for the newest time beside a stored week, in which the days vary as well, less three
# times what chance explains. In an evening that falls steeply only the longer time shows a loss.
_KEPT_OF_WEEK: Final = 0.7
_NEWEST_S: Final = (_HOUR_S, 3 * _HOUR_S)
_SHIFT_S: Final = 30 * MINUTE_S
READ_BESIDE_WEEK_S: Final = max(_NEWEST_S)


class Silence(Immutable):
    """The time since 100% was applied in which no request was counted, unix seconds.

    metric: the one that makes it least likely; before: what it counted in `before_s` seconds before
    that.
    """

    start: int
    end: int
    metric: str
    before: float
    before_s: int


class Loss(Immutable):
    """The newest minutes at 100% in which fewer requests were counted than are due, unix seconds.

    metric: the one that counts them. expected: how many, by the hour before 100% was applied.
    """

    start: int
    end: int
    metric: str
    counted: float
    expected: float


def silence_read_from(rollout: Rollout, now: datetime) -> int | None:
    """Return from when on metrics are read to find a silence; None while none can begin."""
    live = rollout.live
    if live is None or live.weight < 100 or now >= live.since + _WATCH:
        return None
    return next_minute(live.since) - _HOUR_S


def was_heard(rollout: Rollout, answers: Mapping[str, Series]) -> bool | None:
    """Tell whether a request was counted since the weight of the step was applied.

    None where that is not known: a metric was not answered in full, or none counts at 100%.
    """
    begin, counts = rollout.applied_from, [one for _, one, _ in _counts(rollout, answers)]
    if begin is None or not counts or any(one.status is not QueryStatus.COMPLETE for one in counts):
        return None
    return any(at >= begin and count for one in counts for at, count in one.points.items())


def missing_at_100(
    rollout: Rollout, answers: Mapping[str, Series], now: datetime
) -> Silence | Loss | None:
    """Return what is missing since 100% was applied: all requests, or many of them."""
    return _silence(rollout, answers, now) or _loss(rollout, answers, now)


def _silence(rollout: Rollout, answers: Mapping[str, Series], now: datetime) -> Silence | None:
    """Return the silence since 100% was applied; None while chance may explain it."""
    begin = rollout.applied_from
    if begin is None or silence_read_from(rollout, now) is None:
        return None
    if was_heard(rollout, answers) is not False:
        return None
    end = rollout.policy.settled_end(now)
    if end - begin < _LEAST_S:
        return None
    found: list[tuple[float, Silence]] = []
    for metric, series, period_s in _counts(rollout, answers):
        starts = range(ceil_to(begin - _BEFORE_S, period_s), begin - period_s + 1, period_s)
        before = [series.points.get(at, 0.0) for at in starts]
        silent = len(range(ceil_to(begin, period_s), end - period_s + 1, period_s))
        silence = Silence(begin, end, metric, sum(before), len(before) * period_s)
        found.append((_chance(before, silent), silence))
    chance, silence = min(found, key=lambda one: (one[0], -one[1].before))
    return silence if chance < SILENCE_SIGNIFICANCE else None


def _loss(rollout: Rollout, answers: Mapping[str, Series], now: datetime) -> Loss | None:
    """Return what is missing since 100% was applied; None while chance or a season explains it.

    The metric that counted most requests decides. Where it counts the canary alone, all of the
    traffic is due at 100%.
    """
    begin, policy, step = rollout.applied_from, rollout.policy, rollout.judged_step
    end = policy.settled_end(now)
    if begin is None or silence_read_from(rollout, now) is None or not step:
        return None
    earlier = policy.steps[step - 1]
    if end - begin > _LOSS_WATCH_S or earlier.bake.total_seconds() < _HOUR_S:
        return None
    found: list[tuple[float, Loss | None]] = []
    for metric, series, period_s in _counts(rollout, answers):
        first, newest_end = ceil_to(begin - _HOUR_S, period_s), end // period_s * period_s
        start = newest_end - _NEWEST_BLOCKS * _BLOCK_S
        before = _blocks(series, range(first, begin - 2 * _BLOCK_S + 1, _BLOCK_S))
        if start < begin or _BLOCK_S % period_s or not all(before):
            continue
        if series.status is not QueryStatus.COMPLETE:
            return None
        if policy.counts[metric] == "canary":
            before = [one * 100 / earlier.weight for one in before]
        newest = _blocks(series, range(start, newest_end, _BLOCK_S))
        expected, spread = _expected(before, (start + newest_end - _BLOCK_S) / 2 - first)
        loss = Loss(start, newest_end, metric, sum(newest), expected * _NEWEST_BLOCKS)
        is_low = max(newest) < min(before)
        is_low &= loss.counted < _KEPT * exp(-2 * spread) * loss.expected
        found.append((sum(before), loss if is_low else None))
    return max(found, key=lambda one: one[0], default=(0.0, None))[1]


def missing_beside_week(
    baseline: BaselineMeasurement, measure: Measure, judged: Span
) -> MissingRequests | None:
    """Return what the end of `judged` lacks beside a stored week; None: nothing.

    The day may be half an hour sooner or later than in that week. A time without any request is a
    silence, which is found by itself.
    """
    for length_s in _NEWEST_S:
        minutes = range(judged.end - length_s, judged.end, MINUTE_S)
        if minutes.start < judged.start:
            break
        counted = sum(one.counts.samples for one in map(measure, minutes) if one is not None)
        due = min(
            baseline.requests_due(range(minutes.start + shift, minutes.stop + shift, MINUTE_S))
            for shift in (-_SHIFT_S, 0, _SHIFT_S)
        )
        if 0 < counted < _KEPT_OF_WEEK * due - 3 * sqrt(due):
            return MissingRequests(missing_s=length_s, newest_requests=counted, week_requests=due)
    return None


def _blocks(series: Series, starts: range) -> list[float]:
    """Return the requests of each block of minutes."""
    return [
        sum(count for at, count in series.points.items() if 0 <= at - start < _BLOCK_S)
        for start in starts
    ]


def _expected(before: Sequence[float], after_s: float) -> tuple[float, float]:
    """Return how many requests a block has that begins `after_s` after the first of `before`.

    And the standard deviation of the log of a block. Requests that became fewer go on doing so, at
    the same rate (least squares of the logs); more of them are not expected to come.
    """
    logs, middle = [log(one) for one in before], (len(before) - 1) / 2
    mean = sum(logs) / len(logs)
    slope = sum((at - middle) * one for at, one in enumerate(logs))
    slope /= sum((at - middle) ** 2 for at in range(len(logs)))
    rest = sum((one - mean - slope * (at - middle)) ** 2 for at, one in enumerate(logs))
    expected = exp(mean + min(0.0, slope) * (after_s / _BLOCK_S - middle))
    return expected, sqrt(rest / (len(logs) - 2))


def _counts(rollout: Rollout, answers: Mapping[str, Series]) -> Iterator[tuple[str, Series, int]]:
    """Yield what counts requests of the canary in the live step: metric, answer, its period."""
    policy = rollout.policy
    gate = policy.gate(rollout.judged_step)
    for judge in judges_of(policy, gate, rollout.evidence.baselines):
        for metric, statistic, key in judge.series_keys:
            known = policy.metrics[metric]
            counts = statistic == (known.statistic if known.is_count else SAMPLE_COUNT)
            if counts and _counts_at_100(policy, metric):
                yield metric, answers.get(key, NO_SERIES), judge.period_s


def _counts_at_100(policy: Policy, name: str) -> bool:
    """Tell whether a metric counts the canary, also once the canary gets all requests."""
    source = policy.target.counted_by
    ends = source is not None and source.ends_at_100(policy.metrics[name])
    return policy.counts.get(name) != "stable" and not ends


def _chance(before: Sequence[float], silent: int) -> float:
    """Return how likely so many silent periods are, by the requests of the periods before.

    More traffic makes no period emptier. Requests may come in clumps: a period counts once
    (Laplace's rule of succession), unless all of them had requests; then each may have as few
    clumps as the one with fewest requests (Poisson).
    """
    seen = sum(count > 0 for count in before)
    empty, all_ = len(before) - seen + 1, len(before) + 2
    chance = prod((empty + one) / (all_ + one) for one in range(silent))
    if _LEAST_PERIODS <= len(before) == seen:
        chance = min(chance, exp(-min(before) / _CLUMP * silent))
    return chance
