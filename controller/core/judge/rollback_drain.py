"""The drain: whether requests left the canary after a rollback, beyond the 0 % that was read back.

The weight is what the target says; what callers do is counted by the canary's request metric, and
by the log events that a policy names under `verify_rollback`. Judged are the minutes of the watch
after a rollback (fifteen minutes), without its first two. One counted request refutes the drain.
Silence confirms it only where the old weight would have broken that silence.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import exp, inf
from typing import ClassVar, TypeAlias

from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.judge.kinds.threshold import SILENCE_SIGNIFICANCE, incomplete_series
from controller.core.judge.queries import QueryPlan, aligned_span, query, series_key
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
# Requests in flight, and environments that are still warm, go on with the old weight this long.
DRAIN_TIME = timedelta(minutes=2)
# Silence shorter than this is a gap between requests, not a drain.
MIN_SILENT_MINUTES = 5
# No tick comes after the watch, so the last ones within it report a drain that stays unobservable.
WATCH_END_MARGIN = timedelta(minutes=2)

ABSENT_KEY, PRESENT_KEY, ANY_KEY = "log:absent", "log:present", "log:any"
# From 1 % on, 684 events of the stable path make the canary's silence significant (99 x 6.9).
EVENT_LIMIT = 1_000

LEAK_HINT = (
    "Writing 0 % again does not help: look for callers that use a published version or an alias of "
    "the function, for another function or client that has the flag on"
)


# --- Watched minutes ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DrainWatch:
    """The watched minutes of a rollback at one tick: from `begin` on, settled before `closed_end`.

    series: what was read, by series key. weight: percent that was applied before the rollback.
    begin, closed_end: unix seconds.
    """

    rollout: Rollout
    series: Mapping[str, Series]
    weight: int
    begin: int
    closed_end: int

    @property
    def settled_minutes(self) -> int:
        """How many minutes are settled."""
        return max(0, self.closed_end - self.begin) // MINUTE_S

    @property
    def duration_text(self) -> str:
        """How long the silence was, and since when: `in 5 minutes since ...`."""
        return f"in {count_text(self.settled_minutes, 'minute')} since {self.since_text}"

    @property
    def since_text(self) -> str:
        """When the first of these minutes began."""
        return clock_text(from_unix(self.begin))

    @property
    def at_zero_text(self) -> str:
        """Since when 0 % is applied, as half a sentence."""
        return f"although 0 % is in force since {clock_text(self.rollout.since)}"

    @property
    def too_early_text(self) -> str:
        """Why too few minutes are settled for a verdict; empty when there are enough."""
        if self.settled_minutes >= MIN_SILENT_MINUTES:
            return ""
        return (
            f"{count_text(self.settled_minutes, 'minute')} since {self.since_text} settled during "
            f"the watch (settle {format_duration(self.rollout.policy.settle)}), and "
            f"{MIN_SILENT_MINUTES} are needed."
        )

    def settled_count(self, series: Series) -> float:
        """Return what was counted in the settled minutes."""
        return self._sum(series, self.closed_end)

    def total_count(self, series: Series) -> float:
        """Return what was counted in all minutes, settled or not: a count only grows."""
        return self._sum(series, inf)

    def expected_requests(self, control_requests: float) -> tuple[float, str]:
        """Return how many requests the old weight would have brought, given those of the control.

        And that in words; empty where the words are not needed.
        """
        if self.weight == 100:  # the stable path was silent, and is not any more
            return (inf if control_requests else 0.0), ""
        expected = control_requests * self.weight / (100 - self.weight)
        return expected, f", and {expected_requests_text(expected)} due at {self.weight} %"

    def finding(self, verdict: Verdict, label: Label, measured: float | None, text: str) -> Finding:
        """Return the finding over these minutes, whose sentence ends with `text`."""
        samples, end = int(measured or 0), max(self.closed_end, self.begin)
        sentence = f"drain {label}: {text}"
        return Finding(NAME, verdict, label, measured, 0.0, samples, self.begin, end, sentence)

    def _sum(self, series: Series, end: float) -> float:
        return sum(value for second, value in series.points.items() if self.begin <= second < end)


def silence_is_significant(expected: float) -> bool:
    """Tell whether no request is unlikely by chance where `expected` were due: Poisson, P(0)."""
    return exp(-expected) < SILENCE_SIGNIFICANCE


def expected_requests_text(expected: float) -> str:
    """Return `about 5 requests were`."""
    verb = "was" if round(expected) == 1 else "were"
    return f"about {count_text(round(expected), 'request')} {verb}"


# --- Request metrics ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RequestMetrics:
    """Which metrics count requests: of the canary, and of the stable path alone."""

    canary: str
    control: str | None = None

    def keys(self, policy: Policy) -> dict[str, str]:
        """Return the series key of each metric, by its name, in periods of a minute."""
        names = [self.canary] if self.control is None else [self.canary, self.control]
        return {name: series_key(name, policy.metrics[name].statistic, MINUTE_S) for name in names}


def request_metrics_of(policy: Policy) -> RequestMetrics | None:
    """Return what counts the requests of `policy`: its traffic criterion, else a success rate."""
    criteria = policy.criteria.values()
    traffic = (
        RequestMetrics(one.metric, one.control) for one in criteria if isinstance(one, Traffic)
    )
    totals = (RequestMetrics(one.total) for one in criteria if isinstance(one, SuccessRate))
    return next(traffic, None) or next(totals, None)


@dataclass(frozen=True, slots=True)
class RequestEvidence:
    """What the request metrics of a policy show of the drain."""

    by: ClassVar[str] = "requests"

    watch: DrainWatch
    metrics: RequestMetrics

    def refutation(self) -> Finding | None:
        """Return the finding of a leak; None without one.

        A count only grows: a request that was counted is a leak, however young or partial the
        series is.
        """
        leaked = self.watch.total_count(self._series[self.metrics.canary])
        if leaked <= 0:
            return None
        text = (
            f"{self.metrics.canary} counted {count_text(leaked, 'request')} on the canary since "
            f"{self.watch.since_text}, {self.watch.at_zero_text}. {LEAK_HINT}, and for other "
            "callers that this metric counts."
        )
        return self.watch.finding(Verdict.FAIL, Label.REFUTED, leaked, text)

    def confirmation(self) -> Finding | None:
        """Return the finding of a silence that the old weight would have broken; None without."""
        if self.watch.too_early_text or incomplete_series(self._series) is not None:
            return None
        expected, basis = self._expected()
        if not silence_is_significant(expected):
            return None
        return self.watch.finding(
            Verdict.PASS, Label.CONFIRMED, 0.0, f"{self._silence_text}; {basis}."
        )

    def inconclusive_reason(self) -> str:
        """Return why the request metrics neither confirm nor refute the drain."""
        failure = incomplete_series(self._series)
        if failure is not None:
            return query_failed("it", *failure)
        if self.watch.too_early_text:
            return self.watch.too_early_text
        expected, basis = self._expected()
        if expected == 0 and self.metrics.control is not None:
            return "no requests of either path were counted; no logs or metrics is no proof."
        if expected == 0:
            return f"{self._silence_text}, and none before it; no logs or metrics is no proof."
        return f"{self._silence_text}; {basis}, too few to tell a drain from chance."

    def _expected(self) -> tuple[float, str]:
        """Return how many requests the old weight would have brought by now, and the basis."""
        control = self.metrics.control
        if control is None:
            expected = self._rate_before() * self.watch.settled_minutes
            return expected, f"{expected_requests_text(expected)} due at the rate before"
        control_count = self.watch.settled_count(self._series[control])
        expected, words = self.watch.expected_requests(control_count)
        return expected, f"{control} counted {count_text(control_count, 'request')}{words}"

    def _rate_before(self) -> float:
        """Return the canary's requests a minute in the last step; 0.0 where none were counted."""
        rollout = self.watch.rollout
        rates = (
            one.samples * MINUTE_S / (one.end - one.start)
            for one in rollout.findings
            if one.end > one.start
            and _counts_requests(rollout.policy.criteria.get(one.criterion), self.metrics.canary)
        )
        return max(rates, default=0.0)

    @property
    def _series(self) -> dict[str, Series]:
        keys = self.metrics.keys(self.watch.rollout.policy)
        return {name: self.watch.series.get(series, NO_SERIES) for name, series in keys.items()}

    @property
    def _silence_text(self) -> str:
        return f"{self.metrics.canary} counted no request {self.watch.duration_text}"


