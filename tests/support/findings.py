"""Findings that were not made by the judge, for tests of what becomes of one."""

from typing import Any

from tests.support.core import Finding, Label, Verdict


def a_finding(criterion: str = "works", sentence: str = "", **facts: Any) -> Finding:
    """Return a finding that passes, changed by `facts`; it is told as `sentence`."""
    plain: dict[str, Any] = {
        "criterion": criterion,
        "kind": "success_rate",
        "verdict": Verdict.PASS,
        "label": Label.NO_REGRESSION,
        "reason": "told",
        "measured": 0.99954,
        "bound": 0.999,
        "samples": 2_000,
        "start": 0,
        "end": 300,
        "facts": {"text": sentence or f"{criterion} was judged."},
    }
    return Finding(**{**plain, **facts})
