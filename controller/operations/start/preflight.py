"""Preflight: all checks before a start, which only read."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from controller.core.judge.evidence import BaselineMeasurement
from controller.core.observation import TargetReading
from controller.core.policy import Policy
from controller.engine.tick import Runner
from controller.errors import MetricsError
from controller.immutable import Immutable
from controller.operations.checks import Check, Level
from controller.operations.live_checks.live_checks import METRICS, LiveChecks
from controller.operations.start.baselines import (
    baseline_requests,
    read_baseline,
    unusable_when_adopting,
)
from controller.operations.start.refusals import (
    failing_criteria,
    live_refusals,
    live_step,
    weight_refusals,
)
from controller.ports.target import InspectableTarget


class Preflight(Immutable):
    """The result of all checks before a start, which goes ahead only when `refusals` is empty.

    checks: those that `doctor` makes as well. The others are about this start: its weight, a
    freeze, baselines, and criteria that fail already.
    """

    reading: TargetReading
    checks: tuple[Check, ...]
    other_refusals: tuple[str, ...]
    baselines: Mapping[str, BaselineMeasurement]

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why the start is refused, a line each; empty: it goes ahead."""
        return (*self._lines(Level.FAIL), *self.other_refusals)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know about a start that goes ahead, a line each."""
        return tuple(self._lines(Level.WARN))

    def _lines(self, level: Level) -> Iterator[str]:
        return (one.text for one in self.checks if one.level is level)


def preflight(
    runner: Runner,
    policy: Policy,
    target: InspectableTarget,
    reading: TargetReading,
    now: datetime,
    *,
    adopt: bool = False,
) -> Preflight:
    """Return the checks of a start, or (`adopt`) of taking over the live weight."""
    observer = runner.observer
    live = LiveChecks(
        policy=policy,
        target=target,
        metrics=observer.metrics,
        exposures=observer.store,
        catalogue=observer.catalogue,
        alarms=observer.alarms,
        logs=observer.logs,
        starting=True,
    )
    checks = tuple(live.checks(reading, now))
    refusals = live_refusals(policy, reading) if adopt else weight_refusals(runner, policy, reading)
    frozen = None if adopt else policy.freeze_at(now)
    if frozen is not None:
        refusals.append(f"{frozen.text}; start after that")
    unusable = unusable_when_adopting(policy) if adopt else {}
    refusals += unusable.values()
    baselines: dict[str, BaselineMeasurement] = {}
    if any(one.what == METRICS and one.level is Level.FAIL for one in checks):
        return Preflight(reading, checks, tuple(refusals), baselines)
    try:
        first = (live_step(policy, reading) or 0) if adopt else 0
        for request in (
            one for one in baseline_requests(policy, now, first) if one.criterion not in unusable
        ):
            settled_until = now - policy.evaluation_delay
            value, problem = read_baseline(runner, policy, reading, request, settled_until)
            if problem:
                refusals.append(problem)
            if value is not None:
                baselines[request.criterion] = value
        refusals += failing_criteria(runner, policy, reading, now, adopt=adopt)
    except MetricsError as error:
        refusals.append(f"measurements cannot be read: {error}")
    return Preflight(reading, checks, tuple(refusals), baselines)
