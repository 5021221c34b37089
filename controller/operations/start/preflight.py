"""All that is checked once, before the first percent of traffic moves; it only reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from controller.core.checks import Obstacle
from controller.core.judge.evidence import FrozenValue
from controller.core.observation import AlarmReading, AlarmState, TargetReading
from controller.core.policy import Alarm, Policy, alarm_name
from controller.core.units import clock_text, from_unix
from controller.engine.tick import Runner
from controller.errors import MetricsError
from controller.operations.start.baselines import (
    baseline_requests,
    read_baseline,
    unusable_when_adopting,
)
from controller.operations.start.measurements import (
    live_refusals,
    live_step,
    measurement_refusals,
    update_refusals,
    weight_refusals,
)


def alarm_findings(
    runner: Runner, policy: Policy, *, adopt: bool = False
) -> tuple[list[str], list[str]]:
    """Return a line for each alarm that keeps a start from making sense, and for each doubt.

    One that is red already would be blamed on the rollout, and one that is not there never says
    anything. Where the criterion only reports, both are told and keep nobody.
    """
    criteria = {name: one for name, one in policy.criteria.items() if isinstance(one, Alarm)}
    if not criteria:
        return [], []
    readings = runner.observer.read_alarms([one.alarm for one in criteria.values()])
    when = "" if adopt else ", before any traffic moved"
    refusals, doubts = list[str](), list[str]()
    for name, one in criteria.items():
        text, fatal = _alarm_problem(name, alarm_name(one.alarm), readings[one.alarm], when)
        if text:
            (refusals if fatal and one.gating else doubts).append(text)
    return refusals, doubts


def _alarm_problem(name: str, alarm: str, reading: AlarmReading, when: str) -> tuple[str, bool]:
    """Return what is wrong with an alarm, and whether a start makes no sense then.

    when: what is known of a red one; empty where the canary may be what made it red.
    """
    match reading.state:
        case AlarmState.OK:
            return "", False
        case AlarmState.ALARM:
            since = f" since {clock_text(from_unix(reading.since))}" if reading.since else ""
            why = f" ({reading.reason})" if reading.reason else ""
            text = f"{name}: {alarm} is in ALARM already{since}{when}{why}"
            return text, True
        case AlarmState.INSUFFICIENT_DATA:
            return f"{name}: {alarm} has too few datapoints to be OK or not, so far", False
        case AlarmState.MISSING:
            text = (
                f"{name}: there is no alarm {alarm} in the account and region of these credentials"
            )
            return text, True
        case AlarmState.UNREAD:
            return f"{name}: {alarm} was not read: {reading.reason}", True


# --- All checks -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Preflight:
    """What was found before a start; the start goes ahead only when `refusals` is empty."""

    reading: TargetReading
    refusals: tuple[str, ...]
    warnings: tuple[str, ...]
    baselines: Mapping[str, FrozenValue]


def preflight(
    runner: Runner,
    policy: Policy,
    reading: TargetReading,
    obstacles: Sequence[Obstacle],
    now: datetime,
    *,
    adopt: bool = False,
) -> Preflight:
    """Return what stands in the way of a start, or of adopting the weight that is live."""
    refusals = live_refusals(policy, reading) if adopt else weight_refusals(runner, policy, reading)
    refusals += update_refusals(reading)
    refusals += (one.text for one in obstacles if one.fatal)
    frozen = None if adopt else policy.freeze_at(now)
    if frozen is not None:
        refusals.append(f"{frozen.text}; start it after that")
    warnings = [one.text for one in obstacles if not one.fatal]
    red, doubts = alarm_findings(runner, policy, adopt=adopt)
    refusals, warnings = refusals + red, warnings + doubts
    unfit = unusable_when_adopting(policy) if adopt else {}
    refusals += unfit.values()
    baselines: dict[str, FrozenValue] = {}
    try:
        first = (live_step(policy, reading) or 0) if adopt else 0
        for want in (
            one for one in baseline_requests(policy, now, first) if one.criterion not in unfit
        ):
            value, problem = read_baseline(runner, policy, reading, want, now - policy.settle)
            if problem:
                refusals.append(problem)
            if value is not None:
                baselines[want.criterion] = value
        refusals += measurement_refusals(runner, policy, reading, now, adopt=adopt)
    except MetricsError as error:
        refusals.append(f"measurements cannot be read: {error}")
    return Preflight(reading, tuple(refusals), tuple(warnings), baselines)
