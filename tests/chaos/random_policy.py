"""Draws a short policy and a world for it; a rollout takes at most half an hour."""

from random import Random
from typing import Any, Final

from controller.policy_file.loader import check
from controller.tools.simulation.scenario.scenario import Scenario
from tests.chaos.ground_truth import GroundTruth
from tests.support.core import Policy

_SUCCESS_RATE: Final[dict[str, Any]] = {
    "kind": "success_rate",
    "judge": "threshold",
    "total": "requests",
    "min": "99%",
    "window": "1m",
    "min_samples": 50,
}
_LATENCY: Final[dict[str, Any]] = {
    "kind": "latency_increase",
    "judge": "threshold",
    "metric": "latency",
    "max_increase": "25%",
    "window": "1m",
    "min_samples": 50,
}
_TRAFFIC: Final[dict[str, Any]] = {
    "kind": "traffic",
    "judge": "threshold",
    "metric": "requests",
    "control": "direct_requests",
}
_STEP_WEIGHTS: Final = ((10, 100), (10, 50, 100), (100,), (1, 100), (5, 30, 100))

# A hold of one or two minutes is over before a second tick could leave time out of it.
_MAX_WAITS: Final = {"0s": "0s", "1m": "0s", "2m": "1m", "3m": "1m"}


def draw_policy(
    chance: Random,
    kind: type[GroundTruth],
    *,
    sequential: bool = False,
    max_bad_requests: int | None = None,
) -> Policy:
    """Return a policy whose healthy rollout takes at most half an hour.

    kind: of its target. sequential: the sequential judge, with a generous false-rollback budget, as
    steps are short. max_bad_requests: that of every step; None: none.
    """
    failure_limit = chance.choice((1, 1, 2))  # how many bad minutes in a row fail
    failures = [one for one in ("client_errors", "server_errors") if one in kind.metrics]
    works = {**_SUCCESS_RATE, "failures": failures, "failure_limit": failure_limit}
    criteria: dict[str, dict[str, Any]] = {"works": works}
    if chance.random() < 0.25:
        criteria["fast"] = {**_LATENCY, "baseline": {"fixed": kind.usual_latency}}
    if chance.random() < 0.4:
        criteria["arrives"] = _TRAFFIC
    used = {"requests", "client_errors", "server_errors"}
    used |= {"latency"} if "fast" in criteria else set()
    used |= {"direct_requests"} if "arrives" in criteria else set()
    document: dict[str, Any] = {
        "version": 1,
        "name": "orders",
        "target": kind.draw(chance),
        "metrics": {name: metric for name, metric in kind.metrics.items() if name in used},
        "criteria": criteria,
        "steps": _steps(chance, failure_limit),
        "warmup": chance.choice(("0s", "0s", "1m")),
        "evaluation_delay": "2m",
        "max_hold": chance.choice(("0s", "1m", "2m", "3m")),
        "on_inconclusive": chance.choice(("pause", "rollback", "advance")),
        "on_drift_up": chance.choice(("pause", "rollback")),
        "shift_timeout": chance.choice(("1m", "2m", "4m")),
        "rollback_timeout": chance.choice(("1m", "2m", "5m")),
        **_freeze(chance),
    }
    document["max_wait"] = _MAX_WAITS[document["max_hold"]]
    if max_bad_requests is not None:
        document["max_bad_requests"] = max_bad_requests
    policy, mistakes = check(_with_sequential_judge(document) if sequential else document)
    # A version is counted at 100% too, as rollouts are tested here, and not what AWS counts.
    assert policy is not None, mistakes
    assert all("at 100%: AWS counts" in mistake.message for mistake in mistakes), mistakes
    return policy


def _with_sequential_judge(policy: dict[str, Any]) -> dict[str, Any]:
    criteria = {
        name: one
        if one["kind"] == "traffic"
        else {key: one[key] for key in one if key not in ("window", "failure_limit")}
        | {"judge": "sequential"}
        for name, one in policy["criteria"].items()
    }
    return {**policy, "criteria": criteria, "false_rollback": "20%"}


def _steps(chance: Random, shortest: int) -> list[dict[str, Any]]:
    weights = chance.choice(_STEP_WEIGHTS)
    steps: list[dict[str, Any]] = [
        {"weight": weight, "bake": f"{chance.randint(shortest, 3)}m"} for weight in weights
    ]
    if len(steps) > 1 and chance.random() < 0.15:
        steps[-1]["approval"] = "required"
    return steps


def _freeze(chance: Random) -> dict[str, Any]:
    """Return a freeze of some minutes within the hour of the run, or none."""
    if chance.random() > 0.15:
        return {}
    begin = chance.randint(1, 20)
    window = {"from": f"09:{begin:02}", "to": f"09:{begin + chance.randint(2, 8):02}"}
    return {"freeze": {"zone": "UTC", "daily": [window]}}


# --- the world ------------------------------------------------------------------------------------


def draw_world(chance: Random, steps: int, kind: type[GroundTruth]) -> Scenario:
    """Return a world for a policy of so many steps: healthy, failing, silent, or late with data."""
    step = chance.randint(1, steps)
    at = {"step": step, "after": f"{chance.randint(0, 150)}s"}
    events, rate, summary = _world_events(chance, at, kind)
    return Scenario.model_validate(
        {
            "name": "chaos",
            "summary": summary,
            "traffic": {"requests_per_minute": rate},
            "stable": {"median_ms": 100},
            "canary": {"median_ms": 100},
            "function": {
                "update_takes": f"{chance.choice((0, 1, 3, 3, 12, 40, 90))}s",
                "variables": {"LOG_LEVEL": "INFO", "API_KEY": "not for anybody"},
            },
            "publication": _publication(chance),
            "events": events,
        }
    )


_BYPASS: Final = "nothing reaches the canary"
_FAULTS: Final[dict[str, dict[str, Any]]] = {
    "the canary fails": {"kind": "errors", "server_errors": "5%"},
    "the canary is slow": {"kind": "latency", "times": 1.8},
    "both paths fail": {"kind": "errors", "path": "both", "server_errors": "5%"},
    "requests stop": {"kind": "traffic", "times": 0},
    _BYPASS: {"kind": "alias_reset"},
}


def _world_events(
    chance: Random, event_time: dict[str, Any], kind: type[GroundTruth]
) -> tuple[list[dict[str, Any]], int, str]:
    """Return the fault events of a world, its requests a minute, and a summary in words."""
    names = ["all is well", "few requests", "no requests", *_FAULTS]
    name = chance.choices(names, weights=(45, 5, 4, 18, 8, 5, 10, 5))[0]
    rate = {"few requests": 8, "no requests": 0}.get(name, 600)
    if name == _BYPASS and not kind.has_bypass:
        name = "all is well"
    if name not in _FAULTS:
        return [], rate, f"{name}."
    summary = f"{name} {event_time['after']} after step {event_time['step']} came into force."
    return [{**_FAULTS[name], "at": event_time}], rate, summary


def _publication(chance: Random) -> dict[str, Any]:
    delay = chance.choice((30, 60, 60, 110, 200))
    complete = delay + chance.choice((0, 60, 120))
    return {"delay": f"{delay}s", "complete": f"{complete}s", "at_first": "70%"}
