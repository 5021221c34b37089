"""Builders of small policies, rollouts, readings, series and history entries."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from msgspec.structs import fields

from controller.core.policy.targets.lambda_env import LambdaEnv
from controller.immutable import replace
from tests.support.core import (
    FINAL_PHASES,
    BaselineMeasurement,
    Condition,
    ConditionKind,
    Decision,
    Entry,
    Live,
    Paused,
    Pending,
    Phase,
    Policy,
    Progressing,
    QueryStatus,
    Reason,
    Record,
    RolledBack,
    RollingBack,
    Rollout,
    RolloutEvidence,
    Series,
    StartCause,
    Started,
    State,
    Succeeded,
    TargetReading,
    UpdateStatus,
    append,
    decide,
)

S = TypeVar("S", bound=State)
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def lambda_env(policy: Policy) -> LambdaEnv:
    """Return the target of a policy whose target is of the kind `lambda-env`."""
    assert isinstance(policy.target, LambdaEnv)
    return policy.target


ARN = "arn:aws:lambda:eu-central-1:123456789012:function:handler"

POLICY = Policy.model_validate(
    {
        "version": 1,
        "name": "checkout",
        "target": {
            "kind": "lambda-env",
            "function": "handler",
            "percentage": "NEW_PATH_PERCENTAGE",
            "boolean": "NEW_PATH",
        },
        "metrics": {
            "requests": {"namespace": "Shop", "name": "Count", "statistic": "Sum"},
            "errors": {"namespace": "Shop", "name": "Errors", "statistic": "Sum"},
            "latency": {"namespace": "Shop", "name": "Latency", "statistic": "p95"},
        },
        "criteria": {
            "works": {
                "kind": "success_rate",
                "judge": "threshold",
                "total": "requests",
                "failures": ["errors"],
                "min": "99.9%",
            },
            "errors-per-request": {
                "kind": "threshold",
                "judge": "threshold",
                "metric": "errors",
                "per": "requests",
                "max": "0.1%",
            },
            "fast": {
                "kind": "latency_increase",
                "judge": "threshold",
                "metric": "latency",
                "max_increase": "5%",
                "baseline": {"frozen": "latency", "from": NOON - 9 * MINUTE, "to": NOON},
            },
        },
        "steps": [{"weight": 10, "bake": "1h"}, {"weight": 100, "bake": "24h"}],
    }
)


# Three steps and one criterion: two bad minutes in a row fail, and a pass needs 50 requests.
# A step of ten minutes that is applied at noon is judged from 12:02, bakes until 12:12, has its
# last complete datapoint at 12:15, and holds until 12:32, whatever the hold waits for.
LADDER: Mapping[str, Any] = {
    "version": 1,
    "name": "checkout",
    "target": POLICY.target.model_dump(),
    "metrics": {
        "requests": {"namespace": "Shop", "name": "Count", "statistic": "Sum"},
        "errors": {"namespace": "Shop", "name": "Errors", "statistic": "Sum"},
    },
    "criteria": {
        "works": {
            "kind": "success_rate",
            "judge": "threshold",
            "total": "requests",
            "failures": ["errors"],
            "min": "99%",
            "window": "1m",
            "failure_limit": 2,
            "min_samples": 50,
        },
    },
    "max_wait": "0s",
    "steps": [
        {"weight": 10, "bake": "10m"},
        {"weight": 50, "bake": "10m"},
        {"weight": 100, "bake": "30m"},
    ],
}


def a_policy(**parts: Any) -> Policy:
    """Return the ladder as a policy, with whole `parts` of it replaced."""
    return Policy.model_validate({**LADDER, **parts})


def a_reading(
    weight: int | None, update: UpdateStatus = UpdateStatus.SUCCESSFUL, **facts: Any
) -> TargetReading:
    """Return a reading of the target at `weight`, changed by `facts`."""
    plain: dict[str, Any] = {
        "identity": ARN,
        "weight": weight,
        "variables": f"NEW_PATH_PERCENTAGE={weight}",
        "token": "token-1",
        "update": update,
    }
    return TargetReading(**{**plain, **facts})


def a_series(
    values: Sequence[float | None],
    *,
    every: timedelta = MINUTE,
    start: datetime = NOON,
    answer: QueryStatus = QueryStatus.COMPLETE,
) -> Series:
    """Return a series with one value per period from `start` on; None is a period without data."""
    first, period_s = int(start.timestamp()), int(every.total_seconds())
    by_second = {first + index * period_s: value for index, value in enumerate(values)}
    points = {second: float(value) for second, value in by_second.items() if value is not None}
    return Series(points, answer, "" if answer is QueryStatus.COMPLETE else "Throttling")


_STATES: Mapping[Phase, type[State]] = {
    Phase.PROGRESSING: Progressing,
    Phase.PAUSED: Paused,
    Phase.ROLLING_BACK: RollingBack,
    Phase.ROLLED_BACK: RolledBack,
    Phase.SUCCEEDED: Succeeded,
}


def a_state(
    phase: Phase = Phase.PROGRESSING,
    policy: Policy = POLICY,
    *,
    step: int = 0,
    applied: bool = False,
    **facts: Any,
) -> State:
    """Return the state of a rollout that entered `phase` in `step` at noon, changed by `facts`.

    The first raise is pending, unless its weight is `applied` since noon, as that of a later step
    is. A rollback took the weight of the step back, and a success is at the last step.
    """
    if phase is Phase.SUCCEEDED:
        step = len(policy.steps) - 1
    weight = policy.steps[step].weight
    plain: dict[str, Any] = {
        "since": NOON,
        "reason": Reason.STARTED,
        "sentence": "Started at 10%.",
    }
    match phase:
        case Phase.PROGRESSING | Phase.PAUSED:
            pending = Pending(step, weight, 0, "token-1", NOON)
            plain["position"] = Live(step, weight, NOON) if applied or step else pending
        case Phase.ROLLING_BACK | Phase.ROLLED_BACK:
            plain |= {"step": step, "intended": weight, "from_weight": weight}
        case Phase.SUCCEEDED:
            plain |= {"reason": Reason.COMPLETED, "position": Live(step, weight, NOON)}
    if phase in FINAL_PHASES:
        plain["watch_until"] = NOON + 15 * MINUTE
    return _STATES[phase](**{**plain, **facts})


_EVIDENCE_FIELDS = frozenset(one.name for one in fields(RolloutEvidence))


def a_rollout(
    rollout_id: str = "checkout#1",
    state: State | None = None,
    *,
    policy: Policy = POLICY,
    **facts: Any,
) -> Rollout:
    """Return a rollout that has just been started at noon, in `state`, changed by `facts`.

    policy: it gets the name of the rollout. facts: of the rollout, and of its evidence.
    """
    policy = policy.model_copy(update={"name": rollout_id.rpartition("#")[0]})
    state = a_state(policy=policy) if state is None else state
    plain: dict[str, Any] = {
        "id": rollout_id,
        "revision": "code-1",
        "policy": policy,
        "digest": policy.digest(),
        "target": ARN,
        "state": state,
        "created": NOON,
        "updated": NOON,
    }
    if isinstance(state, Paused):
        told = Condition(state.since, state.sentence, announced=state.since)
        plain["conditions"] = {ConditionKind.PAUSED: told}
    evidence = {name: facts.pop(name) for name in _EVIDENCE_FIELDS & facts.keys()}
    return Rollout(**{**plain, "evidence": RolloutEvidence(**evidence), **facts})


def a_start(
    policy: Policy,
    target: TargetReading,
    baselines: Mapping[str, BaselineMeasurement] | None = None,
    retry_reason: str | None = None,
    adopted: int | None = None,
    despite: Mapping[str, str] | None = None,
    despite_reason: str = "",
) -> Decision:
    """Return the decision to start the first rollout of `policy`, at noon."""
    cause = StartCause(retry_reason, adopted, despite or {}, despite_reason)
    return decide(None, Started(policy, "code-1", target, 1, baselines or {}, cause), NOON)


def in_phase(phase: Phase, rollout_id: str = "checkout#1", **facts: Any) -> Rollout:
    """Return a rollout in `phase`; `facts` are of its state."""
    state = a_state(phase, **facts)
    return a_rollout(rollout_id, state, updated=max(NOON, state.since))


def with_facts(rollout: Rollout, **facts: Any) -> Rollout:
    """Return `rollout` with `facts` of it, and of its evidence, changed."""
    evidence = {name: facts.pop(name) for name in _EVIDENCE_FIELDS & facts.keys()}
    return replace(rollout, evidence=replace(rollout.evidence, **evidence), **facts)


def with_state(rollout: Rollout, **facts: Any) -> Rollout:
    """Return `rollout` with `facts` of its state changed."""
    return replace(rollout, state=replace(rollout.state, **facts))


def state_of(rollout: Rollout, phase: type[S]) -> S:
    """Return the state of `rollout`, which is in that phase."""
    assert isinstance(rollout.state, phase)
    return rollout.state


def a_record(rollout: Rollout, **facts: Any) -> Record:
    """Return the history record of the current state of `rollout`, changed by `facts`."""
    plain: dict[str, Any] = {
        "kind": "transition",
        "at": rollout.updated,
        "phase_from": rollout.phase,
        "phase_to": rollout.phase,
        "weight_from": 0,
        "weight_to": rollout.weight,
        "step": rollout.step,
        "reason": rollout.reason,
        "sentence": rollout.sentence,
    }
    return Record(**{**plain, **facts})


def with_entry(rollout: Rollout, **facts: Any) -> tuple[Rollout, Entry]:
    """Return `rollout` with one more entry in its history, and that entry."""
    return append(rollout, a_record(rollout, **facts), by="tester", observation={})
