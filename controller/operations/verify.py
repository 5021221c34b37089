"""All checks of `rolloutctl verify`: one target against its rollout, metrics and log events.

A source that cannot be read degrades only its own checks.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from controller.core.judge.criterion_judge import judges_of
from controller.core.judge.findings import Verdict
from controller.core.judge.leak_check import DRAIN_TIME
from controller.core.judge.queries import aligned_span
from controller.core.judge.series import query
from controller.core.observation import (
    MetricQuery,
    QueryStatus,
    Series,
    Span,
    TargetReading,
    UnreadableTarget,
)
from controller.core.policy import Policy, TargetSpec
from controller.core.rollout import Phase, Reason, Rollout
from controller.core.stats.binomial import acceptance_region
from controller.core.units import (
    MINUTE_S,
    SHARE_DIGITS,
    clock_text,
    count_text,
    format_percent,
    from_unix,
    next_minute,
    number_text,
    time_range_text,
)
from controller.core.words.findings import sentence_of
from controller.core.words.next_action import ways_out_of_drift
from controller.errors import (
    LogsError,
    MetricsError,
    NoLogGroupError,
    NoStoreError,
    StoreError,
)
from controller.flag import CANARY, EVENT, STABLE
from controller.immutable import Immutable
from controller.operations.checks import Check, CheckLevel, fail, ok, unread, warn
from controller.operations.live_checks.target import (
    SET_ONE_WEIGHT,
    WEIGHT,
    reach_checks,
    unreadable_check,
    update_check,
    weight_check,
    weight_text,
)
from controller.operations.log_tail import Tail
from controller.ports.logs import EventSummary, LogEvent, parse_event
from controller.ports.metrics import MetricSource
from controller.ports.store import Store
from controller.ports.target import InspectableTarget

# Names of the checks.
_ROLLOUT, _DRAIN, BOOLEAN = "rollout", "drain", "boolean"
METRICS, EVENTS, APPLICATION = "share (metrics)", "share (events)", "application"

# What a missing log group costs where the metrics say the same and nothing else searches a log.
_SPARE_LOG: Final = (
    f"no gate and no rollback of this policy needs it, and `{METRICS}` is as it should be"
)

_CHANGE_REMEDY: Final = "check who changed it (history of the rollout, CloudTrail)"

_SHORTER_WINDOW_REMEDY: Final = "; if the weight was changed in these minutes, use fewer --minutes"

# A correct application is outside the range in one of 1,000 checks.
CONFIDENCE: Final = 0.999


# --- The target and its rollout -------------------------------------------------------------------


def rollout_check(policy: Policy, rollout: Rollout | None, *, from_file: bool) -> Check:
    """Return the check that a rollout owns the target, and that it follows this policy.

    from_file: `policy` was read from a file, and not from the rollout.
    """
    if rollout is None:
        return ok(_ROLLOUT, "no rollout of this target, so no weight is expected")
    detail = f"{rollout.id} is {rollout.phase} and expects {rollout.weight} %"
    if rollout.name != policy.name:
        return warn(_ROLLOUT, f"{detail}; it owns the target, and is a rollout of another policy")
    if from_file and rollout.digest != policy.digest():
        remedy = "the file applies to the next revision; verify the rollout by its name"
        return warn(_ROLLOUT, f"{detail}, with another version of this policy", remedy)
    return ok(_ROLLOUT, detail)


def target_checks(
    policy: Policy, rollout: Rollout | None, target: TargetReading | UnreadableTarget, now: datetime
) -> Iterator[Check]:
    """Yield the checks of the weight and of the last update of the target."""
    if isinstance(target, UnreadableTarget):
        yield unreadable_check(target, unread)
        return
    yield weight_check(target) if rollout is None else _expected_check(rollout, target, now)
    yield from _boolean_checks(policy, target)
    yield update_check(target)


def _expected_check(rollout: Rollout, target: TargetReading, now: datetime) -> Check:
    """Return the check that the live weight is the one that `rollout` expects."""
    if target.weight == rollout.weight:
        return ok(WEIGHT, f"{weight_text(target)}, as {rollout.id} expects")
    level, relation, remedy = _weight_difference(rollout, target, now)
    return Check(WEIGHT, level, f"{weight_text(target)}, but {rollout.id} {relation}", remedy)


def _weight_difference(
    rollout: Rollout, target: TargetReading, now: datetime
) -> tuple[CheckLevel, str, str]:
    """Return the level, the relation to the rollout, and the remedy of an unexpected weight."""
    expectation = f"expects {rollout.weight} %"
    tick = f"wait for the next tick, then: rolloutctl status {rollout.id}"
    match rollout.phase:
        case Phase.PROGRESSING if rollout.pending and target.weight == rollout.pending.previous:
            return CheckLevel.WARN, f"{expectation}, and that raise is pending", tick
        case Phase.ROLLING_BACK:
            return CheckLevel.FAIL, "rolls back to 0 %", f"rolloutctl rollback {rollout.id}"
        case Phase.PAUSED if target.weight == rollout.seen_weight:
            ways = ways_out_of_drift(
                rollout, target.weight, may_exceed=target.may_exceed(rollout.weight)
            )
            return CheckLevel.WARN, f"is paused because of it ({rollout.sentence})", "; ".join(ways)
        case Phase.ROLLED_BACK | Phase.SUCCEEDED if not rollout.is_watched(now):
            return (
                CheckLevel.WARN,
                f"ended at {rollout.weight} % and is no longer watched",
                _CHANGE_REMEDY,
            )
        case Phase.ROLLED_BACK:
            remedy = f"rolloutctl rollback {rollout.id}; {_CHANGE_REMEDY}"
            return CheckLevel.FAIL, "was rolled back to 0 %", remedy
        case _:
            return CheckLevel.FAIL, expectation, f"{_CHANGE_REMEDY}; {tick}"


def _boolean_checks(policy: Policy, target: TargetReading) -> Iterator[Check]:
    """Yield the check that the settings beside the weight say the same."""
    _, *others = policy.target.settings(target.weight or 0).items()
    if not others:
        return
    if target.weight is None:
        detail = f"the settings contradict each other: {target.variables}"
        yield fail(BOOLEAN, detail, SET_ONE_WEIGHT)
    else:
        found = " and ".join(f"{name}={value}" for name, value in others)
        yield ok(BOOLEAN, f"{found}, as it should be {_boolean_range(policy, target.weight)}")


def _boolean_range(policy: Policy, weight: int) -> str:
    """Return at which weights the settings beside the weight are what they are at `weight`."""
    if weight == 100:
        return "at 100 %"
    _, *others = policy.target.settings(100).values()
    return f"below 100 % ({' and '.join(others)} only at 100 %)"


# --- The drain after a rollback -------------------------------------------------------------------


def drain_checks(rollout: Rollout | None, now: datetime) -> Iterator[Check]:
    """Yield the check that no canary requests arrive after a rollback."""
    if rollout is None or rollout.phase is not Phase.ROLLED_BACK or not rollout.from_weight:
        return
    drain = rollout.drain
    if drain is None:
        yield _unknown_drain_check(rollout, now)
        return
    detail = sentence_of(drain).removeprefix(f"{_DRAIN} ").rstrip(".")
    match drain.verdict:
        case Verdict.PASS:
            yield ok(_DRAIN, detail)
        case Verdict.FAIL:
            yield fail(_DRAIN, detail, "find the callers that still reach the canary")
        case Verdict.INCONCLUSIVE:
            yield warn(_DRAIN, detail, "see the shares below")


def _unknown_drain_check(rollout: Rollout, now: datetime) -> Check:
    until = rollout.watch_until
    if until is not None and now < until:
        detail = f"not known yet; ticks watch it until {clock_text(until)}"
        return warn(_DRAIN, detail, "wait for the next tick")
    detail = (
        "not confirmed: no tick judged it in the 15 minutes after the rollback (the last change "
        f"in the store is from {clock_text(rollout.updated)}), and a later one does not"
    )
    remedy = (
        "`share (metrics)` below says whether requests of users still reach the canary; check the "
        f"schedule; to write 0 % and watch again: rolloutctl rollback {rollout.id} --reason TEXT"
    )
    return warn(_DRAIN, detail, remedy)


# --- Settled minutes ------------------------------------------------------------------------------


class SettledWindow(Immutable):
    """Settled minutes from `begin` to `end`, in unix seconds, with `weight` applied.

    weight_known: a rollout records it; otherwise the weight may have changed within the window.
    causes: what to look for where the requests do not divide as the weight says.
    """

    weight: int
    begin: int
    end: int
    weight_known: bool
    causes: str

    @property
    def empty(self) -> bool:
        """True while no settled minute with this weight is over."""
        return self.begin >= self.end

    @property
    def text(self) -> str:
        """The window as part of a sentence: `from 10:00 to 10:30`."""
        return f"from {time_range_text(self.begin, self.end)}"


def settled_window(
    policy: Policy, rollout: Rollout | None, reading: TargetReading, minutes: int, now: datetime
) -> SettledWindow:
    """Return the newest `minutes` settled minutes, without those before the live weight."""
    end = policy.settled_end(now)
    begin = end - minutes * MINUTE_S
    since = None if rollout is None else _since(rollout, reading)
    weight = 0 if reading.weight is None else reading.weight
    causes = _causes(policy.target)
    return SettledWindow(weight, max(begin, since or begin), end, since is not None, causes)


def _causes(target: TargetSpec) -> str:
    more = f"; and for {target.split_caveat}" if target.split_caveat else ""
    return f"{target.bypass_hint}{more}"


def _since(rollout: Rollout, reading: TargetReading) -> int | None:
    """Return since when requests count for the live weight, in unix seconds; None: unknown."""
    warmup: timedelta = rollout.policy.warmup_of(rollout.judged_step)
    live, pending = rollout.live, rollout.pending
    weight_was_changed = rollout.phase is Phase.PAUSED and rollout.reason is Reason.DRIFTED
    match rollout.phase:
        case Phase.ROLLED_BACK if reading.weight == 0:
            return next_minute(rollout.since + max(warmup, DRAIN_TIME))
        case _ if pending is not None and not weight_was_changed:
            return rollout.judged_from if live and reading.weight == live.weight else None
        case _ if pending is None and live and reading.weight == live.weight:
            return rollout.judged_from
        case Phase.PAUSED if reading.weight == rollout.seen_weight:
            return next_minute(rollout.since + warmup)
        case _:
            return None


# --- Traffic shares in metrics --------------------------------------------------------------------


class PathMetrics(Immutable):
    """The metrics that count the requests of the canary and of the stable path."""

    canary: str
    control: str
    queries: Mapping[str, MetricQuery]


def path_metrics(policy: Policy) -> PathMetrics | None:
    """Return the metrics that count the requests of both paths; None: the policy has none.

    They are those of a share, else of a success rate, else of traffic, with a control.
    """
    compared = [comparison for _, comparison in policy.comparisons() if all(comparison.requests)]
    if not compared:
        return None
    best = min(compared, key=lambda one: (not one.follows_weight, one.metric is not None))
    canary, control = best.requests
    metrics = {name: policy.metrics[name] for name in (canary, control)}
    queries = {name: query(metric, metric.statistic, MINUTE_S) for name, metric in metrics.items()}
    return PathMetrics(canary, control, queries)


def metric_share_check(
    counts: PathMetrics | None, series: Mapping[MetricQuery, Series] | str, window: SettledWindow
) -> Check:
    """Return the check of the canary's share in metrics against the weight.

    series: what was read, or why it was not read.
    """
    if counts is None:
        detail = "no criterion counts the requests of both paths"
        return warn(METRICS, detail, "add a `share`, or a `control` to a success_rate or traffic")
    if isinstance(series, str):
        return unread(METRICS, series)
    if window.empty:
        return _too_early_check(METRICS, window)
    path_series = [series[counts.queries[name]] for name in (counts.canary, counts.control)]
    problems = [one.message for one in path_series if one.status is not QueryStatus.COMPLETE]
    if problems:
        return unread(METRICS, f"the counts were not read: {problems[0]}", "run again in a minute")
    canary, stable = (round(_requests_within(one, window)) for one in path_series)
    if not canary + stable:
        detail = (
            f"no traffic: {counts.canary} and {counts.control} counted no request {window.text}"
        )
        return warn(METRICS, detail, "nothing to compare; use more --minutes")
    return _share_check(METRICS, canary, stable, window)


def _requests_within(series: Series, window: SettledWindow) -> float:
    points = series.points.items()
    return sum(value for second, value in points if window.begin <= second < window.end)


# --- Traffic shares in log events -----------------------------------------------------------------


def event_share_checks(
    events: Sequence[LogEvent], group: str, window: SettledWindow, truncation: str = ""
) -> Iterator[Check]:
    """Yield the checks of the flag's log events: the canary's share, and the weight that was read.

    events: the events in `window`. truncation: why some of them were not read; empty: all were.
    """
    if window.empty:
        yield _too_early_check(EVENTS, window)
        return
    checks = [
        (event, summary) for event in events if (summary := parse_event(event.text)).name == EVENT
    ]
    paths = Counter(summary.path for _, summary in checks)
    if not paths[CANARY] + paths[STABLE]:
        detail = f"no {EVENT} event in {group} {window.text}"
        remedy = "there were no requests, or the application does not log it (docs/flag.md)"
        yield warn(EVENTS, detail, remedy)
        return
    share = _share_check(EVENTS, paths[CANARY], paths[STABLE], window)
    yield Check(
        share.what,
        share.level,
        share.detail + (f"; {truncation}" if truncation else ""),
        share.remedy,
    )
    yield from _weight_read_checks(checks, window)


def _weight_read_checks(
    checks: Sequence[tuple[LogEvent, EventSummary]], window: SettledWindow
) -> Iterator[Check]:
    """Yield the check that the application read the live weight; none where events lack it."""
    weights_read = Counter(
        summary.percentage for _, summary in checks if summary.percentage is not None
    )
    if not weights_read:
        return
    other_weights = {
        weight: number for weight, number in weights_read.items() if weight != window.weight
    }
    if not other_weights:
        requests = count_text(weights_read.total(), "request")
        detail = f"the application read {window.weight} % at {requests}"
        yield ok(APPLICATION, detail)
        return
    newest = max(
        event.at_ms for event, summary in checks if summary.percentage not in (None, window.weight)
    )
    weights = ", ".join(
        f"{weight} % at {count_text(other_weights[weight], 'request')}"
        for weight in sorted(other_weights)
    )
    detail = (
        f"the application read {weights} of {weights_read.total()}, last at "
        f"{clock_text(from_unix(newest // 1_000))}; {window.weight} % is live"
    )
    yield fail(APPLICATION, detail, _remedy(window))


# --- Shares against the weight --------------------------------------------------------------------


def _share_check(what: str, canary: int, stable: int, window: SettledWindow) -> Check:
    """Return the check that the requests of both paths fit the weight, chance included."""
    requests = canary + stable
    low, high = acceptance_region(requests, window.weight / 100, CONFIDENCE)
    share = format_percent(canary / requests, SHARE_DIGITS)
    detail = (
        f"{number_text(canary)} of {count_text(requests, 'request')} ({share}) took the canary "
        f"{window.text}; {_range(low, high)} expected at {window.weight} % (99.9 % confidence)"
    )
    if not low <= canary <= high:
        return fail(what, detail, _remedy(window))
    if (low, high) == (0, requests):
        return warn(what, detail, "too few requests to decide; use more --minutes")
    return ok(what, detail)


def _range(low: int, high: int) -> str:
    return number_text(low) if low == high else f"{number_text(low)} to {number_text(high)}"


def _remedy(window: SettledWindow) -> str:
    remedy = f"look for {window.causes}"
    return remedy if window.weight_known else f"{remedy}{_SHORTER_WINDOW_REMEDY}"


def _too_early_check(what: str, window: SettledWindow) -> Check:
    begin = clock_text(from_unix(window.begin))
    return warn(
        what, f"too early: the weight is compared from {begin} on", "run again in a few minutes"
    )


# --- Verifier -------------------------------------------------------------------------------------


class Verifier(Immutable):
    """The checks of one policy, and the sources that they read.

    tail: of the log of the application; None: it has no log group. log_group_warning: why that may
    be the wrong one; empty: no doubt.
    """

    policy: Policy
    target: InspectableTarget
    metrics: MetricSource
    tail: Tail | None
    log_group_warning: str = ""

    def owner(self, store: Store, reading: TargetReading | UnreadableTarget) -> Rollout | None:
        """Return the rollout that owns the target, else the newest of the policy; None: neither.

        Raises StoreError.
        """
        ids: list[str | None] = []
        if isinstance(reading, TargetReading):
            ids += map(store.owner, self.policy.target.locks(reading.identity))
        ids += store.of_name(self.policy.name)[-1:]
        rollout_id = next(filter(None, ids), None)
        return None if rollout_id is None else store.load(rollout_id)

    def checks(
        self,
        reading: TargetReading | UnreadableTarget,
        rollout: Rollout | StoreError | None,
        minutes: int,
        now: datetime,
        *,
        from_file: bool,
    ) -> Iterator[Check]:
        """Yield every check.

        rollout: the rollout that owns the target; None: there is none; or why the store was not
        read. minutes: how many settled minutes the shares cover.
        """
        if isinstance(rollout, StoreError):
            remedy = "so the live weight is compared with no rollout; name the store: --store"
            missing = isinstance(rollout, NoStoreError)
            yield (warn if missing else unread)("rollout", str(rollout), remedy)
            rollout = None
        else:
            yield rollout_check(self.policy, rollout, from_file=from_file)
        yield from target_checks(self.policy, rollout, reading, now)
        yield from reach_checks(self.target.obstacles(), unread)
        yield from drain_checks(rollout, now)
        if isinstance(reading, TargetReading) and reading.weight is not None:
            yield from self._shares(settled_window(self.policy, rollout, reading, minutes, now))

    def _shares(self, window: SettledWindow) -> Iterator[Check]:
        counts = path_metrics(self.policy)
        share = metric_share_check(counts, self._read_metrics(counts, window), window)
        yield share
        if self.tail is not None:
            if self.log_group_warning:
                yield warn("log group", self.log_group_warning, f"{self.tail.group} is read")
            spare = share.level is CheckLevel.OK and not self._judges_logs
            yield from _events(self.tail, window, _SPARE_LOG if spare else "")

    @property
    def _judges_logs(self) -> bool:
        """Tell whether a gate or the drain of the policy searches a log."""
        judges = judges_of(self.policy, self.policy.criteria, {})
        by_gate = any(any(judge.log_queries(0, Span(0, MINUTE_S))) for judge in judges)
        return by_gate or self.policy.verify_rollback is not None

    def _read_metrics(
        self, counts: PathMetrics | None, window: SettledWindow
    ) -> Mapping[MetricQuery, Series] | str:
        if counts is None or window.empty:
            return {}
        queries = counts.queries.values()
        try:
            return self.metrics.read(queries, aligned_span(queries, window.begin, window.end))
        except MetricsError as error:
            return str(error)


def _events(tail: Tail, window: SettledWindow, missing_remedy: str) -> Iterator[Check]:
    """Yield the checks of the log events. missing_remedy: what follows without a log group."""
    events, truncation = list[LogEvent](), ""
    try:
        if not window.empty:
            read = tail.read(from_unix(window.begin), from_unix(window.end))
            events, truncation = list(read.events), read.truncation
    except LogsError as error:
        if isinstance(error, NoLogGroupError):
            yield warn(EVENTS, str(error), missing_remedy)
        else:
            yield unread(EVENTS, str(error))
        return
    yield from event_share_checks(events, tail.group, window, truncation)
