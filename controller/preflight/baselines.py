"""Frozen baselines: read once, of the stable path alone, and with enough samples."""

from datetime import datetime

from controller.core.baseline import Wanted, frozen_value
from controller.core.measured import FrozenValue
from controller.core.observation import Reading
from controller.core.policy import FrozenBaseline, LatencyIncrease, Policy
from controller.core.units import at, clock_text, format_duration, number_text
from controller.errors import MetricsError
from controller.runner import Runner

_INSTEAD = "or a known value: baseline: {fixed: ...}"


def taken_while_live(policy: Policy) -> dict[str, str]:
    """Return, by criterion, why its baseline is no good where the canary has traffic already."""
    return {
        name: f"{name}: a baseline `over` {format_duration(one.baseline.over)} before the start "
        "would be measured while the canary has traffic; name a window before that with `from` "
        f"and `to`, {_INSTEAD}"
        for name, one in policy.criteria.items()
        if isinstance(one, LatencyIncrease)
        and isinstance(one.baseline, FrozenBaseline)
        and one.baseline.over is not None
    }


def baseline(
    runner: Runner, policy: Policy, reading: Reading, want: Wanted, settled: datetime
) -> tuple[FrozenValue | None, str | None]:
    """Return the value of a baseline, and why it cannot be used.

    Raises MetricsError when the source does not answer at all.
    """
    if want.span.end > settled.timestamp():
        return None, (
            f"{want.text}: its window ends at {clock_text(at(want.span.end))}, and measurements "
            f"are settled only until {clock_text(settled)}; name an earlier `to`, {_INSTEAD}"
        )
    series = runner.looking.metrics.read(want.queries, want.span)
    try:
        value = frozen_value(want, series)
    except MetricsError as error:
        return None, f"measurements cannot be read: {error}"
    unfit = _unfit(want, value)
    return value, unfit if want.beside else unfit or _overlap(runner, policy, reading, want)


def _unfit(want: Wanted, value: FrozenValue | None) -> str | None:
    window = f"{clock_text(at(want.span.start))} to {clock_text(at(want.span.end))}"
    if value is None:
        return (
            f"{want.text} has {_lack(want)} from {window}; {_more(want)}, or give a known value: "
            "baseline: {fixed: ...}"
        )
    if value.samples < want.min_samples:
        seen, needed = number_text(value.samples), number_text(want.min_samples)
        return (
            f"{want.text} has {seen} samples from {window}, {needed} needed; take a longer window, "
            "or give a known value: baseline: {fixed: ...}"
        )
    return None


def _lack(want: Wanted) -> str:
    if want.blocks == 1:
        return "no data"
    return f"data of fewer than {want.blocks} stretches of {want.value.period_s // 60} minutes"


def _more(want: Wanted) -> str:
    return "measure the stable path" if want.blocks == 1 else "take more of the stable path"


def _overlap(runner: Runner, policy: Policy, reading: Reading, want: Wanted) -> str | None:
    """A baseline must be of the stable path alone: refuse where a rollout had weight above 0."""
    locks = policy.target.locks(reading.identity)
    for rollout_id, begin, end in runner.store.exposures(reading.identity, locks):
        over = end is None or end.timestamp() > want.span.start
        if not over or begin.timestamp() >= want.span.end:
            continue
        if end is None and reading.weight == 0:
            return (
                f"{want.text}: its window overlaps {rollout_id}, which had weight above 0 from "
                f"{clock_text(begin)} on, and nobody saw when that ended; name a window before "
                f"that with `from` and `to`, {_INSTEAD}"
            )
        until = clock_text(end) if end else "now"
        return (
            f"{want.text}: its window overlaps {rollout_id}, which had weight above 0 from "
            f"{clock_text(begin)} to {until}; name a window with `from` and `to`, {_INSTEAD}"
        )
    return None
