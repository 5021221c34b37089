"""The verb `backtest`: tries a policy on the past, from every possible start."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from controller.cli import options, streams
from controller.cli.call import CommandContext, Result, load_policy
from controller.core.policy import Policy
from controller.core.units import format_duration, parse_duration, parse_percent
from controller.errors import Exit, UsageError
from controller.immutable import replace
from controller.process import logging
from controller.process.settings import PageLocation
from controller.safe_text import printable

if TYPE_CHECKING:
    from controller.tools.backtest.past_metrics import PastMetrics
    from controller.tools.backtest.play import BacktestSetup
    from controller.tools.backtest.run import Progress

_EVERY_PERIOD: Final = "every"


class Apart(click.ParamType[timedelta | None]):
    """The time between two starts: a duration, or `every` for each period of the history."""

    name = "every|duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta | None:
        return None if value == _EVERY_PERIOD else options.DURATION.convert(value, param, ctx)


class ShareOption(click.ParamType[float]):
    """A share as policies write it: 5%."""

    name = "percent"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            share = parse_percent(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not 0 <= share <= 1:
            self.fail("must be 0% to 100%", param, ctx)
        return share


@click.command()
@click.argument("policy", type=click.Path(path_type=Path))
@click.option(
    "--csv", "csv_file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="The history: a column timestamp, and one for each metric of the policy.",
)  # fmt: skip
@click.option(
    "--days", type=int, metavar="N",
    help="The history: the last N whole days in CloudWatch; each day is read once.",
)  # fmt: skip
@click.option(
    "--period", type=click.Choice(["5m", "1m"]), default="5m", show_default=True,
    help="With --days: length of the periods. CloudWatch keeps 63 days of 5m, and 15 of 1m.",
)  # fmt: skip
@click.option(
    "--every", type=options.DURATION,
    help="Time between ticks. Default: the period of the history.",
)  # fmt: skip
@click.option(
    "--starts", type=Apart(), default=_EVERY_PERIOD, show_default=True, metavar="every|DURATION",
    help="Time between two starts; every: each period of the history.",
)  # fmt: skip
@click.option(
    "--inject", metavar="FAULT",
    help="Add a fault from a step on: errors=1%@50, latency=+20%@10, hang=3%:10s@100, or "
    "METRIC=5%@50.",
)  # fmt: skip
@click.option(
    "--max-false-rollbacks", type=ShareOption(), metavar="PERCENT",
    help="End with 7 when more of the starts are rolled back, and show bounds that would hold.",
)  # fmt: skip
@options.report_option("backtest")
@options.call_options("json")
def backtest(
    call: CommandContext,
    policy: Path,
    csv_file: Path | None,
    days: int | None,
    period: str,
    every: timedelta | None,
    starts: timedelta | None,
    inject: str | None,
    max_false_rollbacks: float | None,
    report_place: PageLocation | None,
) -> Result:
    """Try a policy on the past, from every possible start.

    A release that changes nothing is played on the history of POLICY's metrics, by the real judge.
    """
    from controller.tools.backtest.faults import parse_fault
    from controller.tools.backtest.page import Backtest, backtest_data, backtest_text
    from controller.tools.backtest.play import BacktestSetup
    from controller.tools.backtest.prepare import prepare
    from controller.tools.backtest.run import run_backtest, wider_bounds

    logging.disable()
    if inject is not None and max_false_rollbacks is not None:
        raise UsageError("--max-false-rollbacks is about a history without a fault: no --inject")
    loaded, history, source = _read(call, policy, csv_file, days, period)
    subject = prepare(loaded, history)
    one_period = timedelta(seconds=history.period_s)
    fault = None if inject is None else parse_fault(inject, subject.policy)
    setup = BacktestSetup(
        subject, _whole_periods("--every", every or one_period, one_period), fault
    )
    apart = _whole_periods("--starts", starts or one_period, one_period)
    with _progress(visible=sys.stderr.isatty() and not call.is_document) as progress:
        outcome = run_backtest(setup, apart, progress)
        if not outcome.runs:
            raise UsageError(_too_short(setup, len(outcome.not_counted)))
        shown = Backtest(loaded, source, setup, apart, outcome, max_false_rollbacks)
        if shown.exceeded:
            wider = wider_bounds(setup, outcome, max_false_rollbacks or 0.0)
            shown = replace(shown, suggestion=wider)
    if report_place is not None:
        from controller.bootstrap.account import write_page  # Jinja2: for pages alone
        from controller.tools.backtest.html import backtest_html

        write_page(report_place, backtest_html(shown))
    return Result(
        "backtest",
        data=lambda: backtest_data(shown),
        text=lambda: backtest_text(shown),
        status=Exit.CHECK_FAILED if shown.exceeded else Exit.DONE,
    )


def _read(
    call: CommandContext, policy: Path, csv_file: Path | None, days: int | None, period: str
) -> tuple[Policy, "PastMetrics", str]:
    """Return the policy, the history that the options name, and where that is from."""
    if (csv_file is None) == (days is None):
        raise UsageError("name one history: --csv FILE, or --days N for CloudWatch")
    if csv_file is not None:
        from controller.tools.backtest.csv_file import read_csv

        loaded = load_policy(policy)
        return loaded, read_csv(csv_file, loaded), str(csv_file)
    from controller.tools.backtest.compose import account_history

    loaded = call.live_policy(policy)
    period_s = int(parse_duration(period).total_seconds())
    history = account_history(loaded, days or 0, period_s, streams.message)
    return loaded, history, "CloudWatch"


def _whole_periods(option: str, length: timedelta, period: timedelta) -> timedelta:
    if length % period:
        text = format_duration(period)
        raise UsageError(f"{option} has to be a multiple of the history's period of {text}")
    return length


def _too_short(setup: "BacktestSetup", without: int) -> str:
    history = setup.subject.history
    needed = format_duration(setup.planned_time)
    length = format_duration(timedelta(seconds=history.end - history.begin))
    why = "no start has enough history before it for its baseline" if without else "no start fits"
    return f"the history is {length} long and a rollout takes {needed}: {why}"


@contextmanager
def _progress(*, visible: bool) -> Iterator["Progress"]:
    """Yield what shows the progress on stderr; the line is erased at the end."""

    def show(played: int, of: int) -> None:
        if visible:
            bar = "█" * round(20 * played / of)
            _draw(f"\r{printable(f'{bar:░<20} {played} of {of} starts'):<60}")

    yield show
    if visible:
        _draw(f"\r{'':<60}\r")


def _draw(text: str) -> None:
    click.echo(text, file=streams.unfiltered_stream(sys.stderr), nl=False)
