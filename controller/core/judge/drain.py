"""The drain: whether requests left the canary after a rollback, beyond the 0 % that was read back.

The weight is what the target says; what callers do is said by the canary's own request count, and
by the log events that a policy names. Judged is the watch of fifteen minutes after the rollback,
without its first minutes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeAlias

from controller.core.findings import Finding, Label, Verdict
from controller.core.judge.log_silence import Events, log_queries
from controller.core.judge.queries import Needs, aligned, query
from controller.core.judge.silence import Requests, counts_of
from controller.core.judge.watched import NAME, Watched
from controller.core.observation import Query, Series
from controller.core.policy import Policy
from controller.core.rollout import Rollout
from controller.core.units import MINUTE_S, floor_to, next_minute

# Requests in flight, and environments that are still warm, go on with the old weight this long.
DRAIN = timedelta(minutes=2)
# No tick comes after the watch, so the last ones within it say that nothing was seen.
LAST_LOOKS = timedelta(minutes=2)

Witness: TypeAlias = Requests | Events


def drain_needs(rollout: Rollout, now: datetime) -> Needs:
    """Return what has to be read to say more about the drain; nothing once all is said."""
    watched = _watched(rollout, {}, now)
    if watched is None:
        return Needs()
    queries, end = _queries(rollout.policy), floor_to(now, MINUTE_S) + MINUTE_S
    logs = log_queries(watched, end, last=_last_look(rollout, now))
    return Needs(queries, aligned(queries, watched.begin, end), logs)


def _queries(policy: Policy) -> dict[str, Query]:
    counts = counts_of(policy)
    keys = {} if counts is None else counts.keys(policy)
    return {
        series: query(policy.metrics[name], policy.metrics[name].statistic, MINUTE_S)
        for name, series in keys.items()
    }


def drain_of(rollout: Rollout, series: Mapping[str, Series], now: datetime) -> Finding | None:
    """Return what is known of the drain of a rollback whose target shows 0 %.

    Any witness refutes it; one that confirms it is enough while none refutes it. None while it may
    still show, once it was said, and where no weight had been in force.
    """
    watched = _watched(rollout, series, now)
    if watched is None:
        return None
    witnesses = _witnesses(watched)
    if not witnesses:
        why = "no traffic or success_rate criterion counts requests"
        return _unobservable(why, watched.begin)
    for found in ([one.refuted() for one in witnesses], [one.confirmed() for one in witnesses]):
        for one, finding in zip(witnesses, found, strict=True):
            if finding is not None:
                return _beside(finding, [other for other in witnesses if other is not one])
    return _silent(watched, witnesses) if _last_look(rollout, now) else None


def _witnesses(watched: Watched) -> list[Witness]:
    policy = watched.rollout.policy
    witnesses: list[Witness] = []
    if counts := counts_of(policy):
        witnesses.append(Requests(watched, counts))
    if policy.verify_rollback is not None:
        witnesses.append(Events(watched, policy.verify_rollback))
    return witnesses


def _beside(finding: Finding, others: Iterable[Witness]) -> Finding:
    """Return `finding` with what the other witnesses say."""
    for other in others:
        said = other.refuted() or other.confirmed()
        text = f"unobservable: {other.lack()}" if said is None else said.sentence
        sentence = f"{finding.sentence} By {other.by}: {text.removeprefix(f'{NAME} ')}"
        finding = replace(finding, sentence=sentence)
    return finding


def _silent(watched: Watched, witnesses: Sequence[Witness]) -> Finding:
    """Silence that tells nothing, or nothing to be silent."""
    first, *others = witnesses
    lacks = " ".join([first.lack(), *(f"By {one.by}: {one.lack()}" for one in others)])
    text = f"{lacks} Only the weight was read back."
    return watched.finding(Verdict.INCONCLUSIVE, Label.UNOBSERVABLE, None, text)


def drain_disturbed(rollout: Rollout, shown: str) -> Finding | None:
    """Return the drain of a rollback whose weight moved again: a request is no leak any more."""
    if rollout.drain is not None or rollout.intent.previous == 0:
        return rollout.drain
    why = f"the weight moved again after the rollback ({shown}), so requests tell nothing"
    return _unobservable(why, _begin(rollout))


def _watched(rollout: Rollout, series: Mapping[str, Series], now: datetime) -> Watched | None:
    """Return the minutes in which requests are leaks; None when there is nothing to say now."""
    begin, until = _begin(rollout), rollout.watch_until
    watched = until is not None and begin < now.timestamp() and now < until
    if not watched or rollout.drain is not None or rollout.intent.previous == 0:
        return None
    closed = floor_to(now - rollout.policy.settle, MINUTE_S)
    return Watched(rollout, series, rollout.intent.previous, begin, closed)


def _last_look(rollout: Rollout, now: datetime) -> bool:
    return rollout.watch_until is not None and now >= rollout.watch_until - LAST_LOOKS


def _begin(rollout: Rollout) -> int:
    """Return the first whole minute after the drain, in unix seconds."""
    return next_minute(rollout.since + DRAIN)


def _unobservable(why: str, begin: int) -> Finding:
    sentence = f"drain unobservable: {why}. Only the weight was read back."
    label = Label.UNOBSERVABLE
    return Finding(NAME, Verdict.INCONCLUSIVE, label, None, 0.0, 0, begin, begin, sentence)
