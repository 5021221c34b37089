"""All that is checked once, before the first percent of traffic moves; it only reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from controller.core.baseline import wanted
from controller.core.measured import FrozenValue
from controller.core.observation import Reading
from controller.core.policy import Policy
from controller.errors import MetricsError
from controller.ports import Obstacle
from controller.preflight.alarms import alarm_findings
from controller.preflight.baselines import baseline, taken_while_live
from controller.preflight.measurements import measurement_refusals
from controller.preflight.weight import (
    live_refusals,
    live_step,
    update_refusals,
    weight_refusals,
)
from controller.runner import Runner

__all__ = ["Preflight", "live_step", "preflight"]


@dataclass(frozen=True, slots=True)
class Preflight:
    """What was found before a start; the start goes ahead only when `refusals` is empty."""

    reading: Reading
    refusals: tuple[str, ...]
    warnings: tuple[str, ...]
    baselines: Mapping[str, FrozenValue]


def preflight(
    runner: Runner,
    policy: Policy,
    reading: Reading,
    obstacles: Sequence[Obstacle],
    now: datetime,
    *,
    adopt: bool = False,
) -> Preflight:
    """Return what stands in the way of a start, or of adopting the weight that is live."""
    refusals = live_refusals(policy, reading) if adopt else weight_refusals(runner, policy, reading)
    refusals += update_refusals(reading)
    refusals += (one.text for one in obstacles if one.fatal)
    frozen = None if adopt else policy.frozen(now)
    if frozen is not None:
        refusals.append(f"{frozen.text}; start it after that")
    warnings = [one.text for one in obstacles if not one.fatal]
    red, doubts = alarm_findings(runner, policy, adopt=adopt)
    refusals, warnings = refusals + red, warnings + doubts
    unfit = taken_while_live(policy) if adopt else {}
    refusals += unfit.values()
    baselines: dict[str, FrozenValue] = {}
    try:
        first = (live_step(policy, reading) or 0) if adopt else 0
        for want in (one for one in wanted(policy, now, first) if one.criterion not in unfit):
            value, problem = baseline(runner, policy, reading, want, now - policy.settle)
            if problem:
                refusals.append(problem)
            if value is not None:
                baselines[want.criterion] = value
        refusals += measurement_refusals(runner, policy, reading, now, adopt=adopt)
    except MetricsError as error:
        refusals.append(f"measurements cannot be read: {error}")
    return Preflight(reading, tuple(refusals), tuple(warnings), baselines)
