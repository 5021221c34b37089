"""A policy whose metrics are of a Prometheus server, and parts of it."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final

SERVER: Final = {"prometheus": "https://prometheus.example.com"}
CANARY: Final = {"job": "checkout", "path": "canary"}
STABLE: Final = {"job": "checkout", "path": "stable"}

_COUNTER: Final = {"source": SERVER, "name": "http_requests_total", "statistic": "Sum"}
_TIMES: Final = {
    "source": SERVER,
    "name": "http_request_duration_seconds",
    "statistic": "p95",
    "unit": "s",
}
_PLAIN: Final[dict[str, Any]] = {
    "version": 1,
    "name": "checkout",
    "target": {"kind": "lambda-env", "function": "handler", "percentage": "PERCENT"},
    "metrics": {
        "requests": {**_COUNTER, "dimensions": CANARY},
        "failures": {**_COUNTER, "dimensions": {**CANARY, "code": "~5.."}, "missing": "zero"},
        "latency": {**_TIMES, "dimensions": CANARY},
        "usual": {**_TIMES, "dimensions": STABLE},
    },
    "criteria": {
        "success": {
            "kind": "success_rate",
            "min": "99.9%",
            "total": "requests",
            "failures": ["failures"],
        },
        "fast": {"kind": "threshold", "metric": "latency", "max": 0.5},
        "no_slower": {
            "kind": "latency_increase",
            "metric": "latency",
            "max_increase": "100%",
            "baseline": {"concurrent": "usual"},
        },
    },
    "steps": [
        {"weight": 10, "bake": "1h"},
        {"weight": 100, "bake": "1h", "criteria": ["success", "fast"]},
    ],
}


def prometheus_policy(
    source: Mapping[str, Any] = SERVER, **changes: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the policy as a file has it. changes: of single metrics and criteria, by name."""
    data = deepcopy(_PLAIN)
    for name, metric in data["metrics"].items():
        metric["source"] = dict(source)
        metric.update(changes.get(name, {}))
    for name, criterion in data["criteria"].items():
        criterion.update(changes.get(name, {}))
    return data
