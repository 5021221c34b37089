"""The verb `replay`: evaluates every decision of a history again, and compares."""

import click

from controller.cli import options
from controller.cli.call import CommandContext
from controller.cli.result import Result
from controller.errors import Exit
from controller.operations.history import load_unverified
from controller.tools.replay.page import replay_page
from controller.tools.replay.replay import replay as evaluate_again


@click.command()
@click.argument("rollout", metavar="ROLLOUT")
@options.call_options("store", "json")
def replay(call: CommandContext, rollout: str) -> Result:
    """Re-evaluate every stored decision and show differences.

    ROLLOUT is an id, a name or a policy file. Offline, each decision is made anew from what its
    history entry says was seen, each hour of evidence is folded anew, and the chain of hashes is
    checked; so is that the policy is the one of the start.
    Ends with 7 when anything differs.
    """
    with call.store_session() as store:
        rollout_id = call.rollout_id(store, rollout)
        stored, snapshot = load_unverified(store, rollout_id)
        found = evaluate_again(stored, store.entries(rollout_id), snapshot)
    return Result(
        "replay",
        data=lambda: found,
        page=lambda: replay_page(found),
        status=Exit.DONE if found.consistent else Exit.CHECK_FAILED,
    )
