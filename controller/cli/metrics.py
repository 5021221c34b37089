"""The verb `metrics`: shows the current values of a policy's metrics next to their limits."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

import click

from controller.bootstrap.account import real_account
from controller.cli import follow, options, streams
from controller.cli.call import CommandContext, is_policy_file, newest_rollout
from controller.cli.result import Result
from controller.core.judge.evidence import BaselineMeasurement
from controller.core.policy import Policy
from controller.core.units import from_unix
from controller.errors import StoreError, UsageError
from controller.immutable import Immutable
from controller.operations.metrics_view.expected import MAX_MINUTES, metric_views, span_of
from controller.operations.metrics_view.gauge import Gauge
from controller.operations.metrics_view.gauges import gauges
from controller.ports.metrics import MetricSource
from controller.render.metrics_view import MetricsData, gauges_data, gauges_page
from controller.render.page import EMPTY_LINE, Page


class _MetricsView(Immutable):
    """The values of a policy's metrics over the newest closed minutes."""

    name: str
    gauges: list[Gauge]
    minutes: int
    end: datetime
    delay: timedelta

    def page(self) -> Page:
        """Return the table."""
        return gauges_page(self.name, self.gauges, self.minutes, self.end, self.delay)

    def data(self) -> MetricsData:
        """Return the values as documents have them."""
        return gauges_data(self.name, self.gauges, self.minutes, self.end)


@click.command()
@click.argument("policy", metavar="POLICY|ROLLOUT")
@click.option(
    "--minutes", type=click.IntRange(1, MAX_MINUTES), default=5, show_default=True,
    help="How many of the newest closed minutes.",
)  # fmt: skip
@click.option("--watch", is_flag=True, help="Refresh every minute, until Ctrl-C.")
@follow.make_poll_options("1m", "Watch it no longer than this.", "Time between reads.")
@options.call_options("store", "json")
def metrics(
    call: CommandContext,
    policy: str,
    minutes: int,
    watch: bool,
    timeout: timedelta,
    interval: timedelta,
) -> Result:
    """Show current metrics next to their expected values.

    That is every metric that the policy names; of an API also requests, 4XX, 5XX, latency p50, p95
    and p99, and integration latency p95. Missing data is shown as "no data", never as 0. The
    verdicts of the gates are in `status`.
    """
    if not watch:
        follow.reject_poll_options("--watch")
    if watch and call.as_json:
        raise UsageError("--watch draws tables; ask for --json without it")
    loaded, baselines = _policy_and_baselines(call, policy)
    account = real_account()
    clock = account.clock
    fetch = partial(_read_view, loaded, baselines, minutes, account.metrics(), clock.now)
    if not watch:
        view = fetch()
        return Result("metrics", view.data, view.page)
    schedule = follow.PollSchedule(clock, interval, clock.now() + timeout)
    with follow.live_display(_MetricsView.page, _print_with_gap, live=True) as show:
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


def _read_view(
    policy: Policy,
    baselines: Mapping[str, BaselineMeasurement],
    minutes: int,
    source: MetricSource,
    now: Callable[[], datetime],
) -> _MetricsView:
    span = span_of(policy, minutes, now())
    series = source.read([view.query for view in metric_views(policy)], span)
    rows = gauges(policy, series, span, minutes, baselines)
    return _MetricsView(policy.name, rows, minutes, from_unix(span.end), policy.evaluation_delay)


def _print_with_gap(view: _MetricsView) -> None:
    """Print a table and an empty line, which separates it from the next one."""
    streams.print_page([*view.page(), EMPTY_LINE])
