"""The runner of a dry run: the real reads, with dry-run adapters for every write."""

import dataclasses

from controller.adapters.dry_run import (
    DryRunChannelNotifier,
    DryRunHooks,
    DryRunStore,
    DryRunTarget,
    Journal,
)
from controller.core.policy import TargetSpec
from controller.engine.tick import Runner
from controller.immutable import replace
from controller.ports.target import InspectableTarget


def as_dry_run(runner: Runner) -> tuple[Runner, Journal]:
    """Return `runner` with the same reads, and the journal that its writes only go to."""
    journal = Journal()
    real = runner.observer

    def open_target(target: TargetSpec) -> InspectableTarget:
        return DryRunTarget(real.targets(target), target.name, journal)

    observer = replace(
        real, store=DryRunStore(real.store, journal), targets=open_target, dry_run=True
    )
    dry_runner = dataclasses.replace(
        runner,
        observer=observer,
        announce=journal.announce,
        channel_notifier=DryRunChannelNotifier(journal),
        hooks=DryRunHooks(journal),
    )
    return dry_runner, journal