def _counts_requests(criterion: Criterion | None, metric: str) -> bool:
    match criterion:
        case Traffic():
            return criterion.metric == metric
        case SuccessRate():
            return criterion.total == metric
        case _:
            return False


# --- Log events -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EventEvidence:
    """What the log events of a policy show of the drain."""

    by: ClassVar[str] = "log events"

    watch: DrainWatch
    verify: VerifyRollback

    def refutation(self) -> Finding | None:
        """Return the finding of a leak, however little else could be read; None without one."""
        leaked = self.watch.total_count(self._series(ABSENT_KEY))
        if leaked <= 0:
            return None
        text = (
            f"{self.verify.absent} was logged {_times_text(leaked)} in {self._group} since "
            f"{self.watch.since_text}, {self.watch.at_zero_text}. {LEAK_HINT}."
        )
        return self.watch.finding(Verdict.FAIL, Label.REFUTED, leaked, text)

    def confirmation(self) -> Finding | None:
        """Return the finding of a silent canary beside a stable path that logs; None without.

        The stable path has to log so often that the old weight would have broken the silence.
        """
        if self.watch.too_early_text or self._query_failure:
            return None
        expected, words = self.watch.expected_requests(self._control_count)
        if not silence_is_significant(expected):
            return None
        text = f"{self._silence_text}; {self._control_text}{words}."
        return self.watch.finding(Verdict.PASS, Label.CONFIRMED, 0.0, text)

    def inconclusive_reason(self) -> str:
        """Return why the log neither confirms nor refutes the drain."""
        if self.watch.too_early_text:
            return self.watch.too_early_text
        if self._query_failure:
            return f"{self._query_failure}."
        if self._control_count:
            _, words = self.watch.expected_requests(self._control_count)
            return (
                f"{self._silence_text}; {self._control_text}{words}, too few to tell a drain from "
                "chance."
            )
        if self.watch.total_count(self._series(ANY_KEY)):
            return (
                f"neither {self.verify.absent} nor {self.verify.present} was logged in "
                f"{self._group} since {self.watch.since_text}, and other events were: the patterns "
                "may not fit, or nobody called; that proves nothing."
            )
        since = f"since {self.watch.since_text}"
        return f"no log event at all in {self._group} {since}; that proves nothing."

    def _series(self, key: str) -> Series:
        return self.watch.series.get(key, NO_SERIES)

    @property
    def _query_failure(self) -> str:
        """Why one of the two events could not be counted to the end; empty when both were."""
        answers = (self._series(ABSENT_KEY), self._series(PRESENT_KEY))
        failure = next((one for one in answers if one.answer is not QueryStatus.COMPLETE), None)
        if failure is None:
            return ""
        return failure.message.rstrip(".") or f"the events in {self._group} were not read"

    @property
    def _control_count(self) -> float:
        return self.watch.settled_count(self._series(PRESENT_KEY))

    @property
    def _group(self) -> str:
        return self.watch.rollout.policy.log_group_of(self.verify)

    @property
    def _silence_text(self) -> str:
        return f"{self.verify.absent} was not logged in {self._group} {self.watch.duration_text}"

    @property
    def _control_text(self) -> str:
        return f"{self.verify.present} was logged {_times_text(self._control_count)}"


