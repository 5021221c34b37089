"""The threshold judge, kind by kind: verdict, label and sentence of windows counted by hand."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from controller.core.judge.evidence import BaselineMeasurement
from controller.core.judge.findings import Finding, Label, Verdict, gate_verdict, weakest_label
from controller.core.judge.gate import judge
from controller.core.judge.gate_evidence import Evidence
from controller.core.observation import QueryStatus, Series
from controller.core.units import MINUTE_S, from_unix
from tests.support.rollouts import MINUTE, NOON, a_policy, a_series

START = int(NOON.timestamp())
METRICS = {
    "requests": {"namespace": "Shop", "name": "Count", "statistic": "Sum"},
    "errors": {"namespace": "Shop", "name": "Errors", "statistic": "Sum"},
    "calls": {"namespace": "Shop", "name": "Latency", "statistic": "SampleCount"},
    "rejects": {"namespace": "Shop", "name": "4XX", "statistic": "Sum", "missing": "zero"},
    "latency": {"namespace": "Shop", "name": "Latency", "statistic": "p95", "unit": "ms"},
    "direct": {"namespace": "Shop", "name": "Direct", "statistic": "p95", "unit": "ms"},
}
PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
PARTIAL, ERROR, FORBIDDEN = QueryStatus.PARTIAL, QueryStatus.ERROR, QueryStatus.FORBIDDEN

Values = Sequence[float | None]
# A row of a table is judged inside its test, so that an error there fails one row, not all.
Judging = Callable[[], Finding]


def judge_criterion(
    criterion: Mapping[str, Any],
    series: Mapping[str, Series],
    *,
    closed: int,
    bake_over: bool = True,
    weight: int = 10,
    start: int = START,
    baseline: BaselineMeasurement | None = None,
) -> Finding:
    """Return the finding of `criterion`, called C, `closed` minutes after noon."""
    policy = a_policy(metrics=METRICS, criteria={"C": {**criterion, "judge": "threshold"}})
    evidence = Evidence(
        policy=policy,
        gate=policy.criteria,
        series=series,
        tallies={},
        start=start,
        closed_end=START + closed * MINUTE_S,
        open_end=START + (closed + 4) * MINUTE_S,
        bake_over=bake_over,
        weight=weight,
        baselines={} if baseline is None else {"C": baseline},
    )
    (finding,) = judge(evidence)
    return finding


def five_minute_series(values: Values, answer: QueryStatus = QueryStatus.COMPLETE) -> Series:
    return a_series(values, every=5 * MINUTE, answer=answer)


# --- success_rate -------------------------------------------------------------------------------

RATE = {
    "kind": "success_rate", "total": "requests", "failures": ["errors", "rejects"], "min": "99.9%",
    "over": "5m", "failure_limit": 3, "min_samples": 300,
}  # fmt: skip


def rate(
    requests: Values,
    errors: Values,
    rejects: Values = (),
    answer: QueryStatus = QueryStatus.COMPLETE,
    **changes: Any,
) -> Judging:
    series = {
        "requests:Sum@300": five_minute_series(requests),
        "errors:Sum@300": five_minute_series(errors, answer),
        "rejects:Sum@300": five_minute_series(rejects),
    }
    return partial(judge_criterion, RATE | changes, series, closed=5 * len(requests))


@pytest.mark.parametrize(
    ("judging", "verdict", "label", "sentence"),
    [
        pytest.param(
            rate([1000, 1000], [0, 1]), PASS, Label.NOT_REFUTED,
            "C holds: success was 99.9% in the newest 5m, at least 99.9% asked; 1 failure in "
            "2 000 requests since 2026-11-24 12:00 UTC: at most 0.237% fail at 95 % confidence, "
            "so 99.9% itself is not shown (that takes 2 995 without one).",
            id="exactly at the bound holds",
        ),
        pytest.param(
            rate([10_000], [942], min="90.58%"), PASS, Label.NOT_REFUTED,
            "C holds: success was 90.58% in the newest 5m, at least 90.58% asked; 942 failures in "
            "10 000 requests since 2026-11-24 12:00 UTC: at most 9.92% fail at 95 % confidence, so "
            "90.58% itself is not shown.",
            id="exactly at a bound that binary fractions round up holds",
        ),
        pytest.param(
            rate([100, 100, 100], [1, 1, 1]), FAIL, Label.REFUTED,
            "C fails: success was below 99.9% in 3 windows of 5m in a row, from 2026-11-24 12:00 "
            "to 12:15 UTC, last 99%; 3 failures in 300 requests since 2026-11-24 12:00 UTC.",
            id="as many breaches in a row as the limit fail",
        ),
        pytest.param(
            rate([100, None, 100, None, 100], [1, None, 1, None, 1]), FAIL, Label.REFUTED,
            "C fails: success was below 99.9% in 3 windows of 5m with data, from 2026-11-24 12:00 "
            "to 12:25 UTC, last 99%; 3 failures in 300 requests since 2026-11-24 12:00 UTC.",
            id="silence does not end a run of breaches",
        ),
        pytest.param(
            rate([100, 100, 100], [1, 1, 1], min_samples=9_999), FAIL, Label.REFUTED,
            "C fails: success was below 99.9% in 3 windows of 5m in a row, from 2026-11-24 12:00 "
            "to 12:15 UTC, last 99%; 3 failures in 300 requests since 2026-11-24 12:00 UTC.",
            id="a failure needs no min_samples",
        ),
        pytest.param(
            rate([500, 500, 500, 500], [1, 1, 0, 1]), INCONCLUSIVE, Label.NOT_JUDGED,
            "C wavers: success was 99.8% in the newest 5m, at least 99.9% asked; 1 of 3 breaches "
            "in a row that fail.",
            id="a window within the bound ends a run of breaches",
        ),
        pytest.param(
            rate([500, 500], [0, 1], failure_limit=1), FAIL, Label.REFUTED,
            "C fails: success was below 99.9% in a window of 5m, from 2026-11-24 12:05 to 12:10 "
            "UTC, last 99.8%; 1 failure in 1 000 requests since 2026-11-24 12:00 UTC.",
            id="one breach fails where the limit is one",
        ),
        pytest.param(
            rate([100, 100, 100, 100, 100], [1, 2, 3, 0, 0]), FAIL, Label.REFUTED,
            "C fails: success was below 99.9% in 3 windows of 5m in a row, from 2026-11-24 12:00 "
            "to 12:15 UTC, last 97%; 6 failures in 500 requests since 2026-11-24 12:00 UTC.",
            id="a late tick reports the run that failed, not the health after it",
        ),
        pytest.param(
            rate([500, None], [0, None]), INCONCLUSIVE, Label.NO_DATA,
            "C has gone silent: no datapoint since 2026-11-24 12:05 UTC; 0 failures in 500 "
            "requests since 2026-11-24 12:00 UTC.",
            id="a newest window without data does not pass",
        ),
        pytest.param(
            rate([None, None], [None, None]), INCONCLUSIVE, Label.NO_DATA,
            "C has no data: no window of 5m since 2026-11-24 12:00 UTC had a datapoint; check "
            "that the canary is reached, and the metric's name and dimensions.",
            id="silence is no data and no failure",
        ),
        pytest.param(
            rate([0, 0], [0, 0]), INCONCLUSIVE, Label.NO_DATA,
            "C has no data: no window of 5m since 2026-11-24 12:00 UTC had a datapoint; check "
            "that the canary is reached, and the metric's name and dimensions.",
            id="no request is no data",
        ),
        pytest.param(
            rate([20, 20], [0, 0]), INCONCLUSIVE, Label.TOO_FEW,
            "C has too few samples: 40 of 300 that a pass needs; last 100%, at least 99.9% asked; "
            "0 failures: at most 7.22% fail at 95 % confidence, so 99.9% itself is not shown (that "
            "takes 2 995 without one).",
            id="40 requests prove no 99.9 %",
        ),
        pytest.param(
            rate([2_995], [1]), PASS, Label.NOT_REFUTED,
            "C holds: success was 99.967% in the newest 5m, at least 99.9% asked; 1 failure in "
            "2 995 requests since 2026-11-24 12:00 UTC: at most 0.159% fail at 95 % confidence, so "
            "99.9% itself is not shown.",
            id="as many requests as it takes without a failure show less with one",
        ),
        pytest.param(
            rate([2_000_000], [0], min="99.9999%"), PASS, Label.NOT_REFUTED,
            "C holds: success was 100% in the newest 5m, at least 99.9999% asked; 0 failures in "
            "2 000 000 requests since 2026-11-24 12:00 UTC: at most 0.00015% fail at 95 % "
            "confidence, so 99.9999% itself is not shown (that takes 2 995 731 without one).",
            id="a bound far below a percent is not rounded to nothing",
        ),
        pytest.param(
            rate([3_000], [0]), PASS, Label.NOT_REFUTED,
            "C holds: success was 100% in the newest 5m, at least 99.9% asked; 0 failures in "
            "3 000 requests since 2026-11-24 12:00 UTC.",
            id="a bound that is met needs no note",
        ),
        pytest.param(
            rate([3_000], [0], min_samples=9_000), INCONCLUSIVE, Label.TOO_FEW,
            "C has too few samples: 3 000 of 9 000 that a pass needs; last 100%, at least 99.9% "
            "asked.",
            id="more may be required than it takes to show the rate",
        ),
        pytest.param(
            rate([500, 500], [0, None]), INCONCLUSIVE, Label.BAD_DATA,
            "C cannot be judged: datapoints are missing or contradict each other in 1 window of "
            "5m; check the metric names, or set `missing: zero` where no datapoint means 0.",
            id="requests without a count of failures do not fit",
        ),
        pytest.param(
            rate([500, 500], [0, 501]), INCONCLUSIVE, Label.BAD_DATA,
            "C cannot be judged: datapoints are missing or contradict each other in 1 window of "
            "5m; check the metric names, or set `missing: zero` where no datapoint means 0.",
            id="more failures than requests do not fit",
        ),
        pytest.param(
            rate([500, 500, 500], [0, 501, 501]), INCONCLUSIVE, Label.BAD_DATA,
            "C cannot be judged: datapoints are missing or contradict each other in 2 windows of "
            "5m; check the metric names, or set `missing: zero` where no datapoint means 0.",
            id="every window that does not fit is counted",
        ),
        pytest.param(
            rate([100], [100], failure_limit=1), FAIL, Label.REFUTED,
            "C fails: success was below 99.9% in a window of 5m, from 2026-11-24 12:00 to 12:05 "
            "UTC, last 0%; 100 failures in 100 requests since 2026-11-24 12:00 UTC.",
            id="as many failures as requests fit, and fail",
        ),
        pytest.param(
            rate([300], [2], min="99%"), PASS, Label.NOT_REFUTED,
            "C holds: success was 99.333% in the newest 5m, at least 99% asked; 2 failures in 300 "
            "requests since 2026-11-24 12:00 UTC: at most 2.09% fail at 95 % confidence, so 99% "
            "itself is not shown.",
            id="a value far from its bound is rounded",
        ),
        pytest.param(
            rate([500, 500, None], [None, 0, None]), INCONCLUSIVE, Label.NO_DATA,
            "C has gone silent: no datapoint since 2026-11-24 12:10 UTC; 0 failures in 500 "
            "requests since 2026-11-24 12:00 UTC.",
            id="silence after data that did not fit is silence",
        ),
        pytest.param(
            rate([500, 500], [0, 0], rejects=[0, 25], failure_limit=1), FAIL, Label.REFUTED,
            "C fails: success was below 99.9% in a window of 5m, from 2026-11-24 12:05 to 12:10 "
            "UTC, last 95%; 25 failures in 1 000 requests since 2026-11-24 12:00 UTC.",
            id="kinds of failures are added up",
        ),
        pytest.param(
            rate([500, 500], [0, 0], answer=PARTIAL), INCONCLUSIVE, Label.QUERY_FAILED,
            "C cannot be judged: CloudWatch answered in part for errors (Sum): Throttling.",
            id="an answer in part never passes",
        ),
        pytest.param(
            rate([500, 500], [], answer=ERROR), INCONCLUSIVE, Label.QUERY_FAILED,
            "C cannot be judged: CloudWatch did not answer for errors (Sum): Throttling.",
            id="a failed query never passes",
        ),
        pytest.param(
            rate([500, 500], [], answer=FORBIDDEN), INCONCLUSIVE, Label.QUERY_FAILED,
            "C cannot be judged: CloudWatch refused the query (cloudwatch:GetMetricData) for "
            "errors (Sum): Throttling.",
            id="a forbidden query never passes",
        ),
        pytest.param(
            rate([500, 500], [5, 5], answer=PARTIAL, failure_limit=2),
            INCONCLUSIVE, Label.QUERY_FAILED,
            "C cannot be judged: CloudWatch answered in part for errors (Sum): Throttling.",
            id="an answer in part never fails: what it left out may have ended the run",
        ),
        pytest.param(
            rate([], []), INCONCLUSIVE, Label.NOT_JUDGED,
            "C is not judged yet: no window of 5m has closed in this step.",
            id="before the first window has closed nothing is judged",
        ),
        pytest.param(
            rate([1_000_000], [1_004], failure_limit=1), FAIL, Label.REFUTED,
            "C fails: success was below 99.9% in a window of 5m, from 2026-11-24 12:00 to 12:05 "
            "UTC, last 99.8996%; 1 004 failures in 1 000 000 requests since 2026-11-24 12:00 UTC.",
            id="a value close to its bound is told apart from it",
        ),
    ],
)  # fmt: skip
def test_success_rate(judging: Judging, verdict: Verdict, label: Label, sentence: str) -> None:
    finding = judging()
    assert (finding.verdict, finding.label, finding.sentence) == (verdict, label, sentence)


# --- threshold ----------------------------------------------------------------------------------

P95 = {
    "kind": "threshold", "metric": "latency", "max": 500, "over": "1m",
    "failure_limit": 2, "min_samples": 200,
}  # fmt: skip
COUNT = {"kind": "threshold", "metric": "errors", "max": 10, "over": "5m", "failure_limit": 1}
SHARE = {
    "kind": "threshold", "metric": "errors", "per": "requests", "max": "0.1%", "over": "1m",
    "failure_limit": 2,
}  # fmt: skip


def p95(values: Values, counts: Values, **changes: Any) -> Judging:
    series = {"latency:p95@60": a_series(values), "latency:SampleCount@60": a_series(counts)}
    return partial(judge_criterion, P95 | changes, series, closed=len(values))


def count(
    values: Values,
    closed: int,
    name: str = "errors",
    weight: int = 10,
    answer: QueryStatus = QueryStatus.COMPLETE,
    **changes: Any,
) -> Judging:
    period = 300 if (COUNT | changes)["over"] == "5m" else 60
    every = timedelta(seconds=period)
    samples = [None if value is None else 1 for value in values]
    series = {
        f"{name}:Sum@{period}": a_series(values, every=every, answer=answer),
        f"{name}:SampleCount@{period}": a_series(samples, every=every),
    }
    return partial(
        judge_criterion, {**COUNT, "metric": name, **changes}, series, closed=closed, weight=weight
    )


def share(errors: Values, requests: Values) -> Judging:
    series = {
        "errors:Sum@60": a_series(errors),
        "errors:SampleCount@60": a_series(requests),
        "requests:Sum@60": a_series(requests),
    }
    return partial(judge_criterion, SHARE, series, closed=len(requests))


@pytest.mark.parametrize(
    ("judging", "verdict", "label", "sentence"),
    [
        pytest.param(
            p95([480, 500], [100, 100]), PASS, Label.NOT_REFUTED,
            "C holds: latency was 500 ms in the newest 1m, at most 500 ms asked; 200 samples "
            "since 2026-11-24 12:00 UTC.",
            id="exactly at the bound holds",
        ),
        pytest.param(
            p95([512, 500.04], [100, 100]), FAIL, Label.REFUTED,
            "C fails: latency was above 500 ms in 2 windows of 1m in a row, from 2026-11-24 12:00 "
            "to 12:02 UTC, last 500.04 ms; 200 samples since 2026-11-24 12:00 UTC.",
            id="a run of breaches fails, and a value close to its bound is told apart from it",
        ),
        pytest.param(
            p95([500.02], [200], max=500.04), PASS, Label.NOT_REFUTED,
            "C holds: latency was 500.02 ms in the newest 1m, at most 500.04 ms asked; 200 samples "
            "since 2026-11-24 12:00 UTC.",
            id="a bound is never rounded",
        ),
        pytest.param(
            p95([700], [200], max=1_250), PASS, Label.NOT_REFUTED,
            "C holds: latency was 700 ms in the newest 1m, at most 1 250 ms asked; 200 samples "
            "since 2026-11-24 12:00 UTC.",
            id="a whole bound is shown in thousands",
        ),
        pytest.param(
            p95([480], [199]), INCONCLUSIVE, Label.TOO_FEW,
            "C has too few samples: 199 of 200 that a pass needs; last 480 ms, at most 500 ms "
            "asked.",
            id="a percentile of too few samples does not pass",
        ),
        pytest.param(
            p95([510], [100], max=None, min=520, failure_limit=1), FAIL, Label.REFUTED,
            "C fails: latency was below 520 ms in a window of 1m, from 2026-11-24 12:00 to 12:01 "
            "UTC, last 510 ms; 100 samples since 2026-11-24 12:00 UTC.",
            id="a lower bound fails from below",
        ),
        pytest.param(
            count([11], closed=5), FAIL, Label.REFUTED,
            "C fails: errors was above 10 in a window of 5m, from 2026-11-24 12:00 to 12:05 UTC, "
            "last 11; 1 sample since 2026-11-24 12:00 UTC.",
            id="a count over its limit fails",
        ),
        pytest.param(
            count([10, 11], closed=5), FAIL, Label.REFUTED,
            "C fails: errors was above 10 in a window of 5m, from 2026-11-24 12:05 to 12:09 UTC, "
            "last 11; 2 samples since 2026-11-24 12:00 UTC.",
            id="a count over its limit fails before its window has closed",
        ),
        pytest.param(
            count([10, 10], closed=5), PASS, Label.NOT_REFUTED,
            "C holds: errors was 10 in the newest 5m, at most 10 asked; 1 sample since 2026-11-24 "
            "12:00 UTC.",
            id="a count within its limit counts when its window has closed",
        ),
        pytest.param(
            count([11, 11, 11], closed=2, over="1m", failure_limit=3), FAIL, Label.REFUTED,
            "C fails: errors was above 10 in 3 windows of 1m in a row, from 2026-11-24 12:00 to "
            "12:03 UTC, last 11; 3 samples since 2026-11-24 12:00 UTC.",
            id="an open window over its limit continues a run",
        ),
        pytest.param(
            count([11], closed=5, answer=PARTIAL), FAIL, Label.REFUTED,
            "C fails: errors was above 10 in a window of 5m, from 2026-11-24 12:00 to 12:05 UTC, "
            "last 11; 1 sample since 2026-11-24 12:00 UTC.",
            id="a count that is over its limit in an answer in part is over it",
        ),
        pytest.param(
            count([11, None, 11, 11], closed=4, over="1m", failure_limit=3, answer=PARTIAL),
            INCONCLUSIVE, Label.QUERY_FAILED,
            "C cannot be judged: CloudWatch answered in part for errors (Sum): Throttling.",
            id="what an answer in part left out ends a run of breaches",
        ),
        pytest.param(
            count([None, None], closed=10, name="rejects", min_samples=0), PASS, Label.NOT_REFUTED,
            "C holds: rejects was 0 in the newest 5m, at most 10 asked; 0 samples since "
            "2026-11-24 12:00 UTC.",
            id="silence that means 0 passes where no samples are required",
        ),
        pytest.param(
            count([None], closed=5, name="rejects", max=None, min=1, weight=0),
            INCONCLUSIVE, Label.NO_DATA,
            "C has no data: no window of 5m since 2026-11-24 12:00 UTC had a datapoint; check "
            "that the canary is reached, and the metric's name and dimensions.",
            id="a canary without traffic is not held to a lower bound",
        ),
        pytest.param(
            count([None], closed=5, name="rejects", max=None, min=1, weight=1), FAIL, Label.REFUTED,
            "C fails: rejects was below 1 in a window of 5m, from 2026-11-24 12:00 to 12:05 UTC, "
            "last 0; 0 samples since 2026-11-24 12:00 UTC.",
            id="a canary with 1 % of the traffic is",
        ),
        pytest.param(
            count([11, 11, 9, 11], closed=2, over="1m", failure_limit=3),
            INCONCLUSIVE, Label.NOT_JUDGED,
            "C wavers: errors was 11 in the newest 1m, at most 10 asked; 1 of 3 breaches in a row "
            "that fail.",
            id="an open window that is not over its limit may still end a run",
        ),
        pytest.param(
            count([None, 11], closed=5, failure_limit=2), INCONCLUSIVE, Label.NO_DATA,
            "C has gone silent: no datapoint since 2026-11-24 12:10 UTC; 1 sample since "
            "2026-11-24 12:00 UTC.",
            id="an open window is no newest window with data",
        ),
        pytest.param(
            count([5], closed=5, max=None, min=6), FAIL, Label.REFUTED,
            "C fails: errors was below 6 in a window of 5m, from 2026-11-24 12:00 to 12:05 UTC, "
            "last 5; 1 sample since 2026-11-24 12:00 UTC.",
            id="a count below its limit fails when its window has closed",
        ),
        pytest.param(
            count([6, 5], closed=5, max=None, min=6), PASS, Label.NOT_REFUTED,
            "C holds: errors was 6 in the newest 5m, at least 6 asked; 1 sample since 2026-11-24 "
            "12:00 UTC.",
            id="a count below its limit may still grow while its window is open",
        ),
        pytest.param(
            share([0, 1], [1000, 1000]), PASS, Label.NOT_REFUTED,
            "C holds: errors per requests was 0.1% in the newest 1m, at most 0.1% asked; 2 000 "
            "samples since 2026-11-24 12:00 UTC.",
            id="a share at its bound holds",
        ),
        pytest.param(
            share([2, 2], [1000, 1000]), FAIL, Label.REFUTED,
            "C fails: errors per requests was above 0.1% in 2 windows of 1m in a row, from "
            "2026-11-24 12:00 to 12:02 UTC, last 0.2%; 2 000 samples since 2026-11-24 12:00 UTC.",
            id="a share above its bound fails",
        ),
        pytest.param(
            share([0, None], [1000, 1000]), INCONCLUSIVE, Label.BAD_DATA,
            "C cannot be judged: datapoints are missing or contradict each other in 1 window of "
            "1m; check the metric names, or set `missing: zero` where no datapoint means 0.",
            id="a share of what was not counted does not fit",
        ),
        pytest.param(
            share([0, 3], [1000, None]), INCONCLUSIVE, Label.NO_DATA,
            "C has gone silent: no datapoint since 2026-11-24 12:01 UTC; 1 000 samples since "
            "2026-11-24 12:00 UTC.",
            id="a share without its denominator is no data",
        ),
        pytest.param(
            share([1, 1], [1, 1]), FAIL, Label.REFUTED,
            "C fails: errors per requests was above 0.1% in 2 windows of 1m in a row, from "
            "2026-11-24 12:00 to 12:02 UTC, last 100%; 2 samples since 2026-11-24 12:00 UTC.",
            id="a share of one is a share",
        ),
        pytest.param(
            share([None], [0]), INCONCLUSIVE, Label.NO_DATA,
            "C has no data: no window of 1m since 2026-11-24 12:00 UTC had a datapoint; check "
            "that the canary is reached, and the metric's name and dimensions.",
            id="a share of nothing is no data",
        ),
    ],
)  # fmt: skip
def test_threshold(judging: Judging, verdict: Verdict, label: Label, sentence: str) -> None:
    finding = judging()
    assert (finding.verdict, finding.label, finding.sentence) == (verdict, label, sentence)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        pytest.param(
            QueryStatus.COMPLETE, FAIL, id="an absent datapoint is zero where the policy says so"
        ),
        pytest.param(PARTIAL, INCONCLUSIVE, id="what an answer in part left out is not zero"),
        pytest.param(ERROR, INCONCLUSIVE, id="an outage is not zero"),
    ],
)
@pytest.mark.parametrize("per", [None, "requests"], ids=["a count", "a share"])
def test_missing_zero(answer: QueryStatus, verdict: Verdict, per: str | None) -> None:
    criterion = COUNT | {
        "metric": "rejects", "max": None, "min": "1%" if per else 1, "per": per,
    }  # fmt: skip
    series = {
        "rejects:Sum@300": five_minute_series([None], answer),
        "rejects:SampleCount@300": five_minute_series([None]),
        "requests:Sum@300": five_minute_series([100]),
    }
    assert judge_criterion(criterion, series, closed=5).verdict is verdict


# --- latency_increase ---------------------------------------------------------------------------

LATENCY = {
    "kind": "latency_increase", "metric": "latency", "max_increase": "5%", "over": "5m",
    "min_samples": 200,
}  # fmt: skip
FROZEN = {"baseline": {"frozen": "direct", "over": "24h"}}
FIXED = {"baseline": {"fixed": 400.0}}
CONTROL = {"baseline": {"concurrent": "direct"}}
FROZEN_VALUE = BaselineMeasurement(400.0, 5_000, START - 86_400, START)


def latency(
    values: Values,
    counts: Values,
    *,
    baseline: Mapping[str, Any] = FROZEN,
    bake_over: bool = True,
    answer: QueryStatus = QueryStatus.COMPLETE,
    frozen_value: BaselineMeasurement = FROZEN_VALUE,
    direct: Values = (),
    direct_counts: Values = (),
) -> Judging:
    series = {
        "latency:p95@300": five_minute_series(values, answer),
        "latency:SampleCount@300": five_minute_series(counts),
        "direct:p95@300": five_minute_series(direct),
        "direct:SampleCount@300": five_minute_series(direct_counts),
    }
    stored = frozen_value if baseline is FROZEN else None
    closed = 5 * len(values)
    return partial(
        judge_criterion,
        {**LATENCY, **baseline},
        series,
        closed=closed,
        bake_over=bake_over,
        baseline=stored,
    )


@pytest.mark.parametrize(
    ("judging", "verdict", "label", "sentence"),
    [
        pytest.param(
            latency([400, 440], [100, 100]), PASS, Label.NOT_REFUTED,
            "C holds: latency was 420 ms against 400 ms, +5%, at most +5% asked; n = 200.",
            id="exactly at the bound holds, in spite of rounding",
        ),
        pytest.param(
            latency([400, 480], [100, 300]), FAIL, Label.REFUTED,
            "C fails: latency was 460 ms against 400 ms, +15%, at most +5% asked; n = 400.",
            id="windows are weighted by their samples",
        ),
        pytest.param(
            latency([420.12], [200]), FAIL, Label.REFUTED,
            "C fails: latency was 420.1 ms against 400 ms, +5.03%, at most +5% asked; n = 200.",
            id="an increase close to its bound is told apart from it",
        ),
        pytest.param(
            latency([380], [200]), PASS, Label.NOT_REFUTED,
            "C holds: latency was 380 ms against 400 ms, -5%, at most +5% asked; n = 200.",
            id="faster holds",
        ),
        pytest.param(
            latency([400], [200]), PASS, Label.NOT_REFUTED,
            "C holds: latency was 400 ms against 400 ms, +0%, at most +5% asked; n = 200.",
            id="as fast as before holds",
        ),
        pytest.param(
            latency([900], [0]), INCONCLUSIVE, Label.NO_DATA,
            "C has no data: no window since 2026-11-24 12:00 UTC had latency and its baseline.",
            id="a value without samples is no data",
        ),
        pytest.param(
            latency([400, 900, None], [200, None, 100]), PASS, Label.NOT_REFUTED,
            "C holds: latency was 400 ms against 400 ms, +0%, at most +5% asked; n = 200.",
            id="a value without its samples, or samples without their value, count nothing",
        ),
        pytest.param(
            latency([400, 800], [199, 1]), PASS, Label.NOT_REFUTED,
            "C holds: latency was 402 ms against 400 ms, +0.5%, at most +5% asked; n = 200.",
            id="one sample counts",
        ),
        pytest.param(
            latency(
                [420, 420, 900, 420], [100, 100, 100, 100], baseline=CONTROL,
                direct=[400, 700, None, 400], direct_counts=[199, None, 100, 1],
            ),
            PASS, Label.NOT_REFUTED,
            "C holds: latency was 420 ms against 400 ms, +5%, at most +5% asked; n = 200.",
            id="a control without its samples, or its value, compares with nothing",
        ),
        pytest.param(
            latency([900], [300], baseline=CONTROL, direct=[400], direct_counts=[0]),
            INCONCLUSIVE, Label.NO_DATA,
            "C has no data: no window since 2026-11-24 12:00 UTC had latency and its baseline.",
            id="a control without samples is no control",
        ),
        pytest.param(
            latency([900], [5_000], bake_over=False), INCONCLUSIVE, Label.NOT_JUDGED,
            "C is judged at the end of the bake; so far latency was 900 ms against 400 ms, +125%, "
            "at most +5% asked; n = 5 000.",
            id="before the end of the bake nothing is judged, however bad",
        ),
        pytest.param(
            latency([900], [199]), INCONCLUSIVE, Label.TOO_FEW,
            "C has too few samples: 199 on the canary of 200 that a comparison needs.",
            id="too few samples of the canary judge nothing",
        ),
        pytest.param(
            latency([400], [300], frozen_value=BaselineMeasurement(400.0, 150, 0, 60)),
            INCONCLUSIVE, Label.TOO_FEW,
            "C has too few samples: 150 on the baseline of 200 that a comparison needs.",
            id="too few samples of the baseline judge nothing",
        ),
        pytest.param(
            latency([None], [None]), INCONCLUSIVE, Label.NO_DATA,
            "C has no data: no window since 2026-11-24 12:00 UTC had latency and its baseline.",
            id="silence is no data",
        ),
        pytest.param(
            latency([], []), INCONCLUSIVE, Label.NOT_JUDGED,
            "C is not judged yet: no window of 5m has closed in this step.",
            id="before the first window has closed nothing is judged",
        ),
        pytest.param(
            latency([400], [300], answer=PARTIAL), INCONCLUSIVE, Label.QUERY_FAILED,
            "C cannot be judged: CloudWatch answered in part for latency (p95): Throttling.",
            id="an answer in part never passes",
        ),
        pytest.param(
            latency([900], [300], answer=PARTIAL), INCONCLUSIVE, Label.QUERY_FAILED,
            "C cannot be judged: CloudWatch answered in part for latency (p95): Throttling.",
            id="the mean of an answer in part never fails",
        ),
        pytest.param(
            latency([410], [250], baseline=FIXED), PASS, Label.NOT_REFUTED,
            "C holds: latency was 410 ms against 400 ms, +2.5%, at most +5% asked; n = 250.",
            id="a fixed baseline needs no samples of its own",
        ),
        pytest.param(
            latency(
                [420, 900], [200, 50], baseline=CONTROL, direct=[400, None], direct_counts=[900, 0]
            ),
            PASS, Label.NOT_REFUTED,
            "C holds: latency was 420 ms against 400 ms, +5%, at most +5% asked; n = 200.",
            id="a window without its control compares with nothing",
        ),
        pytest.param(
            latency(
                [420, 420], [200, 200], baseline=CONTROL, direct=[300, 400],
                direct_counts=[100, 300],
            ),
            FAIL, Label.REFUTED,
            "C fails: latency was 420 ms against 375 ms, +12%, at most +5% asked; n = 400.",
            id="a control is weighted by its samples",
        ),
        pytest.param(
            latency([420], [300], baseline=CONTROL, direct=[400], direct_counts=[20]),
            INCONCLUSIVE, Label.TOO_FEW,
            "C has too few samples: 20 on the baseline of 200 that a comparison needs.",
            id="a control with too few samples judges nothing",
        ),
    ],
)  # fmt: skip
def test_latency_increase(judging: Judging, verdict: Verdict, label: Label, sentence: str) -> None:
    finding = judging()
    assert (finding.verdict, finding.label, finding.sentence) == (verdict, label, sentence)


# --- traffic ------------------------------------------------------------------------------------

TRAFFIC = {"kind": "traffic", "metric": "requests", "min": 1, "over": "1m"}


def traffic(
    requests: Values,
    control: Values | None = None,
    weight: int = 10,
    answer: QueryStatus = QueryStatus.COMPLETE,
    **changes: Any,
) -> Judging:
    series = {"requests:Sum@60": a_series(requests, answer=answer)}
    if control is not None:
        changes["control"] = "errors"
        series["errors:Sum@60"] = a_series(control)
    return partial(judge_criterion, TRAFFIC | changes, series, closed=len(requests), weight=weight)


@pytest.mark.parametrize(
    ("judging", "verdict", "label", "sentence"),
    [
        pytest.param(
            traffic([None, 1, None]), PASS, Label.NOT_REFUTED,
            "C holds: 1 request arrived since 2026-11-24 12:00 UTC, at least 1 asked.",
            id="one request shows that the canary is reached",
        ),
        pytest.param(
            traffic([None, None]), INCONCLUSIVE, Label.NO_DATA,
            "C has no data: 0 requests since 2026-11-24 12:00 UTC, at least 1 asked; the canary "
            "may not be reached.",
            id="silence without a control is no failure",
        ),
        pytest.param(
            traffic([3, None], min=5), INCONCLUSIVE, Label.NO_DATA,
            "C has no data: 3 requests since 2026-11-24 12:00 UTC, at least 5 asked; the canary "
            "may not be reached.",
            id="fewer requests than required do not pass",
        ),
        pytest.param(
            traffic([None, None], control=[30, 33]), FAIL, Label.REFUTED,
            "C fails: no request reached the canary while the control counted 63 requests; about "
            "7 were due.",
            id="silence that is unlikely given the control fails: exp(-7) is below 0.1 %",
        ),
        pytest.param(
            traffic([None, None], control=[7, None], weight=50), FAIL, Label.REFUTED,
            "C fails: no request reached the canary while the control counted 7 requests; about 7 "
            "were due.",
            id="at 50 % as many are due as the control had, and no more than it had",
        ),
        pytest.param(
            traffic([None, None], control=[30, 32]), INCONCLUSIVE, Label.NO_DATA,
            "C has no data: 0 requests since 2026-11-24 12:00 UTC, at least 1 asked; the canary "
            "may not be reached.",
            id="silence that may be chance does not fail: exp(-6.9) is above 0.1 %",
        ),
        pytest.param(
            traffic([1, None], control=[9_000, 9_000], min=5), INCONCLUSIVE, Label.NO_DATA,
            "C has no data: 1 request since 2026-11-24 12:00 UTC, at least 5 asked; the canary "
            "may not be reached.",
            id="a canary that was reached once does not fail",
        ),
        pytest.param(
            traffic([None], control=[9_000], weight=100), INCONCLUSIVE, Label.NO_DATA,
            "C has no data: 0 requests since 2026-11-24 12:00 UTC, at least 1 asked; the canary "
            "may not be reached.",
            id="at 100 % there is no control",
        ),
        pytest.param(
            traffic([None], control=[9_000], answer=ERROR), INCONCLUSIVE, Label.QUERY_FAILED,
            "C cannot be judged: CloudWatch did not answer for requests (Sum): Throttling.",
            id="an outage is not held against the canary",
        ),
        pytest.param(
            traffic([1], answer=PARTIAL), INCONCLUSIVE, Label.QUERY_FAILED,
            "C cannot be judged: CloudWatch answered in part for requests (Sum): Throttling.",
            id="an answer in part never passes",
        ),
        pytest.param(
            traffic([]), INCONCLUSIVE, Label.NOT_JUDGED,
            "C is not judged yet: no window of 1m has closed in this step.",
            id="before the first minute has closed nothing is judged",
        ),
    ],
)  # fmt: skip
def test_traffic(judging: Judging, verdict: Verdict, label: Label, sentence: str) -> None:
    finding = judging()
    assert (finding.verdict, finding.label, finding.sentence) == (verdict, label, sentence)


# --- Windows, findings, gates ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start_minute", "closed", "samples"),
    [
        pytest.param(0, 10, 30, id="both windows of ten minutes"),
        pytest.param(1, 10, 20, id="a window that began before the step is left out"),
        pytest.param(0, 9, 10, id="a window that is not closed is left out"),
        pytest.param(5, 10, 20, id="a window that begins with the step counts"),
    ],
)
def test_windows_lie_wholly_in_the_step_and_are_closed(
    start_minute: int, closed: int, samples: int
) -> None:
    series = {
        "requests:Sum@300": five_minute_series([10, 20, 40]),
        "errors:Sum@300": five_minute_series([0, 0, 0]),
        "rejects:Sum@300": five_minute_series([0, 0, 0]),
    }
    finding = judge_criterion(RATE, series, closed=closed, start=START + start_minute * MINUTE_S)
    assert finding.samples == samples


@pytest.mark.parametrize(
    ("judging", "measured", "bound", "samples"),
    [
        pytest.param(rate([500, 500], [0, 1]), 0.998, 0.999, 1_000, id="a rate"),
        pytest.param(count([7, 5], closed=10), 5.0, 10.0, 2, id="a count"),
        pytest.param(latency([400, 480], [100, 300]), 0.15, 0.05, 400, id="an increase"),
        pytest.param(traffic([3] * 10, min=9), 30.0, 9.0, 30, id="requests that arrived"),
        pytest.param(traffic([3] + [None] * 9, min=9), 3.0, 9.0, 3, id="too few that arrived"),
    ],
)
def test_a_finding_says_what_was_judged(
    judging: Judging, measured: float, bound: float, samples: int
) -> None:
    finding = judging()
    assert (finding.criterion, finding.bound, finding.samples) == ("C", bound, samples)
    assert finding.measured == pytest.approx(measured)
    assert (finding.start, finding.end) == (START, START + 600)


def test_a_finding_covers_the_windows_that_were_judged_and_no_more() -> None:
    def covered(start_minute: int, closed: int, criterion: Mapping[str, Any] = RATE) -> list[int]:
        series = {
            name: five_minute_series([500] * 3) for name in ("requests:Sum@300", "errors:Sum@300")
        }
        start = START + start_minute * MINUTE_S
        finding = judge_criterion(criterion, series, closed=closed, start=start)
        return [(second - START) // MINUTE_S for second in (finding.start, finding.end)]

    whole = {**RATE, "failures": ["errors"]}
    assert covered(3, 13, whole) == [5, 10]
    assert covered(3, 9, whole) == [5, 5]
    assert covered(3, 13) == [5, 5], "nothing is judged of an answer with a hole"
    assert covered(3, 8, {**COUNT, "max": 499}) == [5, 12], "of an open window, what was read"


def test_a_failure_measures_the_run_that_failed() -> None:
    finding = rate([100, 100, 100, 100], [1, 2, 3, 0])()
    assert (finding.verdict, finding.measured) == (FAIL, 0.97)


def test_the_longest_run_of_breaches_is_reported() -> None:
    finding = rate([100] * 9, [1, 1, 1, 0, 2, 2, 2, 2, 0])()
    assert "in 4 windows of 5m in a row, from 2026-11-24 12:20 to 12:40 UTC" in finding.sentence


def test_of_two_runs_of_the_same_length_the_first_is_reported() -> None:
    finding = rate([100] * 7, [1, 1, 1, 0, 2, 2, 2])()
    assert "in a row, from 2026-11-24 12:00 to 12:15 UTC, last 99%" in finding.sentence


def test_a_number_of_samples_is_a_count_that_only_grows() -> None:
    calls = {"calls:SampleCount@300": five_minute_series([10, 11])}
    assert judge_criterion({**COUNT, "metric": "calls"}, calls, closed=5).verdict is FAIL


def test_a_run_of_breaches_over_midnight_has_two_days() -> None:
    late = START + 715 * MINUTE_S
    series = {
        f"{name}:Sum@300": a_series([value] * 3, every=5 * MINUTE, start=from_unix(late))
        for name, value in {"requests": 100, "errors": 9, "rejects": 0}.items()
    }
    finding = judge_criterion(RATE, series, closed=730, start=late)
    assert "from 2026-11-24 23:55 UTC to 2026-11-25 00:10 UTC" in finding.sentence


def test_a_series_that_was_not_read_never_passes() -> None:
    finding = judge_criterion(TRAFFIC, {}, closed=5)
    assert finding.label is Label.QUERY_FAILED
    assert finding.sentence == (
        "C cannot be judged: CloudWatch did not answer for requests (Sum): was not asked for."
    )


HOLDS, FAILS, OPEN = traffic([1]), traffic([None], control=[9_000]), traffic([None])


@pytest.mark.parametrize(
    ("conclusions", "verdict"),
    [
        pytest.param([HOLDS, HOLDS], PASS, id="all that pass pass"),
        pytest.param([HOLDS, OPEN], INCONCLUSIVE, id="one that is open is open"),
        pytest.param([HOLDS, OPEN, FAILS], FAIL, id="one that fails fails"),
        pytest.param([], INCONCLUSIVE, id="nothing judged is open"),
    ],
)
def test_a_gate_is_as_good_as_its_worst_finding(
    conclusions: list[Judging], verdict: Verdict
) -> None:
    assert gate_verdict(judging() for judging in conclusions) is verdict


def test_the_weakest_label_claims_least() -> None:
    labels = [str(one) for one in (Label.NOT_REFUTED, Label.TOO_FEW, Label.NO_DATA)]
    assert weakest_label(labels) == "no data"
    assert weakest_label(labels[:2]) == "too few samples"
    assert weakest_label(["", *labels[:1]]) == "not refuted"
    assert weakest_label([]) == ""
