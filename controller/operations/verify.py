"""Verifying one target: everything that can be read is read, and each answer is a line of its own.

What may not be read costs its own lines and no others.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from controller.core.checks import Check, Level, Obstacle, fail, ok, unread, warn
from controller.core.judge.drain import DRAIN
from controller.core.judge.findings import Verdict
from controller.core.judge.queries import JUDGED, aligned, query
from controller.core.judge.wording import stretch
from controller.core.observation import (
    MetricQuery,
    QueryStatus,
    Series,
    TargetReading,
    UnreadableTarget,
    UpdateStatus,
)
from controller.core.policy import LambdaEnv, Policy, Share, SuccessRate, Traffic
from controller.core.policy.judging import Control
from controller.core.rollout import Phase, Reason, Rollout
from controller.core.stats.binomial import band
from controller.core.units import (
    MINUTE_S,
    clock_text,
    count_text,
    floor_to,
    format_percent,
    from_unix,
    next_minute,
    number_text,
)
from controller.errors import (
    LogsError,
    MetricsError,
    NoLogGroupError,
    NoStoreError,
    StoreError,
    TargetError,
    WriteRefusedError,
)
from controller.operations.log_tail import Tail
from controller.ports.logs import CANARY, FLAG_CHECK, STABLE, EventSummary, LogEvent, parse_event
from controller.ports.metrics import MetricSource
from controller.ports.store import Store
from controller.ports.target import InspectableTarget


@dataclass(frozen=True, slots=True)
class SettledWindow:
    """Settled minutes from `begin` to `end`, in unix seconds, with `weight` in force.

    known: a rollout says so; otherwise somebody may have changed it meanwhile.
    """

    weight: int
    begin: int
    end: int
    weight_known: bool

    @property
    def empty(self) -> bool:
        """True while no such minute is over."""
        return self.begin >= self.end

    @property
    def text(self) -> str:
        """Since when and until when, for a sentence."""
        return f"from {stretch(self.begin, self.end)}"


def settled_window(
    policy: Policy, rollout: Rollout | None, reading: TargetReading, minutes: int, now: datetime
) -> SettledWindow:
    """Return the newest `minutes` that are settled, without those before the live weight."""
    end = floor_to(now - policy.settle, MINUTE_S)
    begin = end - minutes * MINUTE_S
    since = None if rollout is None else _since(rollout, reading)
    weight = 0 if reading.weight is None else reading.weight
    return SettledWindow(weight, max(begin, since or begin), end, weight_known=since is not None)


def _since(rollout: Rollout, reading: TargetReading) -> int | None:
    """Return from when on requests are held against the live weight; None: nobody knows."""
    warmup: timedelta = rollout.policy.warmup_of(rollout.step)
    moved = rollout.phase is Phase.PAUSED and rollout.reason is Reason.DRIFTED
    if rollout.previous_live is not None and rollout.phase in JUDGED and not moved:
        return (
            rollout.previous_live.judged_from if reading.weight == rollout.intent.previous else None
        )
    match rollout.phase:
        case Phase.ROLLED_BACK if reading.weight == 0:
            return next_minute(rollout.since + max(warmup, DRAIN))
        case Phase.PROGRESSING | Phase.PAUSED | Phase.SUCCEEDED if reading.weight == rollout.weight:
            return None if rollout.previous_live else rollout.judged_from
        case Phase.PAUSED if reading.weight == rollout.seen_weight:
            return next_minute(rollout.since + warmup)
        case _:
            return None


# --- Shares of traffic ----------------------------------------------------------------------------

METRICS, EVENTS, APPLICATION = "share (metrics)", "share (events)", "application"
# One look in a thousand of an application that does what it is told is outside.
CONFIDENCE: Final = 0.999

_SHARE_REMEDY: Final = (
    "look for callers that use an alias or a published version, for a second function, and for a "
    "flag that is asked with a key of few callers"
)
_SHORTER_WINDOW_REMEDY: Final = (
    "; if the weight was changed in these minutes, look at fewer: --minutes"
)


@dataclass(frozen=True, slots=True)
class PathMetrics:
    """What counts the requests of both paths: the metrics by name, and their queries."""

    canary: str
    control: str
    queries: Mapping[str, MetricQuery]


def path_metrics(policy: Policy) -> PathMetrics | None:
    """Return what counts both paths: a share, else a success rate or a traffic with a control."""
    pairs = list(_pairs(policy))
    if not pairs:
        return None
    canary, control = pairs[0]
    metrics = {name: policy.metrics[name] for name in (canary, control)}
    queries = {name: query(one, one.statistic, MINUTE_S) for name, one in metrics.items()}
    return PathMetrics(canary, control, queries)


def _pairs(policy: Policy) -> Iterator[tuple[str, str]]:
    for kind in (Share, SuccessRate, Traffic):
        for one in policy.criteria.values():
            match one:
                case Share(metric=canary, control=control) if kind is Share:
                    yield canary, control
                case SuccessRate(total=canary, control=Control(total=control)) if (
                    kind is SuccessRate
                ):
                    yield canary, control
                case Traffic(metric=canary, control=str(control)) if kind is Traffic:
                    yield canary, control
                case _:
                    pass


def metric_share_check(
    counts: PathMetrics | None, series: Mapping[MetricQuery, Series] | str, window: SettledWindow
) -> Check:
    """Return whether the metrics show the weight; `series` may be why they were not read."""
    if counts is None:
        seen = "no criterion counts the requests of both paths"
        return warn(METRICS, seen, "a `share` does, and a success_rate or traffic with a `control`")
    if isinstance(series, str):
        return unread(METRICS, series)
    if window.empty:
        return _too_early_check(METRICS, window)
    found = [series[counts.queries[name]] for name in (counts.canary, counts.control)]
    failed = [one.message for one in found if one.answer is not QueryStatus.COMPLETE]
    if failed:
        return unread(METRICS, f"the counts were not read: {failed[0]}", "look again in a minute")
    canary, stable = (round(_requests_within(one, window)) for one in found)
    if not canary + stable:
        seen = f"no traffic: {counts.canary} and {counts.control} counted nothing {window.text}"
        return warn(METRICS, seen, "silence proves nothing; look at more --minutes")
    return _share_check(METRICS, canary, stable, window)


def _requests_within(series: Series, window: SettledWindow) -> float:
    points = series.points.items()
    return sum(value for second, value in points if window.begin <= second < window.end)


def event_share_checks(
    events: Sequence[LogEvent], group: str, window: SettledWindow, truncation: str = ""
) -> Iterator[Check]:
    """Yield what the flag's own events show: the share, and the weight that it has read.

    events: those of the stretch. truncation: why some of them were not read.
    """
    if window.empty:
        yield _too_early_check(EVENTS, window)
        return
    checks = [
        (event, about) for event in events if (about := parse_event(event.text)).name == FLAG_CHECK
    ]
    paths = Counter(about.path for _, about in checks)
    if not paths[CANARY] + paths[STABLE]:
        seen = f"no {FLAG_CHECK} event in {group} {window.text}"
        remedy = "nobody called, or the application does not log it (docs/flag.md)"
        yield warn(EVENTS, seen, remedy)
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
    """Yield whether the application has read the live weight; nothing where it does not say."""
    said = Counter(about.percentage for _, about in checks if about.percentage is not None)
    if not said:
        return
    other = {weight: number for weight, number in said.items() if weight != window.weight}
    if not other:
        seen = f"it read {window.weight} % at {count_text(said.total(), 'request')}"
        yield ok(APPLICATION, seen)
        return
    newest = max(
        event.at_ms for event, about in checks if about.percentage not in (None, window.weight)
    )
    weights = ", ".join(
        f"{weight} % at {count_text(other[weight], 'request')}" for weight in sorted(other)
    )
    seen = (
        f"it read {weights} of {said.total()}, last at {clock_text(from_unix(newest // 1_000))}, where "
        f"{window.weight} % is live"
    )
    yield fail(APPLICATION, seen, _remedy(window))


# --- the band -----------------------------------------------------------------------------------


def _share_check(what: str, canary: int, stable: int, window: SettledWindow) -> Check:
    """Return whether so many requests on the canary, and on the stable path, fit the weight."""
    requests = canary + stable
    low, high = band(requests, window.weight / 100, CONFIDENCE)
    share = format_percent(canary / requests, 1)
    seen = (
        f"{number_text(canary)} of {count_text(requests, 'request')} ({share}) took the canary "
        f"{window.text}; {window.weight} % of them are {_range(low, high)}, chance included"
    )
    if not low <= canary <= high:
        return fail(what, seen, _remedy(window))
    if (low, high) == (0, requests):
        return warn(what, seen, "too few to tell; look at more --minutes")
    return ok(what, seen)


def _range(low: int, high: int) -> str:
    return number_text(low) if low == high else f"{number_text(low)} to {number_text(high)}"


def _remedy(window: SettledWindow) -> str:
    return _SHARE_REMEDY if window.weight_known else f"{_SHARE_REMEDY}{_SHORTER_WINDOW_REMEDY}"


def _too_early_check(what: str, window: SettledWindow) -> Check:
    begin = clock_text(from_unix(window.begin))
    return warn(
        what, f"too early: the weight counts from {begin} on", "look again in a few minutes"
    )


# --- The target and its rollout -------------------------------------------------------------------

VARIABLES, BOOLEAN, UPDATE = "variables", "boolean", "update"
_CHANGE_REMEDY: Final = "look who changed it (history of the rollout, CloudTrail)"
_ROLLOUT, _REACH, _DRAIN = "rollout", "reach", "drain"


def rollout_check(policy: Policy, rollout: Rollout | None, *, from_file: bool) -> Check:
    """Return whether there is a rollout to compare with, and whether it follows this policy.

    from_file: `policy` was read from a file, and not from the rollout.
    """
    if rollout is None:
        return ok(_ROLLOUT, "there is none, so nothing says which weight there should be")
    seen = f"{rollout.id} is {rollout.phase} and asks for {rollout.weight} %"
    if rollout.name != policy.name:
        return warn(_ROLLOUT, f"{seen}; it owns the target, and is not of {policy.name}")
    if from_file and rollout.digest != policy.digest():
        remedy = "the next revision takes the file; verify the rollout by its name"
        return warn(_ROLLOUT, f"{seen}, by another version of this policy", remedy)
    return ok(_ROLLOUT, seen)


def target_checks(
    policy: Policy, rollout: Rollout | None, target: TargetReading | UnreadableTarget, now: datetime
) -> Iterator[Check]:
    """Yield what the variables and the last update of the target say."""
    if isinstance(target, UnreadableTarget):
        yield _unreadable_check(target)
        return
    yield _variables_check(rollout, target, now)
    yield from _boolean_checks(policy.target, target)
    yield _update_check(target)


def _unreadable_check(target: UnreadableTarget) -> Check:
    if target.permanent:
        remedy = "until then nothing can be rolled back here"
        return fail(VARIABLES, target.reason, remedy)
    return unread(VARIABLES, target.reason)


def _variables_check(rollout: Rollout | None, target: TargetReading, now: datetime) -> Check:
    live = "no weight that anybody knows" if target.weight is None else f"{target.weight} %"
    seen = f"{live} is live ({target.shown})"
    if rollout is None:
        return ok(VARIABLES, seen)
    if target.weight == rollout.weight:
        return ok(VARIABLES, f"{seen}, as {rollout.id} asks")
    level, why, remedy = _weight_difference(rollout, target, now)
    return Check(VARIABLES, level, f"{seen} where {rollout.id} {why}", remedy)


def _weight_difference(
    rollout: Rollout, target: TargetReading, now: datetime
) -> tuple[Level, str, str]:
    """Return how bad another weight than the rollout's is, what it means, and what to do."""
    asks = f"asks for {rollout.weight} %"
    tick = f"let it tick, and look: rolloutctl status {rollout.id}"
    match rollout.phase:
        case Phase.PROGRESSING if rollout.in_flight and target.weight == rollout.intent.previous:
            return Level.WARN, f"{asks}, which is on its way", tick
        case Phase.ROLLING_BACK:
            return Level.FAIL, "rolls back to 0 %", f"rolloutctl rollback {rollout.id}"
        case Phase.PAUSED if target.weight == rollout.seen_weight:
            remedy = f"rolloutctl resume {rollout.id} with --keep or --restore"
            return Level.WARN, f"is paused over it ({rollout.sentence})", remedy
        case Phase.ROLLED_BACK | Phase.SUCCEEDED if not _is_watched(rollout, now):
            return Level.WARN, f"ended at {rollout.weight} % and watches no more", _CHANGE_REMEDY
        case Phase.ROLLED_BACK:
            remedy = f"rolloutctl rollback {rollout.id}; {_CHANGE_REMEDY}"
            return Level.FAIL, "was rolled back to 0 %", remedy
        case _:
            return Level.FAIL, asks, f"{_CHANGE_REMEDY}; {tick}"


