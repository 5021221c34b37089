"""What CloudWatch makes of a log, as far as the alarms of the template need it.

No emulator at hand turns log events into metrics, or alarms without data: this stands for both.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

_MORE_PERIODS: Final = 2
_TERM: Final = re.compile(
    r'\$\.(?P<path>[\w.\[\]]+) (?:(?P<sign>!?=) (?:"(?P<word>\w+)"|(?P<number>\d+))'
    r"|IS (?P<truth>TRUE|FALSE)|(?P<absent>NOT EXISTS))"
)


def matches(pattern: str, line: str) -> bool:
    """Tell whether one line of a log matches a filter pattern, in which && binds before ||."""
    if not line.startswith("{"):
        return False
    told = json.loads(line)
    bare = pattern.strip().removeprefix("{").removesuffix("}").replace("(", "").replace(")", "")
    return any(
        all(_holds(term.strip(), told) for term in terms.split("&&")) for terms in bare.split("||")
    )


def _holds(term: str, told: Mapping[str, Any]) -> bool:
    found = _TERM.fullmatch(term)
    assert found is not None, f"{term} is more than this understands"
    value = _at(found["path"], told)
    if found["absent"]:
        return value is None
    if value is None:  # no comparison holds for what is not there, != neither
        return False
    if found["word"]:
        wanted: object = found["word"]
    else:
        wanted = int(found["number"]) if found["number"] else found["truth"] == "TRUE"
    return bool(value == wanted) != (found["sign"] == "!=")


def _at(path: str, told: Any) -> Any:
    for name in re.findall(r"\w+", path):
        if isinstance(told, list):
            told = told[int(name)] if int(name) < len(told) else None
        else:
            told = (told or {}).get(name)
    return told


def value(filters: Iterable[Mapping[str, Any]], line: str) -> float | None:
    """Return what the filters of one metric make of a line of their log; None: no datapoint."""
    (found, *more) = [
        one["MetricTransformations"][0]["MetricValue"]
        for one in filters
        if matches(one["FilterPattern"], line)
    ] or [None]
    assert not more, "two filters publish the same metric of one line"
    if found is None or not found.startswith("$"):
        return None if found is None else float(found)
    return float(_at(found.removeprefix("$."), json.loads(line)))


def states(alarm: Mapping[str, Any], maxima: Sequence[float | None]) -> list[str]:
    """Return the state of an alarm that ignores missing data after each period.

    maxima: the datapoint of each period, oldest first; None: there is none. CloudWatch looks at the
    newest ones that are there, within a few periods more than those that it evaluates.
    """
    assert alarm["TreatMissingData"] == "ignore"
    periods, found = alarm["EvaluationPeriods"], ["OK"]
    for end in range(1, len(maxima) + 1):
        newest = maxima[max(0, end - periods - _MORE_PERIODS) : end]
        there = [one for one in newest if one is not None][-periods:]
        if maxima[end - 1] is None or not there:
            found.append(found[-1])
            continue
        breaching = sum(_breaches(alarm, one) for one in there)
        found.append("ALARM" if breaching >= alarm["DatapointsToAlarm"] else "OK")
    return found[1:]


def pages(alarm: Mapping[str, Any], maxima: Sequence[float | None]) -> list[str]:
    """Return the changes of state that such an alarm tells its topic of, in their order."""
    told = {"ALARM": bool(alarm.get("AlarmActions")), "OK": bool(alarm.get("OKActions"))}
    found = ["OK", *states(alarm, maxima)]
    return [new for old, new in pairwise(found) if new != old and told[new]]


def state(alarm: Mapping[str, Any], sums: Iterable[float | None]) -> str:
    """Return the state of an alarm over the newest `sums`, one for each period, oldest first.

    None: no datapoint in that period.
    """
    newest = list(sums)[-alarm["EvaluationPeriods"] :]
    wanted = alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"])
    breaching = sum(_breaches(alarm, one) for one in newest)
    return "ALARM" if breaching >= wanted else "OK"


def _breaches(alarm: Mapping[str, Any], value: float | None) -> bool:
    if value is None:
        return bool(alarm["TreatMissingData"] == "breaching")
    match alarm["ComparisonOperator"]:
        case "LessThanThreshold":
            return bool(value < alarm["Threshold"])
        case "GreaterThanOrEqualToThreshold":
            return bool(value >= alarm["Threshold"])
        case other:
            raise AssertionError(other)
