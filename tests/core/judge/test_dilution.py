"""Findings on metrics of both paths are labelled diluted while the canary has a part of them."""

import pytest

from tests.support.core import Finding, sentence_of, table
from tests.support.judging import METRICS, a_step, datapoints, findings_at, policy_of
from tests.support.rollouts import with_facts

RATE = {"kind": "success_rate", "total": "requests", "failures": ["errors"], "min": "95%"}
BOTH = {**METRICS, **{name: {**METRICS[name], "counts": "both"} for name in ("requests", "errors")}}


def finding(judge: str, weight: int, *, both: bool, failing: float = 1) -> Finding:
    steps = [{"weight": weight, "bake": "15m"}, {"weight": 100, "bake": "15m"}]
    policy = policy_of(
        {**RATE, "judge": judge, "min_samples": 10},
        metrics=BOTH if both else METRICS,
        steps=steps[weight == 100 :],
        warmup="0s",
    )
    every = 5 if judge == "threshold" else 1
    series = datapoints(
        {"requests": [100] * (20 // every), "errors": [failing] * (20 // every)}, every=every
    )
    (found,) = findings_at(a_step(policy), series, 18)
    return found


@pytest.mark.parametrize("judge", ["sequential", "threshold"])
@pytest.mark.parametrize("failing", [1, 60], ids=["pass", "fail"])
def test_a_finding_on_both_paths_says_how_few_requests_are_the_canarys(
    judge: str, failing: float
) -> None:
    found = finding(judge, 10, both=True, failing=failing)
    assert found.label_text == f"{found.label}, diluted"
    assert "requests, errors counted both paths, and the canary had 10% " in sentence_of(found)


@pytest.mark.parametrize(("weight", "both"), [(10, False), (100, True)])
def test_what_the_canary_has_alone_is_not_diluted(weight: int, *, both: bool) -> None:
    found = finding("sequential", weight, both=both)
    assert found.label_text == found.label
    assert "counted both paths" not in sentence_of(found)


def test_the_table_of_criteria_shows_it() -> None:
    found = finding("sequential", 10, both=True)
    lines = table(with_facts(a_step(RATE), findings=(found,)))
    assert f"{found.label}, diluted" in lines[-2]