def _is_watched(rollout: Rollout, now: datetime) -> bool:
    return rollout.watch_until is not None and now < rollout.watch_until


def _boolean_checks(names: LambdaEnv, target: TargetReading) -> Iterator[Check]:
    if names.boolean is None:
        return
    if target.weight is None:
        remedy = "rolloutctl set-weight writes both as one, and rolloutctl rollback 0 and false"
        yield fail(BOOLEAN, f"the variables contradict each other: {target.shown}", remedy)
    else:
        said = "true" if target.weight == 100 else "not true"
        yield ok(BOOLEAN, f"{names.boolean} is {said}, which fits {target.weight} %")


def _update_check(target: TargetReading) -> Check:
    detail = f": {target.detail}" if target.detail else ""
    match target.update:
        case UpdateStatus.SUCCESSFUL:
            return ok(UPDATE, "the last update of the target is in force")
        case UpdateStatus.IN_PROGRESS:
            seen = f"an update is in progress{detail}"
            return warn(UPDATE, seen, "what is shown is not in force yet; look again in a minute")
        case UpdateStatus.FAILED:
            remedy = "what is shown may not be in force; write it again, or roll back"
            return fail(UPDATE, f"the last update failed{detail}", remedy)


def reach_checks(obstacles: Sequence[Obstacle]) -> Iterator[Check]:
    """Yield what keeps a change of the target from its callers."""
    if not obstacles:
        yield ok(_REACH, "no alias and no published version keeps a change from callers")
    for one in obstacles:
        if one.fatal:
            yield fail(_REACH, one.text, "no weight reaches them; let callers use $LATEST")
        else:
            yield (unread if one.unread else warn)(_REACH, one.text)


