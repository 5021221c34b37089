"""The summary of a tick: one log line, which CloudWatch can turn into metrics.

With a namespace the line is in the embedded metric format: a log group that receives it publishes
the fields that `_aws` names, without an API call. Phases and verdicts with a count of 0 are left
out, because each metric costs.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from controller.core.decision import Alert
from controller.engine.slices import TickResult
from controller.errors import TickDeadlineError

_UNITS: Final = {"DurationMs": "Milliseconds", "DataLagSeconds": "Seconds"}


def tick_summary(
    result: TickResult,
    duration: timedelta,
    calls: Mapping[str, int],
    throttled: int,
    data_lag: timedelta | None,
) -> dict[str, Any]:
    """Return the fields of the log event `tick_ended`.

    calls: requests to AWS by service, each attempt counted. throttled: those that AWS refused
    because of a rate limit.
    data_lag: the age of the newest datapoint that the tick has read; None when it has read none.
    The status is the one before `--scheduled` maps it.
    """
    kinds = {"unconfirmed": Alert.ROLLBACK_UNCONFIRMED, "drifted": Alert.DRIFT}
    visited = [visit.rollout for visit in result.visits if not visit.busy]
    alerts = Counter(alert for visit in result.visits for alert in visit.alerts)
    problems = sum(bool(visit.problem) for visit in result.visits)
    busy = len(result.visits) - len(visited)
    # A tick that did not visit every rollout cannot report that none has an alert: such a count is
    # left out, and an alarm on this metric keeps its state.
    complete = not (result.skips or problems or busy)
    verdicts = Counter(str(finding.verdict) for one in visited for finding in one.evidence.findings)
    return {
        "status": int(result.status),
        "duration_ms": round(duration / timedelta(milliseconds=1)),
        "due": len(result.visits) + len(result.skips),
        "later": len(result.later),
        "visited": len(visited),
        "late": result.late + sum(isinstance(one.error, TickDeadlineError) for one in result.skips),
        "rollouts": dict(Counter(map(str, [*(one.phase for one in visited), *result.later]))),
        "verdicts": dict(verdicts),
        "busy": busy,
        "errors": len(result.skips) + problems,
        **{name: alerts[one] for name, one in kinds.items() if alerts[one] or complete},
        "calls": dict(calls),
        "throttled": throttled,
        "data_lag_s": None if data_lag is None else round(data_lag.total_seconds()),
    }


def embedded_metrics(summary: Mapping[str, Any], namespace: str, now: datetime) -> dict[str, Any]:
    """Return the fields that make `summary` metrics in `namespace`; empty without a namespace."""
    values = {
        "Ticks": 1,
        "DurationMs": summary["duration_ms"],
        "ApiCalls": sum(summary["calls"].values()),
        "Throttled": summary["throttled"],
        "Errors": summary["errors"],
        "Due": summary["due"],
        "Visited": summary["visited"],
        "Late": summary["late"],
        **{f"Rollouts{_camel_case(phase)}": count for phase, count in summary["rollouts"].items()},
        **{
            f"Verdicts{_camel_case(verdict)}": count
            for verdict, count in summary["verdicts"].items()
        },
    }
    if summary["data_lag_s"] is not None:
        values["DataLagSeconds"] = summary["data_lag_s"]
    return _embedded(values, namespace, now)


def map_metrics(summary: Mapping[str, int], namespace: str, now: datetime) -> dict[str, Any]:
    """Return the fields that make the counts of a map's ticks metrics, as `embedded_metrics`.

    summary: how many rollouts were listed, and of these visited, late and failed.
    """
    values = {f"Rollouts{_camel_case(name)}": count for name, count in summary.items()}
    return _embedded({"Ticks": 1, **values}, namespace, now)


def _embedded(values: Mapping[str, int], namespace: str, now: datetime) -> dict[str, Any]:
    if not namespace:
        return {}
    metrics = [{"Name": name, "Unit": _UNITS.get(name, "Count")} for name in values]
    return {
        "_aws": {
            "Timestamp": int(now.timestamp() * 1_000),
            "CloudWatchMetrics": [
                {"Namespace": namespace, "Dimensions": [[]], "Metrics": metrics},
            ],
        },
        **values,
    }


def _camel_case(words: str) -> str:
    return "".join(word.capitalize() for word in words.split("_"))
