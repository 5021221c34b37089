"""Power analysis: predicted delays agree with the judge; shortfalls and what helps."""

from functools import cache
from math import exp, inf, log
from random import Random
from statistics import NormalDist, median
from typing import Any

import pytest

from controller.core.judge.latency_tail import TailJudge
from controller.core.judge.sequential_evidence import CriterionTests
from controller.core.judge.series import WindowCounts
from controller.core.stats.binomial import requests_to_prove
from controller.core.stats.counts import Counts
from controller.core.units import MINUTE_S
from controller.tools.plan.detection_delay import (
    SIGMA,
    RequestRates,
    detection_models,
    typical_baselines,
)
from controller.tools.plan.power import Detection, Power, ShortfallKind, StepPower, power_of
from controller.tools.simulation.histogram import binomial, poisson
from tests.support.cases import cases
from tests.support.core import Policy, SequentialState, StepInterval
from tests.support.parsed import parse

COUNT = {"namespace": "Shop", "statistic": "Sum"}
LATENCY = {"namespace": "Shop", "statistic": "p95", "unit": "ms"}
METRICS = {
    "calls": {**COUNT, "name": "Calls"},
    "failures": {**COUNT, "name": "Failures"},
    "rejected": {**COUNT, "name": "Rejected"},
    "duration": {**LATENCY, "name": "Duration"},
    "direct": {**LATENCY, "name": "Direct"},
}
CRITERIA: dict[str, dict[str, Any]] = {
    "works": {"kind": "success_rate", "total": "calls", "failures": ["failures"], "min": "99.9%"},
    "fast": {
        "kind": "latency_increase", "metric": "duration", "max_increase": "5%",
        "baseline": {"concurrent": "direct"},
    },
    "as-before": {
        "kind": "latency_increase", "metric": "duration", "max_increase": "5%",
        "baseline": {"frozen": "direct", "window": "24h"},
    },
    "in-time": {"kind": "threshold", "metric": "duration", "max": 500, "min_samples": 200},
    "share": {"kind": "threshold", "metric": "rejected", "per": "calls", "max": "1%"},
    "limit": {"kind": "threshold", "metric": "rejected", "max": 10, "window": "5m"},
}  # fmt: skip
# The last step has no control to be compared with.
GATES = [[*CRITERIA], [name for name in CRITERIA if name != "fast"]]


def a_policy(judge: str = "sequential", bake: str = "1h", **changes: Any) -> Policy:
    """Return a policy of two steps, 50% and 100%, with a criterion of each kind.

    changes: fields of the criterion `works`.
    """
    criteria = {name: {**criterion, "judge": judge} for name, criterion in CRITERIA.items()}
    criteria["works"] |= changes
    steps = zip((50, 100), GATES, strict=True)
    return parse(
        {
            "version": 1,
            "name": "checkout",
            "target": {"kind": "lambda-env", "function": "handler", "percentage": "PERCENT"},
            "metrics": METRICS,
            "criteria": criteria,
            "steps": [{"weight": weight, "bake": bake, "criteria": gate} for weight, gate in steps],
        }
    )


POLICY = a_policy()
SEQUENTIAL = [*CRITERIA]
SLOW = 0.05  # share of requests above a p95
WARM = 2


@cache
def power_at(per_minute: float) -> StepPower:
    return power_of(POLICY, per_minute)[0]


def power(name: str, per_minute: float, policy: Policy = POLICY) -> Power:
    """Return what criterion `name` can decide in the first step."""
    plain = policy is POLICY
    found = power_at(per_minute) if plain else power_of(policy, per_minute)[0]
    return next(criterion for criterion in found.criteria if criterion.criterion == name)


# --- agreement with the judge ---------------------------------------------------------------------


