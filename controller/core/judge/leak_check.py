"""The leak check: whether requests still reach the canary after a rollback to 0%.

The weight is what the target says; what callers do is counted by the canary's request metric, and
by the log events that a policy names under `verify_rollback`. Judged are the minutes of the watch
after a rollback (fifteen minutes), without its first two. One counted request fails the check; none
passes it, where the old weight would have brought some. Probes that the policy declares go on at
0%: a count that they may explain is no leak.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import inf

from controller.core.judge.criterion_judge import failed_query, incomplete_series
from controller.core.judge.facts import LeakFacts, flat
from controller.core.judge.findings import Finding, FindingReason, Label, Verdict
from controller.core.judge.queries import QueryPlan, aligned_span
from controller.core.judge.sequential import SILENCE_SIGNIFICANCE
from controller.core.judge.series import NO_SERIES, query, series_key
from controller.core.observation import (
    LogQuery,
    QueryStatus,
    Series,
    Span,
    TargetReading,
    UnreadableTarget,
)
from controller.core.policy import Criterion, Policy, TargetSpec
from controller.core.policy.model import PROBE_MARGIN
from controller.core.rollout import Rollout
from controller.core.stats.poisson import tail_bound
from controller.core.units import (
    MINUTE_S,
    clock_text,
    count_text,
    floor_to,
    format_duration,
    from_unix,
    next_minute,
)
from controller.immutable import Immutable

NAME = "leak_check"
# Requests in flight, and environments that are still warm, go on with the old weight this long.
IN_FLIGHT_TIME = timedelta(minutes=2)
# Silence shorter than this is a gap between requests and proves nothing.
MIN_SILENT_MINUTES = 5
# No tick comes after the watch, so the last ones within it report a check without a result.
WATCH_END_MARGIN = timedelta(minutes=2)

ABSENT_KEY, PRESENT_KEY, ANY_KEY = "log:absent", "log:present", "log:any"
# From 1% on, 684 events of the stable path make the canary's silence significant (99 x 6.9).
EVENT_LIMIT = 1_000

NO_HELP = "Writing 0% again does not help: look for"


# --- Watched minutes ------------------------------------------------------------------------------


class LeakCheck(Immutable):
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
        return f"in {count_text(self.settled_minutes, 'minute')} {self.since_text}"

    @property
    def since_text(self) -> str:
        """When the first of these minutes began: `since 2026-11-24 12:02 UTC`."""
        return f"since {clock_text(from_unix(self.begin))}"

    @property
    def too_early_text(self) -> str:
        """Why too few minutes are settled for a verdict; empty when there are enough."""
        if self.settled_minutes >= MIN_SILENT_MINUTES:
            return ""
        delay = format_duration(self.rollout.policy.evaluation_delay)
        return (
            f"only {count_text(self.settled_minutes, 'minute')} {self.since_text} had final data "
            f"before the watch ended (`evaluation_delay` is {delay}; "
            f"{MIN_SILENT_MINUTES} minutes are needed)."
        )

    def read(self, key: str) -> Series:
        """Return what was read of the series `key`."""
        return self.series.get(key, NO_SERIES)

    def settled_count(self, series: Series) -> float:
        """Return what was counted in the settled minutes."""
        return self._sum(series, self.closed_end)

    def total_count(self, series: Series) -> float:
        """Return what was counted in all minutes, settled or not: a count only grows."""
        return self._sum(series, inf)

    def leak_text(self, counted: str, callers: str = "") -> str:
        """Return the sentence of a leak. callers: other places to look for it."""
        at_zero = f"although 0% has been applied since {clock_text(self.rollout.since)}"
        bypass = self.rollout.policy.target.bypass_hint
        return f"{counted} {self.since_text}, {at_zero}. {NO_HELP} {bypass}{callers}."

    def expected_requests(self, control_requests: float) -> tuple[float, str]:
        """Return how many requests the old weight would have brought, given those of the control.

        And that in words; empty where the words are not needed.
        """
        if self.weight == 100:  # the stable path was silent, and is not any more
            return (inf if control_requests else 0.0), ""
        expected = control_requests * self.weight / (100 - self.weight)
        due = f"{_expected_text(expected)} expected on the canary"
        return expected, f", so {due} if it still had {self.weight}%"

    def finding(self, verdict: Verdict, label: Label, measured: float | None, text: str) -> Finding:
        """Return the finding over these minutes, whose sentence ends with `text`."""
        end = max(self.closed_end, self.begin)
        return _finding(verdict, label, measured, text, self.begin, end)

    def _sum(self, series: Series, end: float) -> float:
        return sum(value for second, value in series.points.items() if self.begin <= second < end)


def _expected_text(expected: float) -> str:
    """Return `about 5 requests were`."""
    verb = "was" if round(expected) == 1 else "were"
    return f"about {count_text(round(expected), 'request')} {verb}"


# --- Evidence -------------------------------------------------------------------------------------


class LeakEvidence(Immutable):
    """What one kind of count says about leaks.

    by: the kind. leaked: what was counted on the canary, however young or partial that is: a count
    only grows. leak: the sentence of that. proof: the sentence of a silence that the old weight
    would have broken; empty without one. doubt: why there is no proof.
    """

    by: str
    leaked: float
    leak: str
    proof: str
    doubt: str

    @property
    def result(self) -> tuple[Verdict, Label, float | None, str]:
        """Verdict, label, measured value and sentence of this evidence alone."""
        if self.leaked > 0:
            return Verdict.FAIL, Label.LEAK_CHECK_FAILED, self.leaked, self.leak
        if self.proof:
            return Verdict.PASS, Label.CONFIRMED, 0.0, self.proof
        return Verdict.INCONCLUSIVE, Label.UNOBSERVABLE, None, self.doubt

    @property
    def addition(self) -> str:
        """What this evidence adds to the sentence of a finding by another one."""
        _, label, _, text = self.result
        return f" By {self.by}: {label}: {text}"


def _proof_and_doubt(
    obstacle: str,
    silence: str,
    basis: str,
    expected: float,
    nothing_due: str,
    counted: float = 0.0,
) -> tuple[str, str]:
    """Return proof and doubt of a silence in which `expected` requests were due.

    obstacle: why the silence is no proof at all; empty without a reason. basis: how many requests
    were due, in words. nothing_due: the doubt where none were. counted: requests in the silence,
    which may be probes. It is significant where so few are unlikely by chance (Poisson).
    """
    if obstacle:
        return "", obstacle
    if counted < expected and tail_bound(counted, expected) < SILENCE_SIGNIFICANCE:
        return f"{silence}; {basis}.", ""
    if expected == 0:
        return "", nothing_due
    return "", f"{silence}; {basis}, too few to rule out chance."


class _Probes(Immutable):
    """The declared probes among the counted requests; without any, each request is a user's.

    per_minute: as declared. counted: requests in the settled minutes, 0.0 without probes. most: as
    many of them may be probes.
    """

    per_minute: float
    counted: float
    most: float

    @classmethod
    def of(cls, watch: LeakCheck, series: Series) -> "_Probes":
        """Return the probes that the policy declares. series: requests of the canary."""
        per_minute = watch.rollout.policy.probes_per_minute or 0.0
        counted = watch.settled_count(series) if per_minute else 0.0
        return cls(per_minute, counted, PROBE_MARGIN * per_minute * watch.settled_minutes)

    def leaked(self, total: float) -> float:
        """Return the requests that are a leak. total: all of them, settled or not."""
        if not self.per_minute:
            return total
        beyond = self.counted > self.most
        is_leak = beyond and tail_bound(self.counted, self.most) < SILENCE_SIGNIFICANCE
        return self.counted if is_leak else 0.0

    @property
    def doubt(self) -> str:
        """Why the count is no silence, although it may be no leak; empty without a reason."""
        if self.counted <= self.most:
            return ""
        counted = count_text(self.counted, "request")
        return f"{counted} may be declared probes and chance, so nothing is confirmed."

    @property
    def counted_text(self) -> str:
        """What was counted, as a silence."""
        if not self.counted:
            return "no request"
        return f"{count_text(self.counted, 'request')}, no more than twice its declared probes,"

    @property
    def beyond_text(self) -> str:
        """What a leak is compared with."""
        return ", more than twice its declared probes," if self.per_minute else ""


def _request_evidence(watch: LeakCheck) -> LeakEvidence | None:
    """Return what the request metrics show; None where no criterion counts requests.

    The requests that were due follow from the control, and without one from the rate before.
    """
    policy = watch.rollout.policy
    names = _request_metrics(policy)
    if not names:
        return None
    canary, *controls = names
    series = {name: watch.read(_minute_key(policy, name)) for name in names}
    probes = _Probes.of(watch, series[canary])
    silence = f"metric {canary} counted {probes.counted_text} {watch.duration_text}"
    if controls:
        count = watch.settled_count(series[controls[0]])
        expected, words = watch.expected_requests(count)
        basis = f"metric {controls[0]} counted {count_text(count, 'request')}{words}"
        silent = "neither canary nor stable path had a request"
        if probes.per_minute:
            silent = "the stable path had no request"
        nothing_due = f"{silent}, so nothing is confirmed."
    else:
        rate = max(0.0, _rate_before(watch.rollout, canary) - probes.per_minute)
        expected = rate * watch.settled_minutes
        basis = f"{_expected_text(expected)} expected at the rate before the rollback"
        none = "users made none" if probes.per_minute else "none"
        nothing_due = f"{silence}, and {none} before the rollback either, so nothing is confirmed."
    failure = incomplete_series(series)
    obstacle = watch.too_early_text or probes.doubt
    if failure is not None:
        obstacle = f"{failed_query(*failure).text}."
    proof, doubt = _proof_and_doubt(obstacle, silence, basis, expected, nothing_due, probes.counted)
    leaked = probes.leaked(watch.total_count(series[canary]))
    counted = f"metric {canary} counted {count_text(leaked, 'request')} on the canary"
    counted += probes.beyond_text
    leak = watch.leak_text(counted, "; this metric may also count other callers")
    return LeakEvidence("requests", leaked, leak, proof, doubt)


def _event_evidence(watch: LeakCheck) -> LeakEvidence | None:
    """Return what the log events show; None where the policy names none.

    The stable path has to log so often that the old weight would have broken the silence.
    """
    verify = watch.rollout.policy.verify_rollback
    if verify is None:
        return None
    group = watch.rollout.policy.log_group_of(verify)
    absent, present = watch.read(ABSENT_KEY), watch.read(PRESENT_KEY)
    count = watch.settled_count(present)
    expected, words = watch.expected_requests(count)
    silence = f"{verify.absent} was not logged in {group} {watch.duration_text}"
    basis = f"{verify.present} was logged {_times_text(count)}{words}"
    nothing_due = f"no log event at all in {group} {watch.since_text}, so nothing is confirmed."
    if watch.total_count(watch.read(ANY_KEY)):
        nothing_due = (
            f"neither {verify.absent} nor {verify.present} was logged in {group} "
            f"{watch.since_text}, but other events were, so nothing is confirmed: the patterns may "
            "not match, or there were no requests."
        )
    obstacle = watch.too_early_text or _unread_events((absent, present), group)
    proof, doubt = _proof_and_doubt(obstacle, silence, basis, expected, nothing_due)
    leaked = watch.total_count(absent)
    leak = watch.leak_text(f"{verify.absent} was logged {_times_text(leaked)} in {group}")
    return LeakEvidence("log events", leaked, leak, proof, doubt)


def _request_metrics(policy: Policy) -> list[str]:
    """Return the metrics that count requests: of the canary, and of its control where it has one.

    The criterion that they are of has a control if any has, and counts nothing else if any does.
    Empty where none counts requests of the canary alone.
    """
    by_preference = sorted(
        (-len(names), len(criterion.references), place, names)
        for place, criterion in enumerate(policy.criteria.values())
        if (names := _counted_by(criterion))
        and policy.counts.get(names[0]) not in ("stable", "both")
    )
    return by_preference[0][-1] if by_preference else []


def _counted_by(criterion: Criterion) -> list[str]:
    """Return the metrics of `criterion` that count requests: its own, and a control beside it."""
    counts = [one for one in criterion.references if one.use.measures == "requests"]
    judged = next((one for one in counts if one.use.purpose == "judged"), None)
    if judged is None:
        return []
    beside = [
        one.metric
        for one in counts
        if one.use.purpose == "compared" and one.place[:-1] == judged.place[:-1]
    ]
    return [judged.metric, *beside[:1]]


def _minute_key(policy: Policy, metric: str) -> str:
    return series_key(metric, policy.metrics[metric].statistic, MINUTE_S)


def _rate_before(rollout: Rollout, metric: str) -> float:
    """Return the requests a minute that `metric` counted in the last step; 0.0 without any."""
    rates = (
        finding.samples * MINUTE_S / (finding.end - finding.start)
        for finding in rollout.evidence.findings
        if finding.end > finding.start
        and finding.criterion in rollout.policy.criteria
        and _counted_by(rollout.policy.criteria[finding.criterion]) == [metric]
    )
    return max(rates, default=0.0)


def _unread_events(answers: Sequence[Series], group: str) -> str:
    """Return why an event could not be counted to the end; empty when all were."""
    failure = next(
        (answer for answer in answers if answer.status is not QueryStatus.COMPLETE), None
    )
    if failure is None:
        return ""
    return f"{failure.message.rstrip('.') or f'the events in {group} were not read'}."


def _times_text(events: float) -> str:
    more = "at least " if events >= EVENT_LIMIT else ""
    return f"{more}{count_text(events, 'time')}" if events > 1 else "once"


# --- Query plan -----------------------------------------------------------------------------------


def leak_check_query_plan(rollout: Rollout, now: datetime) -> QueryPlan:
    """Return what the leak check of `rollout` has to read; nothing once its finding is made."""
    watch = _leak_watch(rollout, {}, now)
    if watch is None:
        return QueryPlan()
    policy, end = rollout.policy, floor_to(now, MINUTE_S) + MINUTE_S
    metrics = {
        name: policy.target.at_zero(policy.metrics[name]) for name in _request_metrics(policy)
    }
    queries = {
        _minute_key(policy, name): query(metric, metric.statistic, MINUTE_S)
        for name, metric in metrics.items()
    }
    logs = _log_queries(watch, end, last=_watch_is_ending(rollout, now))
    return QueryPlan(queries, aligned_span(queries.values(), watch.begin, end), logs)


def _log_queries(watch: LeakCheck, open_end: int, *, last: bool) -> dict[str, LogQuery]:
    """Return what has to be counted in the logs, by key; nothing where the policy names no events.

    open_end: end of the minute that is still open, unix seconds. last: whether the watch ends, so
    that a log without these events has to be distinguished from one without any.
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


