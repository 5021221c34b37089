"""The verb `store check`: what is wrong with the records of a store."""

from typing import TYPE_CHECKING

import click

from controller.bootstrap import app
from controller.cli import options, streams
from controller.cli.call import Call
from controller.cli.result import Result
from controller.core.units import count_text
from controller.errors import Exit
from controller.operations.check_store import RecordProblem, StoreCheck
from controller.render.page import lines_page

if TYPE_CHECKING:
    from controller.render.outputs.account import RecordProblemData, StoreCheckData


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
                lines = [f"{one.rollout_id}: {one.text}" for one in record.problems]
                streams.print_page(lines_page(lines))
    found = count_text(len(problems), "problem") if problems else "nothing is wrong"
    url = call.read_settings().store.url

    def data() -> "StoreCheckData":
        return {"store": url, "checked": checked, "problems": list(map(_problem_data, problems))}

    return Result(
        "store-check",
        data=data,
        page=lambda: lines_page([f"{count_text(checked, 'record')} checked: {found}"]),
        status=Exit.INTERNAL if problems else Exit.DONE,
    )


def _problem_data(problem: RecordProblem) -> "RecordProblemData":
    return {"id": problem.rollout_id, "kind": str(problem.kind), "text": problem.text}
