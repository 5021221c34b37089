"""The drain: whether requests left the canary after a rollback, beyond the 0 % that was read back.

The weight is what the target says; the canary's own request count says what callers do. Judged is
the watch of fifteen minutes after the rollback, without its first minutes.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from controller.core.findings import Finding, Label, Verdict
from controller.core.judge.queries import Needs, aligned, query
from controller.core.judge.silence import NAME, Look, counts_of
from controller.core.observation import Series
from controller.core.rollout import Rollout
from controller.core.units import MINUTE_S, ceil_to, floor_to

# Requests in flight, and environments that are still warm, go on with the old weight this long.
DRAIN = timedelta(minutes=2)
# No tick comes after the watch, so the last ones within it say that nothing was seen.
LAST_LOOKS = timedelta(minutes=2)


def drain_needs(rollout: Rollout, now: datetime) -> Needs:
    """Return what has to be read to say more about the drain; nothing once all is said."""
    begin, counts = _open_since(rollout, now), counts_of(rollout.policy)
    if begin is None or counts is None:
        return Needs()
    metrics = rollout.policy.metrics
    queries = {
        series: query(metrics[name], metrics[name].statistic, MINUTE_S)
        for name, series in counts.keys(rollout.policy).items()
    }
    return Needs(queries, aligned(queries, begin, floor_to(now, MINUTE_S) + MINUTE_S))


def drain_of(rollout: Rollout, series: Mapping[str, Series], now: datetime) -> Finding | None:
    """Return what is known of the drain of a rollback whose target shows 0 %.

    None while it may still show, once it was said, and where no weight had been in force.
    """
    begin, until = _open_since(rollout, now), rollout.watch_until
    if begin is None or until is None:
        return None
    counts = counts_of(rollout.policy)
    if counts is None:
        return _unobservable("no traffic or success_rate criterion counts requests", begin)
    closed = floor_to(now - rollout.policy.settle, MINUTE_S)
    look = Look(rollout, counts, series, rollout.intent.previous, begin, closed)
    last = look.unobservable() if now >= until - LAST_LOOKS else None
    return look.refuted() or look.confirmed() or last


def drain_disturbed(rollout: Rollout, shown: str) -> Finding | None:
    """Return the drain of a rollback whose weight moved again: a request is no leak any more."""
    if rollout.drain is not None or rollout.intent.previous == 0:
        return rollout.drain
    why = f"the weight moved again after the rollback ({shown}), so requests tell nothing"
    return _unobservable(why, _begin(rollout))


def _open_since(rollout: Rollout, now: datetime) -> int | None:
    """Return from which second on requests are leaks; None when there is nothing to say now."""
    begin, until = _begin(rollout), rollout.watch_until
    watched = until is not None and begin < now.timestamp() and now < until
    return begin if watched and rollout.drain is None and rollout.intent.previous > 0 else None


def _begin(rollout: Rollout) -> int:
    """Return the first whole minute after the drain, in unix seconds."""
    return ceil_to(-int(-(rollout.since + DRAIN).timestamp() // 1), MINUTE_S)


def _unobservable(why: str, begin: int) -> Finding:
    sentence = f"drain unobservable: {why}. Only the weight was read back."
    label = Label.UNOBSERVABLE
    return Finding(NAME, Verdict.INCONCLUSIVE, label, None, 0.0, 0, begin, begin, sentence)
