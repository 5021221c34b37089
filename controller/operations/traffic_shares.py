"""Whether the requests of the settled minutes divide between both paths as the weight says."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from controller.core.judge.leak_check import in_flight_time
from controller.core.judge.series import query
from controller.core.observation import MetricQuery, QueryStatus, Series, TargetReading
from controller.core.policy import Policy
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
from controller.flag import CANARY, EVENT, STABLE
from controller.immutable import Immutable, replace
from controller.operations.checks import Check, fail, ok, unread, warn
from controller.ports.logs import EventSummary, LogEvent, parse_event

# Names of the checks.
METRICS, EVENTS, APPLICATION = "share (metrics)", "share (events)", "application"

_SHORTER_WINDOW_REMEDY: Final = "; if the weight was changed in these minutes, use fewer --minutes"

# A correct application is outside the range in one of 1,000 checks.
CONFIDENCE: Final = 0.999


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
    causes = policy.target.bypass_hint
    if policy.target.split_caveat:
        causes += f"; and for {policy.target.split_caveat}"
    return SettledWindow(weight, max(begin, since or begin), end, since is not None, causes)


def _since(rollout: Rollout, reading: TargetReading) -> int | None:
    """Return since when requests count for the live weight, in unix seconds; None: unknown."""
    warmup: timedelta = rollout.policy.warmup_of(rollout.judged_step)
    live, pending = rollout.live, rollout.pending
    weight_was_changed = rollout.phase is Phase.PAUSED and rollout.reason is Reason.DRIFTED
    match rollout.phase:
        case Phase.ROLLED_BACK if reading.weight == 0:
            return next_minute(rollout.since + max(warmup, in_flight_time(rollout.policy.target)))
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
        remedy = "there were no requests, or no flag that logs (docs/lambda-variable.md)"
        yield warn(EVENTS, detail, remedy)
        return
    share = _share_check(EVENTS, paths[CANARY], paths[STABLE], window)
    yield replace(share, detail=share.detail + (f"; {truncation}" if truncation else ""))
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
        detail = f"the application read {window.weight}% at {requests}"
        yield ok(APPLICATION, detail)
        return
    newest = max(
        event.at_ms for event, summary in checks if summary.percentage not in (None, window.weight)
    )
    weights = ", ".join(
        f"{weight}% at {count_text(other_weights[weight], 'request')}"
        for weight in sorted(other_weights)
    )
    detail = (
        f"the application read {weights} of {weights_read.total()}, last at "
        f"{clock_text(from_unix(newest // 1_000))}; {window.weight}% is live"
    )
    yield fail(APPLICATION, detail, _remedy(window))


# --- Shares against the weight --------------------------------------------------------------------


def _share_check(what: str, canary: int, stable: int, window: SettledWindow) -> Check:
    """Return the check that the requests of both paths fit the weight, chance included."""
    requests = canary + stable
    low, high = acceptance_region(requests, window.weight / 100, CONFIDENCE)
    share = format_percent(canary / requests, SHARE_DIGITS)
    expected = number_text(low) if low == high else f"{number_text(low)} to {number_text(high)}"
    detail = (
        f"{number_text(canary)} of {count_text(requests, 'request')} ({share}) took the canary "
        f"{window.text}; {expected} expected at {window.weight}% (99.9% confidence)"
    )
    if not low <= canary <= high:
        return fail(what, detail, _remedy(window))
    if (low, high) == (0, requests):
        return warn(what, detail, "too few requests to decide; use more --minutes")
    return ok(what, detail)


def _remedy(window: SettledWindow) -> str:
    remedy = f"look for {window.causes}"
    return remedy if window.weight_known else f"{remedy}{_SHORTER_WINDOW_REMEDY}"


def _too_early_check(what: str, window: SettledWindow) -> Check:
    begin = clock_text(from_unix(window.begin))
    return warn(
        what, f"too early: the weight is compared from {begin} on", "run again in a few minutes"
    )
