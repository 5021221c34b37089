"""The drain: whether requests left the canary after a rollback, beyond the 0 % that was read back.

The weight is what the target says; what callers do is said by the canary's own request count, and
by the log events that a policy names. Judged is the watch of fifteen minutes after the rollback,
without its first minutes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import exp, inf
from typing import ClassVar, TypeAlias

from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.judge.kinds.threshold import UNLIKELY, broken
from controller.core.judge.queries import Needs, aligned, key, query
from controller.core.judge.series import NO_SERIES
from controller.core.judge.wording import query_failed
from controller.core.observation import LogQuery, MetricQuery, QueryStatus, Series, Span
from controller.core.policy import Criterion, Policy, SuccessRate, Traffic, VerifyRollback
from controller.core.rollout import Rollout
from controller.core.units import (
    MINUTE_S,
    clock_text,
    count_text,
    floor_to,
    format_duration,
    from_unix,
    next_minute,
)

NAME = "drain"
# Silence shorter than this is a gap between requests, not a drain.
ENOUGH_MINUTES = 5
LOOK_FOR = (
    "Writing 0 % again does not help: look for callers that use a published version or an alias of "
    "the function, for another function or client that has the flag on"
)


@dataclass(frozen=True, slots=True)
class Watched:
    """One look at the minutes from `begin` on, of which those before `closed` are settled.

    weight: percent that was in force before the rollback.
    """

    rollout: Rollout
    series: Mapping[str, Series]
    weight: int
    begin: int
    closed: int

    @property
    def minutes(self) -> int:
        """How many minutes are settled."""
        return max(0, self.closed - self.begin) // MINUTE_S

    @property
    def for_minutes(self) -> str:
        """How long the silence was, and since when: `in 5 minutes since ...`."""
        return f"in {count_text(self.minutes, 'minute')} since {self.since}"

    @property
    def since(self) -> str:
        """When the first of these minutes began."""
        return clock_text(from_unix(self.begin))

    @property
    def at_zero_since(self) -> str:
        """Since when 0 % is in force, as half a sentence."""
        return f"although 0 % is in force since {clock_text(self.rollout.since)}"

    @property
    def unsettled(self) -> str:
        """Why it is too early to say anything; empty when it is not."""
        if self.minutes >= ENOUGH_MINUTES:
            return ""
        return (
            f"{count_text(self.minutes, 'minute')} since {self.since} settled during the "
            f"watch (settle {format_duration(self.rollout.policy.settle)}), and "
            f"{ENOUGH_MINUTES} are needed."
        )

    def settled(self, one: Series) -> float:
        """Return what was counted in the settled minutes."""
        return self._sum(one, self.closed)

    def ever(self, one: Series) -> float:
        """Return what was counted at all: a count only grows."""
        return self._sum(one, inf)

    def due_beside(self, control: float) -> tuple[float, str]:
        """Return how many requests the old weight would have brought beside those of the control.

        And that in words; empty where the words are not needed.
        """
        if self.weight == 100:  # the stable path was silent, and is not any more
            return (inf if control else 0.0), ""
        due = control * self.weight / (100 - self.weight)
        return due, f", and {about(due)} due at {self.weight} %"

    def finding(self, verdict: Verdict, label: Label, measured: float | None, text: str) -> Finding:
        """Return the finding that says `text` of these minutes."""
        samples, end = int(measured or 0), max(self.closed, self.begin)
        sentence = f"drain {label}: {text}"
        return Finding(NAME, verdict, label, measured, 0.0, samples, self.begin, end, sentence)

    def _sum(self, one: Series, end: float) -> float:
        return sum(value for second, value in one.points.items() if self.begin <= second < end)


def telling(due: float) -> bool:
    """Tell whether silence is no chance where so many requests were due: Poisson, P(0 | due)."""
    return exp(-due) < UNLIKELY


def about(due: float) -> str:
    """Return `about 5 requests were`."""
    return f"about {count_text(round(due), 'request')} {'was' if round(due) == 1 else 'were'}"


# --- Silence of the metrics -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Counts:
    """Which metrics count requests: of the canary, and of the stable path alone."""

    canary: str
    control: str | None = None

    def keys(self, policy: Policy) -> dict[str, str]:
        """Return the series key of each metric, by its name, in periods of a minute."""
        names = [self.canary] if self.control is None else [self.canary, self.control]
        return {name: key(name, policy.metrics[name].statistic, MINUTE_S) for name in names}


def counts_of(policy: Policy) -> Counts | None:
    """Return what counts the requests of `policy`: its traffic criterion, else a success rate."""
    criteria = policy.criteria.values()
    traffic = (Counts(one.metric, one.control) for one in criteria if isinstance(one, Traffic))
    totals = (Counts(one.total) for one in criteria if isinstance(one, SuccessRate))
    return next(traffic, None) or next(totals, None)


@dataclass(frozen=True, slots=True)
class Requests:
    """What the metrics of a policy say of the drain."""

    by: ClassVar[str] = "requests"

    watched: Watched
    counts: Counts

    def refuted(self) -> Finding | None:
        """A count only grows: what was counted once is a leak, however young or partial."""
        leaked = self.watched.ever(self._answers[self.counts.canary])
        if leaked <= 0:
            return None
        text = (
            f"{self.counts.canary} counted {count_text(leaked, 'request')} on the canary since "
            f"{self.watched.since}, {self.watched.at_zero_since}. {LOOK_FOR}, and for other "
            "callers that this metric counts."
        )
        return self.watched.finding(Verdict.FAIL, Label.REFUTED, leaked, text)

    def confirmed(self) -> Finding | None:
        """Silence that the old weight would have broken."""
        if self.watched.unsettled or broken(self._answers) is not None:
            return None
        due, basis = self._due()
        if not telling(due):
            return None
        return self.watched.finding(
            Verdict.PASS, Label.CONFIRMED, 0.0, f"{self._silence}; {basis}."
        )

    def lack(self) -> str:
        """Return why silence tells nothing, or why there is nothing to be silent."""
        failed = broken(self._answers)
        if failed is not None:
            return query_failed("it", *failed)
        if self.watched.unsettled:
            return self.watched.unsettled
        due, basis = self._due()
        if due == 0 and self.counts.control is not None:
            return "no requests of either path were counted; no logs or metrics is no proof."
        if due == 0:
            return f"{self._silence}, and none before it; no logs or metrics is no proof."
        return f"{self._silence}; {basis}, too few to tell a drain from chance."

    def _due(self) -> tuple[float, str]:
        """Return how many requests the old weight would have brought by now, and how we know."""
        control = self.counts.control
        if control is None:
            due = self._rate() * self.watched.minutes
            return due, f"{about(due)} due at the rate before"
        seen = self.watched.settled(self._answers[control])
        due, words = self.watched.due_beside(seen)
        return due, f"{control} counted {count_text(seen, 'request')}{words}"

    def _rate(self) -> float:
        """Return the canary's requests a minute in the last step; 0.0 when nobody counted them."""
        rollout = self.watched.rollout
        rates = (
            one.samples * MINUTE_S / (one.end - one.start)
            for one in rollout.findings
            if one.end > one.start
            and _counts(rollout.policy.criteria.get(one.criterion), self.counts.canary)
        )
        return max(rates, default=0.0)

    @property
    def _answers(self) -> dict[str, Series]:
        keys = self.counts.keys(self.watched.rollout.policy)
        return {name: self.watched.series.get(series, NO_SERIES) for name, series in keys.items()}

    @property
    def _silence(self) -> str:
        return f"{self.counts.canary} counted no request {self.watched.for_minutes}"


