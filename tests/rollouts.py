"""Rollouts to test stores with: small, complete, and moved on by one line."""

from datetime import UTC, datetime, timedelta
from typing import Any

from controller.core.effects import Record
from controller.core.history import Entry, append
from controller.core.policy import Policy
from controller.core.rollout import Intent, Phase, Reason, Rollout

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

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
        "target": "arn:aws:lambda:eu-central-1:123456789012:function:handler",
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


def a_record(rollout: Rollout, **facts: Any) -> Record:
    """Return what the history should say of `rollout` as it stands, changed by `facts`."""
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


def recorded(rollout: Rollout, **facts: Any) -> tuple[Rollout, Entry]:
    """Return `rollout` with one more entry in its history, and that entry."""
    return append(rollout, a_record(rollout, **facts), by="tester", seen={})
