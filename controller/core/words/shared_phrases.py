"""Parts of sentences that kinds of criteria share: windows, values and counts."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TypeAlias

from controller.core.judge import facts
from controller.core.judge.findings import Finding
from controller.core.units import count_text, format_duration, number_text, utc_text

Sentences: TypeAlias = Mapping[str, Callable[[Finding], str]]
"""By reason: what follows the name of the criterion, made from the facts of a finding."""


def window_text(seconds: int) -> str:
    return format_duration(timedelta(seconds=seconds))


def since_text(finding: Finding) -> str:
    return f"since {utc_text(finding.start)}"


def requests_text(requests: float, noun: str = "request") -> str:
    return count_text(round(requests), noun)


def ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def limit_text(side: str, bound: str) -> str:
    """Return a bound that passes: `at most 500 ms allowed`, `at least 2 times required`."""
    return f"{side} {bound} {'allowed' if side == 'at most' else 'required'}"


def few_text(finding: Finding, samples: float) -> str:
    """Return that a criterion has `samples`, and how many a verdict needs."""
    needed = number_text(facts.MinSamples.of(finding).min_samples)
    return f"has too few samples: {number_text(samples)} of {needed}"


def counts_text(finding: Finding) -> str:
    """Return how many requests or samples are behind the number."""
    counted = facts.Failures.find(finding)
    if counted is None:
        return f"{count_text(finding.samples, 'sample')} {since_text(finding)}"
    failures = count_text(counted.failures, "failure")
    return f"{failures} in {count_text(finding.samples, 'request')} {since_text(finding)}"


def last_text(last_end: int, finding: Finding) -> str:
    """Return the end of the newest data, and how much newer data are due. unix seconds."""
    missing = window_text(finding.end - last_end)
    return f"{utc_text(last_end)}, {missing} before the newest that is due"
