"""The findings of the sequential judge after an hour of equal minutes."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from controller.core.stats.combined_tests import Rejection
from controller.immutable import replace
from tests.sentences import Sentences
from tests.support.cases import cases
from tests.support.core import Finding, Live, Policy, SequentialState
from tests.support.judging import (
    BAD_DATA,
    CHECKPOINT_AGE,
    FAIL,
    NO_DATA,
    PASS,
    PROVEN,
    SILENT,
    START,
    TOO_FEW,
    UNDECIDED,
    Judging,
    Outcome,
    outcome,
    with_checkpoint,
)
from tests.support.rollouts import NOON, with_state
from tests.support.sequential_rollouts import (
    AN_HOUR,
    Minute,
    a_sequential_policy,
    a_sequential_step,
    after,
    an_hour_of,
    beside,
    hour,
    limit,
    observed,
    rate,
    rejects,
    stored,
)


@cases(
    "judging, expected, measured, bound",
    {
        "rate: proven": (hour("rate", rate(600, 0)), PROVEN, 1, 0.999),
        "rate: kept, and not proven": (hour("rate", rate(30, 0)), PASS, 1, 0.999),
        "rate: exactly its bound": (hour("rate", rate(1_000, 1)), PASS, 0.999, 0.999),
        "rate: too few": (hour("rate", rate(1, 0)), TOO_FEW, 1, 0.999),
        "rate: just enough": (hour("rate", rate(5, 0)), PASS, 1, 0.999),
        "rate: no data": (hour("rate", {}), NO_DATA, None, 0.999),
        "rate: undecided": (hour("rate", rate(600, 1)), UNDECIDED, 1 - 1 / 600, 0.999),
        "rate: fails": (hour("rate", rate(600, 30, 700, 1)), FAIL, 0.95, 0.999),
        "rate: undecided in a shared outage": (
            hour("rate", rate(600, 3, 600, 3)), UNDECIDED, 0.995, 0.999,
        ),
        "beside: as slow as its control": (hour("beside", beside(5)), PASS, 0.05, 0.05),
        "beside: faster than its control": (hour("beside", beside(5, bad=20)), PASS, 0.05, 0.1),
        "beside: no slow request": (hour("beside", beside(0, bad=0)), PASS, 0, 0),
        "beside: undecided": (hour("beside", beside(5.2)), UNDECIDED, 0.052, 0.05),
        "beside: fails": (hour("beside", beside(30)), FAIL, 0.3, 0.05),
        "beside: too few": (hour("beside", beside(0, 0.25)), TOO_FEW, 0, 0.05),
        "beside: too few of the control": (
            hour("beside", beside(5, control=0.25, bad=0)), TOO_FEW, 0.05, 0,
        ),
        "stored: kept": (hour("stored", stored(5, 4)), PASS, 0.05, 0.0518),
        "stored: it may be drift": (hour("stored", stored(30, 5)), UNDECIDED, 0.3, 0.0518),
        "stored: more than drift": (hour("stored", stored(30, 20)), FAIL, 0.3, 0.0518),
        "stored: against a fixed value": (
            hour("stored", stored(30, 30), baseline={"fixed": 400}), FAIL, 0.3, 0.05,
        ),
        "beside: a few hang": (hour("beside", beside(5, hung=4)), FAIL, 0.05, 0.05),
        "beside: as many of the control hang": (
            hour("beside", beside(5, hung=4, control_hung=8)), PASS, 0.05, 0.05,
        ),
        "beside: one in a hundred hangs": (hour("beside", beside(5, hung=1)), PASS, 0.05, 0.05),
        "stored: a few hang": (hour("stored", stored(5, 4, hung=4)), FAIL, 0.05, 0.0518),
        "stored: one in a hundred hangs": (
            hour("stored", stored(5, 4, hung=1)), PASS, 0.05, 0.0518,
        ),
        "limit: kept": (hour("limit", limit(4)), PASS, 0.04, 0.05),
        "limit: fails": (hour("limit", limit(30)), FAIL, 0.3, 0.05),
        "share: exactly its bound": (hour("share", rejects(6)), PASS, 0.01, 0.01),
        "share: undecided": (hour("share", rejects(6.5)), UNDECIDED, 6.5 / 600, 0.01),
        "count: kept": (hour("count", rejects(1)), PASS, 5, 10),
        "count: from however many datapoints": (
            hour("count", {**rejects(1), "rejects:SampleCount": 600}), PASS, 5, 10,
        ),
        "count: fails, of its windows": (hour("count", rejects(6)), FAIL, 30, 10),
        "count: fails": (hour("count", rejects(20)), FAIL, 100, 10),
        "count: minutes without a datapoint are minutes too": (
            hour("count", rejects(1), minutes=30), SILENT, 2.5, 10,
        ),
    },
)  # fmt: skip
def test_an_hour_of(
    judging: Judging,
    expected: Outcome,
    measured: float | None,
    bound: float,
) -> None:
    finding = judging()
    assert outcome(finding) == expected
    assert finding.measured == (None if measured is None else pytest.approx(measured))
    assert finding.bound == pytest.approx(bound, rel=1e-3)


# --- Before the last step -------------------------------------------------------------------------

TWO_STEPS: dict[str, Any] = {
    "steps": [{"weight": 50, "bake": "1h"}, {"weight": 100, "bake": "1h"}], "warmup": "0s",
}  # fmt: skip


def first_of_two(name: str, minute: Minute, **fields: Any) -> Judging:
    """Return how to judge an hour of equal minutes in the first of two steps."""
    policy = a_sequential_policy(name, **TWO_STEPS, **{name: fields})
    return partial(an_hour_of, minute, policy)


@cases(
    "name, minute, fields, first, last",
    {
        "more fails than may, by chance": ("rate", rate(600, 0.7), {}, PASS, UNDECIDED),
        "more fails than chance explains": ("rate", rate(600, 0.9), {}, *[UNDECIDED] * 2),
        "a proof is required": ("rate", rate(600, 0.9), {"assurance": "proven"}, *[UNDECIDED] * 2),
        "more is slow than may be": ("limit", limit(5.2), {}, PASS, UNDECIDED),
        "more is slow than chance explains": ("limit", limit(6), {}, *[UNDECIDED] * 2),
        "more is slow than on the control": ("beside", beside(5.2), {}, PASS, UNDECIDED),
        "more is slow than chance explains, beside a control": (
            "beside",
            beside(6),
            {},
            *[UNDECIDED] * 2,
        ),
        "a ratio is too high": ("share", rejects(6.5), {}, PASS, UNDECIDED),
        "a ratio is too high for chance": ("share", rejects(7), {}, *[UNDECIDED] * 2),
        "a count is too high, and has no share": ("count", rejects(2.05), {}, *[UNDECIDED] * 2),
        "the stable path fails too": ("rate", rate(600, 3, 600, 3), {}, UNDECIDED, UNDECIDED),
        "the stable path alone fails": ("rate", rate(600, 0, 600, 3), {}, UNDECIDED, PROVEN),
    },
)
def test_before_the_last_step_it_is_enough_to_rule_out_an_outage(
    name: str, minute: Minute, fields: dict[str, Any], first: Outcome, last: Outcome
) -> None:
    assert outcome(first_of_two(name, minute, **fields)()) == first
    assert outcome(hour(name, minute, **fields)()) == last


@pytest.mark.parametrize("checkpoint_at", [None, 60, 100])
@pytest.mark.parametrize(
    ("closed", "expected"), [(57, PROVEN), (60, UNDECIDED), (116, UNDECIDED), (120, PASS)]
)
def test_a_burst_holds_the_step_while_it_is_in_the_newest_bake_length(
    closed: int, expected: Outcome, checkpoint_at: int | None
) -> None:
    step = a_sequential_step(a_sequential_policy("rate", **TWO_STEPS))
    minutes = [rate(600, 24 if 57 <= minute < 60 else 0) for minute in range(120)]
    if checkpoint_at is not None and checkpoint_at < closed:
        step = with_checkpoint(
            step, observed(step, minutes[:checkpoint_at]), checkpoint_at + CHECKPOINT_AGE
        )
    (finding,) = after(step, minutes, closed)
    assert outcome(finding) == expected


def test_a_bake_of_three_minutes_does_not_pass_what_it_has_seen_fail() -> None:
    steps = [{"weight": 50, "bake": "3m"}, {"weight": 100, "bake": "1h"}]
    policy = a_sequential_policy("rate", steps=steps, warmup="0s", rate={"min": "99%"})
    (finding,) = after(a_sequential_step(policy), [rate(600, 47.5)] * 3)
    assert outcome(finding) == UNDECIDED


def test_a_criterion_that_no_later_step_judges_has_to_keep_its_bound() -> None:
    steps = [{"weight": 50, "bake": "1h"}, {"weight": 100, "bake": "1h", "criteria": ["rate"]}]
    policy = a_sequential_policy("rate", "limit", steps=steps, warmup="0s")
    minute = {**rate(600, 0.7), **limit(5.2)}
    findings = after(a_sequential_step(policy), [minute] * 60)
    outcomes = {finding.criterion: outcome(finding) for finding in findings}
    assert outcomes == {"rate": PASS, "limit": UNDECIDED}


def test_a_step_with_a_shared_outage_passes_once_its_failures_are_few_again() -> None:
    """The canary is as good as the stable path, but 10% of the requests of the step failed."""
    step = a_sequential_step(a_sequential_policy("rate", **TWO_STEPS))
    outage = [rate(600, 180, 600, 180)] * 20
    for healthy, expected in ((40, UNDECIDED), (110, PASS)):
        (finding,) = after(step, [*outage, *[rate(600, 0, 600, 0)] * healthy])
        assert outcome(finding) == expected


@pytest.mark.parametrize(("bad", "expected"), [(0.54, UNDECIDED), (0.05, PASS)])
def test_few_failures_hold_the_step_while_the_control_has_failed_for_as_long(
    bad: float, expected: Outcome
) -> None:
    """One failure of 360 is chance, and 1% of the control's requests are none."""
    step = a_sequential_step(a_sequential_policy("rate", **TWO_STEPS))
    minutes = [rate(6, 0.02, 54, bad)] * 55 + [rate(6, 0, 54, 0)] * 5
    (finding,) = after(step, minutes)
    assert outcome(finding) == expected


