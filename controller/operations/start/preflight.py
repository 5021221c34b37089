"""Preflight: all checks before a start, which only read."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from controller.core.judge.evidence import BaselineMeasurement
from controller.core.observation import AlarmReading, AlarmState, TargetReading
from controller.core.policy import Alarm, Policy, alarm_name
from controller.core.units import clock_text, from_unix
from controller.engine.tick import Runner
from controller.errors import MetricsError
from controller.immutable import Immutable
from controller.operations.checks import Level
from controller.operations.start.baselines import (
    baseline_requests,
    read_baseline,
    unusable_when_adopting,
)
from controller.operations.start.canary_metrics import REMEDY, foreign_requests
from controller.operations.start.refusals import (
    live_refusals,
    live_step,
    measurement_refusals,
    update_refusals,
    weight_refusals,
)
from controller.operations.start.unanswered import unanswered_checks
from controller.policy_file.check.counts import counts_refusals
from controller.ports.target import Obstacle


class Preflight(Immutable):
    """The result of all checks before a start, which goes ahead only when `refusals` is empty."""

    reading: TargetReading
    refusals: tuple[str, ...]
    warnings: tuple[str, ...]
    baselines: Mapping[str, BaselineMeasurement]


def preflight(
    runner: Runner,
    policy: Policy,
    reading: TargetReading,
    obstacles: Sequence[Obstacle],
    now: datetime,
    *,
    adopt: bool = False,
) -> Preflight:
    """Return the checks of a start, or (`adopt`) of taking over the live weight."""
    refusals = live_refusals(policy, reading) if adopt else weight_refusals(runner, policy, reading)
    refusals += update_refusals(reading)
    refusals += counts_refusals(policy)
    refusals += (one.text for one in obstacles if one.fatal)
    frozen = None if adopt else policy.freeze_at(now)
    if frozen is not None:
        refusals.append(f"{frozen.text}; start after that")
    warnings = [one.text for one in obstacles if not one.fatal]
    alarm_refusals, alarm_warnings = alarm_findings(runner, policy, adopt=adopt)
    refusals, warnings = refusals + alarm_refusals, warnings + alarm_warnings
    unusable = unusable_when_adopting(policy) if adopt else {}
    refusals += unusable.values()
    baselines: dict[str, BaselineMeasurement] = {}
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
        refusals += measurement_refusals(runner, policy, reading, now, adopt=adopt)
        observer = runner.observer
        for check in unanswered_checks(observer.metrics, policy, now):
            text = ": ".join((check.what, "; ".join(filter(None, (check.detail, check.remedy)))))
            refusals += [text] if check.level is Level.FAIL else []
            warnings += [text] if check.level is Level.WARN else []
        foreign = foreign_requests(observer.metrics, observer.store, policy, reading, now)
        refusals += [f"{foreign}; {REMEDY}"] if foreign and not adopt else []
    except MetricsError as error:
        refusals.append(f"measurements cannot be read: {error}")
    return Preflight(reading, tuple(refusals), tuple(warnings), baselines)


# --- Alarms ---------------------------------------------------------------------------------------


def alarm_findings(
    runner: Runner, policy: Policy, *, adopt: bool = False
) -> tuple[list[str], list[str]]:
    """Return the refusals and the warnings about the alarms that criteria read.

    An alarm already in ALARM would be blamed on the rollout, and a missing one never reports.
    For a criterion that only reports, both are warnings.
    """
    criteria = {name: one for name, one in policy.criteria.items() if isinstance(one, Alarm)}
    if not criteria:
        return [], []
    readings = runner.observer.read_alarms([one.alarm for one in criteria.values()])
    when = "" if adopt else ", before the start"
    refusals, warnings = list[str](), list[str]()
    for name, one in criteria.items():
        text, fatal = _alarm_problem(name, alarm_name(one.alarm), readings[one.alarm], when)
        if text:
            (refusals if fatal and one.gating else warnings).append(text)
    return refusals, warnings


def _alarm_problem(name: str, alarm: str, reading: AlarmReading, when: str) -> tuple[str, bool]:
    """Return the problem of an alarm (empty: none), and whether it refuses a start.

    when: added to the text of an alarm in ALARM; empty where the canary may be its cause.
    """
    match reading.state:
        case AlarmState.OK:
            return "", False
        case AlarmState.ALARM:
            since = f" since {clock_text(from_unix(reading.since))}" if reading.since else ""
            reason = f" ({reading.reason})" if reading.reason else ""
            text = f"{name}: {alarm} is in ALARM already{since}{when}{reason}"
            return text, True
        case AlarmState.INSUFFICIENT_DATA:
            return f"{name}: {alarm} is in INSUFFICIENT_DATA", False
        case AlarmState.MISSING:
            text = (
                f"{name}: there is no alarm {alarm} in the account and region of these credentials"
            )
            return text, True
        case AlarmState.UNREAD:
            return f"{name}: {alarm} was not read: {reading.reason}", True
