"""A policy with one criterion of each kind that can have an alarm or a bound."""

from typing import Any

from controller.core.judge.evidence import FrozenValue
from controller.core.policy import Policy

_API = {"ApiName": "shop"}
FROZEN = FrozenValue(200.0, 1_000, 0, 3_600)


def metric(name: str, statistic: str, **more: Any) -> dict[str, Any]:
    """Return a metric of the shop's gateway."""
    found = {"namespace": "AWS/ApiGateway", "name": name, "statistic": statistic}
    return {**found, "dimensions": _API, **more}


def own(name: str, statistic: str, path: str, **more: Any) -> dict[str, Any]:
    """Return a metric that the caller publishes."""
    found = {"namespace": "Shop", "name": name, "statistic": statistic}
    return {**found, "dimensions": {"Path": path}, **more}


METRICS = {
    "requests": metric("Count", "Sum"),
    "rejected": metric("4XXError", "Sum"),
    "broken": metric("5XXError", "Sum"),
    "latency": metric("Latency", "p95", unit="ms"),
    "integration": metric("IntegrationLatency", "p95", unit="ms"),
    "direct": own("Duration", "p95", "stable", unit="ms"),
    "throttles": own("Throttles", "Sum", "canary", missing="zero"),
    "memory": own("Memory", "Maximum", "canary", unit="MB"),
}

_JUDGE = {"judge": "threshold"}
CRITERIA: dict[str, dict[str, Any]] = {
    "SC-004": {
        "kind": "success_rate", "total": "requests", "failures": ["rejected", "broken"],
        "min": "99.9%",
    },
    "beside": {
        "kind": "latency_increase", "metric": "latency", "max_increase": "5%",
        "baseline": {"concurrent": "direct"},
    },
    "frozen": {
        "kind": "latency_increase", "metric": "latency", "max_increase": "5%",
        "baseline": {"frozen": "direct", "over": "24h"},
    },
    "fixed": {
        "kind": "latency_increase", "metric": "latency", "max_increase": "10%",
        "baseline": {"fixed": 240.0},
    },
    "auth-failures": {"kind": "threshold", "metric": "rejected", "max": 10, "over": "5m"},
    "p95-latency": {"kind": "threshold", "metric": "latency", "max": 500},
    "p95-integration": {"kind": "threshold", "metric": "integration", "max": 450},
    "throttled": {"kind": "threshold", "metric": "throttles", "per": "requests", "max": "1%"},
    "roomy": {"kind": "threshold", "metric": "memory", "max": 900},
    "busy": {"kind": "threshold", "metric": "requests", "min": 5, "over": "10m"},
    "traffic": {"kind": "traffic", "metric": "requests", "min": 1},
}  # fmt: skip


def a_watched(*names: str, **parts: Any) -> Policy:
    """Return the policy `shop` with these criteria, or all; only metrics that they use."""
    criteria = {name: {**_JUDGE, **CRITERIA[name]} for name in names or CRITERIA}
    text = str(criteria)
    return Policy.model_validate(
        {
            "version": 1,
            "name": "shop",
            "target": {"kind": "lambda-env", "function": "shop", "percentage": "PERCENTAGE"},
            "metrics": {name: one for name, one in METRICS.items() if f"'{name}'" in text},
            "criteria": criteria,
            "steps": [{"weight": 10, "bake": "1h"}, {"weight": 100, "bake": "24h"}],
            **parts,
        }
    )