def _counts(criterion: Criterion | None, metric: str) -> bool:
    match criterion:
        case Traffic():
            return criterion.metric == metric
        case SuccessRate():
            return criterion.total == metric
        case _:
            return False


# --- Silence of the logs --------------------------------------------------------------------------

ABSENT, PRESENT, ANY = "log:absent", "log:present", "log:any"
# From 1 % on, 684 events of the stable path make silence telling (99 x 6.9).
ENOUGH_EVENTS = 1_000


def log_queries(watched: Watched, open_end: int, *, last: bool) -> dict[str, LogQuery]:
    """Return what has to be counted in the logs, by key; nothing where the policy asks for none.

    open_end: end of the minute that is still open. last: it is the last look, which tells a log
    without these events from one without any.
    """
    policy = watched.rollout.policy
    verify = policy.verify_rollback
    if verify is None:
        return {}
    group, all_of_it = verify.log_group_of(policy.target.function), Span(watched.begin, open_end)
    queries = {ABSENT: LogQuery(group, verify.absent, all_of_it, ENOUGH_EVENTS)}
    if not watched.unsettled:
        settled = Span(watched.begin, watched.closed)
        queries[PRESENT] = LogQuery(group, verify.present, settled, ENOUGH_EVENTS)
    if last:
        queries[ANY] = LogQuery(group, "", all_of_it, 1)
    return queries


