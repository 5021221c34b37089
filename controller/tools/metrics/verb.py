"""The verb `metrics`: shows the current values of a policy's metrics next to their limits."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta

import click

from controller.bootstrap.account import real_account
from controller.cli import follow, options, streams
from controller.cli.call import CommandContext, is_policy_file, newest_rollout
from controller.cli.result import Result
from controller.core.judge.evidence import BaselineMeasurement
from controller.core.policy import Policy
from controller.errors import StoreError, UsageError
from controller.render.page import EMPTY_LINE
from controller.tools.metrics.expected import MAX_MINUTES
from controller.tools.metrics.gauges import MetricsView, read_metrics
from controller.tools.metrics.page import metrics_data, metrics_page


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
    source = account.metrics()

    def fetch() -> MetricsView:
        return read_metrics(source, loaded, baselines, minutes, clock.now())

    if not watch:
        view = fetch()
        return Result("metrics", lambda: metrics_data(view), lambda: metrics_page(view))
    schedule = follow.PollSchedule(clock, interval, clock.now() + timeout)
    with follow.live_display(metrics_page, _print_with_gap, live=True) as show:
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


def _print_with_gap(view: MetricsView) -> None:
    """Print a table and an empty line, which separates it from the next one."""
    streams.print_page([*metrics_page(view), EMPTY_LINE])
