"""The share of requests on the canary beside the weight, by metrics and by the application's log.

It may be off by what chance leaves likely: the exact binomial band. That takes requests to be drawn
one by one; where the flag is asked with a key, callers are drawn, and few of them vary more.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from controller.core.checks import Check, fail, ok, unread, warn
from controller.core.judge.band import band
from controller.core.judge.queries import query
from controller.core.log_events import CANARY, CHECK, STABLE, LogEvent, Told, told
from controller.core.observation import Answer, Query, Series
from controller.core.policy import Policy, Share, SuccessRate, Traffic
from controller.core.policy.judged import Control
from controller.core.units import MINUTE_S, at, clock_text, count_text, format_percent, number_text
from controller.core.verification.stretch import Stretch

METRICS, EVENTS, APPLICATION = "share (metrics)", "share (events)", "application"
# One look in a thousand of an application that does what it is told is outside.
CONFIDENCE: Final = 0.999

_OFF: Final = (
    "look for callers that use an alias or a published version, for a second function, and for a "
    "flag that is asked with a key of few callers"
)
_CHANGED: Final = "; if the weight was changed in these minutes, look at fewer: --minutes"


@dataclass(frozen=True, slots=True)
class Counts:
    """What counts the requests of both paths: the metrics by name, and their queries."""

    canary: str
    control: str
    queries: Mapping[str, Query]


def counts_of(policy: Policy) -> Counts | None:
    """Return what counts both paths: a share, else a success rate or a traffic with a control."""
    pairs = list(_pairs(policy))
    if not pairs:
        return None
    canary, control = pairs[0]
    metrics = {name: policy.metrics[name] for name in (canary, control)}
    queries = {name: query(one, one.statistic, MINUTE_S) for name, one in metrics.items()}
    return Counts(canary, control, queries)


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


def of_metrics(
    counts: Counts | None, series: Mapping[Query, Series] | str, stretch: Stretch
) -> Check:
    """Return whether the metrics show the weight; `series` may be why they were not read."""
    if counts is None:
        seen = "no criterion counts the requests of both paths"
        return warn(METRICS, seen, "a `share` does, and a success_rate or traffic with a `control`")
    if isinstance(series, str):
        return unread(METRICS, series)
    if stretch.empty:
        return _too_early(METRICS, stretch)
    found = [series[counts.queries[name]] for name in (counts.canary, counts.control)]
    failed = [one.message for one in found if one.answer is not Answer.COMPLETE]
    if failed:
        return unread(METRICS, f"the counts were not read: {failed[0]}", "look again in a minute")
    canary, stable = (round(_within(one, stretch)) for one in found)
    if not canary + stable:
        seen = f"no traffic: {counts.canary} and {counts.control} counted nothing {stretch.shown}"
        return warn(METRICS, seen, "silence proves nothing; look at more --minutes")
    return _held(METRICS, canary, stable, stretch)


def _within(series: Series, stretch: Stretch) -> float:
    points = series.points.items()
    return sum(value for second, value in points if stretch.begin <= second < stretch.end)


def of_events(
    events: Sequence[LogEvent], group: str, stretch: Stretch, cut: str = ""
) -> Iterator[Check]:
    """Yield what the flag's own events show: the share, and the weight that it has read.

    events: those of the stretch. cut: why some of them were not read.
    """
    if stretch.empty:
        yield _too_early(EVENTS, stretch)
        return
    checks = [(event, about) for event in events if (about := told(event.text)).name == CHECK]
    paths = Counter(about.path for _, about in checks)
    if not paths[CANARY] + paths[STABLE]:
        seen = f"no {CHECK} event in {group} {stretch.shown}"
        remedy = "nobody called, or the application does not log it (docs/flag.md)"
        yield warn(EVENTS, seen, remedy)
        return
    share = _held(EVENTS, paths[CANARY], paths[STABLE], stretch)
    yield Check(share.what, share.level, share.seen + (f"; {cut}" if cut else ""), share.remedy)
    yield from _read_by(checks, stretch)


def _read_by(checks: Sequence[tuple[LogEvent, Told]], stretch: Stretch) -> Iterator[Check]:
    """Yield whether the application has read the live weight; nothing where it does not say."""
    said = Counter(about.percentage for _, about in checks if about.percentage is not None)
    if not said:
        return
    other = {weight: number for weight, number in said.items() if weight != stretch.weight}
    if not other:
        seen = f"it read {stretch.weight} % at {count_text(said.total(), 'request')}"
        yield ok(APPLICATION, seen)
        return
    newest = max(
        event.at_ms for event, about in checks if about.percentage not in (None, stretch.weight)
    )
    weights = ", ".join(
        f"{weight} % at {count_text(other[weight], 'request')}" for weight in sorted(other)
    )
    seen = (
        f"it read {weights} of {said.total()}, last at {clock_text(at(newest // 1_000))}, where "
        f"{stretch.weight} % is live"
    )
    yield fail(APPLICATION, seen, _remedy(stretch))


# --- the band -----------------------------------------------------------------------------------


def _held(what: str, canary: int, stable: int, stretch: Stretch) -> Check:
    """Return whether so many requests on the canary, and on the stable path, fit the weight."""
    requests = canary + stable
    low, high = band(requests, stretch.weight / 100, CONFIDENCE)
    share = format_percent(canary / requests, 1)
    seen = (
        f"{number_text(canary)} of {count_text(requests, 'request')} ({share}) took the canary "
        f"{stretch.shown}; {stretch.weight} % of them are {_range(low, high)}, chance included"
    )
    if not low <= canary <= high:
        return fail(what, seen, _remedy(stretch))
    if (low, high) == (0, requests):
        return warn(what, seen, "too few to tell; look at more --minutes")
    return ok(what, seen)


def _range(low: int, high: int) -> str:
    return number_text(low) if low == high else f"{number_text(low)} to {number_text(high)}"


def _remedy(stretch: Stretch) -> str:
    return _OFF if stretch.known else f"{_OFF}{_CHANGED}"


def _too_early(what: str, stretch: Stretch) -> Check:
    begin = clock_text(at(stretch.begin))
    return warn(
        what, f"too early: the weight counts from {begin} on", "look again in a few minutes"
    )