def _times_text(events: float) -> str:
    more = "at least " if events >= EVENT_LIMIT else ""
    return f"{more}{count_text(events, 'time')}" if events > 1 else "once"


DrainEvidence: TypeAlias = RequestEvidence | EventEvidence


# --- Query plan -----------------------------------------------------------------------------------


def drain_query_plan(rollout: Rollout, now: datetime) -> QueryPlan:
    """Return what has to be read for the drain of `rollout`; nothing once its finding is made."""
    watch = _drain_watch(rollout, {}, now)
    if watch is None:
        return QueryPlan()
    queries, end = _request_queries(rollout.policy), floor_to(now, MINUTE_S) + MINUTE_S
    logs = log_queries(watch, end, last=_watch_is_ending(rollout, now))
    return QueryPlan(queries, aligned_span(queries, watch.begin, end), logs)


def _request_queries(policy: Policy) -> dict[str, MetricQuery]:
    metrics = request_metrics_of(policy)
    keys = {} if metrics is None else metrics.keys(policy)
    return {
        series: query(policy.metrics[name], policy.metrics[name].statistic, MINUTE_S)
        for name, series in keys.items()
    }


def log_queries(watch: DrainWatch, open_end: int, *, last: bool) -> dict[str, LogQuery]:
    """Return what has to be counted in the logs, by key; nothing where the policy names no events.

    open_end: end of the minute that is still open, unix seconds. last: whether the watch ends, so
    that a log without these events has to be told from one without any.
    """
    policy = watch.rollout.policy
    verify = policy.verify_rollback
    if verify is None:
        return {}
    group, whole_span = policy.log_group_of(verify), Span(watch.begin, open_end)
    queries = {ABSENT_KEY: LogQuery(group, verify.absent, whole_span, EVENT_LIMIT)}
    if not watch.too_early_text:
        settled = Span(watch.begin, watch.closed_end)
        queries[PRESENT_KEY] = LogQuery(group, verify.present, settled, EVENT_LIMIT)
    if last:
        queries[ANY_KEY] = LogQuery(group, "", whole_span, 1)
    return queries


