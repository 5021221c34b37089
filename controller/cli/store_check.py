"""The verb `store check`: what is wrong with the records of a store."""

import click

from controller.bootstrap import app
from controller.cli import options, streams
from controller.cli.call import Call
from controller.cli.result import Result
from controller.core.units import count_text
from controller.errors import Exit
from controller.immutable import Immutable
from controller.operations.check_store import RecordProblem, StoreCheck
from controller.ports.json_types import Count
from controller.render.page import lines_page


class CheckedStore(Immutable):
    """What is wrong with the records of a store."""

    store: str
    """URL of the store."""
    checked: Count
    """How many records were read."""
    problems: list[RecordProblem]
    """Each problem; empty: nothing is wrong."""


@click.command()
@options.call_options("store", "json")
def check(call: Call) -> Result:
    """Read every record of the store, and name what is wrong with it.

    That includes records that have ended, and active ones that no tick visits. Nothing is written.
    It ends with 1 when something is wrong.
    """
    checked, problems = 0, list[RecordProblem]()
    with call.store_session() as opened:
        for record in StoreCheck(opened, app.wall_clock()).run():
            checked += 1
            problems += record.problems
            if record.problems and not call.as_json:
                lines = [f"{one.id}: {one.text}" for one in record.problems]
                streams.print_page(lines_page(lines))
    found = count_text(len(problems), "problem") if problems else "nothing is wrong"
    url = call.read_settings().store.url
    return Result(
        "store-check",
        data=lambda: CheckedStore(url, checked, problems),
        page=lambda: lines_page([f"{count_text(checked, 'record')} checked: {found}"]),
        status=Exit.INTERNAL if problems else Exit.DONE,
    )
