"""The application of a dry run: the real reads, with dry-run adapters for every write."""

from dataclasses import replace

from controller.adapters.dry_run import (
    DryRunChannelNotifier,
    DryRunHooks,
    DryRunNotifier,
    DryRunStore,
    DryRunTarget,
    Journal,
)
from controller.bootstrap.app import App
from controller.core.policy import LambdaEnv
from controller.ports.target import InspectableTarget


def as_dry_run(app: App) -> App:
    """Return `app` with the same reads, and with writes that only go to a journal."""
    journal = Journal()
    runner, real = app.runner, app.runner.observer

    def open_target(target: LambdaEnv) -> InspectableTarget:
        return DryRunTarget(real.targets(target), target.function, journal)

    observer = replace(
        real, store=DryRunStore(real.store, journal), targets=open_target, dry_run=True
    )
    dry_runner = replace(
        runner,
        observer=observer,
        notifier=DryRunNotifier(journal),
        channel_notifier=DryRunChannelNotifier(journal),
        hooks=DryRunHooks(journal),
    )
    return replace(app, runner=dry_runner, journal=journal)