# --- Finding --------------------------------------------------------------------------------------


def drain_finding(rollout: Rollout, series: Mapping[str, Series], now: datetime) -> Finding | None:
    """Return the finding on the drain of a rollback whose target shows 0 %.

    Either kind of evidence refutes the drain; one that confirms it is enough while none refutes
    it. None while more evidence may come, once there is a finding, and where no weight had been
    applied.
    """
    watch = _drain_watch(rollout, series, now)
    if watch is None:
        return None
    evidence = _drain_evidence(watch)
    if not evidence:
        reason = "no traffic or success_rate criterion counts requests"
        return _unobservable_drain(reason, watch.begin)
    for findings in (
        [one.refutation() for one in evidence],
        [one.confirmation() for one in evidence],
    ):
        for one, finding in zip(evidence, findings, strict=True):
            if finding is not None:
                return _add_evidence(finding, [other for other in evidence if other is not one])
    return _unobservable_silence(watch, evidence) if _watch_is_ending(rollout, now) else None


def drain_after_drift(rollout: Rollout, variables: str) -> Finding | None:
    """Return the finding on the drain of a rollback whose weight was changed again.

    A request is no leak any more. variables: the target's variables as they are now.
    """
    if rollout.drain is not None or rollout.intent.previous == 0:
        return rollout.drain
    reason = f"the weight moved again after the rollback ({variables}), so requests tell nothing"
    return _unobservable_drain(reason, _watch_begin(rollout))


def _drain_evidence(watch: DrainWatch) -> list[DrainEvidence]:
    policy = watch.rollout.policy
    evidence: list[DrainEvidence] = []
    if metrics := request_metrics_of(policy):
        evidence.append(RequestEvidence(watch, metrics))
    if policy.verify_rollback is not None:
        evidence.append(EventEvidence(watch, policy.verify_rollback))
    return evidence


def _add_evidence(finding: Finding, others: Iterable[DrainEvidence]) -> Finding:
    """Return `finding` with what the other evidence says in its sentence."""
    for other in others:
        other_finding = other.refutation() or other.confirmation()
        text = (
            f"unobservable: {other.inconclusive_reason()}"
            if other_finding is None
            else other_finding.sentence
        )
        sentence = f"{finding.sentence} By {other.by}: {text.removeprefix(f'{NAME} ')}"
        finding = replace(finding, sentence=sentence)
    return finding


def _unobservable_silence(watch: DrainWatch, evidence: Sequence[DrainEvidence]) -> Finding:
    """Return the finding at the end of a watch that neither confirmed nor refuted the drain."""
    first, *others = evidence
    reasons = " ".join(
        [
            first.inconclusive_reason(),
            *(f"By {one.by}: {one.inconclusive_reason()}" for one in others),
        ]
    )
    text = f"{reasons} Only the weight was read back."
    return watch.finding(Verdict.INCONCLUSIVE, Label.UNOBSERVABLE, None, text)


def _unobservable_drain(reason: str, begin: int) -> Finding:
    sentence = f"drain unobservable: {reason}. Only the weight was read back."
    label = Label.UNOBSERVABLE
    return Finding(NAME, Verdict.INCONCLUSIVE, label, None, 0.0, 0, begin, begin, sentence)


# --- Watch after a rollback -----------------------------------------------------------------------


def _drain_watch(
    rollout: Rollout, series: Mapping[str, Series], now: datetime
) -> DrainWatch | None:
    """Return the minutes in which a request is a leak; None when no drain is watched now."""
    begin, until = _watch_begin(rollout), rollout.watch_until
    is_watched = until is not None and begin < now.timestamp() and now < until
    if not is_watched or rollout.drain is not None or rollout.intent.previous == 0:
        return None
    closed_end = floor_to(now - rollout.policy.settle, MINUTE_S)
    return DrainWatch(rollout, series, rollout.intent.previous, begin, closed_end)


def _watch_is_ending(rollout: Rollout, now: datetime) -> bool:
    return rollout.watch_until is not None and now >= rollout.watch_until - WATCH_END_MARGIN


def _watch_begin(rollout: Rollout) -> int:
    """Return the first whole minute after the drain, in unix seconds."""
    return next_minute(rollout.since + DRAIN_TIME)
