"""A policy with one criterion of each kind that can have an alarm or a bound."""

from typing import Any

from tests.support.core import BaselineMeasurement, Policy

_API = {"ApiName": "shop"}
FROZEN = BaselineMeasurement(200.0, 1_000, 0, 3_600)


def gateway_metric(name: str, statistic: str, **overrides: Any) -> dict[str, Any]:
    """Return a metric of the shop's gateway."""
    base = {"namespace": "AWS/ApiGateway", "name": name, "statistic": statistic}
    return {**base, "dimensions": _API, **overrides}


def custom_metric(name: str, statistic: str, path: str, **overrides: Any) -> dict[str, Any]:
    """Return a metric that the caller publishes."""
    base = {"namespace": "Shop", "name": name, "statistic": statistic}
    return {**base, "dimensions": {"Path": path}, **overrides}


METRICS = {
    "requests": gateway_metric("Count", "Sum"),
    "rejected": gateway_metric("4XXError", "Sum"),
    "broken": gateway_metric("5XXError", "Sum"),
    "latency": gateway_metric("Latency", "p95", unit="ms"),
    "integration": gateway_metric("IntegrationLatency", "p95", unit="ms"),
    "direct": custom_metric("Duration", "p95", "stable", unit="ms"),
    "throttles": custom_metric("Throttles", "Sum", "canary", missing="zero"),
    "memory": custom_metric("Memory", "Maximum", "canary", unit="MB"),
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
        "baseline": {"frozen": "direct", "window": "24h"},
    },
    "fixed": {
        "kind": "latency_increase", "metric": "latency", "max_increase": "10%",
        "baseline": {"fixed": 240.0},
    },
    "auth-failures": {"kind": "threshold", "metric": "rejected", "max": 10, "window": "5m"},
    "p95-latency": {"kind": "threshold", "metric": "latency", "max": 500},
    "p95-integration": {"kind": "threshold", "metric": "integration", "max": 450},
    "throttled": {"kind": "threshold", "metric": "throttles", "per": "requests", "max": "1%"},
    "roomy": {"kind": "threshold", "metric": "memory", "max": 900},
    "busy": {"kind": "threshold", "metric": "requests", "min": 5, "window": "10m"},
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
            "metrics": {name: metric for name, metric in METRICS.items() if f"'{name}'" in text},
            "criteria": criteria,
            "steps": [{"weight": 10, "bake": "1h"}, {"weight": 100, "bake": "24h"}],
            **parts,
        }
    )
