"""Small simulated worlds for tests; each checks its calls against botocore's service models."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from controller.tools.simulation.scenario.scenario import Scenario
from controller.tools.simulation.world import World
from tests.support.core import Policy
from tests.tools.simulation.service_model import hold_to_model

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

FUNCTION = "handler"
API = {"ApiName": "orders"}
BACKEND = {"FunctionName": "backend"}

_LATENCY = {"namespace": "AWS/ApiGateway", "name": "Latency", "statistic": "p95", "dimensions": API}

POLICY: dict[str, Any] = {
    "version": 1,
    "name": "orders",
    "target": {
        "kind": "lambda-env",
        "function": FUNCTION,
        "percentage": "PERCENTAGE",
        "boolean": "ENABLED",
    },
    "metrics": {
        "requests": {**_LATENCY, "name": "Count", "statistic": "Sum"},
        "client_errors": {**_LATENCY, "name": "4XXError", "statistic": "Sum"},
        "server_errors": {**_LATENCY, "name": "5XXError", "statistic": "Sum"},
        "latency": _LATENCY,
        "integration": {**_LATENCY, "name": "IntegrationLatency"},
        "direct": {
            "namespace": "AWS/Lambda",
            "name": "Duration",
            "statistic": "p95",
            "dimensions": BACKEND,
        },
        "direct_requests": {
            "namespace": "AWS/Lambda",
            "name": "Invocations",
            "statistic": "Sum",
            "dimensions": BACKEND,
        },
    },
    "criteria": {
        "works": {
            "kind": "success_rate",
            "judge": "threshold",
            "total": "requests",
            "failures": ["client_errors", "server_errors"],
            "min": "99.9%",
        },
        "fast": {
            "kind": "latency_increase",
            "judge": "threshold",
            "metric": "latency",
            "max_increase": "5%",
            "baseline": {"frozen": "direct", "window": "24h"},
        },
        "bounded": {
            "kind": "threshold",
            "judge": "threshold",
            "metric": "integration",
            "max": 500,
        },
        "arrives": {
            "kind": "traffic",
            "judge": "threshold",
            "metric": "requests",
            "control": "direct_requests",
        },
    },
    "steps": [
        {"weight": 10, "bake": "1h"},
        {"weight": 50, "bake": "1h"},
        {"weight": 100, "bake": "24h"},
    ],
}


def scenario(**changes: Any) -> Scenario:
    """Return a scenario of 600 quick requests a minute, with these fields replaced."""
    fields = {
        "name": "test",
        "summary": "A world for one test.",
        "traffic": {"requests_per_minute": 600},
        "stable": {"median_ms": 100},
        "canary": {"median_ms": 100},
        **changes,
    }
    return Scenario.model_validate(fields)


def world(played: Scenario | None = None, *, seed: int = 1) -> World:
    """Return the world of `POLICY`, with every answer checked against the service models."""
    account = World.for_policy(
        Policy.model_validate(POLICY), played or scenario(), seed=seed, start=START
    )
    account.interceptors.append(hold_to_model)
    return account


def empty_world(played: Scenario | None = None) -> World:
    """Return a world without a function, with every answer checked against the service models."""
    account = World(start=START) if played is None else World(played, start=START)
    account.interceptors.append(hold_to_model)
    return account


def set_weight(in_world: World, weight: int) -> None:
    """Write `weight` as a controller does, and wait until it is applied."""
    client = in_world.client("lambda")
    configuration = client.get_function_configuration(FunctionName=FUNCTION)
    pair = {"PERCENTAGE": str(weight), "ENABLED": "true" if weight == 100 else "false"}
    client.update_function_configuration(
        FunctionName=FUNCTION,
        Environment={"Variables": {**configuration["Environment"]["Variables"], **pair}},
        RevisionId=configuration["RevisionId"],
    )
    in_world.clock.advance(timedelta(seconds=3))


def query(
    name: str,
    statistic: str = "Sum",
    period_s: int = 60,
    dimensions: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return a query; gateway metrics are named without, others with their namespace."""
    namespace, _, bare = name.rpartition("/")
    api = BACKEND if namespace else API
    stat = {
        "Metric": {
            "Namespace": namespace or "AWS/ApiGateway",
            "MetricName": bare,
            "Dimensions": [
                {"Name": key, "Value": value}
                for key, value in (api if dimensions is None else dimensions).items()
            ],
        },
        "Period": period_s,
        "Stat": statistic,
    }
    return {"Id": "q", "MetricStat": stat}


def read(
    from_world: World,
    name: str,
    statistic: str = "Sum",
    period_s: int = 60,
    *,
    dimensions: Mapping[str, str] | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> dict[datetime, float]:
    """Return one series by its timestamps: the hour before `end`, or before now."""
    until = end or from_world.clock.now()
    answer = from_world.client("cloudwatch").get_metric_data(
        MetricDataQueries=[query(name, statistic, period_s, dimensions)],
        StartTime=start or until - HOUR,
        EndTime=until,
        ScanBy="TimestampAscending",
    )
    (result,) = answer["MetricDataResults"]
    assert result["StatusCode"] == "Complete"
    return dict(zip(result["Timestamps"], result["Values"], strict=True))
