"""The seven days after a success: what is released without a rollout, and the stable path."""

from collections.abc import Mapping
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

import pytest

from controller.immutable import replace
from tests.support.cases import cases
from tests.support.core import (
    ConditionKind,
    Decision,
    Observation,
    Observed,
    Policy,
    QueryStatus,
    Series,
    Severity,
    StableUse,
    Succeeded,
    Target,
    query_plan,
)
from tests.support.recorded_run import RecordedRun, a_run
from tests.support.rollouts import (
    LADDER,
    MINUTE,
    NOON,
    a_policy,
    a_reading,
    state_of,
    with_state,
)
from tests.support.three_steps import AFTER_ROLLBACK, UNREADABLE, decide_tick

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CODE, OTHER_CODE = "code-1", "code-2"
WATCHED = a_policy(
    metrics={
        **LADDER["metrics"],
        "old": {"namespace": "Shop", "name": "OldCount", "statistic": "Sum"},
        "old-errors": {"namespace": "Shop", "name": "OldErrors", "statistic": "Sum"},
    },
    criteria={
        "works": {
            **LADDER["criteria"]["works"],
            "judge": "sequential",
            "control": {"total": "old", "failures": ["old-errors"]},
        },
    },
    steps=[{"weight": 100, "bake": "90m"}],
)
UNCOUNTED = a_policy(steps=[{"weight": 100, "bake": "90m"}])
OF_BOTH = WATCHED.model_copy(
    update={
        "metrics": {
            **WATCHED.metrics,
            "old": WATCHED.metrics["old"].model_copy(update={"counts": "both"}),
        }
    }
)
STABLE = "stable path:old"


def reading(weight: int = 100, **facts: Any) -> Target:
    return a_reading(weight, **{"token": "at the end", "code": CODE, **facts})


def a_success(policy: Policy = WATCHED) -> RecordedRun:
    """Return a rollout whose 100% was applied at 12:01, and that succeeded at 13:40."""
    run = a_run(policy)
    run.tick(reading(token="token-2"))
    run.tick_on(reading(), 100)
    assert run.rollout.phase == "succeeded", run.rollout.sentence
    return run


@pytest.fixture(scope="module")
def success() -> RecordedRun:
    return a_success()


@pytest.fixture
def run(success: RecordedRun) -> RecordedRun:
    return deepcopy(success)


def watch(
    run: RecordedRun,
    after: timedelta,
    target: Target | None = None,
    requests: Mapping[datetime, int] | None = None,
    answer: QueryStatus = QueryStatus.COMPLETE,
) -> Decision:
    """Tick after so long; `requests`: those of the stable path in hours from then on."""
    run.now += after
    needed = query_plan(run.rollout, run.now)
    points = {int(at.timestamp()): float(count) for at, count in (requests or {}).items()}
    series = dict.fromkeys(needed.queries, Series(points, answer))
    return run.apply(Observed(Observation(target or reading(), series)))


def reads(run: RecordedRun, now: datetime) -> bool:
    return bool(query_plan(run.rollout, now))


# --- Released without a rollout -------------------------------------------------------------------


@cases("target, change", {
    "other code": (
        reading(token="later", code=OTHER_CODE),
        "its code is code-2, and checkout#1 rolled out code-1",
    ),
    "the same code": (reading(token="later"), "its settings were changed"),
})  # fmt: skip
def test_a_function_that_is_released_without_a_rollout_is_reported_once(
    run: RecordedRun, target: Target, change: str
) -> None:
    decision = watch(run, MINUTE, target)
    (notice,) = decision.notices
    assert (notice.severity, notice.kind) == (Severity.WARNING, "released_outside")
    assert change in notice.text
    assert "no criterion has judged that" in notice.text
    assert change in run.rollout.conditions[ConditionKind.CHANGED].text
    assert decision.alert is None  # the weight is as it was
    assert watch(run, MINUTE, target).notices == ()
    assert run.kinds[-2:] == ["released_outside", "stable_path"]
    assert run.replay.consistent


def test_each_code_is_reported_also_after_the_settings_were_changed(run: RecordedRun) -> None:
    watch(run, MINUTE, reading(token="settings"))
    for code in (OTHER_CODE, "code-3"):
        (notice,) = watch(run, MINUTE, reading(token=code, code=code)).notices
        assert f"its code is {code}" in notice.text
        assert f"its code is {code}" in run.rollout.conditions[ConditionKind.CHANGED].text
    assert watch(run, MINUTE, reading(token="back")).notices == ()
    assert run.replay.consistent


def test_nothing_is_reported_while_the_function_is_as_the_rollout_left_it(run: RecordedRun) -> None:
    watch(run, MINUTE)
    assert ConditionKind.CHANGED not in run.rollout.conditions


def test_a_weight_that_was_set_by_hand_and_back_is_drift_and_no_release(run: RecordedRun) -> None:
    watch(run, MINUTE, reading(50, token="by hand"))
    watch(run, MINUTE, reading(100, token="and back"))
    assert [*run.rollout.conditions] == [ConditionKind.DRIFTED]
    watch(run, MINUTE, reading(100, token="deployed", code=OTHER_CODE))
    assert [*run.rollout.conditions] == [ConditionKind.DRIFTED, ConditionKind.CHANGED]
    assert run.replay.consistent


