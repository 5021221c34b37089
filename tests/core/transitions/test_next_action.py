"""A decision says where the rollout stands, what comes next, when, and what blocks it."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.support.cases import cases
from tests.support.core import Rollout, Series, TargetReading, UnreadableTarget
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy, a_reading
from tests.support.three_steps import (
    AT_10,
    AT_100,
    DURING_ROLLBACK,
    FAILING,
    FIRST_RAISE,
    HEALTHY,
    NO_DATA,
    RAISING,
    TOO_FEW_REQUESTS,
    UNREADABLE,
    UPDATE_FAILED,
    UPDATE_IN_PROGRESS,
    decide_tick,
)

# Seen unfinished at noon.
UNFINISHED = replace(RAISING, unfinished_since=NOON)
FROZEN = a_policy(freeze={"zone": "UTC", "daily": [{"from": "12:10", "to": "18:00"}]})


@cases("rollout, target, minute, measured, sentence", {
    "settled":
        (RAISING, a_reading(50), 1, NO_DATA,
         "50 % is in force; baking at 50 % until 2026-11-24 12:13 UTC"),
    "written again":
        (RAISING, a_reading(10), 1, NO_DATA, "50 % was decided but not written; writing it again"),
    "failed":
        (RAISING, a_reading(50, UPDATE_FAILED, detail="no space"), 1, NO_DATA,
         "the update to 50 % failed: no space"),
    "failed without a reason":
        (RAISING, a_reading(50, UPDATE_FAILED), 1, NO_DATA,
         "the update to 50 % failed: no reason given"),
    "waiting":
        (RAISING, a_reading(50, UPDATE_IN_PROGRESS), 1, NO_DATA,
         "waiting for 50 % to be in force: the update is still in progress"),
    "waiting, unreadable":
        (RAISING, UNREADABLE, 1, NO_DATA, "waiting for 50 % to be in force: Lambda did not answer"),
    "shift timed out":
        (UNFINISHED, a_reading(50, UPDATE_IN_PROGRESS), 11, NO_DATA,
         "50 % was still not in force 10m after the first look at it: the update is still in "
         "progress"),
    "shift timed out, unreadable":
        (UNFINISHED, UNREADABLE, 11, NO_DATA,
         "50 % was still not in force 10m after the first look at it, and the target cannot be "
         "read: Lambda did not answer"),
    "shift timed out, refused":
        (UNFINISHED, a_reading(10), 11, NO_DATA,
         "50 % was still not in force 10m after the first look at it: the target is unchanged "
         "at 10 %, so every write was refused or never arrived"),
    "shift timed out, never moved":
        (replace(FIRST_RAISE, unfinished_since=NOON), a_reading(0), 11, NO_DATA,
         "10 % was still not in force 10m after the first look at it: the target is unchanged "
         "at 0 %, so every write was refused or never arrived; no traffic was ever moved"),
    "raise uncertain":
        (RAISING, a_reading(10, token="token-9"), 1, NO_DATA,
         "the target still shows 10 % and was changed by another hand after 50 % was decided, "
         "so nobody can say whether that was written"),
    "baking": (AT_10, a_reading(10), 5, HEALTHY, "baking at 10 % until 2026-11-24 12:12 UTC"),
    "the end of the bake":
        (AT_10, a_reading(10), 12, HEALTHY,
         "baked at 10 % until 2026-11-24 12:12 UTC; its last data settle until "
         "2026-11-24 12:15 UTC"),
    "settling":
        (AT_10, a_reading(10), 13, HEALTHY,
         "baked at 10 % until 2026-11-24 12:12 UTC; its last data settle until "
         "2026-11-24 12:15 UTC"),
    "unreadable":
        (AT_10, UNREADABLE, 5, HEALTHY,
         "the target cannot be read; traffic stays where it is: Lambda did not answer"),
    "holding for samples":
        (AT_10, a_reading(10), 15, TOO_FEW_REQUESTS,
         "holding at 10 %: works has too few samples: 10 of 50 that a pass needs; last 100%, "
         "at least 99% asked; 0 failures: at most 25.9% fail at 95 % confidence, so 99% itself "
         "is not shown (that takes 299 without one)."),
    "holding for the target":
        (AT_10, a_reading(10, UPDATE_IN_PROGRESS), 15, HEALTHY,
         "holding at 10 %: The target's last update is in_progress."),
    "holding for data and the target":
        (AT_10, a_reading(10, UPDATE_IN_PROGRESS, detail="a new image"), 15, NO_DATA,
         "holding at 10 %: works has no data: no window of 1m since 2026-11-24 12:02 UTC had a "
         "datapoint; check that the canary is reached, and the metric's name and dimensions. "
         "The target's last update is in_progress: a new image."),
    "held too long":
        (AT_10, a_reading(10), 32, TOO_FEW_REQUESTS,
         "still held at 10 % 20m after the bake: works has too few samples: 27 of 50 that a "
         "pass needs; last 100%, at least 99% asked; 0 failures: at most 10.6% fail at 95 % "
         "confidence, so 99% itself is not shown (that takes 299 without one)."),
    "advanced": (AT_10, a_reading(10), 15, HEALTHY, "the gate at 10 % passed; going to 50 %"),
    "succeeded":
        (AT_100, a_reading(100), 35, HEALTHY,
         "the gate at 100 % passed; the rollout is complete (not refuted)"),
    "gate failed":
        (AT_10, a_reading(10), 7, FAILING,
         "works fails: success was below 99% in 2 windows of 1m in a row, from 2026-11-24 12:02 "
         "to 12:04 UTC, last 95%; 10 failures in 200 requests since 2026-11-24 12:02 UTC."),
    "found at zero":
        (AT_10, a_reading(0), 5, HEALTHY,
         "the weight was found at 0 % where 10 % was asked for; that ends a rollout"),
    "drifted":
        (AT_10, a_reading(30), 5, HEALTHY,
         "another hand moved the weight: NEW_PATH_PERCENTAGE=30 where 10 % was asked for"),
})  # fmt: skip
def test_the_sentence_says_where_a_rollout_stands(
    rollout: Rollout,
    target: TargetReading | UnreadableTarget,
    minute: float,
    measured: Mapping[str, Series],
    sentence: str,
) -> None:
    assert decide_tick(rollout, target, minute, measured).rollout.sentence == sentence


@pytest.mark.parametrize(
    ("rollout", "target", "minute", "measured", "at_minute", "text", "blocked"),
    [
        pytest.param(
            RAISING, a_reading(50, UPDATE_IN_PROGRESS), 1, NO_DATA, 11,
            "rolls back unless 50 % is in force by 2026-11-24 12:11 UTC",
            "the update is still in progress",
            id="a raise",
        ),
        pytest.param(
            replace(RAISING, policy=FROZEN), a_reading(50, UPDATE_IN_PROGRESS), 15, NO_DATA, 25,
            "rolls back unless 50 % is in force by 2026-11-24 12:25 UTC",
            "the update is still in progress",
            id="a raise that was written before a freeze",
        ),
        pytest.param(
            replace(RAISING, policy=FROZEN), a_reading(10), 15, NO_DATA, 360,
            "50 % at 2026-11-24 18:00 UTC",
            "frozen until 2026-11-24 18:00 UTC (daily 12:10 to 18:00, UTC)",
            id="a raise that was not written before a freeze",
        ),
        pytest.param(
            replace(RAISING, blocked="the update"), a_reading(10), 1, NO_DATA, 11,
            "rolls back unless 50 % is in force by 2026-11-24 12:11 UTC",
            "",
            id="a raise that is written again",
        ),
        pytest.param(
            replace(RAISING, blocked="the update"), a_reading(50), 1, NO_DATA, 16,
            "100 % at 2026-11-24 12:16 UTC if every criterion passes",
            "",
            id="a weight in force",
        ),
        pytest.param(
            AT_10, a_reading(10), 5, HEALTHY, 15,
            "50 % at 2026-11-24 12:15 UTC if every criterion passes",
            "the bake",
            id="a bake",
        ),
        pytest.param(
            replace(AT_10, blocked="the bake"), a_reading(10), 15, HEALTHY, 25,
            "rolls back unless 50 % is in force by 2026-11-24 12:25 UTC",
            "",
            id="an advance",
        ),
        pytest.param(
            AT_100, a_reading(100), 5, HEALTHY, 35,
            "success at 2026-11-24 12:35 UTC if every criterion passes",
            "the bake",
            id="the last bake",
        ),
        pytest.param(
            replace(AT_100, policy=FROZEN), a_reading(100), 5, HEALTHY, 35,
            "success at 2026-11-24 12:35 UTC if every criterion passes",
            "the bake",
            id="the last bake, which no freeze delays",
        ),
        pytest.param(
            AT_10, a_reading(10), 15, TOO_FEW_REQUESTS, 32,
            "50 % as soon as every criterion passes; pauses at 2026-11-24 12:32 UTC",
            "inconclusive: works",
            id="a hold",
        ),
        pytest.param(
            replace(AT_10, policy=a_policy(on_inconclusive="rollback")),
            a_reading(10), 15, TOO_FEW_REQUESTS, 32,
            "50 % as soon as every criterion passes; rolls back at 2026-11-24 12:32 UTC",
            "inconclusive: works",
            id="a hold that ends in a rollback",
        ),
        pytest.param(
            replace(AT_10, policy=a_policy(on_inconclusive="advance")),
            a_reading(10), 15, TOO_FEW_REQUESTS, 32,
            "50 % as soon as every criterion passes; advances unproven at 2026-11-24 12:32 UTC",
            "inconclusive: works",
            id="a hold that ends in an advance",
        ),
        pytest.param(
            AT_10, UNREADABLE, 20, HEALTHY, 32,
            "50 % as soon as the target takes it; pauses at 2026-11-24 12:32 UTC",
            "the target",
            id="a hold for the target",
        ),
        pytest.param(
            AT_10, a_reading(30), 5, HEALTHY, 24 * 60 + 5,
            "waits for a person to resume, promote or roll it back (a criterion that fails still "
            "rolls it back); reminds once a day",
            "a person",
            id="a pause",
        ),
        pytest.param(
            DURING_ROLLBACK, a_reading(10), 1, HEALTHY, 5,
            "0 % is written until it is read back; pages from 2026-11-24 12:05 UTC",
            "the target shows NEW_PATH_PERCENTAGE=10",
            id="a rollback",
        ),
        *(
            pytest.param(
                DURING_ROLLBACK, target, 1, HEALTHY, 5,
                "0 % is written until it is read back; pages from 2026-11-24 12:05 UTC",
                blocked,
                id=f"a rollback, {why}",
            )
            for why, target, blocked in (
                ("unreadable", UNREADABLE, "Lambda did not answer"),
                (
                    "under way", a_reading(0, UPDATE_IN_PROGRESS),
                    "0 % is written, still in progress",
                ),
                (
                    "failed", a_reading(0, UPDATE_FAILED),
                    "the target shows NEW_PATH_PERCENTAGE=0, and its last update failed: no reason "
                    "given",
                ),
            )
        ),
        pytest.param(
            DURING_ROLLBACK, a_reading(0), 1, HEALTHY, 16,
            "watched for drift until 2026-11-24 12:16 UTC",
            "",
            id="the end",
        ),
    ],
)  # fmt: skip
def test_a_decision_says_what_comes_next_and_what_blocks_it(
    rollout: Rollout,
    target: TargetReading | UnreadableTarget,
    minute: float,
    measured: Mapping[str, Series],
    at_minute: float,
    text: str,
    blocked: str,
) -> None:
    after = decide_tick(rollout, target, minute, measured).rollout
    assert (after.next_at, after.next, after.blocked) == (NOON + at_minute * MINUTE, text, blocked)


def test_a_hold_for_several_criteria_names_them_by_what_they_lack() -> None:
    policy = a_policy(
        criteria={
            "works": LADDER["criteria"]["works"],
            "reached": {
                "kind": "traffic", "judge": "threshold", "metric": "requests", "min": 9_999,
            },
            "steady": {**LADDER["criteria"]["works"], "min": "98%"},
        }
    )  # fmt: skip
    after = decide_tick(replace(AT_10, policy=policy), a_reading(10), 15, TOO_FEW_REQUESTS).rollout
    assert after.sentence == (
        "holding at 10 %: too few samples (works, steady), no data (reached)."
    )
    assert after.blocked == "inconclusive: works, reached, steady"


def test_every_criterion_that_fails_is_reported() -> None:
    criteria = dict.fromkeys(("works", "steady"), LADDER["criteria"]["works"])
    after = decide_tick(
        replace(AT_10, policy=a_policy(criteria=criteria)), a_reading(10), 7, FAILING
    ).rollout
    works = after.findings[0].sentence
    assert after.sentence == f"{works} {works.replace('works', 'steady')}"