def leak_check_finding(
    rollout: Rollout,
    target: TargetReading | UnreadableTarget,
    series: Mapping[str, Series],
    now: datetime,
) -> Finding | None:
    """Return the leak check of a rollback.

    Either kind of evidence fails the check; one that passes it is enough while none fails it.
    None while more evidence may come, once there is a finding, and where no weight had been
    applied. Where the live weight is unknown, counts prove nothing; after drift it stays as it is.
    """
    if isinstance(target, UnreadableTarget):
        series = {}
    elif target.weight != 0:
        return _after_drift(rollout, target.variables)
    watch = _leak_watch(rollout, series, now)
    if watch is None:
        return None
    evidence = [one for one in (_request_evidence(watch), _event_evidence(watch)) if one]
    if not evidence:
        reason = "no traffic or success_rate criterion counts requests"
        return _unobservable(reason, watch.begin)
    decisive = [one for one in evidence if one.leaked > 0] or [one for one in evidence if one.proof]
    if decisive:
        verdict, label, measured, text = decisive[0].result
        text += "".join(one.addition for one in evidence if one is not decisive[0])
        return watch.finding(verdict, label, measured, text)
    if not _watch_is_ending(rollout, now):
        return None
    first, *others = evidence
    reasons = [first.doubt, *(f"By {other.by}: {other.doubt}" for other in others)]
    text = f"{' '.join(reasons)} Only the weight was read back."
    return watch.finding(Verdict.INCONCLUSIVE, Label.UNOBSERVABLE, None, text)


