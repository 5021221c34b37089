"""A dry run is the same application with other adapters."""

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
    """Return `app` with the same eyes, and with hands that only write down what they would do."""
    journal = Journal()
    runner, real = app.runner, app.runner.observer

    def open_target(target: LambdaEnv) -> InspectableTarget:
        return DryRunTarget(real.targets(target), target.function, journal)

    looking = replace(
        real, store=DryRunStore(real.store, journal), targets=open_target, dry_run=True
    )
    acting = replace(
        runner,
        observer=looking,
        notifier=DryRunNotifier(journal),
        channel_notifier=DryRunChannelNotifier(journal),
        hooks=DryRunHooks(journal),
    )
    return replace(app, runner=acting, journal=journal)
