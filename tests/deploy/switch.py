"""A model of CloudWatch metric filters and alarms, as far as the template needs them.

The emulator makes no metrics of log events, and does not evaluate alarms without data.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

_EXTRA_PERIODS: Final = 2
_TERM: Final = re.compile(
    r'\$\.(?P<path>[\w.\[\]]+) (?:(?P<sign>!?=) (?:"(?P<word>\w+)"|(?P<number>\d+))'
    r"|IS (?P<truth>TRUE|FALSE)|(?P<absent>NOT EXISTS))"
)


def matches(pattern: str, line: str) -> bool:
    """Tell whether one line of a log matches a filter pattern, in which && binds before ||."""
    if not line.startswith("{"):
        return False
    event = json.loads(line)
    terms_text = (
        pattern.strip().removeprefix("{").removesuffix("}").replace("(", "").replace(")", "")
    )
    return any(
        all(_holds(term.strip(), event) for term in terms.split("&&"))
        for terms in terms_text.split("||")
    )


def _holds(term: str, event: Mapping[str, Any]) -> bool:
    match = _TERM.fullmatch(term)
    assert match is not None, f"{term} is more than this understands"
    value = _at(match["path"], event)
    if match["absent"]:
        return value is None
    if value is None:  # no comparison holds for a missing value, not even !=
        return False
    if match["word"]:
        expected: object = match["word"]
    else:
        expected = int(match["number"]) if match["number"] else match["truth"] == "TRUE"
    return bool(value == expected) != (match["sign"] == "!=")


def _at(path: str, event: Any) -> Any:
    for name in re.findall(r"\w+", path):
        if isinstance(event, list):
            event = event[int(name)] if int(name) < len(event) else None
        else:
            event = (event or {}).get(name)
    return event


def value(filters: Iterable[Mapping[str, Any]], line: str) -> float | None:
    """Return the datapoint that the filters of a metric make of a log line; None: there is none."""
    (metric_value, *more) = [
        one["MetricTransformations"][0]["MetricValue"]
        for one in filters
        if matches(one["FilterPattern"], line)
    ] or [None]
    assert not more, "two filters publish the same metric of one line"
    if metric_value is None or not metric_value.startswith("$"):
        return None if metric_value is None else float(metric_value)
    return float(_at(metric_value.removeprefix("$."), json.loads(line)))


def states(alarm: Mapping[str, Any], datapoints: Sequence[float | None]) -> list[str]:
    """Return the state of an alarm, which was OK, after each period.

    datapoints: of each period, oldest first; None: there is none.
    """
    history = ["OK"]
    for end in range(1, len(datapoints) + 1):
        history.append(state(alarm, datapoints[:end], history[-1]))
    return history[1:]


def pages(alarm: Mapping[str, Any], datapoints: Sequence[float | None]) -> list[str]:
    """Return the state changes that such an alarm sends to its topic, in order."""
    notifies = {"ALARM": bool(alarm.get("AlarmActions")), "OK": bool(alarm.get("OKActions"))}
    history = ["OK", *states(alarm, datapoints)]
    return [new for old, new in pairwise(history) if new != old and notifies[new]]


def state(alarm: Mapping[str, Any], datapoints: Sequence[float | None], before: str = "OK") -> str:
    """Return the state of an alarm over the newest datapoints, as AWS's tables have it.

    datapoints: of each period, oldest first; None: there is none. before: the state until then.
    """
    periods, wanted = alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]
    newest = datapoints[-periods - _EXTRA_PERIODS :]
    breaches = [None if one is None else _breaches(alarm, one) for one in newest]
    existing = [breach for breach in breaches if breach is not None][-periods:]
    missing, treatment = periods - len(existing), alarm["TreatMissingData"]
    count = existing.count(True) + (missing if treatment == "breaching" else 0)
    if count >= wanted:
        return "ALARM"
    if False in existing or treatment in ("breaching", "notBreaching"):
        return "OK"
    if treatment == "ignore":
        return before
    # Fewer breaches than it takes, and nothing newer: an ALARM once the oldest is old enough.
    age = len(breaches) - breaches.index(True) if True in breaches else 0
    return "ALARM" if age >= wanted else "INSUFFICIENT_DATA"


def _breaches(alarm: Mapping[str, Any], value: float) -> bool:
    match alarm["ComparisonOperator"]:
        case "LessThanThreshold":
            return bool(value < alarm["Threshold"])
        case "GreaterThanThreshold":
            return bool(value > alarm["Threshold"])
        case "GreaterThanOrEqualToThreshold":
            return bool(value >= alarm["Threshold"])
        case other:
            raise AssertionError(other)
