"""Small fault plans that are written by hand."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Final

from tests.chaos.fault_plan import (
    ActorAction,
    Crash,
    Fault,
    FaultPlan,
    InjectionPoint,
    Interleaving,
    Timing,
)
from tests.chaos.ground_truth import GroundTruth
from tests.chaos.ground_truth.alb_weights import CANARY as GREEN
from tests.chaos.ground_truth.alb_weights import RULE, AlbWeightsTruth
from tests.chaos.ground_truth.alb_weights import STABLE as BLUE
from tests.chaos.ground_truth.appconfig import TARGET as FLAG_TARGET
from tests.chaos.ground_truth.appconfig import AppConfigTruth
from tests.chaos.ground_truth.lambda_alias import LambdaAliasTruth
from tests.support.core import Policy
from tests.support.stage import SHORT_POLICY, function_with, short_policy
from tests.tools.simulation.worlds import POLICY, scenario

WRITE: Final = "lambda:UpdateFunctionConfiguration"
READ: Final = "lambda:GetFunctionConfiguration"
MEASURE: Final = "cloudwatch:GetMetricData"
SAVE: Final = "store:save"

ALIAS_WRITE: Final = "lambda:UpdateAlias"
ALIAS_READ: Final = "lambda:GetAlias"
RULE_WRITE: Final = "elbv2:ModifyRule"
RULE_READ: Final = "elbv2:DescribeRules"
DEPLOY: Final = "appconfig:StartDeployment"

ALB_TARGET: Final = {"kind": "alb-weights", "rule": RULE, "stable": BLUE, "canary": GREEN}

# The canary fails from the third minute on; or there are no requests at all.
CANARY_ERRORS: Final = {"kind": "errors", "server_errors": "20%", "at": {"after": "150s"}}
NO_TRAFFIC: Final = {"kind": "traffic", "times": 0}


def _holding(**parts: Any) -> Policy:
    return short_policy(**{"max_hold": "2m", **parts})


def sample_plan(
    *faults: Fault,
    events: Sequence[dict[str, Any]] = (),
    takes: str = "3s",
    policy: Policy | None = None,
) -> FaultPlan:
    """Return a plan with the short policy, in a world that is healthy but for `events`.

    takes: how long an update of the function takes.
    """
    function = {**function_with(), "update_takes": takes}
    world = scenario(function=function, events=events)
    return FaultPlan(1, "sqlite", policy or _holding(), world, faults)


def alias_plan(*faults: Fault, events: Sequence[dict[str, Any]] = (), **policy: Any) -> FaultPlan:
    """Return a sample plan with an alias, and with these parts of its policy replaced."""
    target = LambdaAliasTruth.draw(Random(0))
    return _plan_of(LambdaAliasTruth, target, faults, events, policy)


def rule_plan(*faults: Fault, events: Sequence[dict[str, Any]] = (), **policy: Any) -> FaultPlan:
    """Return a sample plan with a listener rule, and with these parts of its policy replaced."""
    return _plan_of(AlbWeightsTruth, ALB_TARGET, faults, events, policy)


def flag_plan(*faults: Fault, events: Sequence[dict[str, Any]] = (), **policy: Any) -> FaultPlan:
    """Return a sample plan with AppConfig, and with these parts of its policy replaced."""
    return _plan_of(AppConfigTruth, FLAG_TARGET, faults, events, policy)


def _plan_of(
    kind: type[GroundTruth],
    target: Mapping[str, Any],
    faults: Sequence[Fault],
    events: Sequence[dict[str, Any]],
    policy: Mapping[str, Any],
) -> FaultPlan:
    metrics = {name: kind.metrics[name] for name in ("requests", "server_errors")}
    works = {**SHORT_POLICY["criteria"]["works"], "failures": ["server_errors"]}
    parts = {"target": target, "metrics": metrics, "criteria": {"works": works}, **policy}
    return sample_plan(*faults, events=events, policy=_holding(**parts))


def fix_plan(*faults: Fault) -> FaultPlan:
    """Return a plan whose stable path fails from before the start on, and whose canary does not."""
    errors = {**POLICY["metrics"]["direct_requests"], "name": "Errors"}
    metrics = {**POLICY["metrics"], "direct_errors": errors}
    works = {
        "kind": "success_rate", "judge": "sequential", "min": "99%", "min_samples": 50,
        "total": "requests", "failures": ["server_errors"],
        "control": {"total": "direct_requests", "failures": ["direct_errors"]},
    }  # fmt: skip
    used = ("requests", "server_errors", "direct_requests", "direct_errors")
    world = scenario(
        function=function_with(),
        traffic={"requests_per_minute": 6_000},
        stable={"median_ms": 100, "server_errors": "20%"},
    )
    policy = _holding(metrics={name: metrics[name] for name in used}, criteria={"works": works})
    return FaultPlan(1, "sqlite", policy, world, faults)


def freeze_before_write(fails: str = "600s") -> FaultPlan:
    """Return a plan in which a raise from 10% is saved, and a freeze begins before its write.

    The freeze lasts from 9:06 to 9:40. fails: how long after 9:00 the canary begins to fail.
    """
    freeze = {"zone": "UTC", "daily": [{"from": "09:06", "to": "09:40"}]}
    errors = {**CANARY_ERRORS, "at": {"after": fails}}
    policy = short_policy(shift_timeout="1m", freeze=freeze)
    return sample_plan(
        Crash(InjectionPoint(4, WRITE), Timing.BEFORE), events=[errors], policy=policy
    )


def interleaving(
    tick: int,
    operation: str,
    action: ActorAction,
    *,
    when: Timing = Timing.BEFORE,
    waits: int = 0,
    weight: int = 0,
    number: int = 0,
) -> Interleaving:
    """Return an action at the first call of `operation`, from the minute `tick` on."""
    return Interleaving(InjectionPoint(tick, operation, number), when, action, waits, weight)