def _after_drift(rollout: Rollout, variables: str) -> Finding | None:
    """Return the leak check of a rollback whose weight was changed again.

    A request is no leak any more. variables: the settings of the target as they are now.
    """
    if rollout.leak_check is not None or rollout.from_weight == 0:
        return rollout.leak_check
    reason = (
        f"the weight was changed again after the rollback ({variables}), so requests confirm "
        "nothing"
    )
    return _unobservable(reason, _watch_begin(rollout))


def _unobservable(reason: str, begin: int) -> Finding:
    text = f"{reason}. Only the weight was read back."
    return _finding(Verdict.INCONCLUSIVE, Label.UNOBSERVABLE, None, text, begin, begin)


def _finding(
    verdict: Verdict, label: Label, measured: float | None, text: str, start: int, end: int
) -> Finding:
    return Finding(
        criterion=NAME,
        kind=NAME,
        verdict=verdict,
        label=label,
        reason=FindingReason.LEAK_CHECK,
        measured=measured,
        bound=0.0,
        samples=int(measured or 0),
        start=start,
        end=end,
        facts=flat(LeakFacts(text)),
    )


# --- Watch after a rollback -----------------------------------------------------------------------


def _leak_watch(rollout: Rollout, series: Mapping[str, Series], now: datetime) -> LeakCheck | None:
    """Return the minutes in which a request is a leak; None when none are checked now."""
    begin = _watch_begin(rollout)
    is_watched = begin < now.timestamp() and rollout.is_watched(now)
    if not is_watched or rollout.leak_check is not None or rollout.from_weight == 0:
        return None
    closed_end = rollout.policy.settled_end(now)
    return LeakCheck(rollout, series, rollout.from_weight, begin, closed_end)


def _watch_is_ending(rollout: Rollout, now: datetime) -> bool:
    return rollout.watch_until is not None and now >= rollout.watch_until - WATCH_END_MARGIN


def in_flight_time(target: TargetSpec) -> timedelta:
    """Return how long requests may go on with the old weight after 0% was applied."""
    return IN_FLIGHT_TIME + target.kept_for


def _watch_begin(rollout: Rollout) -> int:
    """Return the first whole minute in which a request is a leak, in unix seconds."""
    return next_minute(rollout.since + in_flight_time(rollout.policy.target))