@pytest.mark.parametrize(
    ("requests", "expected"), [pytest.param(30, TOO_FEW), pytest.param(600, PROVEN)]
)
def test_where_a_proof_is_required_nothing_less_passes(requests: int, expected: Outcome) -> None:
    assert outcome(hour("rate", rate(requests, 0), assurance="proven")()) == expected


@cases(
    "requests, minutes, expected",
    {
        "it did not": (600, 60, PROVEN),
        "a minute without one is no chance": (600, 59, SILENT),
        "a minute without one is chance, of six": (6, 59, PASS),
        "three are not": (6, 57, SILENT),
    },
)
def test_a_canary_that_fell_silent_has_no_data(
    requests: float, minutes: int, expected: Outcome
) -> None:
    assert outcome(hour("rate", rate(requests, 0), minutes)()) == expected


def judge_minutes(name: str, minutes: Sequence[Minute], closed: int | None = None) -> Judging:
    """Return how to judge minutes that differ."""
    step = a_sequential_step(a_sequential_policy(name, **AN_HOUR))
    return lambda: after(step, minutes, closed)[0]


WITHOUT_BASELINE = partial(
    an_hour_of, stored(5, 4), a_sequential_policy("stored", **AN_HOUR), baselines={}
)


@cases(
    "judging, expected",
    {
        "more slow requests than requests": (hour("limit", limit(101)), BAD_DATA),
        "a latency without its baseline": (WITHOUT_BASELINE, NO_DATA),
        "many minutes without a failure count, and a good one": (
            judge_minutes("rate", [{"requests:Sum": 400}] * 11 + [rate(400, 0)]), BAD_DATA,
        ),
    },
)  # fmt: skip
def test_nothing_is_concluded_from(judging: Judging, expected: Outcome) -> None:
    assert outcome(judging()) == expected