def test_drift_names_what_gets_requests_and_was_released_by_no_rollout(run: RecordedRun) -> None:
    decision = watch(run, MINUTE, reading(0, token="later", others="version 5"))
    assert decision.notices[0].text.endswith("; no rollout has released version 5 since")
    assert run.replay.consistent


def test_drift_is_reported_again_where_something_else_gets_requests(run: RecordedRun) -> None:
    watch(run, MINUTE, reading(50, token="by hand"))
    for version in ("version 5", "version 55", "version 5"):
        target, end = reading(0, token="later", others=version), f" released {version} since"
        assert watch(run, MINUTE, target).notices[0].text.endswith(end)
        assert run.rollout.conditions[ConditionKind.DRIFTED].text.endswith(end)
        assert watch(run, MINUTE, target).notices == ()
    assert watch(run, MINUTE, reading(0, token="later")).notices == ()
    assert run.replay.consistent


def test_a_revision_that_was_named_is_not_compared_with_the_code() -> None:
    run = a_success()
    run.rollout = replace(run.rollout, revision="v1.2")
    decision = watch(run, MINUTE, reading(token="later", code=OTHER_CODE))
    assert "its settings were changed" in decision.notices[0].text


# --- The stable path ------------------------------------------------------------------------------


def use_of(run: RecordedRun) -> StableUse:
    use = state_of(run.rollout, Succeeded).stable_use
    assert use is not None
    return use


def test_the_stable_path_is_read_at_the_first_tick_after_success_and_then_once_a_day(
    run: RecordedRun,
) -> None:
    first = run.now + MINUTE
    assert watch(run, MINUTE).notices == ()  # it pages no one
    assert run.kinds[-1] == "stable_path"
    assert not any(reads(run, first + minutes * MINUTE) for minutes in range(1, 24 * 60, 7))
    assert reads(run, first + DAY)
    for _ in range(7 * 24):
        watch(run, HOUR)
    assert run.kinds.count("stable_path") == 7
    assert run.replay.consistent


@cases("requests, text", {
    "none since 100%": ({}, "unused since 2026-11-24 12:01 UTC (old, read up to"),
    "some in the hour of the raise":
        ({NOON: 80}, "unused since 2026-11-24 13:00 UTC (old, read up to"),
    "some a day later": ({NOON + 20 * HOUR: 1}, "unused since 2026-11-25 09:00 UTC (old, read up"),
    "some in the newest hour":
        ({NOON + 20 * HOUR: 1, NOON + 24 * HOUR: 1}, "in use in the newest hour (old, read up to"),
    "hours without a request": ({NOON + 20 * HOUR: 0}, "unused since 2026-11-24 12:01 UTC"),
})  # fmt: skip
def test_the_stable_path_is_unused_since_its_last_request(
    run: RecordedRun, requests: Mapping[datetime, int], text: str
) -> None:
    watch(run, DAY, requests=requests)
    assert text in run.entries[-1].body["sentence"]
    assert "2026-11-25 13:00 UTC" in run.entries[-1].body["sentence"]
    assert run.replay.consistent


def test_a_day_without_a_complete_answer_is_read_again_with_the_next_one(run: RecordedRun) -> None:
    watch(run, MINUTE, answer=QueryStatus.PARTIAL)
    assert "its use is not known: old had no complete answer" in run.entries[-1].body["sentence"]
    assert not reads(run, run.now + MINUTE)
    watch(run, DAY, requests={NOON + HOUR: 3})
    known = use_of(run)
    assert known.used == NOON + 2 * HOUR
    watch(run, DAY, answer=QueryStatus.ERROR)
    assert use_of(run) == replace(known, read=run.now)
    assert run.replay.consistent


def test_the_stable_path_is_read_while_the_target_cannot_be(run: RecordedRun) -> None:
    watch(run, MINUTE, UNREADABLE)
    assert use_of(run).read == run.now


def test_the_stable_path_is_not_read_where_it_has_its_share_or_nothing_counts_it(
    run: RecordedRun,
) -> None:
    assert not reads(run, NOON + 9 * DAY)  # the watch is over
    watch(run, MINUTE, reading(50, token="by hand"))
    assert not reads(run, run.now + DAY)
    for policy in (UNCOUNTED, OF_BOTH):
        other = a_success(policy)
        assert not reads(other, other.now + MINUTE)


# --- After a rollback -----------------------------------------------------------------------------


def test_a_weight_that_is_lowered_again_leaves_no_token_to_compare_with() -> None:
    """Its write changes the token: the next start would take it for a release."""
    rolled_back = with_state(AFTER_ROLLBACK, token="at the end")
    lowered = decide_tick(rolled_back, a_reading(10), 3).rollout
    assert lowered.token_at_end == ""
    assert decide_tick(rolled_back, a_reading(0), 3).rollout.token_at_end == "at the end"
