"""Leases: one run at a time works on a rollout, and the others say so and go.

What they save is round trips and doubled work. They protect nothing: the version of a rollout does,
and the token of its target, whatever the clocks of two runs say.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller import events
from controller.core.rollout import Rollout
from controller.errors import LeaseHeldError, MovedError, StoreError
from controller.ports import Clock, Store

log = events.logger()

# A tick takes seconds; lowering and following a move up to a minute and a half. A run that was
# killed keeps the others from its rollouts for so long, so it must not be longer than needed.
LEASE = timedelta(minutes=2)
# A person's verb that meets a tick waits for it, and asks this often.
ASK_EVERY = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Leasing:
    """Takes and gives back the leases of one run."""

    store: Store
    clock: Clock

    def until(self) -> datetime:
        """Return when a lease that is taken or prolonged now is over."""
        return self.clock.now() + LEASE

    def take(self, rollout_id: str) -> Rollout:
        """Return the rollout, which this run alone has from now on.

        Raises LeaseHeldError, MovedError, UnknownRolloutError, StoreError.
        """
        now = self.clock.now()
        rollout = self.store.acquire(rollout_id, now, now + LEASE)
        if rollout.moved_to:
            self.give_back(rollout_id)
            raise MovedError(
                f"{rollout_id} was moved to {rollout.moved_to}; nothing was changed: "
                f"--store {rollout.moved_to}",
                rollout=rollout_id,
            )
        return rollout

    def give_back(self, rollout_id: str) -> None:
        """Let other runs in, if this one still has the rollout. What fails ends by itself."""
        try:
            self.store.release(rollout_id)
        except StoreError as error:
            log.warning("lease_kept", rollout=rollout_id, problem=str(error))

    @contextmanager
    def held(self, rollout_id: str) -> Iterator[Rollout]:
        """Yield the rollout once no other run has it, for at most the length of a lease.

        Raises LeaseHeldError after that, and what `take` raises.
        """
        rollout = self._taken(rollout_id, self.until())
        try:
            yield rollout
        finally:
            self.give_back(rollout_id)

    def _taken(self, rollout_id: str, deadline: datetime) -> Rollout:
        while True:
            try:
                return self.take(rollout_id)
            except LeaseHeldError:
                if self.clock.now() >= deadline:
                    raise
                self.clock.sleep(ASK_EVERY)
