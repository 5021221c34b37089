"""The store of rollouts, of their histories, and of the locks on their targets."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeAlias

from controller.core.history import Entry
from controller.core.message import DELIVERY_TIMEOUT, RecipientList
from controller.core.rollout import Rollout
from controller.core.visit_order import Visits
from controller.errors import StoreError
from controller.immutable import Immutable

Exposure: TypeAlias = tuple[str, datetime, datetime | None]
"""The id of a rollout, with the begin and end of its weight above 0; end None: still above 0."""


class LockHolder(Immutable):
    """The rollout that owns a lock, as another rollout that needs the lock must know it.

    final: whether that rollout is over, so that the lock may be taken over.
    """

    rollout_id: str
    final: bool


def visit_deadline(rollout: Rollout) -> datetime | None:
    """Return until when ticks visit a final rollout: for its watch, and to deliver its messages.

    For a message that is longer than DELIVERY_TIMEOUT: a tick after the timeout gives the message
    up, and reports that.
    """
    deliveries = [message.at + 2 * DELIVERY_TIMEOUT for message in rollout.outbox]
    watches = [] if rollout.watch_until is None else [rollout.watch_until]
    return max((*watches, *deliveries), default=None)


class Exposures(Protocol):
    """Answers when targets had a weight."""

    def exposures(self, target: str, locks: Sequence[str]) -> Sequence[Exposure]:
        """Return when rollouts had a weight above 0, the earliest first.

        Includes the rollouts that owned any of `locks`, which are locks of `target`; a store may
        add others of that target, and may merge the oldest exposures into one.
        """


class RulesReader(Protocol):
    """Answers what the owner of the store requires of policies."""

    def rules(self) -> str | None:
        """Return the rules as their owner wrote them; None: there are none.

        Raises StoreError when they cannot be read. A text that is no rules is returned, too.
        """


class Store(Exposures, RulesReader, Protocol):
    """Stores rollouts and their history; state and history are written together or not at all.

    A lease keeps two runs from doing the same work at once. It does not protect the state: the
    version does, which lets one of two saves through, whichever run has the lease and whatever the
    clocks say.
    """

    def create(
        self,
        rollout: Rollout,
        entries: Sequence[Entry],
        locks: Sequence[str],
        *,
        hold: datetime | None = None,
    ) -> None:
        """Add a rollout and take the locks of its target; locks of final rollouts are taken over.

        The record of the rollout that a lock is taken from is not written. What was red at a start
        as a fix is written beside it, in a separate item.
        hold: when the lease of this run ends; None: there is no lease.
        Raises TargetTakenError with the owner's id, StateConflictError when the id exists.
        """

    def acquire(self, rollout_id: str, now: datetime, until: datetime) -> Rollout:
        """Return the rollout with a lease, which ends with a save, a release, or at `until`.

        A lease that is over at `now` is taken from its holder, whose saves fail from then on. So is
        a lease that ends later than twice the requested length: it was given by a wrong clock.
        Raises LeaseHeldError while another run has the lease, UnknownRolloutError, StoreError.
        """

    def release(self, rollout_id: str) -> None:
        """End the lease of this run, if it still has it. Raises StoreError."""

    def load(self, rollout_id: str) -> Rollout:
        """Return the rollout without a lease. Raises UnknownRolloutError, StoreError."""

    def load_all(self, ids: Sequence[str]) -> Sequence[Rollout | StoreError]:
        """Return what `load` returns or raises for each of `ids`, in their order, by few reads.

        Raises StoreError when the store cannot be read.
        """

    def save(
        self,
        rollout: Rollout,
        entries: Sequence[Entry],
        *,
        hold: datetime | None = None,
        locks: Sequence[str] = (),
    ) -> Rollout:
        """Write `rollout` and append `entries` if its version is still the stored one.

        The lease ends with the save, or at `hold`. A run that never acquired the rollout may save
        it too, and takes the lease from the run that has it.
        locks: what the rollout has to own; in the same transaction.

        Returns the rollout with its new version. Raises StateConflictError when another run saved
        it or took the lease over, UnknownRolloutError when it was never created, and NotOwnerError
        when it does not own all of `locks`.
        """

    # --- finding rollouts -----------------------------------------------------------------------

    def active(self, now: datetime, names: Collection[str] = ()) -> Sequence[str]:
        """Return the ids of the rollouts that ticks visit, in the order of their visits.

        These are the rollouts that are not final, or still watched. They are sorted by the priority
        of their phase (`core.visit_order`), then by the oldest save, so that the next tick
        begins with those that one tick does not reach. Those with a damaged record come last.
        names: only rollouts of these names, rollbacks first and the others in any order; empty:
            all.
        """

    def visits(self, now: datetime, names: Collection[str] = ()) -> Visits:
        """Return which of the `active` rollouts are due at `now`, in their order."""

    def all(self) -> Sequence[str]:
        """Return the ids of all rollouts, oldest first."""

    def scan(self) -> Iterator[str]:
        """Yield the ids of all records, in any order and page by page, also of damaged ones.

        Unlike the lists, it uses no index, so it also finds a record that an index lacks.
        """

    def of_name(self, name: str) -> Sequence[str]:
        """Return the ids of all rollouts of this name, the first attempt first."""

    def newest_entry(self, rollout_id: str) -> Entry | None:
        """Return the last entry of a history, whatever its rollout says; None when there is none.

        Raises StoreError when it cannot be read, or is damaged.
        """

    def history(self, rollout_id: str, most: int | None = None) -> Sequence[Entry]:
        """Return the entries of a rollout, the oldest first. Raises UnknownRolloutError.

        most: how many are read; None: all.
        """

    def entries(self, rollout_id: str) -> Iterator[Entry]:
        """Yield what `history` returns, and keep no more than a page of it.

        Between two entries the store is as free for others as it is without a reader.
        """

    # --- who owns a target ----------------------------------------------------------------------

    def owner(self, lock: str) -> str | None:
        """Return the id of the rollout that owns `lock`; None: there is none."""

    def holder(self, lock: str) -> LockHolder | None:
        """Return the owner of `lock`; None: there is none. Raises StoreError when it is damaged.

        Reads the record of the lock alone, and not that of the rollout that owns it.
        """

    def owners(self, locks: Collection[str]) -> Mapping[str, str | None]:
        """Return the id of the rollout that owns each of `locks`, from one read.

        A lock without an owner is left out; None: the lock is damaged. Raises StoreError when they
        cannot be read.
        """

    def owners_and_requests(
        self, locks: Collection[str], ids: Collection[str]
    ) -> tuple[Mapping[str, str | None], Mapping[str, str]]:
        """Return what `owners` does, and which of the rollouts `ids` are to be rolled back.

        These are the requests of roles that may only lower, each with its reason as one line; from
        the same read. Raises StoreError when it cannot be read.
        """

    def request_rollback(self, rollout_id: str, why: str) -> None:
        """Keep a request for the rollback of an open rollout, for its next tick.

        It is kept apart from the rollout, for a role that may write nothing else, and is never
        taken back. Raises StoreError, and UsageError where a store takes no requests.
        """

    def owns(self, rollout_id: str, locks: Sequence[str]) -> bool:
        """Tell whether a rollout still owns all of `locks`, which are those of its target.

        A final rollout that lost one of them owns nothing: a target is not watched in part. From
        its next save through this object on, it is visited only to deliver its messages.
        """

    # --- beside the rollouts --------------------------------------------------------------------

    def red_before(self, rollout_id: str) -> Mapping[str, float | None] | None:
        """Return what was red at its start, as `FixStart` has it; None: it may be no fix.

        Reads the item that `create` wrote apart from the rollout. Raises StoreError when it cannot
        be read, or is damaged.
        """

    def recipients(self) -> RecipientList | None:
        """Return which resources policies may use for messages and hooks; None: any.

        Raises StoreError when it cannot be read, or is damaged.
        """

    def set_recipients(self, recipients: RecipientList | None) -> None:
        """Replace the list, whatever it was; None: remove it. Raises StoreError.

        It is kept apart from what a role that is bound to a policy may write.
        """

    def set_rules(self, rules: str | None) -> None:
        """Replace the rules, whatever they were; None: remove them. Raises StoreError.

        They are kept apart from what a role for ticks, starts or operators may write.
        """

    def format(self) -> int:
        """Return the format in which new rollouts are stored (`core.stored_formats`).

        A role that is bound to a policy may read it, and not write it. Raises StoreError when this
        version does not read it.
        """

    def set_format(self, stored_format: int) -> None:
        """Set the format. Rollouts in the store keep theirs. Raises StoreError."""

    # --- a copy from another store --------------------------------------------------------------

    def receive(
        self,
        rollout: Rollout,
        entries: Sequence[Entry],
        locks: Sequence[str],
        past: Sequence[Exposure] = (),
    ) -> None:
        """Add a rollout that ran in another store, with its whole history and the locks it owns.

        past: the exposures that the other store has for these locks.
        The rollout is visible only once all of it is written; a call after an interrupted one
        continues it. Raises what `create` raises.
        """
