"""What a tick tells of itself: one line of the log, which CloudWatch turns into metrics when asked.

The line is in the embedded metric format then: a log group that receives it publishes what `_aws`
names, and no call is made for it. What is 0 of a phase or a verdict is left out, and costs nothing.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from controller.core.decision import Alert
from controller.engine.tick import TickResult

_UNITS: Final = {"DurationMs": "Milliseconds", "DataLagSeconds": "Seconds"}


def tick_summary(
    result: TickResult, duration: timedelta, calls: Mapping[str, int], data_lag: timedelta | None
) -> dict[str, Any]:
    """Return what the event `tick_ended` says.

    calls: requests to AWS by service, each attempt counted. data_lag: how old the newest datapoint was
    that the tick has read; None when it has read none. The status is the one before a schedule maps
    it.
    """
    seen = [visit.rollout for visit in result.visits if not visit.busy]
    alerts = Counter(alert for visit in result.visits for alert in visit.alerts)
    problems = sum(bool(visit.problem) for visit in result.visits)
    verdicts = Counter(str(finding.verdict) for one in seen for finding in one.findings)
    return {
        "status": int(result.status),
        "duration_ms": round(duration / timedelta(milliseconds=1)),
        "rollouts": dict(Counter(str(one.phase) for one in seen)),
        "verdicts": dict(verdicts),
        "busy": len(result.visits) - len(seen),
        "errors": len(result.skips) + problems,
        **_alert_counts(result, alerts),
        "calls": dict(calls),
        "data_lag_s": None if data_lag is None else round(data_lag.total_seconds()),
    }


def _alert_counts(result: TickResult, alerts: Mapping[Alert, int]) -> dict[str, int]:
    """Return how many rollouts are in alarm, by the kind of it.

    A tick that did not look at every rollout does not know that there is none: 0 is left out then,
    and an alarm that goes by it stays as it is.
    """
    kinds = {"unconfirmed": Alert.ROLLBACK_UNCONFIRMED, "drifted": Alert.DRIFT}
    blind = bool(result.skips) or any(one.problem or one.busy for one in result.visits)
    found = {name: alerts[alert] for name, alert in kinds.items()}
    return {name: count for name, count in found.items() if count or not blind}


def embedded_metrics(summary: Mapping[str, Any], namespace: str, now: datetime) -> dict[str, Any]:
    """Return what makes of a line that says `summary` metrics in `namespace`; nothing without one."""
    if not namespace:
        return {}
    values = {
        "Ticks": 1,
        "DurationMs": summary["duration_ms"],
        "ApiCalls": sum(summary["calls"].values()),
        "Errors": summary["errors"],
        **{f"Rollouts{_camel_case(phase)}": count for phase, count in summary["rollouts"].items()},
        **{
            f"Verdicts{_camel_case(verdict)}": count
            for verdict, count in summary["verdicts"].items()
        },
    }
    if summary["data_lag_s"] is not None:
        values["DataLagSeconds"] = summary["data_lag_s"]
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