def test_a_latency_without_its_baseline_measures_nothing() -> None:
    minute = {"latency:SampleCount": 100, "latency:p95": 400}
    finding = an_hour_of(minute, a_sequential_policy("stored", **AN_HOUR), baselines={})
    assert (outcome(finding), finding.measured) == (NO_DATA, None)


# --- Sentences ------------------------------------------------------------------------------------

P50_TO_P99 = {f"latency:{one}": 800.0 for one in ("p50", "p90", "p95", "p99")}


def unitless(name: str, minute: Minute, **fields: Any) -> Judging:
    metrics = {"latency": {"namespace": "Shop", "name": "Latency", "statistic": "p95"}}
    policy = a_sequential_policy(name, **AN_HOUR, metrics=metrics, **{name: fields})
    return partial(an_hour_of, minute, policy)


def peak_of(budget: str, peak: float) -> Judging:
    """Return how to judge calm minutes after a peak of the evidence at 12:50, all stored."""
    policy: Policy = a_sequential_policy("rate", **AN_HOUR, false_rollback=budget)
    limit = 1 / (policy.budget * 4 / 6)
    rejection = Rejection(peak, limit, START + 3_000)
    fold = SequentialState(through=START + 3_600, rejections={"rate/objective": rejection})
    return partial(an_hour_of, rate(600, 0, 1, 0), policy, fold=fold)


def second_step(*, fails: bool) -> dict[str, Finding]:
    """Judge the second step, where the evidence of a latency of the first is in the checkpoint."""
    steps = [
        {"weight": 10, "bake": "1h"}, {"weight": 100, "bake": "1h", "criteria": ["rate"]},
    ]  # fmt: skip
    policy = a_sequential_policy("rate", "beside", steps=steps, warmup="0s")
    rejections = {"beside": Rejection(150.0, 100.0, START - 600)} if fails else {}
    fold = SequentialState(rejections=rejections)
    step = with_state(a_sequential_step(policy, fold=fold), position=Live(1, 100, NOON))
    return {one.criterion: one for one in after(step, [rate(600, 0)] * 60)}


