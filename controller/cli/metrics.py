"""The verb `metrics`: shows the current values of a policy's metrics next to their limits."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import click

from controller.bootstrap import app
from controller.cli import follow, options, streams
from controller.core.judge.evidence import BaselineMeasurement
from controller.core.policy import Policy
from controller.core.units import from_unix
from controller.errors import Exit, StoreError, UsageError
from controller.operations.metrics_view import MAX_MINUTES, Gauge, gauges, metric_views, span_of
from controller.ports.metrics import MetricSource
from controller.render.metrics_view import gauge_lines, gauges_data
from controller.text import printable


@dataclass(frozen=True, slots=True)
class _MetricsView:
    """The values of a policy's metrics over the newest closed minutes."""

    name: str
    gauges: list[Gauge]
    minutes: int
    end: datetime


@click.command()
@click.argument("policy", metavar="POLICY|ROLLOUT")
@click.option(
    "--minutes", type=click.IntRange(1, MAX_MINUTES), default=5, show_default=True,
    help="How many of the newest closed minutes.",
)  # fmt: skip
@click.option("--watch", is_flag=True, help="Show it anew every minute, until Ctrl-C.")
@follow.make_poll_options("1m", "Watch it no longer than this.", "Time between looks.")
@options.store
@options.as_json
def metrics(
    policy: str,
    minutes: int,
    watch: bool,
    limit: timedelta,
    every: timedelta,
    store_url: str | None,
    as_json: bool,
) -> int:
    """Show what is measured now, beside what is expected.

    That is every metric that the policy names; of an API also requests, 4XX, 5XX, latency p50, p95
    and p99, and integration latency p95. Where nothing was measured it says so: silence is not 0.
    This is a look and no verdict: what a gate decides, `status` shows.
    """
    if not watch:
        follow.reject_poll_options("--watch")
    if watch and as_json:
        raise UsageError("--watch draws tables; ask for --json without it")
    loaded, baselines = _policy_and_baselines(policy, store_url)
    clock = app.wall_clock()
    fetch = partial(_read_view, loaded, baselines, minutes, _open_source(), clock.now)
    if not watch:
        _print(fetch(), as_json)
        return Exit.DONE
    schedule = follow.PollSchedule(clock, every, clock.now() + limit)
    with follow.live_display(_table_renderer, _print_with_gap, live=True) as show:
        for view in follow.poll(fetch, schedule):
            show(view)
            if streams.output_lost():
                break
    return Exit.DONE


def _policy_and_baselines(
    reference: str, store_url: str | None
) -> tuple[Policy, Mapping[str, BaselineMeasurement]]:
    """Return the policy, and the baselines that its newest rollout has frozen.

    A policy file needs no store; without one, a limit relative to a frozen baseline is not shown.
    """
    if not options.is_policy_file(reference):
        with options.store_session(store_url) as (store, _):
            rollout = store.load(options.rollout_id(store, reference))
            return rollout.policy, rollout.baselines
    policy = options.load_policy(reference)
    with suppress(StoreError, UsageError), options.store_session(store_url) as (store, _):
        for newest_id in store.of_name(policy.name)[-1:]:
            newest = store.load(newest_id)
            return policy, newest.baselines if newest.digest == policy.digest() else {}
    return policy, {}


def _open_source() -> MetricSource:
    from controller.bootstrap.without_rollout import metric_source

    return metric_source()


def _read_view(
    policy: Policy,
    baselines: Mapping[str, BaselineMeasurement],
    minutes: int,
    source: MetricSource,
    now: Callable[[], datetime],
) -> _MetricsView:
    span = span_of(policy, minutes, now())
    series = source.read([one.query for one in metric_views(policy)], span)
    rows = gauges(policy, series, span, minutes, baselines)
    return _MetricsView(policy.name, rows, minutes, from_unix(span.end))


def _print(view: _MetricsView, as_json: bool) -> None:
    if as_json:
        data = gauges_data(view.name, view.gauges, view.minutes, view.end)
        options.print_json("metrics", data)
        return
    for line in gauge_lines(view.name, view.gauges, view.minutes, view.end):
        click.echo(printable(line))


def _print_with_gap(view: _MetricsView) -> None:
    """Print a table and an empty line, which separates it from the next one."""
    _print(view, as_json=False)
    click.echo()


def _table_renderer() -> Callable[[_MetricsView], Any]:
    from controller.render.terminal.metrics_table import gauge_table

    return lambda view: gauge_table(view.name, view.gauges, view.minutes, view.end)
