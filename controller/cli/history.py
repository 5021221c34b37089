"""The verb `history`: prints the audit log of a rollout and verifies its hash chain."""

from collections.abc import Iterator, Sequence

import click

from controller.cli import options, streams
from controller.cli.call import CommandContext, Result
from controller.cli.follow import PollSchedule, is_complete, poll, poll_options
from controller.core.history import Entry, digest_problem
from controller.core.rollout import Rollout
from controller.errors import Exit, UsageError
from controller.operations.history import chain_error, known_entries, load_unverified, summary_of
from controller.ports.store import Store
from controller.render.history import exposure_text, history_blocks, history_data, history_page
from controller.render.page import EMPTY_LINE, paragraph


@click.command()
@click.argument("rollout", metavar="ROLLOUT")
@click.option(
    "--follow",
    is_flag=True,
    help="Show new entries as they come, until the rollout has ended and its watch is over.",
)
@poll_options("--follow")
@options.call_options("store", "json")
def history(call: CommandContext, rollout: str, follow: bool, schedule: PollSchedule) -> Result:
    """Show every transition of a rollout.

    Time, weight, author and deciding findings of each; and whether the hash chain of the entries
    is valid, and the policy is the one of the start.
    """
    if follow and call.as_json:
        raise UsageError("--follow prints lines; ask for --json without it")
    with call.store_session() as store:
        rollout_id = call.rollout_id(store, rollout)
        if not follow:
            return _whole_history(call, store, rollout_id)
        for block in history_blocks(_follow_entries(store, rollout_id, schedule)):
            streams.print_page([block])
            if streams.output_lost():
                break
    return Result()


def _whole_history(call: CommandContext, store: Store, rollout_id: str) -> Result:
    """Return the history, which is read twice: to check it, and entry by entry to print it."""
    stored, snapshot = load_unverified(store, rollout_id)
    summary = summary_of(store, stored, snapshot)
    problem = str(summary.problem or digest_problem(rollout_id, summary.digests))
    if problem and not summary.problem:
        problem += ": it was changed after the start; look who wrote to the store"

    def entries() -> Iterator[Entry]:
        with call.store_session() as again:  # a result is printed after its store was closed
            yield from known_entries(again, stored)

    cost = [EMPTY_LINE, paragraph(exposure_text(summary.exposure))]
    return Result(
        "history",
        data=lambda: history_data(
            rollout_id,
            entries(),
            summary.digests,
            summary.exposure,
            intact=summary.problem is None,
        ),
        page=lambda: [
            *history_page(entries()),
            *(cost if stored.policy.limits_exposure else ()),
        ],
        notes=[problem] if problem else [],
        status=Exit.INTERNAL if problem else Exit.DONE,
    )


def _follow_entries(store: Store, rollout_id: str, schedule: PollSchedule) -> Iterator[Entry]:
    """Yield the entries of a rollout as they are stored, until it is complete.

    Raises StoreError after the first entries that break the hash chain.
    """
    entries: Sequence[Entry] = ()

    def fetch() -> tuple[Rollout, Sequence[Entry]]:
        rollout = store.load(rollout_id)
        if rollout.entries == len(entries):
            return rollout, entries
        return rollout, tuple(known_entries(store, rollout))

    for rollout, newest in poll(fetch, schedule):
        printed, entries = len(entries), newest
        yield from entries[printed:]
        if problem := chain_error(rollout, entries):
            raise problem
        if is_complete(rollout, schedule.clock.now()):
            return
