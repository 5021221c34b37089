"""A stored text is refused unparsed for its size or content; what is written comes nowhere near."""

import json
import tracemalloc
from collections.abc import Mapping
from typing import Any, Final

import pytest

from controller.core.judge.evidence import BreachRun
from controller.core.stats.combined_tests import ControlState, RegressionStart, Rejection
from controller.core.stats.counts import Counts
from controller.core.stats.eprocess import EProcessState
from controller.core.stats.hangs import HangsBeside
from controller.errors import is_record_error
from controller.immutable import replace
from tests.support.cases import cases
from tests.support.core import (
    BaselineMeasurement,
    Policy,
    SequentialState,
    StoreError,
    Tally,
    codec,
)
from tests.support.findings import a_finding
from tests.support.rollouts import LADDER, POLICY, a_policy, a_rollout, with_facts

SNAPSHOT, STATE = POLICY.snapshot(), codec.dump(a_rollout())
MIB: Final = 1 << 20


def with_evidence(**parts: object) -> str:
    """Return a stored state with changed parts of its evidence."""
    data = json.loads(STATE)
    return json.dumps({**data, "evidence": {**data["evidence"], **parts}})


def refusal(state: str, snapshot: str = SNAPSHOT, *, peak: int) -> str:
    """Return why a record is refused, which takes no more than `peak` bytes."""
    tracemalloc.start()
    try:
        with pytest.raises(StoreError, match=r"checkout#1 is damaged") as raised:
            codec.load("checkout#1", state, snapshot)
        assert tracemalloc.get_traced_memory()[1] < peak
    finally:
        tracemalloc.stop()
    assert is_record_error(raised.value)
    return str(raised.value)


# By claim: texts of a megabyte at most, which take many times that much memory once parsed.
GREEDY: Mapping[str, tuple[str, str]] = {
    "state: objects": ("[" + '{"":{}},' * 130_000 + "1]", SNAPSHOT),
    "state: lists": ("[" + "[]," * 340_000 + "1]", SNAPSHOT),
    "state: nested": ("[" * 500_000 + "]" * 500_000, SNAPSHOT),
    "state: fields left out": (
        with_evidence(tallies={f"{name:x}": {} for name in range(70_000)}),
        SNAPSHOT,
    ),
    "policy: objects": (STATE, "[" + '{"":{}},' * 130_000 + "1]"),
    "policy: steps": (STATE, SNAPSHOT.replace('"steps":[', '"steps":[' + "1000," * 200_000)),
    "policy: criteria": (
        STATE,
        SNAPSHOT.replace('"criteria":{', '"criteria":{' + '"a":1,' * 170_000),
    ),
}


@cases("state, snapshot", GREEDY)
def test_a_record_that_would_take_much_memory_is_refused_unparsed(
    state: str, snapshot: str
) -> None:
    assert "is the limit" in refusal(state, snapshot, peak=2 * MIB)


def test_an_entry_that_would_take_much_memory_is_refused_unparsed() -> None:
    text = "[" + '{"":{}},' * 2_000_000 + "1]"
    tracemalloc.start()
    with pytest.raises(StoreError, match=r"damaged \(objects: 4,000,000, and 100,000 is the limit"):
        codec.load_entry("checkout#1", text)
    assert tracemalloc.get_traced_memory()[1] < MIB
    tracemalloc.stop()


# By claim: texts that are parsed, as greedy as the limits allow.
LARGEST: Mapping[str, tuple[str, str]] = {
    "integers": (with_evidence(findings=[1_000] * 170_000), SNAPSHOT),
    "characters": (with_evidence(findings=["\u3000"] * 100_000), SNAPSHOT),
    "lists": (with_evidence(findings=[[1_000, 1_000]] * 47_000), SNAPSHOT),
    "fields left out": (
        with_evidence(tallies={f"{name:x}{'x' * 100}": {} for name in range(7_900)}),
        SNAPSHOT,
    ),
    "steps": (
        STATE,
        SNAPSHOT.replace('"steps":[', '"steps":[' + f'"{"x" * 90}",' * 9_000),
    ),
}


@cases("state, snapshot", LARGEST)
def test_the_greediest_record_that_is_parsed_takes_less_than_30_mib(
    state: str, snapshot: str
) -> None:
    assert "is the limit" not in refusal(state, snapshot, peak=30 * MIB)


# --- What is written ------------------------------------------------------------------------------


def a_large_policy(number: int, **parts: object) -> Policy:
    """Return a policy with so many criteria, each with its own two metrics."""
    (criterion,) = LADDER["criteria"].values()
    metrics = {
        f"{name}-{index}": {**metric, "dimensions": {"FunctionName": "x" * 64}}
        for name, metric in LADDER["metrics"].items()
        for index in range(number)
    }
    criteria = {
        f"works-{index}": {
            **criterion,
            "total": f"requests-{index}",
            "failures": [f"errors-{index}"],
            **parts,
        }
        for index in range(number)
    }
    return a_policy(metrics=metrics, criteria=criteria)


def test_a_policy_of_250_criteria_fits_with_everything_that_is_measured_for_it() -> None:
    policy = a_large_policy(250)
    rollout = a_rollout(policy=policy)
    long, second = 1_234.123456789012, 1_767_611_100
    run = BreachRun(9, second, second, long)
    counts = Counts(long, long, long, long, long, long, long)
    tally = Tally(second, 1_440, 9, 9, 9, counts, run, run, long, second, spacing=60)
    onset = RegressionStart(1, long, second, counts)
    tests = [f"{name}/{index}" for name in policy.criteria for index in range(2)]
    fold = SequentialState(
        capitals=dict.fromkeys(tests, EProcessState((long,) * 6, 0.5, 1_440, 3, long, second, 1)),
        controls=dict.fromkeys(
            policy.criteria,
            ControlState(long, long, HangsBeside(long, long), long, (long, long)),
        ),
        rejections=dict.fromkeys(tests, Rejection(long, long, second)),
        onsets=dict.fromkeys(tests, onset),
    )
    facts: dict[str, Any] = {f"fact-{number}": long for number in range(12)}
    full = with_facts(
        rollout,
        baselines=dict.fromkeys(
            policy.criteria, BaselineMeasurement(long, long, second, second, hours=(0.012345,) * 24)
        ),
        tallies=dict.fromkeys(policy.criteria, tally),
        fold=fold,
        findings=tuple(replace(a_finding(name), facts=facts) for name in policy.criteria),
    )
    assert 500_000 < len(codec.dump(full)) < codec.STATE_LIMITS.size
    assert len(codec.dump_policy(full)) < codec.POLICY_LIMITS.size / 2


def test_a_policy_whose_burn_rates_look_back_too_far_is_refused() -> None:
    """A window of three days has 4,320 minutes, and a state keeps each of them."""
    window = {"long": "3d", "short": "1h", "factor": 2}
    burn_rate: dict[str, Any] = {"kind": "burn_rate", "total": "requests", "failures": ["errors"]}
    burn_rate |= {"slo": "99%", "window": "1m", "windows": [window]}
    rollouts = [
        a_rollout(policy=a_policy(criteria={f"slo-{one}": burn_rate for one in range(number)}))
        for number in (9, 10)
    ]
    pairs = [[123_456.0, 123_456.0]] * 4_320
    assert len(json.dumps(pairs)) * 9 < codec.STATE_LIMITS.size
    codec.dump_policy(rollouts[0])
    with pytest.raises(StoreError, match=r"^checkout#1 is too large .* 1,077,760 bytes"):
        codec.dump_policy(rollouts[1])
