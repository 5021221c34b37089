"""A history divided between the paths, in longer periods, and with a fault."""

from collections.abc import Mapping

import pytest

from controller.core.judge.series import SAMPLE_COUNT
from controller.errors import UsageError
from controller.tools.backtest.faults import add_fault, parse_fault
from controller.tools.backtest.past_metrics import HistorySplit, PastMetrics
from tests.support.backtests import SHOP, shop
from tests.support.core import Policy

TIMES = range(0, 300_000, 300)
PERCENTILES: Mapping[str, float] = {"p50": 80, "p95": 300, "p99": 600}


def history(**filled: str) -> PastMetrics:
    """Return a thousand periods of a thousand requests, of which ten fail."""
    columns = {
        ("requests", "Sum"): dict.fromkeys(TIMES, 1_000.0),
        ("errors", "Sum"): dict.fromkeys(TIMES, 10.0),
        ("latency", SAMPLE_COUNT): dict.fromkeys(TIMES, 1_000.0),
        **{("latency", one): dict.fromkeys(TIMES, value) for one, value in PERCENTILES.items()},
    }
    for canary, stable in filled.items():
        columns[stable, "Sum"] = columns[canary, "Sum"]
    return PastMetrics(300, columns, filled=filled)


def control_policy() -> Policy:
    metrics = shop().model_dump(mode="json", exclude_none=True)["metrics"]
    extra = {name: {**metrics["requests"], "name": name} for name in ("direct", "failed")}
    works = {
        "kind": "success_rate", "total": "requests", "failures": ["errors"], "min": "99%",
        "control": {"total": "direct", "failures": ["failed"]},
    }  # fmt: skip
    return shop(metrics={**metrics, **extra}, criteria={"works": works})


@pytest.mark.parametrize("weight", [10, 50, 100])
def test_the_canary_gets_its_share_and_its_failures_vary_as_by_chance(weight: int) -> None:
    split = HistorySplit(shop(), history(), weight)
    assert set(split.columns["requests", "Sum"].values()) == {10.0 * weight}
    failures = list(split.columns["errors", "Sum"].values())
    mean = sum(failures) / len(failures)
    variance = sum((failure - mean) ** 2 for failure in failures) / len(failures)
    assert mean == pytest.approx(weight / 10, rel=0.1)
    assert variance == pytest.approx(10 * weight / 100 * (1 - weight / 100), rel=0.15)


@pytest.mark.parametrize("weight", [10, 50, 100])
def test_what_did_not_succeed_varies_as_by_chance_too(weight: int) -> None:
    metrics = shop().model_dump(mode="json", exclude_none=True)["metrics"]
    answers = {name: {**metrics["requests"], "name": name} for name in ("ok", "moved")}
    works = {
        "kind": "success_rate", "total": "requests", "successes": ["ok", "moved"], "min": "99%",
    }  # fmt: skip
    policy = shop(metrics={"requests": metrics["requests"], **answers}, criteria={"works": works})
    counts = {"requests": 1_000.0, "ok": 897.0, "moved": 93.0}
    whole = PastMetrics(300, {(name, "Sum"): dict.fromkeys(TIMES, n) for name, n in counts.items()})
    requests, *successes = (
        HistorySplit(policy, whole, weight).columns[name, "Sum"] for name in counts
    )
    failures = [requests[at] - sum(success[at] for success in successes) for at in TIMES]
    mean = sum(failures) / len(failures)
    variance = sum((failure - mean) ** 2 for failure in failures) / len(failures)
    assert mean == pytest.approx(weight / 10, rel=0.1)
    assert variance == pytest.approx(10 * weight / 100 * (1 - weight / 100), rel=0.15)


@pytest.mark.parametrize("weight", [10, 50, 100])
def test_the_stable_path_keeps_what_the_canary_did_not_get(weight: int) -> None:
    policy = control_policy()
    whole = history(requests="direct", errors="failed")
    split = HistorySplit(policy, whole, weight)
    for canary, stable in whole.filled.items():
        rest = split.columns[stable, "Sum"]
        if weight == 100:
            assert rest == {}
            continue
        for at in TIMES:
            assert split.columns[canary, "Sum"][at] + rest[at] == whole.columns[canary, "Sum"][at]


# --- faults ---------------------------------------------------------------------------------------


ARRIVES = {"traffic": SHOP["criteria"]["traffic"]}


def faulty(text: str) -> HistorySplit:
    split = HistorySplit(shop(), history(), 10)
    add_fault(split, parse_fault(text, shop()))
    return split


def test_requests_that_hang_move_the_percentiles_above_their_share() -> None:
    split = faulty("hang=3%:10s@10")
    p50, p95, p99 = (split.columns["latency", percentile][300] for percentile in PERCENTILES)
    assert 80 < p50 < 90
    assert 300 < p95 < 600
    assert p99 == 10_000


def test_the_requests_that_any_share_is_of_meet_a_fault() -> None:
    share = {"kind": "threshold", "metric": "errors", "per": "requests", "max": "1%"}
    split = HistorySplit(shop(criteria={"share": share}), history(), 10)
    before = dict(split.columns["errors", "Sum"])
    add_fault(split, parse_fault("errors=20%@10", split.policy))
    after = split.columns["errors", "Sum"]
    assert all(count > before.get(at, 0.0) for at, count in after.items())


def test_errors_are_those_of_a_metric_of_that_name_where_no_criterion_judges_failures() -> None:
    fault = parse_fault("errors=1%@100", shop(criteria={"few": SHOP["criteria"]["few"], **ARRIVES}))
    assert fault.effect == "1% of requests are counted by errors"


@pytest.mark.parametrize(
    ("criterion", "fault", "shown_by"),
    [
        ("traffic", "errors=1%@100", "success_rate or burn_rate"),
        ("traffic", "latency=+20%@100", "latency_increase or threshold"),
        ("works", "hang=3%:10s@100", "latency_increase or threshold"),
        ("fast", "latency=+20%@100", "a criterion that counts requests"),
        ("works", "retries=5%@100", "a count (Sum) of that name"),
        ("works", "fast=5%@100", "a count (Sum) of that name"),
    ],
)
def test_a_fault_that_no_metric_shows_is_refused_with_what_would_show_it(
    criterion: str, fault: str, shown_by: str
) -> None:
    policy = shop(criteria={criterion: SHOP["criteria"][criterion]})
    with pytest.raises(UsageError) as refused:
        parse_fault(fault, policy)
    assert f"--inject {fault}" in str(refused.value)
    assert shown_by in str(refused.value)
