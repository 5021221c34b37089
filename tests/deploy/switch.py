"""What CloudWatch makes of a log, as far as the alarms of the template need it.

No emulator at hand turns log events into metrics, or alarms without data: this stands for both.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

_TERM: Final = re.compile(r'\(?\$\.(\w+) (?:= (?:"(\w+)"|(\d+))|IS (TRUE|FALSE))\)?')


def matches(pattern: str, line: str) -> bool:
    """Tell whether one line of a log matches a filter pattern of terms that all must hold."""
    if not line.startswith("{"):
        return False
    told = json.loads(line)
    terms = pattern.removeprefix("{").removesuffix("}").split("&&")
    return all(_holds(term.strip(), told) for term in terms)


def _holds(term: str, told: Mapping[str, Any]) -> bool:
    found = _TERM.fullmatch(term)
    assert found is not None, f"{term} is more than this understands"
    name, word, number, truth = found.groups()
    wanted = word if word else int(number) if number else truth == "TRUE"
    return bool(told.get(name) == wanted)


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
