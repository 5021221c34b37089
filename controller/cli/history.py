"""The verb that shows how a rollout got where it stands."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import click

from controller.bootstrap import app
from controller.cli import follow as watching
from controller.cli import options, streams
from controller.cli.follow import PollSchedule
from controller.core.history import Entry
from controller.core.rollout import Rollout
from controller.core.snapshot import Digests, SnapshotChangedError, digest_problem, digests
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
        found = options.rollout_id(store, rollout)
        if not follow:
            return _show_history(store, found, as_json)
        pace = PollSchedule(app.wall_clock(), every, now + limit)
        for line in history_lines(_follow_entries(store, found, pace)):
            click.echo(printable(line))
            if streams.output_lost():
                break
    return Exit.DONE


def _show_history(store: Store, rollout_id: str, as_json: bool) -> Exit:
    from controller.render.history import digests_data, entry_data, history_lines

    known, snapshot = load_unverified(store, rollout_id)
    entries = known_entries(store, known)
    found = digests(known, entries, snapshot)
    wrong = chain_error(known, entries) or policy_change_error(rollout_id, found)
    if as_json:
        data = {
            "rollout": rollout_id,
            "chain_valid": chain_error(known, entries) is None,
            **digests_data(found),
            "entries": [entry_data(entry) for entry in entries],
        }
        options.print_json("history", data)
    else:
        click.echo(printable_block(history_lines(entries)))
    if wrong is not None:
        raise wrong
    return Exit.DONE


def _follow_entries(store: Store, rollout_id: str, schedule: PollSchedule) -> Iterator[Entry]:
    """Yield the entries of a rollout as they come, until it has ended and is quiet.

    Raises StoreError after the first entries that do not follow from those before.
    """
    entries: Sequence[Entry] = ()

    def look() -> tuple[Rollout, Sequence[Entry]]:
        known = store.load(rollout_id)
        return known, entries if known.entries == len(entries) else known_entries(store, known)

    for known, found in watching.poll(look, schedule):
        told, entries = len(entries), found
        yield from entries[told:]
        if wrong := chain_error(known, entries):
            raise wrong
        if watching.is_complete(known, schedule.clock.now()):
            return


def load_unverified(store: Store, rollout_id: str) -> tuple[Rollout, str | None]:
    """Return a rollout, and the digest of its policy where that is not the one of the start.

    Raises StoreError as `load` does otherwise.
    """
    try:
        return store.load(rollout_id), None
    except SnapshotChangedError as error:
        return error.rollout, error.digest


def policy_change_error(rollout_id: str, digests_found: Digests) -> StoreError | None:
    """Return what is wrong with a policy that is not the one of the start; None when it is."""
    wrong = digest_problem(rollout_id, digests_found)
    if not wrong:
        return None
    return StoreError(f"{wrong}: it was changed after the start; look who wrote to the store")


def verified_history(store: Store, rollout: Rollout) -> Sequence[Entry]:
    """Return the history of `rollout`. Raises StoreError when its hash chain does not hold."""
    entries = known_entries(store, rollout)
    if wrong := chain_error(rollout, entries):
        raise wrong
    return entries


def known_entries(store: Store, rollout: Rollout) -> Sequence[Entry]:
    """Return the history as long as `rollout` knows it; what a tick adds meanwhile is for later."""
    return store.history(rollout.id)[: rollout.entries]


def chain_error(rollout: Rollout, entries: Sequence[Entry]) -> StoreError | None:
    """Return what is wrong with a history whose hash chain does not hold; None when it does."""
    from controller.core.history import broken_link

    link = broken_link(entries, rollout.chain)
    if link is None:
        return None
    return StoreError(
        f"the history of {rollout.id} was changed or is incomplete from entry {link} on; "
        "do not trust what follows, and look who wrote to the store"
    )
