"""The policy of the benchmark: all kinds of sequential criteria, which share one budget."""

from typing import Any, Final

from controller.core.policy import Policy

OBJECTIVE: Final = "SC-004"
BESIDE, STORED = "SC-003", "SC-003-frozen"
REJECTED: Final = "SC-002"
ABSOLUTE: Final = ("p95-latency", "p95-integration")
# The limit of the absolute criteria, in milliseconds.
LIMIT_MS: Final = 500.0


def _metric(name: str, statistic: str = "Sum", path: str = "canary") -> dict[str, Any]:
    dimensions = {"Path": path}
    return {"namespace": "judge", "name": name, "statistic": statistic, "dimensions": dimensions}


def _latency(metric: str, **baseline: str) -> dict[str, Any]:
    return {
        "kind": "latency_increase",
        "judge": "sequential",
        "metric": metric,
        "max_increase": "5%",
        "baseline": baseline,
    }


def _p95(metric: str) -> dict[str, Any]:
    limit = {"max": LIMIT_MS, "min_samples": 200}
    return {"kind": "threshold", "judge": "sequential", "metric": metric, **limit}


_METRICS = {
    "calls": _metric("Requests"),
    "failures": _metric("Failures"),
    "duration": _metric("Duration", "p95"),
    "direct_calls": _metric("Requests", path="stable"),
    "direct_failures": _metric("Failures", path="stable"),
    "direct_duration": _metric("Duration", "p95", path="stable"),
    "client_errors": _metric("4XXError"),
    "latency": _metric("Latency", "p95"),
    "integration": _metric("IntegrationLatency", "p95"),
}
_CRITERIA = {
    BESIDE: _latency("duration", concurrent="direct_duration"),
    STORED: _latency("duration", frozen="direct_duration", window="24h"),
    OBJECTIVE: {
        "kind": "success_rate",
        "judge": "sequential",
        "total": "calls",
        "failures": ["failures"],
        "min": "99.9%",
        "control": {"total": "direct_calls", "failures": ["direct_failures"]},
    },
    REJECTED: {
        "kind": "threshold",
        "judge": "sequential",
        "metric": "client_errors",
        "max": 10,
        "window": "5m",
    },
    "p95-latency": _p95("latency"),
    "p95-integration": _p95("integration"),
    "traffic": {
        "kind": "traffic",
        "judge": "threshold",
        "metric": "calls",
        "window": "5m",
        "control": "direct_calls",
    },
}
_ALWAYS = [OBJECTIVE, REJECTED, *ABSOLUTE, "traffic"]


def _policy(*shared: str, beside: str = BESIDE, long_weight: int = 0, warmup: str = "0s") -> Policy:
    """Return the policy whose steps have `shared` beside their criterion of the latency.

    beside: the one of the first two steps. long_weight: of a step of a day before a last one of an
    hour; 0: the last step takes a day.
    """
    names = [beside, STORED, *shared]
    weights = [(10, "1h", beside), (50, "1h", beside), (100, "24h", STORED)]
    if long_weight:
        weights[2:] = [(long_weight, "24h", beside), (100, "1h", STORED)]
    return Policy.model_validate(
        {
            "version": 1,
            "name": "judge",
            "target": {"kind": "lambda-env", "function": "f", "percentage": "PERCENT"},
            "metrics": _METRICS,
            "criteria": {
                name: {
                    key: part for key, part in one.items() if key != "control" or beside == BESIDE
                }
                for name, one in _CRITERIA.items()
                if name in names
            },
            "warmup": warmup,
            "steps": [
                {"weight": weight, "bake": bake, "criteria": [own, *shared]}
                for weight, bake, own in weights
            ],
        }
    )


POLICY: Final = _policy(*_ALWAYS)
# The same without absolute limits, by its warm-up in minutes; 0 says that nothing starts cold.
BY_WARMUP: Final = {
    minutes: _policy(OBJECTIVE, warmup=f"{minutes}m") for minutes in (0, 2, 5, 10, 20, 30)
}
# The same with the criteria of the latency beside the stable path, and beside its stored day.
LATENCY_ALONE: Final = _policy()
# The first with a long step beside 2% of the traffic on the stable path, or beside 5%.
BESIDE_2, BESIDE_5 = (_policy(*_ALWAYS, long_weight=weight) for weight in (98, 95))
# The first by its budget of false rollbacks.
BY_BUDGET: Final = {
    budget: POLICY.model_copy(update={"false_rollback": budget}) for budget in (0.0001, 0.01, 0.2)
}
# The same as the first without the metrics of the stable path.
WITHOUT_STABLE: Final = _policy(*_ALWAYS, beside=STORED)
