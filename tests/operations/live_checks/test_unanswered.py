"""What the stable path has no counted answer for: refused, allowed, or said not to be measured."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from controller.core.observation import MetricQuery, Span
from controller.operations.checks import Check, CheckLevel
from controller.operations.live_checks.requests import unanswered_checks
from controller.operations.start import check_start
from controller.policy_file.loader import load
from controller.tools.rehearse.rehearsal import rehearsal
from tests.support.cases import cases
from tests.support.core import Policy, QueryStatus, Series

NOW = datetime(2026, 1, 6, 9, tzinfo=UTC)
ALB = load(Path("policies/alb-weights.yaml"))
BLUE = ALB.target.values["stable"]


@dataclass
class FakeMetrics:
    """Metrics of the stable target group: each hour has these counts, by the name of a metric."""

    counts: Mapping[str, float]
    status: QueryStatus = QueryStatus.COMPLETE
    asked: list[MetricQuery] = field(default_factory=list)

    def read(self, queries: Iterable[MetricQuery], span: Span) -> dict[MetricQuery, Series]:
        return {query: self._series(query, span) for query in queries}

    def _series(self, one: MetricQuery, span: Span) -> Series:
        self.asked.append(one)
        hours = range(span.start, span.end, one.period_s)
        hourly = self.counts.get(one.name, 0) if BLUE in dict(one.dimensions).values() else 0
        return Series(dict.fromkeys(hours, float(hourly)) if hourly else {}, self.status, "denied")


def answered(share: float, requests: int = 10_000) -> dict[str, float]:
    names = {"RequestCount": requests, "HTTPCode_Target_2XX_Count": requests * share}
    return {name: float(count) for name, count in names.items()}


def policy(control: bool = True, **success: Any) -> Policy:
    """Return the shipped policy with another success rate."""
    data = ALB.model_dump(mode="json", exclude_unset=True)
    success = {**data["criteria"]["success"], **success}
    if not control:
        success = {name: one for name, one in success.items() if name != "control"}
        for code in "234":
            del data["metrics"][f"blue_{code}xx"]
    return Policy.model_validate({**data, "criteria": {**data["criteria"], "success": success}})


def check_of(of: Policy, metrics: FakeMetrics) -> Check:
    (check,) = unanswered_checks(metrics, of, NOW)
    return check


@cases("share, requests, level, bound", {
    "all were answered": (1.0, 10_000, CheckLevel.OK, ""),
    "as many were not as are allowed": (0.999, 10_000, CheckLevel.OK, ""),
    "a few too many of a few are chance": (0.998, 20, CheckLevel.OK, ""),
    "twice as many: there is room for a day that is twice as bad":
        (0.998, 10_000, CheckLevel.FAIL, "`min: 99.6%`"),
    "a bound is rounded to be wider": (0.9979, 10_000, CheckLevel.FAIL, "`min: 99.5%`"),
    "more than any bound has room for": (0.85, 10_000, CheckLevel.FAIL, ""),
    "more answers than requests": (1.001, 10_000, CheckLevel.OK, ""),
    "no answer is counted at all": (0.0, 10_000, CheckLevel.WARN, ""),
    "no request": (1.0, 0, CheckLevel.WARN, ""),
})  # fmt: skip
@pytest.mark.parametrize("control", [True, False], ids=["a control", "the target's stable group"])
def test_the_stable_path_is_measured(
    control: bool, share: float, requests: int, level: CheckLevel, bound: str
) -> None:
    check = check_of(policy(control), FakeMetrics(answered(share, requests)))
    assert check.level is level
    assert bound in check.remedy
    assert bound or "`min" not in check.remedy


def test_a_criterion_that_only_reports_refuses_nothing() -> None:
    reports = policy(control=False, gates=False, judge="threshold")
    assert check_of(reports, FakeMetrics(answered(0.9))).level is CheckLevel.WARN


def test_what_cannot_be_read_is_said_to_be_unmeasured() -> None:
    denied = FakeMetrics(answered(0.9), QueryStatus.FORBIDDEN)
    check = check_of(policy(), denied)
    assert (check.level, "denied" in check.detail) == (CheckLevel.WARN, True)


def test_without_a_metric_of_the_stable_path_a_control_is_asked_for() -> None:
    elsewhere = policy(control=False).model_dump(mode="json", exclude_unset=True)
    for name in ("requests", "answers_2xx", "answers_3xx", "answers_4xx"):
        elsewhere["metrics"][name] |= {"namespace": "Shop", "dimensions": {}}
    metrics = FakeMetrics(answered(0.9))
    check = check_of(Policy.model_validate(elsewhere), metrics)
    assert (check.level, metrics.asked) == (CheckLevel.WARN, [])
    assert "control" in check.remedy


@pytest.mark.parametrize(("aborted", "refused"), [("0.2%", True), ("0.02%", False)])
def test_a_service_with_aborts_on_both_paths_is_refused_at_the_start(
    tmp_path: Path, aborted: str, refused: bool
) -> None:
    path = f"{{median_ms: 150, server_errors: 0.006%, aborted: {aborted}}}"
    scenario = tmp_path / "aborts.yaml"
    scenario.write_text(
        "{name: aborts, summary: Clients go away., traffic: {requests_per_minute: 600}, "
        f"stable: {path}, canary: {path}}}"
    )
    with rehearsal(ALB, str(scenario), 1) as setup:
        refusals = check_start(setup.runner, ALB.resolved(ALB.target)).refusals
    assert [refusal.startswith("criterion success: ") for refusal in refusals] == [True] * refused
