"""The verb `metrics`: shows the current values of a policy's metrics next to their limits."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Final

import click

from controller.bootstrap.account import real_account
from controller.cli import follow, options, streams
from controller.cli.call import CommandContext, Result, is_policy_file, newest_rollout
from controller.core.judge.evidence import BaselineMeasurement
from controller.core.policy import Policy
from controller.core.units import (
    clock_text,
    count_text,
    format_duration,
    format_percent,
    measured_text,
)
from controller.errors import StoreError, UsageError
from controller.immutable import Immutable
from controller.ports.json_view import Count, Time, json_number, one_of
from controller.render.page import EMPTY_LINE, Page, PageTable, TextSpan, Tone, paragraph, sparkline
from controller.tools.metrics.expected import MAX_MINUTES, ExpectedRange
from controller.tools.metrics.gauges import Gauge, GaugeStatus, MetricsView, Unit, read_metrics

_TITLES: Final = ("", "value", "expected", "", "by minute")
_LEGEND: Final = (
    "A count is the sum of these minutes, a latency its highest minute, and a latency compared "
    "with another metric its median minute."
)
_MAX_POINTS: Final = 60  # characters of a sparkline: the newest points
_TONES: Final = {
    GaugeStatus.AS_EXPECTED: Tone.GOOD,
    GaugeStatus.NOT_AS_EXPECTED: Tone.BAD,
    GaugeStatus.NOTHING_EXPECTED: Tone.PLAIN,
    GaugeStatus.NO_TRAFFIC: Tone.WAITING,
    GaugeStatus.NO_DATA: Tone.WAITING,
    GaugeStatus.NOT_READ: Tone.WAITING,
    GaugeStatus.NOT_SHOWN: Tone.QUIET,
}


class Expected(Immutable):
    """What one criterion expects of a value."""

    criterion: str
    """Id of the criterion."""
    text: str
    """What it expects, as text."""


class GaugeData(Immutable):
    """One metric, or one criterion that is not on one metric alone."""

    title: str
    """Name of the metric with its statistic, or id of the criterion."""
    value: float | None
    """The value over these minutes; null: there are no data, which is never 0."""
    of: Unit | None
    """A count, the highest minute (level), a share or an increase; null: there are no values."""
    unit: str
    """Unit of the value; empty: it has none."""
    expected: list[Expected]
    """What criteria expect of the value."""
    standing: Annotated[str, one_of(one for one in GaugeStatus if one)] | None
    """The value against what is expected, or why there is none; null: nothing is expected now."""
    points: list[float | None]
    """The value of each minute, the oldest first; null: no data."""
    note: str
    """Requests behind a share, or why there is no value; empty: nothing to say."""


class MetricsData(Immutable):
    """The values of the metrics of a policy."""

    policy: str
    """Name of the policy."""
    minutes: Count
    """How many closed minutes the values are about."""
    end: Time
    """End of the newest of these minutes."""
    gauges: list[GaugeData]
    """Each metric, and each criterion that is not on one metric alone."""


@click.command()
@click.argument("policy", metavar="POLICY|ROLLOUT")
@click.option(
    "--minutes", type=click.IntRange(1, MAX_MINUTES), default=5, show_default=True,
    help="How many of the newest closed minutes.",
)  # fmt: skip
@click.option("--watch", is_flag=True, help="Refresh every minute, until Ctrl-C.")
@follow.poll_options(
    "--watch",
    every="1m",
    timeout_help="Watch it no longer than this.",
    interval_help="Time between reads.",
)
@options.call_options("store", "json")
def metrics(
    call: CommandContext,
    policy: str,
    minutes: int,
    watch: bool,
    schedule: follow.PollSchedule,
) -> Result:
    """Show current metrics next to their expected values.

    That is every metric that the policy names; of an API also requests, 4XX, 5XX, latency p50, p95
    and p99, and integration latency p95. Missing data is shown as "no data", never as 0. The
    verdicts of the gates are in `status`.
    """
    if watch and call.as_json:
        raise UsageError("--watch draws tables; ask for --json without it")
    loaded, baselines = _policy_and_baselines(call, policy)
    source = real_account().metrics()

    def fetch() -> MetricsView:
        return read_metrics(source, loaded, baselines, minutes, schedule.clock.now())

    if not watch:
        view = fetch()
        return Result("metrics", lambda: metrics_data(view), lambda: metrics_page(view))

    def print_table(view: MetricsView) -> None:
        streams.print_page([*metrics_page(view), EMPTY_LINE])  # apart from the next one

    with follow.live_display(metrics_page, print_table, live=True) as show:
        for view in follow.poll(fetch, schedule):
            show(view)
            if streams.output_lost():
                break
    return Result()


def _policy_and_baselines(
    call: CommandContext, reference: str
) -> tuple[Policy, Mapping[str, BaselineMeasurement]]:
    """Return the policy, and the baselines that its newest rollout has frozen.

    A policy file needs no store; without one, a limit relative to a frozen baseline is not shown.
    """
    if not is_policy_file(reference):
        rollout = call.stored_rollout(reference)
        return rollout.policy, rollout.evidence.baselines
    policy = call.live_policy(reference)
    with suppress(StoreError, UsageError), call.store_session() as store:
        newest = newest_rollout(store, policy)
        if newest is not None and newest.digest == policy.digest():
            return policy, newest.evidence.baselines
    return policy, {}


def metrics_page(view: MetricsView) -> Page:
    """Return the table: a row for each gauge, then why metrics were not read or are not shown."""
    gauges = view.gauges
    title = f"{view.name}, {count_text(view.minutes, 'minute')} until {clock_text(view.end)}"
    unsettled = f"Minutes of the last {format_duration(view.delay)} may still grow and are not "
    unsettled += "judged yet."
    unread = (gauge.note for gauge in gauges if gauge.status is GaugeStatus.NOT_READ and gauge.note)
    return [
        paragraph(title, Tone.TITLE),
        EMPTY_LINE,
        PageTable([_row(gauge) for gauge in gauges], _TITLES, right={1}),
        EMPTY_LINE,
        paragraph(f"{_LEGEND} {unsettled}", Tone.QUIET, hang=0),
        *(paragraph(f"not read: {note}", Tone.WAITING) for note in dict.fromkeys(unread)),
        *(
            paragraph(f"{gauge.title} is not shown here: {gauge.note}", Tone.QUIET)
            for gauge in gauges
            if gauge.status is GaugeStatus.NOT_SHOWN
        ),
    ]


def _row(gauge: Gauge) -> tuple[TextSpan, ...]:
    tone = _TONES[gauge.status]
    return (
        TextSpan(gauge.title),
        TextSpan(value_text(gauge), tone),
        TextSpan(", ".join(_expected_text(one, gauge) for one in gauge.expected)),
        TextSpan(str(gauge.status) if gauge.value is not None else "", tone),
        TextSpan(sparkline(gauge.points[-_MAX_POINTS:])),
    )


def _expected_text(expected: ExpectedRange, gauge: Gauge) -> str:
    """Return what is expected, and of which criterion, where the row is not that of it."""
    is_own = expected.criterion == gauge.title
    return expected.text if is_own else f"{expected.text} ({expected.criterion})"


def value_text(gauge: Gauge) -> str:
    """Return the value with its unit, like `412 ms` or `99.95%`; the status without a value."""
    value = gauge.value
    if value is None:
        return str(gauge.status)
    match gauge.unit:
        case Unit.SHARE:
            return format_percent(value, 3)
        case Unit.INCREASE:
            increase = f"{'+' if value >= 0 else '-'}{format_percent(abs(value), 1)}"
            if gauge.level is None:
                return increase
            return f"{measured_text(gauge.level)} {gauge.level_unit}".rstrip() + f" ({increase})"
        case _:
            return f"{measured_text(value)} {gauge.unit_text}".rstrip()


def metrics_data(view: MetricsView) -> MetricsData:
    """Return the gauges; missing data is null, never 0."""

    def number(gauge: Gauge, value: float | None) -> float | None:
        return None if value is None else json_number(value, gauge.unit_text)

    gauges = [
        GaugeData(
            title=gauge.title,
            value=number(gauge, gauge.value),
            of=gauge.unit,
            unit=gauge.unit_text,
            expected=[Expected(one.criterion, one.text) for one in gauge.expected],
            standing=str(gauge.status) or None,
            points=[number(gauge, point) for point in gauge.points],
            note=gauge.note,
        )
        for gauge in view.gauges
    ]
    return MetricsData(view.name, view.minutes, view.end, gauges)