def simulated_delay(
    bettor: CriterionTests, flow: RequestRates, share: float, rng: Random, within: int
) -> int:
    """Return after how many random minutes a rollout fails; `within` when it does not."""
    stretch, fold = StepInterval(0, 0, WARM * MINUTE_S), SequentialState()
    paired, slow_share = bettor.judge.name == "fast", 0.0
    if isinstance(bettor.judge, TailJudge):
        slow_share = SLOW
    for minute in range(0, within * MINUTE_S, MINUTE_S):
        canary_requests = poisson(rng, flow.canary)
        control_requests = poisson(rng, flow.control)
        canary_hits = binomial(rng, canary_requests, share)
        control_hits = binomial(rng, control_requests, slow_share)
        if not canary_requests or (paired and not control_requests):
            continue
        counts = Counts(
            canary_requests, canary_hits, control_requests, control_hits, fail_amount=canary_hits
        )
        window = WindowCounts(counts, canary_hits)
        _, fold = bettor.fold_minute(window, fold, stretch, minute)
        if fold.rejections:
            return minute // MINUTE_S + 1
    return within


def slower(increase: float, factor: float) -> float:
    """Return the share of requests above `factor` times the old p95, after an `increase`."""
    p95 = exp(SIGMA * NormalDist().inv_cdf(1 - SLOW))
    return 1 - NormalDist(log(1 + increase), SIGMA).cdf(log(factor * p95))


@cases("name, rate, effect, hit", {
    "one request in five minutes, half of them fail": ("works", 0.2, 0.5, 0.5),
    "a request a minute, 20% fail": ("works", 1, 0.2, 0.2),
    "10 a minute, 1% fail": ("works", 10, 0.01, 0.01),
    "60 a minute, 0.5% fail": ("works", 60, 0.005, 0.005),
    "60 a minute, 20% fail": ("works", 60, 0.2, 0.2),
    "3,000 a minute, 0.2% fail": ("works", 3_000, 0.002, 0.002),
    "two thin paths that seldom meet, x 3": ("fast", 0.5, 2, slower(2, 1.05)),
    "beside a control, +50%": ("fast", 10, 0.5, slower(0.5, 1.05)),
    "beside a busy control, +10%": ("fast", 300, 0.1, slower(0.1, 1.05)),
    "against yesterday, +50%": ("as-before", 10, 0.5, slower(0.5, 1.05**2)),
    "against yesterday, +20%": ("as-before", 60, 0.2, slower(0.2, 1.05**2)),
    "10% above a limit": ("in-time", 20, 0.1, slower(0.1, 1)),
    "2% where 1% is allowed": ("share", 60, 0.02, 0.02),
    "20 in 5 minutes where 10 are allowed": ("limit", 20, 0.2, 0.2),
})  # fmt: skip
def test_the_judge_takes_as_long_as_predicted(
    name: str, rate: float, effect: float, hit: float
) -> None:
    """The median of 200 rollouts with random minutes, within 20% and their chance."""
    model, rates, rng = detection_models(POLICY, 0, {})[name], RequestRates(rate, rate), Random(1)
    predicted = model.median_delay(rates, effect, 600)
    assert predicted is not None
    simulated = median(
        simulated_delay(model.criterion_test, rates, hit, rng, 4 * predicted) for _ in range(200)
    )
    assert simulated / 1.3 <= predicted <= simulated * 1.3


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_what_is_allowed_is_never_rolled_back_for(name: str) -> None:
    allowed = {"works": 0.001, "share": 0.01, "limit": 0.0066, "in-time": 0.0}.get(name, 0.05)
    model = detection_models(POLICY, 0, {})[name]
    assert model.delay(RequestRates(300, 300), allowed, 2_000) is None


def test_an_undetectable_fault_is_detected_by_few_simulated_rollouts() -> None:
    model, rng = detection_models(POLICY, 0, {})["works"], Random(1)
    assert power("works", 2).detections[2] == Detection(0.01, None)
    within = WARM + 3 * 60
    detected = [
        simulated_delay(model.criterion_test, RequestRates(1, 1), 0.01, rng, within) < within
        for _ in range(200)
    ]
    assert sum(detected) < 10


