"""The verb `history`: prints the audit log of a rollout and verifies its hash chain."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import click

from controller.bootstrap import app
from controller.cli import follow as watching
from controller.cli import options, streams
from controller.cli.call import Call
from controller.cli.follow import PollSchedule
from controller.cli.result import Result
from controller.core.history import Entry, broken_link
from controller.core.policy_snapshot import SnapshotChangedError, digest_problem, digests
from controller.core.rollout import Rollout
from controller.errors import Exit, StoreError, UsageError
from controller.operations.report.exposure import Exposure, recorded_exposure
from controller.ports.store import Store
from controller.render.exposure import exposure_text
from controller.render.history import history_blocks, history_data, history_page
from controller.render.page import EMPTY_LINE, Page, paragraph


@click.command()
@click.argument("rollout", metavar="ROLLOUT")
@click.option(
    "--follow",
    is_flag=True,
    help="Show new entries as they come, until the rollout has ended and its watch is over.",
)
@watching.poll_options
@options.call_options("store", "json")
def history(
    call: Call, rollout: str, follow: bool, timeout: timedelta, interval: timedelta
) -> Result:
    """Show every transition of a rollout.

    Time, weight, author and deciding findings of each; and whether the hash chain of the entries
    is valid, and the policy is the one of the start.
    """
    if not follow:
        watching.reject_poll_options("--follow")
    if follow and call.as_json:
        raise UsageError("--follow prints lines; ask for --json without it")
    with call.store_session() as store:
        rollout_id = call.rollout_id(store, rollout)
        if not follow:
            return _whole_history(store, rollout_id)
        clock = app.wall_clock()
        schedule = PollSchedule(clock, interval, clock.now() + timeout)
        for block in history_blocks(_follow_entries(store, rollout_id, schedule)):
            streams.print_page([block])
            if streams.output_lost():
                break
    return Result()


def _whole_history(store: Store, rollout_id: str) -> Result:
    stored, snapshot = load_unverified(store, rollout_id)
    entries = known_entries(store, stored)
    policy_digests = digests(stored, entries, snapshot)
    broken = chain_error(stored, entries)
    problem = str(broken) if broken else digest_problem(rollout_id, policy_digests)
    if problem and not broken:
        problem += ": it was changed after the start; look who wrote to the store"

    return Result(
        "history",
        data=lambda: history_data(
            rollout_id,
            entries,
            policy_digests,
            recorded_exposure(stored, entries),
            intact=broken is None,
        ),
        page=lambda: [*history_page(entries), *_exposure_lines(stored, entries)],
        notes=[problem] if problem else [],
        status=Exit.INTERNAL if problem else Exit.DONE,
    )


def _exposure_lines(rollout: Rollout, entries: Sequence[Entry]) -> Page:
    """Return the bad requests that a rollout served, where its policy limits them."""
    if not rollout.policy.limits_exposure:
        return []
    return [EMPTY_LINE, paragraph(exposure_text(recorded_exposure(rollout, entries)))]


def limited_exposure(store: Store, rollout: Rollout) -> Exposure | None:
    """Return the exposure of `rollout` by its history.

    None where its policy does not limit it, or where the history cannot be read.
    """
    if not rollout.policy.limits_exposure:
        return None
    try:
        return recorded_exposure(rollout, known_entries(store, rollout))
    except StoreError:
        return None


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
    link = broken_link(entries, rollout.chain)
    if link is None:
        return None
    return StoreError(
        f"the history of {rollout.id} was changed or is incomplete from entry {link} on; "
        "do not trust what follows, and look who wrote to the store"
    )