def test_a_criterion_of_an_earlier_step_is_judged_only_where_it_fails() -> None:
    assert second_step(fails=False).keys() == {"rate"}
    finding = second_step(fails=True)["beside"]
    assert (outcome(finding), finding.samples, finding.measured) == (FAIL, 0, None)


def on_another_day(stored_share: float) -> Finding:
    """Return a finding beside a baseline of `stored_share`, corrected by the stable path."""
    finding = hour("stored", stored(5, 4))()
    another_day: dict[str, Any] = {"stored_share": stored_share, "stored_metric": "direct_latency"}
    return replace(finding, facts={**finding.facts, **another_day})


SENTENCES: Sentences = {
    "rate proven": hour("rate", rate(600, 0)),
    "rate no regression detected": hour("rate", rate(1_000, 1)),
    "rate undecided": hour("rate", rate(600, 1)),
    "rate not proven, where a proof is required": hour("rate", rate(30, 0), assurance="proven"),
    "rate has too few samples": hour("rate", rate(1, 0)),
    "rate has no data": hour("rate", {}),
    "rate has no data any more": hour("rate", rate(600, 0), 57),
    "rate has bad data": hour("rate", {"requests:Sum": 600}),
    "rate fails without a control": hour("rate", rate(600, 600)),
    "rate fails beside a control": hour("rate", rate(600, 30, 700, 1)),
    "rate fails beside a control without a failure": hour("rate", rate(600, 30, 600, 0)),
    "rate undecided beside a control of which all fail": hour("rate", rate(600, 590, 600, 700)),
    "rate undecided in a shared outage": hour("rate", rate(600, 3, 600, 3)),
    "rate undecided in a shared outage, before the last step": first_of_two(
        "rate", rate(600, 3, 600, 3)
    ),
    "rate above its limit, before the last step": first_of_two("rate", rate(600, 0.9)),
    "rate above its limit by chance, before the last step": first_of_two("rate", rate(600, 0.7)),
    "latency above its limit, before the last step": first_of_two("limit", limit(5.2)),
    "latency beside a control no regression detected": hour("beside", beside(5)),
    "latency beside a control undecided": hour("beside", beside(5.2)),
    "latency beside a control fails": hour("beside", beside(30)),
    "latency beside a control has too few samples": hour("beside", beside(5, control=0.25, bad=0)),
    "latency beside a control hangs": hour("beside", beside(5, hung=4)),
    "latency beside a control that hangs too hangs": hour(
        "beside", beside(5, hung=20, control_hung=4)
    ),
    "latency that its percentile contradicts": hour("limit", {**limit(70), "latency:p95": 380}),
    "latency against a stored value hangs": hour("stored", stored(5, 4, hung=4)),
    "latency against a stored value no regression detected": hour("stored", stored(5, 4)),
    "latency against a stored value may have drifted": hour("stored", stored(30, 5)),
    "latency against a stored value fails": hour("stored", stored(30, 20)),
    "latency against a stored value of a slower day": partial(on_another_day, 0.08),
    "latency against a stored value of a faster day": partial(on_another_day, 0.03),
    "latency against a stored value of a day like this": partial(on_another_day, 0.05181),
    "latency against a fixed value fails": hour("stored", stored(30, 30), baseline={"fixed": 400}),
    "latency without its baseline": WITHOUT_BASELINE,
    "latency read between percentiles fails": hour(
        "stored", {"latency:SampleCount": 100, **P50_TO_P99}, exceedance="percentiles"
    ),
    "latency limit no regression detected": hour("limit", limit(4)),
    "latency limit of many digits fails": hour(
        "limit", {"latency:SampleCount": 1_000, "latency:TC(412.25:)": 312.6}, max=412.25
    ),
    "latency limit without a unit fails": unitless("limit", limit(30)),
    "share no regression detected": hour("share", rejects(6)),
    "share undecided": hour("share", rejects(6.5)),
    "count no regression detected": hour("count", rejects(1)),
    "count of one minute, as that of a window": judge_minutes("count", [rejects(1)]),
    "count fails in the last ten minutes": judge_minutes(
        "count", [rejects(0)] * 50 + [rejects(20)] * 10
    ),
    "of an earlier step, in the checkpoint": lambda: second_step(fails=True)["beside"],
    "evidence that is just enough": peak_of("1%", 150.97),
    "evidence that is just enough, and no whole number": peak_of("17%", 8.9),
    "evidence that is more than enough": peak_of("17%", 12.5),
    "evidence that is certain, of a small budget": peak_of("0.00001%", 2e8),
}