# --- monotonicity ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_the_smallest_is_found_within_the_bake_and_one_a_tenth_smaller_is_not(name: str) -> None:
    smallest = power(name, 120).smallest_detectable
    assert smallest is not None
    models = detection_models(POLICY, 0, typical_baselines(POLICY, 120))
    trial, flow = models[name], RequestRates(60, 60)
    assert trial.delay(flow, smallest, WARM + 60) is not None
    assert trial.delay(flow, 0.9 * smallest, WARM + 60) is None


# --- metrics of both paths, and probes ------------------------------------------------------------


def at_10_percent(**changes: Any) -> dict[str, Power]:
    """Return the power at 10% of a policy without a control, at 600 requests a minute."""
    data = POLICY.model_dump(mode="json", exclude_none=True)
    data["criteria"] = {
        "works": {**CRITERIA["works"], "min": "95%"},
        "in-time": CRITERIA["in-time"],
        "signed": {"kind": "attestation", "statement": "The canary works."},
    }
    data["metrics"] = {
        name: {**metric, **changes.get("metrics", {})}
        for name, metric in METRICS.items()
        if name in ("calls", "failures", "duration")
    }
    data["steps"] = [{"weight": 10, "bake": "1h"}, {"weight": 100, "bake": "1h"}]
    data |= {name: change for name, change in changes.items() if name != "metrics"}
    return {criterion.criterion: criterion for criterion in power_of(parse(data), 600)[0].criteria}


def test_metrics_of_both_paths_leave_little_to_see_at_10_percent() -> None:
    own, mixed = at_10_percent(), at_10_percent(metrics={"counts": "both"})
    assert (own["works"].canary_share, mixed["works"].canary_share) == (1, 0.1)
    # 5% of all requests may fail: half of the canary's, and more until that is found.
    assert (own["works"].smallest_detectable or inf) < 0.15
    assert (mixed["works"].smallest_detectable or inf) > 0.5
    assert [detection.minutes for detection in mixed["works"].detections] == [None]
    assert mixed["works"].samples == pytest.approx(10 * own["works"].samples)
    assert (mixed["in-time"].smallest_detectable or inf) > 3 * (
        own["in-time"].smallest_detectable or inf
    )


def test_declared_probes_are_requests_of_the_canary() -> None:
    assert at_10_percent(probes_per_minute=40)["works"].samples == (60 + 40) * 60


# --- samples for a pass ---------------------------------------------------------------------------


@cases("name, samples, least, after", {
    "requests of the canary": ("works", 360, 300, 50),
    "requests in minutes that both paths have": ("fast", 359, 200, 33.4),
    "beside what was stored": ("as-before", 360, 200, 33.3),
    "whatever is counted": ("limit", 360, 20, 10 / 3),
})  # fmt: skip
def test_samples_are_those_that_a_pass_counts(
    name: str, samples: float, least: int, after: float
) -> None:
    found = power(name, 12)
    assert found.samples == pytest.approx(samples, abs=0.9)
    assert found.min_samples == least
    assert found.min_samples_after == pytest.approx(after, rel=0.01)


def test_a_proof_takes_as_many_requests_as_the_judge_asks_for() -> None:
    found = power("works", 12)
    assert found.proof_requests == requests_to_prove(0.001) == 3_807
    assert found.proof_per_minute == pytest.approx(2 * 3_807 / 60)
    assert all(power(name, 12).proof_requests is None for name in SEQUENTIAL[1:])


def test_threshold_windows_have_a_request_count_below_which_one_failure_is_a_breach() -> None:
    found = power("works", 12, a_policy("threshold"))
    assert found.window == 30
    assert found.min_window_requests == pytest.approx(1_000)
    assert (found.detections, found.smallest_detectable, found.proof_requests) == ((), None, None)


# --- shortfalls -----------------------------------------------------------------------------------