def drain_checks(rollout: Rollout | None, now: datetime) -> Iterator[Check]:
    """Yield whether requests left the canary after a rollback."""
    if rollout is None or rollout.phase is not Phase.ROLLED_BACK or not rollout.intent.previous:
        return
    drain = rollout.drain
    if drain is None:
        yield _unknown_drain_check(rollout, now)
        return
    seen = drain.sentence.removeprefix(f"{_DRAIN} ").rstrip(".")
    match drain.verdict:
        case Verdict.PASS:
            yield ok(_DRAIN, seen)
        case Verdict.FAIL:
            yield fail(_DRAIN, seen, "find the caller that still takes the canary")
        case Verdict.INCONCLUSIVE:
            yield warn(_DRAIN, seen, "the shares below are what there is")


def _unknown_drain_check(rollout: Rollout, now: datetime) -> Check:
    until = rollout.watch_until
    if until is not None and now < until:
        seen = f"not known yet; ticks look until {clock_text(until)}"
        return warn(_DRAIN, seen, "let it tick")
    return warn(
        _DRAIN, "nothing ticked while it could be seen", "the shares below are what there is"
    )


# --- The check ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verifier:
    """What is looked at for one policy, and through what.

    doubt: why the log may be another one; empty: there is none.
    """

    policy: Policy
    target: InspectableTarget
    metrics: MetricSource
    tail: Tail
    log_group_warning: str = ""

    def read_target(self) -> TargetReading | UnreadableTarget:
        """Return what the target shows, or why it does not."""
        try:
            return self.target.read()
        except TargetError as error:
            return UnreadableTarget(str(error), permanent=isinstance(error, WriteRefusedError))

    def owner(self, store: Store, reading: TargetReading | UnreadableTarget) -> Rollout | None:
        """Return the rollout that holds the target, else the newest of the policy; None: neither.

        Raises StoreError.
        """
        ids: list[str | None] = []
        if isinstance(reading, TargetReading):
            ids += map(store.owner, self.policy.target.locks(reading.identity))
        ids += store.of_name(self.policy.name)[-1:]
        known = next(filter(None, ids), None)
        return None if known is None else store.load(known)

    def checks(
        self,
        reading: TargetReading | UnreadableTarget,
        rollout: Rollout | StoreError | None,
        minutes: int,
        now: datetime,
        *,
        from_file: bool,
    ) -> Iterator[Check]:
        """Yield a check for each thing that was looked at.

        rollout: what holds the target; None: nothing does; or why nobody can say.
        """
        if isinstance(rollout, StoreError):
            remedy = "so what is live is compared with nothing; name the store: --store"
            missing = isinstance(rollout, NoStoreError)
            yield (warn if missing else unread)("rollout", str(rollout), remedy)
            rollout = None
        else:
            yield rollout_check(self.policy, rollout, from_file=from_file)
        yield from target_checks(self.policy, rollout, reading, now)
        yield from reach_checks(self.target.obstacles())
        yield from drain_checks(rollout, now)
        if isinstance(reading, TargetReading) and reading.weight is not None:
            yield from self._shares(settled_window(self.policy, rollout, reading, minutes, now))

    def _shares(self, window: SettledWindow) -> Iterator[Check]:
        counts = path_metrics(self.policy)
        yield metric_share_check(counts, self._read_metrics(counts, window), window)
        if self.log_group_warning:
            yield warn("log group", self.log_group_warning, f"{self.tail.group} is read")
        yield from self._events(window)

    def _read_metrics(
        self, counts: PathMetrics | None, window: SettledWindow
    ) -> Mapping[MetricQuery, Series] | str:
        if counts is None or window.empty:
            return {}
        queries = {str(query): query for query in counts.queries.values()}
        try:
            return self.metrics.read(queries.values(), aligned(queries, window.begin, window.end))
        except MetricsError as error:
            return str(error)

    def _events(self, window: SettledWindow) -> Iterator[Check]:
        found, cut = list[LogEvent](), ""
        try:
            if not window.empty:
                tail = self.tail.read(from_unix(window.begin), from_unix(window.end))
                found, cut = list(tail.events), tail.truncation
        except LogsError as error:
            missing = isinstance(error, NoLogGroupError)
            yield (warn if missing else unread)(EVENTS, str(error))
            return
        yield from event_share_checks(found, self.tail.group, window, cut)
