"""The verb `history`: prints the audit log of a rollout and verifies its hash chain."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import click

from controller.bootstrap import app
from controller.cli import follow as watching
from controller.cli import options, streams
from controller.cli.follow import PollSchedule
from controller.core.history import Entry
from controller.core.policy_snapshot import Digests, SnapshotChangedError, digest_problem, digests
from controller.core.rollout import Rollout
from controller.errors import Exit, StoreError, UsageError
from controller.ports.store import Store
from controller.text import printable, printable_block


@click.command()
@click.argument("rollout", metavar="ROLLOUT")
@click.option(
    "--follow",
    is_flag=True,
    help="Go on with what comes, until the rollout has ended and is quiet.",
)
@watching.poll_options
@options.store
@options.as_json
def history(
    rollout: str,
    follow: bool,
    limit: timedelta,
    every: timedelta,
    store_url: str | None,
    as_json: bool,
) -> int:
    """Show every transition of a rollout.

    When, which weight, who, and which findings decided; and whether the hash chain of the entries
    holds, and the policy is the one of the start.
    """
    from controller.render.history import history_lines

    if not follow:
        watching.reject_poll_options("--follow")
    if follow and as_json:
        raise UsageError("--follow prints lines; ask for --json without it")
    with options.store_session(store_url) as (store, now):
        rollout_id = options.rollout_id(store, rollout)
        if not follow:
            return _show_history(store, rollout_id, as_json)
        schedule = PollSchedule(app.wall_clock(), every, now + limit)
        for line in history_lines(_follow_entries(store, rollout_id, schedule)):
            click.echo(printable(line))
            if streams.output_lost():
                break
    return Exit.DONE


def _show_history(store: Store, rollout_id: str, as_json: bool) -> Exit:
    from controller.render.history import digests_data, entry_data, history_lines

    stored, snapshot = load_unverified(store, rollout_id)
    entries = known_entries(store, stored)
    policy_digests = digests(stored, entries, snapshot)
    problem = chain_error(stored, entries) or policy_change_error(rollout_id, policy_digests)
    if as_json:
        data = {
            "rollout": rollout_id,
            "chain_valid": chain_error(stored, entries) is None,
            **digests_data(policy_digests),
            "entries": [entry_data(entry) for entry in entries],
        }
        options.print_json("history", data)
    else:
        click.echo(printable_block(history_lines(entries)))
    if problem is not None:
        raise problem
    return Exit.DONE


def _follow_entries(store: Store, rollout_id: str, schedule: PollSchedule) -> Iterator[Entry]:
    """Yield the entries of a rollout as they are stored, until it is complete.

    Raises StoreError after the first entries that break the hash chain.
    """
    entries: Sequence[Entry] = ()

    def fetch() -> tuple[Rollout, Sequence[Entry]]:
        rollout = store.load(rollout_id)
        if rollout.entries == len(entries):
            return rollout, entries
        return rollout, known_entries(store, rollout)

    for rollout, newest in watching.poll(fetch, schedule):
        printed, entries = len(entries), newest
        yield from entries[printed:]
        if problem := chain_error(rollout, entries):
            raise problem
        if watching.is_complete(rollout, schedule.clock.now()):
            return


def load_unverified(store: Store, rollout_id: str) -> tuple[Rollout, str | None]:
    """Return a rollout even if its stored policy was changed; then with the digest of that policy.

    Raises StoreError as `load` does for any other damage.
    """
    try:
        return store.load(rollout_id), None
    except SnapshotChangedError as error:
        return error.rollout, error.digest


def policy_change_error(rollout_id: str, found_digests: Digests) -> StoreError | None:
    """Return the error of a stored policy that is not the one of the start; None when it is."""
    problem = digest_problem(rollout_id, found_digests)
    if not problem:
        return None
    return StoreError(f"{problem}: it was changed after the start; look who wrote to the store")


def verified_history(store: Store, rollout: Rollout) -> Sequence[Entry]:
    """Return the history of `rollout`. Raises StoreError when its hash chain is broken."""
    entries = known_entries(store, rollout)
    if problem := chain_error(rollout, entries):
        raise problem
    return entries


def known_entries(store: Store, rollout: Rollout) -> Sequence[Entry]:
    """Return the history up to the entry that `rollout` names; a tick may add more meanwhile."""
    return store.history(rollout.id)[: rollout.entries]


def chain_error(rollout: Rollout, entries: Sequence[Entry]) -> StoreError | None:
    """Return the error of a history whose hash chain is broken; None when it is valid."""
    from controller.core.history import broken_link

    link = broken_link(entries, rollout.chain)
    if link is None:
        return None
    return StoreError(
        f"the history of {rollout.id} was changed or is incomplete from entry {link} on; "
        "do not trust what follows, and look who wrote to the store"
    )
