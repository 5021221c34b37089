"""The report of a rollout: weights, bins and bounds of what the history has recorded."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.judge.series import WindowCounts
from controller.core.stats.counts import Counts
from controller.immutable import replace
from controller.operations.recorded.series import WeightSpan, judge_for, weight_spans
from controller.operations.recorded.trace import (
    TraceForm,
    TraceSource,
    confidence_interval,
    panel_widths,
    trace,
    trace_of,
)
from controller.tools.report import MOST_WHOLE, RolloutHistory, acts, make_report
from controller.tools.report.html import report_html
from tests.support.cases import cases
from tests.support.core import Entry, Policy, Reason
from tests.support.rollouts import NOON, a_rollout
from tests.tools.simulation.worlds import POLICY

MINUTE = timedelta(minutes=1)


def entry(seq: int, minutes: int, kind: str, **body: Any) -> Entry:
    """Return an entry `minutes` after noon; its phase is progressing unless `body` says it."""
    body = {"phase_to": "progressing", "step": 0, "by": "jo", "sentence": "s", **body}
    return Entry(seq, NOON + minutes * MINUTE, kind, body)


# --- Weights over time ----------------------------------------------------------------------------

STARTED = entry(1, 0, "started", weight_from=0, weight_to=10)
APPLIED = entry(2, 1, "applied", weight_from=10, weight_to=10)
ADVANCED = entry(3, 60, "advanced", weight_from=10, weight_to=50, step=1)
APPLIED_50 = entry(4, 61, "applied", weight_from=50, weight_to=50, step=1)
ADOPTED = entry(1, 0, "started", weight_from=100, weight_to=100, step=1)
DRIFTED = entry(
    3, 30, "paused", phase_to="paused", weight_to=10, reason="drifted",
    observation={"target": {"weight": 75}},
)  # fmt: skip
PAUSED = entry(3, 30, "paused", phase_to="paused", weight_to=10, reason="inconclusive")
CHANGED = entry(3, 30, "applied", weight_from=10, weight_to=10, step=99)
WITHOUT_A_STEP = entry(3, 30, "applied", weight_from=10, weight_to="50", step=None)
UNREADABLE = entry(3, 30, "paused", phase_to="paused", weight_to=10, reason="drifted")
KEPT = entry(4, 40, "resumed", weight_from=75, weight_to=75)


@cases("entries, expected", {
    "nothing is applied before the first entry": ([], []),
    "a decided weight is not an applied one": ([STARTED], []),
    "the last weight lasts to the tick": ([STARTED, APPLIED], [(0, 10, 1, 90)]),
    "a weight ends when the next one is read back":
        ([STARTED, APPLIED, ADVANCED, APPLIED_50], [(0, 10, 1, 61), (1, 50, 61, 90)]),
    "an adopted weight is live at the start": ([ADOPTED], [(1, 100, 0, 90)]),
    "a pause changes no weight": ([APPLIED, PAUSED], [(0, 10, 1, 90)]),
    "drift is a weight of its own": ([APPLIED, DRIFTED], [(0, 10, 1, 30), (0, 75, 30, 90)]),
    "a resume that keeps the weight goes on with it":
        ([APPLIED, DRIFTED, KEPT], [(0, 10, 1, 30), (0, 75, 30, 90)]),
    "what is no step adds nothing": ([APPLIED, CHANGED, WITHOUT_A_STEP], [(0, 10, 1, 90)]),
    "an entry without its reading adds nothing": ([APPLIED, UNREADABLE], [(0, 10, 1, 90)]),
})  # fmt: skip
def test_weights_over_time(entries: list[Entry], expected: list[tuple[int, int, int, int]]) -> None:
    rollout = replace(a_rollout(), updated=NOON + 90 * MINUTE)
    found = [
        (one.step, one.weight, (one.begin - NOON) // MINUTE, (one.end - NOON) // MINUTE)
        for one in weight_spans(rollout, entries)
    ]
    assert found == expected


def test_a_command_of_an_operator_is_an_act_and_a_decision_of_a_tick_is_none() -> None:
    lost = {"verb": "lost_race", "reason": str(Reason.GATE_FAILED)}
    entries = [
        entry(1, 0, "started", cause={"verb": "start", "retry_reason": "fixed"}),
        entry(2, 5, "paused", cause={"verb": "pause", "reason": "lunch"}, caller="arn:jo"),
        entry(3, 6, "rolling_back", cause=lost),
        entry(4, 7, "applied"),
        entry(5, 8, "attested", cause={"verb": "attest", "criterion": "SC-005", "refuse": True}),
        entry(6, 9, "changed", cause="what somebody wrote over it"),
        entry(7, 10, "started", cause={"verb": "start", "despite_reason": "no failure yet"}),
    ]
    assert [(act.verb, act.note, act.caller) for act in acts(entries)] == [
        ("start", "fixed", ""),
        ("pause", "lunch", "arn:jo"),
        ("attest SC-005 --refuse", "", ""),
        ("start", "no failure yet", ""),
    ]


# --- Bins -----------------------------------------------------------------------------------------

EPOCH = datetime(2026, 1, 5, tzinfo=UTC)


def span(step: int, begin: int, minutes: int) -> WeightSpan:
    """Return a span that begins `begin` minutes after midnight."""
    start = EPOCH + begin * MINUTE
    return WeightSpan(step, 10, start, start + minutes * MINUTE)


@given(st.lists(st.integers(1, 3_000), min_size=1, max_size=6), st.sampled_from([60, 300]))
def test_a_trace_counts_every_closed_window_once(lengths: list[int], period: int) -> None:
    begin, times = 0, []
    for step, minutes in enumerate(lengths):
        times.append(span(step, begin, minutes))
        begin += minutes
    source = TraceSource(lambda _: WindowCounts(Counts(10.0, 1.0), 0.9), period, TraceForm.FAILURES)
    found = trace(source, times, dict.fromkeys(range(len(times))))
    windows = [
        int(one.end.timestamp()) // period - -(-int(one.begin.timestamp()) // period)
        for one in times
    ]
    assert sum(one.samples for one in found.bins) == 10 * sum(max(0, window) for window in windows)
    assert all(one.value == pytest.approx(0.1) for one in found.bins)
    assert sum(panel_widths(times)) == pytest.approx(1)
    ends = [one.end for one in found.bins]
    assert ends == sorted(ends)


@pytest.mark.parametrize("extremes", [False, True])
def test_answers_that_are_counted_late_are_no_failures_below_0(extremes: bool) -> None:
    source = TraceSource(
        lambda _: WindowCounts(Counts(10.0, -1.0, 10.0, -1.0), 1.0),
        60,
        TraceForm.FAILURES,
        extremes=extremes,
    )
    (found,) = trace(source, [span(0, 0, 1)], {0: None}).bins
    assert (found.value, found.low, found.control) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("failures", "requests", "low", "high"),
    [  # Brown, Cai and DasGupta (2001), and by hand from the formula
        (0, 100, 0.0, 0.0370),
        (5, 100, 0.0215, 0.1118),
        (100, 100, 0.9630, 1.0),
        (0, 0, 0.0, 1.0),
    ],
)
def test_the_interval_of_a_share_is_wilsons(
    failures: int, requests: int, low: float, high: float
) -> None:
    assert confidence_interval(failures, requests) == pytest.approx((low, high), abs=1e-4)


# --- Criteria -------------------------------------------------------------------------------------

LATENCY: dict[str, Any] = {"kind": "latency_increase", "metric": "latency", "max_increase": "5%"}
FIXED = {**LATENCY, "baseline": {"fixed": 400}}
RATE = {"kind": "success_rate", "total": "requests", "failures": ["server_errors"], "min": "99.9%"}
COUNT: dict[str, Any] = {"kind": "threshold", "metric": "server_errors", "max": 10}
LITERAL = {"judge": "threshold"}


@cases("criterion, form, bound", {
    "a success rate is shown by its failures": (RATE, TraceForm.FAILURES, 0.001),
    "so is one of the other judge": ({**RATE, **LITERAL}, TraceForm.FAILURES, 0.001),
    "slow requests are a share": (FIXED, TraceForm.SHARE, 0.05),
    "a latency is in its unit": ({**FIXED, **LITERAL}, TraceForm.LEVEL, 420.0),
    "a count is for its window": ({**COUNT, "window": "5m"}, TraceForm.LEVEL, 10.0),
    "a small ratio": ({**COUNT, "per": "requests", "max": "1%"}, TraceForm.FAILURES, 0.01),
    "a large ratio": ({**COUNT, "per": "requests", "max": "30%"}, TraceForm.SHARE, 0.3),
    "a bound of zero is one": ({**COUNT, **LITERAL, "max": 0}, TraceForm.LEVEL, 0.0),
    "traffic of a step": ({"kind": "traffic", "metric": "requests"}, TraceForm.LEVEL, None),
})  # fmt: skip
def test_a_criterion_is_drawn_in_what_it_judges_with_its_bound(
    criterion: dict[str, Any], form: TraceForm, bound: float | None
) -> None:
    metrics = {name: POLICY["metrics"][name] for name in ("requests", "server_errors", "latency")}
    named = str(criterion.values())
    policy = Policy.model_validate(
        {
            **POLICY,
            "metrics": {name: metric for name, metric in metrics.items() if f"'{name}'" in named},
            "criteria": {"it": criterion},
        }
    )
    rollout = a_rollout(policy=policy)
    report = make_report(RolloutHistory(rollout, [APPLIED]), NOON)
    (one,) = report.criteria
    judge = judge_for(rollout, "it")
    found = trace_of(judge, {}, report.history.weight_spans)
    assert one.trace is None
    assert found.form is form
    assert found.panels[0].bound == pytest.approx(bound)


# --- Long histories -------------------------------------------------------------------------------


def test_of_a_long_history_a_report_keeps_what_it_lists_and_what_it_draws() -> None:
    hours = (
        entry(
            number, 60 * number, "evidence", weight_from=10, weight_to=10,
            reason="baking", findings=[], phase_from="progressing",
            observation={
                "target": {"unreadable": "no", "permanent": False}, "memory": {},
                "series": {"requests:Sum@60": {"runs": [[60 * 60 * number, *range(1, 61)]]}},
            },
        )
        for number in range(1, MOST_WHOLE + 101)
    )  # fmt: skip
    history = RolloutHistory(a_rollout(), hours)
    points = history.series["requests:Sum@60"].points
    assert len(points) == 60 * len(history.entries)
    assert points[60 * 60 * 600 + 59 * 60] == 60
    assert points.get(60 * 60 * 601) is None
    assert "observation" in history.entries[0].body
    assert "observation" not in history.entries[-1].body
    page = report_html(make_report(history, NOON))
    assert "too long for this page" in page
    assert f"<summary>{MOST_WHOLE + 100} entries</summary>" in page
