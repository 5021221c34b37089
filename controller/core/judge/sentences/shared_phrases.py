"""Parts of sentences that reasons share: windows, values, counts and failed queries."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, TypeAlias

from controller.core.judge.findings import FRACTION, Finding
from controller.core.judge.number_and_time_text import number, percent, utc_text
from controller.core.observation import QueryStatus
from controller.core.units import count_text, format_duration, measured_text

Facts: TypeAlias = Mapping[str, Any]
Sentence: TypeAlias = Callable[[Finding, Facts], str]

_FAILED_QUERIES: Final = {
    QueryStatus.PARTIAL: "CloudWatch answered only partly",
    QueryStatus.ERROR: "CloudWatch did not answer",
    QueryStatus.FORBIDDEN: "CloudWatch refused the query (cloudwatch:GetMetricData)",
    QueryStatus.COMPLETE: "CloudWatch answered",
}


def query_failed_text(facts: Facts) -> str:
    """Return which query failed, and why."""
    detail = f": {facts['message']}" if facts["message"] else ""
    return f"{_FAILED_QUERIES[QueryStatus(facts['answer'])]} for {facts['series']}{detail}"


def window_text(facts: Facts) -> str:
    return format_duration(timedelta(seconds=facts["window_s"]))


def since_text(finding: Finding) -> str:
    return f"since {utc_text(finding.start)}"


def value_text(value: float | None, finding: Finding, facts: Facts) -> str:
    """Return a value in its unit, with enough digits to differ from the bound."""
    if value is None:
        return "nothing"
    if facts["unit"] == FRACTION:
        return percent(value, finding.bound)
    return f"{number(value, finding.bound)} {facts['unit']}".rstrip()


def with_unit(value: float, facts: Facts) -> str:
    return f"{measured_text(value)} {facts['unit']}".rstrip()


def counts_text(finding: Finding, facts: Facts) -> str:
    """Return how many requests or samples are behind the number."""
    if "failures" not in facts:
        return f"{count_text(finding.samples, 'sample')} {since_text(finding)}"
    failures = count_text(facts["failures"], "failure")
    requests = count_text(finding.samples, "request")
    return f"{failures} in {requests} {since_text(finding)}"
