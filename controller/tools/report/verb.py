"""The verb `report`: writes the report of a rollout as one page."""

import click

from controller.bootstrap.account import real_account, write_page
from controller.cli import options
from controller.cli.call import CommandContext
from controller.cli.result import Result
from controller.errors import Exit
from controller.immutable import Immutable
from controller.operations.history import known_entries, load_unverified
from controller.ports.json_view import Count
from controller.process.settings import FilePage, PageLocation
from controller.render.history import ExposureData, exposure_data
from controller.render.html.pages import report_file
from controller.safe_text import printable_block
from controller.tools.report.compose import report_of
from controller.tools.report.html import headline, report_html
from controller.tools.report.report import RolloutHistory


class ReportData(Immutable):
    """The page that was written."""

    rollout: str
    """Id of the rollout."""
    file: str
    """Where the page is: a path, or the address of an object in S3."""
    bytes: Count
    """Size of the page."""
    exposure: ExposureData
    """Bad requests served and to expect."""
    missing: list[str]
    """What the page does not show, and why."""


@click.command()
@click.argument("rollout", metavar="ROLLOUT")
@click.option(
    "--html", "place", type=options.PAGE_PLACE, metavar="FILE|s3://BUCKET/KEY",
    help="Where the page is written. Default: a file of the rollout's name in this folder, like "
    "checkout-1.html.",
)  # fmt: skip
@click.option("--offline", is_flag=True, help="Read the store alone, and not CloudWatch.")
@options.call_options("store", "json")
def report(call: CommandContext, rollout: str, place: PageLocation | None, offline: bool) -> Result:
    """Write the report of a rollout: one HTML page.

    It has the outcome and its reason, the measurements over time with their limits, what operators
    did, and the audit log. It is made from the stored history; the latencies of both paths are read
    from CloudWatch where the history has counts of slow requests alone. Ends with 1 when the
    history was changed, and the page says so.
    """
    with call.store_session() as store:
        stored, snapshot = load_unverified(store, call.rollout_id(store, rollout))
        history = RolloutHistory(stored, known_entries(store, stored), snapshot)
        made = report_of(history, real_account().clock.now(), offline=offline)
    page = report_html(made)
    place = place or FilePage(report_file(stored))
    write_page(place, page)
    size = len(page.encode())
    problems = [made.unread, *(latency.problem for latency in made.latencies)]
    missing = list(dict.fromkeys(filter(None, problems)))

    return Result(
        "report",
        data=lambda: ReportData(stored.id, place.text, size, exposure_data(made.exposure), missing),
        text=lambda: printable_block(
            [headline(stored), f"report: {place.text} ({-(-size // 1_000)} kB)"]
        ),
        notes=[f"not shown in full: {one}" for one in missing],
        status=Exit.DONE if history.intact else Exit.INTERNAL,
    )
