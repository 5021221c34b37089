"""Builders of small policies, rollouts, readings, series and history entries."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from controller.core.policy.targets.lambda_env import LambdaEnv
from tests.support.core import (
    Entry,
    Intent,
    Phase,
    Policy,
    QueryStatus,
    Reason,
    Record,
    Rollout,
    Series,
    TargetReading,
    UpdateStatus,
    append,
)

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
# last complete datapoint at 12:15, and holds until 12:32.
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
        "shown": f"NEW_PATH_PERCENTAGE={weight}",
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


def a_rollout(rollout_id: str = "checkout#1", **facts: Any) -> Rollout:
    """Return a rollout that has just been started at noon, changed by `facts`."""
    name, _, attempt = rollout_id.partition("#")
    plain: dict[str, Any] = {
        "id": rollout_id,
        "name": name,
        "attempt": int(attempt),
        "revision": "code-1",
        "policy": POLICY,
        "digest": POLICY.digest(),
        "target": ARN,
        "phase": Phase.PROGRESSING,
        "reason": Reason.STARTED,
        "sentence": "Started at 10 %.",
        "step": 0,
        "intent": Intent(weight=10, previous=0, token="token-1", asked=NOON),
        "created": NOON,
        "since": NOON,
        "updated": NOON,
    }
    return Rollout(**{**plain, **facts})


def consistent(rollout: Rollout) -> Rollout:
    """Return `rollout` with the fields that its phase and times imply, as in every stored one.

    A store refuses a contradictory rollout; most tests do not want to spell these fields out.
    """
    intent, settled, step = rollout.intent, rollout.settled, rollout.step
    match rollout.phase:
        case Phase.ROLLING_BACK | Phase.ROLLED_BACK:
            intent = replace(intent, weight=0)
        case Phase.PAUSED:
            settled = settled or rollout.since
        case Phase.SUCCEEDED:
            step = len(rollout.policy.steps) - 1
        case Phase.PROGRESSING:
            pass
    since = max(rollout.since, rollout.created)
    updated = max(rollout.updated, since)
    return replace(rollout, intent=intent, settled=settled, step=step, since=since, updated=updated)


def a_record(rollout: Rollout, **facts: Any) -> Record:
    """Return the history record of the current state of `rollout`, changed by `facts`."""
    plain: dict[str, Any] = {
        "kind": "transition",
        "at": rollout.updated,
        "phase_from": rollout.phase,
        "phase_to": rollout.phase,
        "weight_from": rollout.intent.previous,
        "weight_to": rollout.intent.weight,
        "step": rollout.step,
        "reason": rollout.reason,
        "sentence": rollout.sentence,
    }
    return Record(**{**plain, **facts})


def with_entry(rollout: Rollout, **facts: Any) -> tuple[Rollout, Entry]:
    """Return `rollout` with one more entry in its history, and that entry."""
    return append(rollout, a_record(rollout, **facts), by="tester", observation={})
