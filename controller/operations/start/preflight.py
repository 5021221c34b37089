"""Preflight: all checks before a start, which only read."""

import shlex
from collections.abc import Collection, Mapping
from datetime import datetime

from controller.core.judge.evidence import BaselineMeasurement
from controller.core.observation import TargetReading
from controller.core.policy import Policy
from controller.engine.tick import Runner
from controller.errors import MetricsError, UsageError
from controller.immutable import Immutable, replace
from controller.operations.checks import Check, Level
from controller.operations.live_checks.live_checks import (
    CANARY_METRICS,
    METRICS,
    WHOSE_REQUESTS,
    LiveChecks,
)
from controller.operations.live_checks.target import UPDATE, WEIGHT
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

# Without a weight and metrics nothing can be judged, and nothing of the canary without its metrics.
_NEVER_PASSED = frozenset({WEIGHT, UPDATE, METRICS, WHOSE_REQUESTS, CANARY_METRICS})


class Preflight(Immutable):
    """The result of all checks before a start, which goes ahead only when `refusals` is empty.

    checks: those that `doctor` makes as well. other_refusals: about this start: its weight, a
    freeze, baselines, and criteria that fail already. passed: the names of failed checks that the
    operator passed, so that they refuse nothing.
    """

    reading: TargetReading
    checks: tuple[Check, ...]
    other_refusals: tuple[str, ...]
    baselines: Mapping[str, BaselineMeasurement]
    passed: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[Check, ...]:
        """The failed checks, also those that were passed."""
        return tuple(one for one in self.checks if one.level is Level.FAIL)

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why the start is refused, a line each; empty: it goes ahead."""
        failed = (one.text for one in self.failed if one.what not in self.passed)
        return (*failed, *self.other_refusals)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What operators should know about a start that goes ahead, a line each."""
        passed = (one.text for one in self.failed if one.what in self.passed)
        warnings = (one.text for one in self.checks if one.level is Level.WARN)
        return (*(f"passed by --despite: {one}" for one in passed), *warnings)

    @property
    def hint(self) -> str:
        """How to start despite the failed checks; empty where no start can pass them."""
        names = dict.fromkeys(one.what for one in self.failed if one.what not in self.passed)
        if self.other_refusals or not names or _NEVER_PASSED & names.keys():
            return ""
        options = " ".join(f"--despite {shlex.quote(one)}" for one in (*self.passed, *names))
        return f"to start anyway: {options} --reason TEXT"

    @property
    def despite(self) -> dict[str, str]:
        """What each passed check found, by its name."""
        found = dict[str, str]()
        for one in self.failed:
            if one.what in self.passed:
                before = f"{found[one.what]}; " if one.what in found else ""
                found[one.what] = f"{before}{one.detail}"
        return found

    def passing(self, names: Collection[str], reason: str) -> "Preflight":
        """Return the preflight with the failed checks `names` passed.

        A check that was made and did not fail needs no pass. Raises UsageError, with the names of
        the failed checks, for a name that no check has, for a check that cannot be passed, and
        without a reason.
        """
        known = {one.what for one in self.checks}
        failed = [shlex.quote(one) for one in dict.fromkeys(each.what for each in self.failed)]
        these = f"failed: {', '.join(failed)}" if failed else "no check failed"
        for name in names:
            if name in _NEVER_PASSED:
                raise UsageError(f"--despite: the check {name!r} cannot be passed; {these}")
            if name not in known:
                raise UsageError(f"--despite: no check is called {name!r}; {these}")
        if names and not reason:
            raise UsageError(
                f"--despite needs --reason TEXT, which is recorded in the history; {these}"
            )
        return replace(self, passed=tuple(names))


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