@dataclass(frozen=True, slots=True)
class Events:
    """What the log events of a policy say of the drain."""

    by: ClassVar[str] = "log events"

    watched: Watched
    verify: VerifyRollback

    def refuted(self) -> Finding | None:
        """What was logged once is a leak, however little else could be read."""
        leaked = self.watched.ever(self._one(ABSENT))
        if leaked <= 0:
            return None
        text = (
            f"{self.verify.absent} was logged {_times(leaked)} in {self._group} since "
            f"{self.watched.since}, {self.watched.at_zero_since}. {LOOK_FOR}."
        )
        return self.watched.finding(Verdict.FAIL, Label.REFUTED, leaked, text)

    def confirmed(self) -> Finding | None:
        """The canary's event is absent, and the stable path's is there often enough."""
        if self.watched.unsettled or self._unread:
            return None
        due, words = self.watched.due_beside(self._control)
        if not telling(due):
            return None
        text = f"{self._silence}; {self._heard}{words}."
        return self.watched.finding(Verdict.PASS, Label.CONFIRMED, 0.0, text)

    def lack(self) -> str:
        """Return why the log tells nothing."""
        if self.watched.unsettled:
            return self.watched.unsettled
        if self._unread:
            return f"{self._unread}."
        if self._control:
            _, words = self.watched.due_beside(self._control)
            return f"{self._silence}; {self._heard}{words}, too few to tell a drain from chance."
        if self.watched.ever(self._one(ANY)):
            return (
                f"neither {self.verify.absent} nor {self.verify.present} was logged in "
                f"{self._group} since {self.watched.since}, and other events were: the patterns "
                "may not fit, or nobody called; that proves nothing."
            )
        since = f"since {self.watched.since}"
        return f"no log event at all in {self._group} {since}; that proves nothing."

    def _one(self, key: str) -> Series:
        return self.watched.series.get(key, NO_SERIES)

    @property
    def _unread(self) -> str:
        """Why an event could not be counted to the end; empty when both were."""
        both = (self._one(ABSENT), self._one(PRESENT))
        failed = next((one for one in both if one.answer is not QueryStatus.COMPLETE), None)
        if failed is None:
            return ""
        return failed.message.rstrip(".") or f"the events in {self._group} were not read"

    @property
    def _control(self) -> float:
        return self.watched.settled(self._one(PRESENT))

    @property
    def _group(self) -> str:
        return self.verify.log_group_of(self.watched.rollout.policy.target.function)

    @property
    def _silence(self) -> str:
        return f"{self.verify.absent} was not logged in {self._group} {self.watched.for_minutes}"

    @property
    def _heard(self) -> str:
        return f"{self.verify.present} was logged {_times(self._control)}"


def _times(events: float) -> str:
    more = "at least " if events >= ENOUGH_EVENTS else ""
    return f"{more}{count_text(events, 'time')}" if events > 1 else "once"


# --- The drain ------------------------------------------------------------------------------------

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


def _queries(policy: Policy) -> dict[str, MetricQuery]:
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