def shortfalls_of(name: str, per_minute: float, policy: Policy = POLICY) -> list[ShortfallKind]:
    return [shortfall.kind for shortfall in power(name, per_minute, policy).shortfalls]


@cases("name, per_minute, changes, lacking", {
    "nothing": ("works", 60, {}, []),
    "samples": ("works", 2, {}, [ShortfallKind.SAMPLES]),
    "faults are overlooked": ("works", 0.2, {}, [ShortfallKind.FAULTS, ShortfallKind.SAMPLES]),
    "a proof": ("works", 60, {"assurance": "proven"}, [ShortfallKind.PROOF]),
    "no proof any more": ("works", 600, {"assurance": "proven"}, []),
    "too few to exceed a count": ("limit", 2, {}, [ShortfallKind.FAULTS]),
    "literal samples": ("works", 2, {"judge": "threshold"}, [ShortfallKind.SAMPLES]),
})  # fmt: skip
def test_a_criterion_cannot_decide_for_want_of(
    name: str, per_minute: float, changes: dict[str, Any], lacking: list[ShortfallKind]
) -> None:
    assert (
        shortfalls_of(name, per_minute, a_policy(**{"judge": "sequential", **changes})) == lacking
    )


WANTING = [
    pytest.param("works", 6, {}, id="samples"),
    pytest.param("works", 0.5, {}, id="faults"),
    pytest.param("works", 60, {"assurance": "proven"}, id="a proof"),
    pytest.param("fast", 2, {}, id="two thin paths"),
    pytest.param("limit", 2, {}, id="a count"),
]


@pytest.mark.parametrize(("name", "per_minute", "changes"), WANTING)
def test_so_much_traffic_helps_indeed(
    name: str, per_minute: float, changes: dict[str, Any]
) -> None:
    policy = a_policy(**changes)
    wanted = [shortfall.per_minute for shortfall in power(name, per_minute, policy).shortfalls]
    assert wanted
    enough = max(one or inf for one in wanted)
    assert not shortfalls_of(name, 1.05 * enough, policy)
    assert shortfalls_of(name, 0.45 * enough, policy)


@pytest.mark.parametrize(("name", "per_minute", "changes"), WANTING[:4])
def test_so_long_a_bake_helps_indeed(name: str, per_minute: float, changes: dict[str, Any]) -> None:
    found = power(name, per_minute, a_policy(**changes)).shortfalls
    for one in found:
        if one.bake is not None:
            longer = a_policy(bake=f"{one.bake}m", **changes)
            assert one.kind not in shortfalls_of(name, per_minute, longer)
    assert any(one.bake for one in found)


def test_probes_of_one_path_help_no_comparison_of_two() -> None:
    overlooked, few = power("fast", 2).shortfalls
    assert (overlooked.kind, overlooked.probes) == (ShortfallKind.FAULTS, None)
    assert (few.kind, few.probes) == (
        ShortfallKind.SAMPLES,
        None,
    )  # the control has too few as well


def test_a_decision_while_the_gate_holds_is_marked() -> None:
    soon, never = power("works", 6).shortfalls[-1], power("works", 0.05).shortfalls[-1]
    assert (soon.kind, soon.decides_in_hold) == (ShortfallKind.SAMPLES, True)
    assert (never.kind, never.decides_in_hold) == (ShortfallKind.SAMPLES, False)


def test_where_two_paths_seldom_share_a_minute_more_of_one_alone_does_not_help() -> None:
    """288 requests in a day are enough, were each in a minute with one of the other path."""
    day = a_policy(bake="1d")
    few = power("fast", 0.4, day).shortfalls[-1]
    assert (few.kind, few.needed, few.probes) == (ShortfallKind.SAMPLES, 200, None)
    assert few.per_minute is not None
    assert few.per_minute > 0.4
    assert ShortfallKind.SAMPLES not in shortfalls_of("fast", few.per_minute, day)
