"""A plain policy as a file has it, changes of it, and the mistakes in it."""

from copy import deepcopy
from typing import Any, Final

import pytest

from tests.support.core import PolicyProblems, parse

PLAIN: Final[dict[str, Any]] = {
    "version": 1,
    "name": "checkout",
    "target": {"kind": "lambda-env", "function": "handler", "percentage": "PERCENT"},
    "metrics": {
        "requests": {"namespace": "Shop", "name": "Count", "statistic": "Sum"},
        "errors": {"namespace": "Shop", "name": "Errors", "statistic": "Sum"},
        "latency": {"namespace": "Shop", "name": "Latency", "statistic": "p95", "unit": "ms"},
        "direct": {"namespace": "Shop", "name": "Direct", "statistic": "p95", "unit": "ms"},
    },
    "criteria": {
        "works": {
            "kind": "success_rate",
            "judge": "threshold",
            "total": "requests",
            "failures": ["errors"],
            "min": "99.9%",
        },
        "fast": {
            "kind": "latency_increase",
            "judge": "threshold",
            "metric": "latency",
            "max_increase": "5%",
            "baseline": {"frozen": "direct", "window": "24h"},
        },
    },
    "steps": [{"weight": 10, "bake": "1h"}, {"weight": 100, "bake": "24h"}],
}

# A threshold of the plain policy, without its bound.
COUNT: Final = {"kind": "threshold", "judge": "threshold", "metric": "errors"}

REMOVED: Final = object()
"""As the value of a change: the key is left out."""


def changed(**changes: Any) -> dict[str, Any]:
    """Return the plain policy with values set by dotted path (`steps__0__weight=5`)."""
    data = deepcopy(PLAIN)
    for path, value in changes.items():
        *way, last = [int(part) if part.isdigit() else part for part in path.split("__")]
        inner: Any = data
        for part in way:
            inner = inner[part]
        if value is REMOVED:
            del inner[last]
        else:
            inner[last] = value
    return data


def mistakes(data: object) -> list[tuple[str, str]]:
    """Return the mistakes in `data`: the place of each, like `steps.0.weight`, and its message."""
    with pytest.raises(PolicyProblems) as caught:
        parse(data)
    return [
        (".".join(map(str, problem.place)), problem.message) for problem in caught.value.problems
    ]


def places(data: object) -> list[str]:
    """Return the places of the mistakes in `data`, in the order of their report."""
    return [place for place, _ in mistakes(data)]
