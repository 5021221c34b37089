"""Raise the format of a store, and of the rollouts in it that ticks still visit.

Rollouts that no tick visits keep their format: every later version reads it, and nothing is added
to them. What was interrupted, the same command finishes.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum

import click

from controller.bootstrap.account import real_account
from controller.bootstrap.app import open_store
from controller.cli import options
from controller.cli.call import CommandContext, Result
from controller.core import stored_formats
from controller.core.history import SnapshotChangedError
from controller.core.rollout import Rollout
from controller.engine.lease import LeaseManager
from controller.errors import Exit, LeaseHeldError, StateConflictError, StoreError, is_record_error
from controller.immutable import Immutable, replace
from controller.ports.clock import Clock
from controller.ports.json_view import Count
from controller.ports.store import Store
from controller.render.page import lines_page


class UpgradeOutcome(StrEnum):
    """What happens to a rollout: upgraded, in the newest format already, or left as it is."""

    UPGRADED = "upgraded"
    CURRENT = "current"
    LEFT = "left"


class UpgradedRollout(Immutable):
    """What became of one rollout."""

    id: str
    """Id of the rollout."""
    outcome: UpgradeOutcome
    """upgraded, in that format already (current), or as it was (left)."""
    why: str = ""
    """Why it was left; empty: it was not."""


class UpgradedStore(Immutable):
    """A store in the newest format, and the rollouts in it that ticks visit."""

    store: str
    """URL of the store."""
    format: Count
    """The format of new rollouts; in a dry run, the one that they would get."""
    rollouts: list[UpgradedRollout]
    """Each rollout that ticks visit."""


@click.command()
@options.call_options("store", "dry-run", "json")
def upgrade(call: CommandContext) -> Result:
    """Store rollouts in the newest format, active ones included.

    Older versions of rolloutctl refuse them from then on: install this version everywhere first.
    Until then, all versions use the format that the older ones read.
    """
    url, newest = call.read_settings().store.url, stored_formats.NEWEST
    call.configure_logs(dry_run=call.dry_run)
    with open_store(call.read_settings(), writes=not call.dry_run) as opened:
        upgrader = StoreUpgrade(opened, real_account().clock)
        is_due, items = upgrader.is_due(), upgrader.plan()
        adds = ", ".join(stored_formats.fields_since(newest))
        would = [f"store new rollouts in format {newest}, which adds {adds}"] if is_due else []
        would += [f"store {one.id} in format {newest}" for one in items if _is_upgraded(one)]
        if would and not call.dry_run:
            items = list(upgrader.run(items))
    left = [f"{one.id}: left as it is: {one.why}" for one in items if one.why]
    lines = [f"{one.id}: format {newest}" for one in items if _is_upgraded(one)]
    done = f"new rollouts of {url} get format {newest}"
    lines.append(f"{done}; older versions refuse it" if would else f"{done} already")
    return Result(
        "store-upgrade",
        data=lambda: UpgradedStore(url, newest, items),
        page=lambda: () if call.dry_run else lines_page(lines),
        would=would if call.dry_run else None,
        notes=left,
        status=Exit.INTERNAL if left else Exit.DONE,
    )


def _is_upgraded(item: UpgradedRollout) -> bool:
    return item.outcome is UpgradeOutcome.UPGRADED


class StoreUpgrade(Immutable):
    """Upgrades `store` to the newest format that this version writes."""

    store: Store
    clock: Clock

    def is_due(self) -> bool:
        """Tell whether new rollouts are stored in an older format. Raises StoreError."""
        return self.store.format() < stored_formats.NEWEST

    def plan(self) -> list[UpgradedRollout]:
        """Return the outcome of each rollout that ticks visit. Changes nothing.

        Raises StoreError when the store cannot be read.
        """
        ids = self.store.active(self.clock.now())
        found = zip(ids, self.store.load_all(ids), strict=True)
        return [self._planned(rollout_id, rollout) for rollout_id, rollout in found]

    def run(self, items: Iterable[UpgradedRollout]) -> Iterator[UpgradedRollout]:
        """Upgrade the store and what `plan` returned, and yield each rollout when it is done.

        The store goes first, so that no rollout is started in the older format meanwhile.
        """
        self.store.set_format(stored_formats.NEWEST)
        for item in items:
            yield self._upgrade(item.id) if item.outcome is UpgradeOutcome.UPGRADED else item

    def _planned(self, rollout_id: str, loaded: Rollout | StoreError) -> UpgradedRollout:
        if isinstance(loaded, StoreError):
            if not is_record_error(loaded) and not isinstance(loaded, SnapshotChangedError):
                raise loaded
            return UpgradedRollout(rollout_id, UpgradeOutcome.LEFT, str(loaded))
        is_current = loaded.format >= stored_formats.NEWEST
        outcome = UpgradeOutcome.CURRENT if is_current else UpgradeOutcome.UPGRADED
        return UpgradedRollout(rollout_id, outcome)

    def _upgrade(self, rollout_id: str) -> UpgradedRollout:
        """Save a rollout in the newest format, under its lease, which no tick has meanwhile."""
        leases = LeaseManager(self.store, self.clock)
        try:
            rollout = leases.acquire_or_wait(rollout_id)
            self.store.save(replace(rollout, format=stored_formats.NEWEST), [])
        except (LeaseHeldError, StateConflictError) as error:
            return UpgradedRollout(rollout_id, UpgradeOutcome.LEFT, str(error))
        return UpgradedRollout(rollout_id, UpgradeOutcome.UPGRADED)
