"""The findings of the sequential judge after an hour of equal minutes."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from controller.core.judge.evidence import BaselineMeasurement, StepInterval
from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.judge.gate import judge
from controller.core.judge.gate_evidence import Evidence
from controller.core.judge.queries import queries_for
from controller.core.observation import QueryStatus, Series
from controller.core.policy import Policy
from controller.core.units import MINUTE_S
from tests.support.sequential_rollouts import BASELINES, CRITERIA, a_sequential_policy

STEP = {"steps": [{"weight": 100, "bake": "1h"}], "warmup": "0s"}
PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
HOUR = 60 * MINUTE_S
UNDECIDED = "; that is too much to pass and too little to roll back."
CERTAIN = "; evidence more than 1 000 000 to 1 at 1970-01-01 01:00 UTC, 100 to 1 rolls back."
ALL_HOUR = "from 1970-01-01 00:00 to 01:00 UTC"


def policy_of(name: str, **parts: object) -> Policy:
    policy = a_sequential_policy(name, **STEP)
    criterion = {**CRITERIA[name], "judge": "sequential", **parts}
    return Policy.model_validate(
        {**policy.model_dump(mode="json", exclude_none=True), "criteria": {name: criterion}}
    )


def evidence_of(
    policy: Policy,
    minute: Mapping[str, float],
    minutes: int = 60,
    baselines: Mapping[str, BaselineMeasurement] = BASELINES,
) -> Evidence:
    """Return the evidence of an hour, of which the first `minutes` show `minute`."""
    seconds = range(0, minutes * MINUTE_S, MINUTE_S)
    series = {
        key: Series(dict.fromkeys(seconds, minute[name]) if name in minute else {})
        for key in queries_for(policy, policy.gate(0), baselines)
        for name in [key.partition("@")[0]]
    }
    return Evidence(
        policy=policy,
        gate=policy.gate(0),
        series=series,
        tallies={},
        start=0,
        closed_end=HOUR,
        open_end=HOUR + 3 * MINUTE_S,
        bake_over=True,
        weight=100,
        baselines=baselines,
        intervals=(StepInterval(0, 0, 0),),
    )


def rate(requests: float, failed: float, control: float = 0, bad: float = 0) -> dict[str, float]:
    canary = {"requests:Sum": requests, "errors:Sum": failed}
    return canary | ({"stable:Sum": control, "stable_errors:Sum": bad} if control else {})


def beside(slow: float, requests: float = 100) -> dict[str, float]:
    """Return a minute with a control of which one request in twenty is slow."""
    control = {"direct:SampleCount": 200.0, "direct:TC(400:)": 10.0}
    return {"latency:SampleCount": requests, "latency:TC(420:)": slow, **control}


def stored(slow: float, slower: float) -> dict[str, float]:
    return {"latency:SampleCount": 100, "latency:TC(420:)": slow, "latency:TC(441:)": slower}


def limit(slow: float) -> dict[str, float]:
    return {"latency:SampleCount": 100, "latency:TC(500:)": slow}


def rejects(count: float) -> dict[str, float]:
    return {"requests:Sum": 600, "rejects:Sum": count, "rejects:SampleCount": 1}


@pytest.mark.parametrize(
    ("name", "minute", "verdict", "label", "measured", "samples", "sentence"),
    [
        pytest.param(
            "rate", rate(600, 0), PASS, Label.PROVEN, 1.0, 36_000,
            "rate proven: 0 failures in 36 000 requests; at 95 % confidence, whenever one looks, "
            "the failure rate is below 0.1%.", id="rate: proven",
        ),
        pytest.param(
            "rate", rate(30, 0), PASS, Label.NOT_REFUTED, 1.0, 1_800,
            "rate not refuted: 0 failures in 1 800 requests; at 95 % confidence the failure rate "
            "is below 0.17%, so 99.9% is not proven.", id="rate: kept, and not proven",
        ),
        pytest.param(
            "rate", rate(1_000, 1), PASS, Label.NOT_REFUTED, 0.999, 60_000,
            "rate not refuted: 60 failures in 60 000 requests; at 95 % confidence the failure rate "
            "is below 0.12%, so 99.9% is not proven.", id="rate: exactly its bound",
        ),
        pytest.param(
            "rate", rate(1, 0), INCONCLUSIVE, Label.TOO_FEW, 1.0, 60,
            "rate has too few samples: 60 of 300 since 1970-01-01 00:00 UTC.", id="rate: too few",
        ),
        pytest.param(
            "rate", {}, INCONCLUSIVE, Label.NO_DATA, None, 0,
            "rate has no data since 1970-01-01 00:00 UTC.", id="rate: no data",
        ),
        pytest.param(
            "rate", rate(600, 1), INCONCLUSIVE, Label.NOT_JUDGED, 1 - 1 / 600, 36_000,
            "rate is undecided: 60 of 36 000 requests failed (0.17%), at most 0.1% allowed"
            f"{UNDECIDED}", id="rate: undecided",
        ),
        pytest.param(
            "rate", rate(600, 30, 700, 1), FAIL, Label.REFUTED, 0.95, 36_000,
            f"rate fails: {ALL_HOUR} 1 800 of 36 000 requests failed (5%), at most 0.1% allowed; "
            f"0.14% on the stable path{CERTAIN}", id="rate: fails",
        ),
        pytest.param(
            "rate", rate(600, 3, 600, 3), FAIL, Label.REFUTED, 0.995, 36_000,
            "rate fails: from 1970-01-01 00:15 to 01:00 UTC 135 of 27 000 requests failed (0.5%), "
            f"at most 0.1% allowed; 0.5% on the stable path{CERTAIN}",
            id="rate: fails, without the first quarter of an hour of a shared outage",
        ),
        pytest.param(
            "beside", beside(5), PASS, Label.NOT_REFUTED, 0.05, 6_000,
            "beside not refuted: 5% of canary requests were slower than 1.05 × the stable path's "
            "p95 (400 ms), 5% of the stable path's were slower than 400 ms; n = 6 000.",
            id="beside: as slow as the control",
        ),
        pytest.param(
            "beside", beside(5.2), INCONCLUSIVE, Label.NOT_JUDGED, 0.052, 6_000,
            "beside is undecided: 5.2% of canary requests were slower than 1.05 × the stable "
            "path's p95 (400 ms), 5% of the stable path's were slower than 400 ms; n = 6 000"
            f"{UNDECIDED}", id="beside: undecided",
        ),
        pytest.param(
            "beside", beside(30), FAIL, Label.REFUTED, 0.3, 6_000,
            f"beside fails: {ALL_HOUR} 30% of canary requests were slower than 1.05 × the stable "
            "path's p95 (400 ms), 5% of the stable path's were slower than 400 ms; n = 6 000"
            f"{CERTAIN}", id="beside: fails",
        ),
        pytest.param(
            "beside", beside(0, 0.25), INCONCLUSIVE, Label.TOO_FEW, 0.0, 15,
            "beside has too few samples: 15 of 20 since 1970-01-01 00:00 UTC.",
            id="beside: too few, of the path that has fewer",
        ),
        pytest.param(
            "stored", stored(5, 4), PASS, Label.NOT_REFUTED, 0.05, 6_000,
            "stored not refuted: 5% of canary requests were slower than 420 ms (1.05 × the stored "
            "p95), 5.18% allowed; n = 6 000.", id="stored: kept",
        ),
        pytest.param(
            "stored", stored(30, 5), INCONCLUSIVE, Label.NOT_JUDGED, 0.3, 6_000,
            "stored is undecided: 30% of canary requests were slower than 420 ms (1.05 × the "
            f"stored p95), 5.18% allowed; n = 6 000{UNDECIDED}", id="stored: it may be drift",
        ),
        pytest.param(
            "stored", stored(30, 20), FAIL, Label.REFUTED, 0.3, 6_000,
            f"stored fails: {ALL_HOUR} 20% of canary requests were slower than 441 ms (1.05 × the "
            f"stored p95 and 5% of drift), 5.18% allowed; n = 6 000{CERTAIN}",
            id="stored: more than drift",
        ),
        pytest.param(
            "limit", limit(4), PASS, Label.NOT_REFUTED, 0.04, 6_000,
            "limit not refuted: 4% of requests were slower than 500 ms, at most 5% allowed; n = "
            "6 000.", id="limit: kept",
        ),
        pytest.param(
            "limit", limit(30), FAIL, Label.REFUTED, 0.3, 6_000,
            f"limit fails: {ALL_HOUR} 30% of requests were slower than 500 ms, at most 5% allowed; "
            f"n = 6 000{CERTAIN}", id="limit: fails",
        ),
        pytest.param(
            "share", rejects(6), PASS, Label.NOT_REFUTED, 0.01, 36_000,
            "share not refuted: rejects per requests was 1%, at most 1%; n = 36 000.",
            id="share: exactly its bound",
        ),
        pytest.param(
            "share", rejects(6.5), INCONCLUSIVE, Label.NOT_JUDGED, 6.5 / 600, 36_000,
            "share is undecided: rejects per requests was 1.08%, at most 1%; n = 36 000"
            f"{UNDECIDED}",
            id="share: undecided",
        ),
        pytest.param(
            "count", rejects(1), PASS, Label.NOT_REFUTED, 5.0, 60,
            "count not refuted: rejects was 5 in 5m on average, at most 10.", id="count: kept",
        ),
        pytest.param(
            "count", rejects(20), FAIL, Label.REFUTED, 100.0, 60,
            f"count fails: {ALL_HOUR} rejects was 100 in 5m on average, at most 10{CERTAIN}",
            id="count: fails",
        ),
    ],
)  # fmt: skip
def test_an_hour_of(
    name: str,
    minute: Mapping[str, float],
    verdict: Verdict,
    label: Label,
    measured: float | None,
    samples: int,
    sentence: str,
) -> None:
    (finding,) = judge(evidence_of(policy_of(name), minute))
    assert finding.sentence == sentence
    assert finding.measured == (None if measured is None else pytest.approx(measured))
    assert finding == Finding(
        name, verdict, label, finding.measured, finding.bound, samples, 0, HOUR, sentence
    )


@pytest.mark.parametrize(
    ("name", "minute", "bound"),
    [
        ("rate", rate(600, 0), 0.999),
        ("beside", beside(5), 0.05),
        ("beside", {**beside(5), "direct:TC(400:)": 20.0}, 0.1),  # what its control shows
        ("beside", {**beside(0), "direct:TC(400:)": 0.0}, 0.0),
        ("stored", stored(5, 4), 0.0518),
        ("limit", limit(4), 0.05),
        ("share", rejects(6), 0.01),
        ("count", rejects(1), 10),
    ],
)
def test_a_finding_has_what_is_allowed_as_its_bound(
    name: str, minute: Mapping[str, float], bound: float
) -> None:
    (finding,) = judge(evidence_of(policy_of(name), minute))
    assert finding.bound == pytest.approx(bound, rel=1e-3)


@pytest.mark.parametrize(
    ("parts", "minute", "text"),
    [
        pytest.param(
            {"baseline": {"fixed": 400}}, stored(30, 30),
            "slower than 420 ms (1.05 × the fixed value), 5% allowed; n = 6 000",
            id="a fixed value",
        ),
        pytest.param(
            {"exceedance": "percentiles"},
            {"latency:SampleCount": 100, **dict.fromkeys(
                ("latency:p50", "latency:p90", "latency:p95", "latency:p99"), 800.0)},
            "100% of canary requests were slower than 420 ms (1.05 × the stored p95), 5.18% "
            "allowed, read between percentiles; n = 6 000", id="without counts",
        ),
    ],
)  # fmt: skip
def test_a_latency_says_what_it_was_compared_with(
    parts: Mapping[str, object], minute: Mapping[str, float], text: str
) -> None:
    (finding,) = judge(evidence_of(policy_of("stored", **parts), minute))
    assert finding.verdict is FAIL
    assert text in finding.sentence


def test_values_have_as_many_digits_as_they_need() -> None:
    policy, minute = policy_of("limit", max=412.25), {"latency:SampleCount": 1_000.0}
    (finding,) = judge(evidence_of(policy, {**minute, "latency:TC(412.25:)": 312.6}))
    assert "31.3% of requests were slower than 412.2 ms, at most 5% allowed" in finding.sentence
    plain = policy.metrics["latency"].model_copy(update={"unit": ""})
    unitless = policy.model_copy(update={"metrics": {**policy.metrics, "latency": plain}})
    (finding,) = judge(evidence_of(unitless, {**minute, "latency:TC(412.25:)": 312.6}))
    assert "slower than 412.2, at most 5% allowed" in finding.sentence


def test_minutes_without_a_datapoint_are_minutes_of_a_count_too() -> None:
    (finding,) = judge(evidence_of(policy_of("count"), rejects(1), minutes=30))
    assert finding.measured == pytest.approx(2.5)


def test_a_count_of_a_single_minute_is_written_as_that_of_a_window() -> None:
    hour = evidence_of(policy_of("count"), rejects(1))
    (finding,) = judge(replace(hour, closed_end=MINUTE_S, open_end=4 * MINUTE_S))
    assert "rejects was 5 in 5m on average" in finding.sentence


def test_a_count_that_fails_is_written_over_the_minutes_of_the_regression() -> None:
    hour = evidence_of(policy_of("count"), rejects(0))
    late = range(50 * MINUTE_S, HOUR, MINUTE_S)
    burst = {
        key: replace(one, points={**one.points, **dict.fromkeys(late, 20.0)})
        for key, one in hour.series.items()
        if key == "rejects:Sum@60"
    }
    (finding,) = judge(replace(hour, series={**hour.series, **burst}))
    assert finding.sentence.startswith(
        "count fails: from 1970-01-01 00:50 to 01:00 UTC rejects was 100 in 5m on average"
    )


def test_a_control_without_a_failure_is_in_the_sentence_too() -> None:
    (finding,) = judge(evidence_of(policy_of("rate"), rate(600, 30, 600, 0)))
    assert "at most 0.1% allowed; 0% on the stable path; evidence " in finding.sentence


def test_more_failures_of_a_control_than_requests_are_all_of_them() -> None:
    (finding,) = judge(evidence_of(policy_of("rate"), rate(600, 590, 600, 700)))
    assert "; 100% on the stable path; evidence " in finding.sentence


def test_a_control_needs_as_many_requests_as_the_canary() -> None:
    few = {**beside(5), "direct:SampleCount": 0.25, "direct:TC(400:)": 0.0}
    (finding,) = judge(evidence_of(policy_of("beside"), few))
    assert (finding.verdict, finding.label) == (INCONCLUSIVE, Label.TOO_FEW)
    assert finding.sentence == "beside has too few samples: 15 of 20 since 1970-01-01 00:00 UTC."


def test_a_percentile_allows_what_it_leaves_above_it() -> None:
    policy = policy_of("limit")
    p90 = policy.metrics["latency"].model_copy(update={"statistic": "p90"})
    wide = policy.model_copy(update={"metrics": {**policy.metrics, "latency": p90}})
    (finding,) = judge(evidence_of(wide, limit(9)))
    assert finding.verdict is PASS
    assert "9% of requests were slower than 500 ms, at most 10% allowed" in finding.sentence


def test_minutes_with_bad_data_are_time_in_which_requests_came_too() -> None:
    """Six a minute in 39 minutes are four a minute of an hour: one without is no wonder."""
    counts = {"latency:SampleCount": [6.0] * 59, "latency:TC(500:)": [7.0] * 20 + [0.0] * 39}
    evidence = evidence_of(policy_of("limit"), {})
    series = {
        key: Series(
            {at * MINUTE_S: value for at, value in enumerate(counts[key.partition("@")[0]])}
        )
        for key in evidence.series
    }
    (finding,) = judge(replace(evidence, series=series))
    assert (finding.verdict, finding.label, finding.samples) == (PASS, Label.NOT_REFUTED, 234)


def test_where_a_proof_is_required_nothing_less_passes() -> None:
    policy = policy_of("rate", assurance="proven")
    (finding,) = judge(evidence_of(policy, rate(30, 0)))
    assert (finding.verdict, finding.label) == (INCONCLUSIVE, Label.TOO_FEW)
    (proven,) = judge(evidence_of(policy, rate(600, 0)))
    assert (proven.verdict, proven.label) == (PASS, Label.PROVEN)


@pytest.mark.parametrize(
    ("requests", "minutes", "label"),
    [
        pytest.param(600, 60, Label.PROVEN, id="it did not"),
        pytest.param(600, 59, Label.NO_DATA, id="a minute without one is no chance"),
        pytest.param(6, 59, Label.NOT_REFUTED, id="a minute without one is chance, of six"),
        pytest.param(6, 57, Label.NO_DATA, id="three are not"),
    ],
)
def test_a_canary_that_fell_silent_has_no_data(requests: float, minutes: int, label: Label) -> None:
    (finding,) = judge(evidence_of(policy_of("rate"), rate(requests, 0), minutes))
    assert finding.label is label


def test_inconsistent_counts_in_the_newest_minute_are_bad_data() -> None:
    (finding,) = judge(evidence_of(policy_of("limit"), limit(101)))
    assert (finding.verdict, finding.label) == (INCONCLUSIVE, Label.BAD_DATA)


def test_without_its_baseline_a_latency_has_no_data() -> None:
    (finding,) = judge(evidence_of(policy_of("stored"), stored(5, 4), baselines={}))
    assert (finding.verdict, finding.label) == (INCONCLUSIVE, Label.NO_DATA)


def test_a_query_that_failed_decides_nothing() -> None:
    whole = evidence_of(policy_of("rate"), rate(600, 0))
    broken = {
        key: replace(one, answer=QueryStatus.ERROR, message="Throttling")
        if "errors" in key
        else one
        for key, one in whole.series.items()
    }
    (finding,) = judge(replace(whole, series=broken))
    assert (finding.verdict, finding.label) == (INCONCLUSIVE, Label.QUERY_FAILED)
    assert finding.sentence.startswith(
        "rate cannot be judged: CloudWatch did not answer for errors"
    )
