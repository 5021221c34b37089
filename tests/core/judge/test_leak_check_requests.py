"""The leak check after a rollback, by request metrics: passed, failed or without a result."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from controller.immutable import replace
from tests.sentences import Sentences
from tests.support.cases import cases
from tests.support.core import (
    Label,
    Policy,
    QueryStatus,
    Reason,
    Rollout,
    Series,
    Verb,
    sentence_of,
)
from tests.support.leak_checks import (
    BESIDE_CONTROL,
    BUSY,
    CONFIRMED,
    CONTROLLED,
    DIRECT,
    FAILED,
    NOT_COUNTED,
    SILENCE,
    STABLE_FIRST,
    TRAFFIC,
    UNOBSERVABLE,
    after_gate,
    decide_at,
    label,
    only,
    requests,
    roll_back,
    the_leak_check,
)
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy, a_reading, a_series, with_state
from tests.support.three_steps import (
    AFTER_ROLLBACK,
    FIRST_RAISE,
    RAISING,
    UNREADABLE,
    a_paused_rollout,
    a_rollout_paused_in_flight,
    an_adopted_rollout,
    at_weight,
    decide_command,
)

PARTIAL, ERROR = QueryStatus.PARTIAL, QueryStatus.ERROR
NEVER_APPLIED = with_state(BUSY, from_weight=0)


@cases(
    "rollout, minute, series, expected",
    {
        "five settled minutes, 50 were due": (BUSY, 10, requests(), CONFIRMED),
        "four settled minutes: not yet": (BUSY, 9.9, requests(), None),
        "in flight for two minutes": (BUSY, 10, requests([40, 40]), CONFIRMED),
        "zeros are silence, too": (BUSY, 10, requests([0] * 20), CONFIRMED),
        "a leak, however young": (BUSY, 3.5, requests(only(2)), FAILED),
        "one request, not settled yet": (BUSY, 12, requests(only(9, 1)), FAILED),
        "a leak in an answer in part": (BUSY, 4, requests(only(3), answer=PARTIAL), FAILED),
        "no count before: not yet": (AFTER_ROLLBACK, 12.9, requests(), None),
        "no count before: the end": (AFTER_ROLLBACK, 13, requests(), UNOBSERVABLE),
        "6.8 were due: chance": (after_gate(82), 10, requests(), None),
        "7 were due": (after_gate(84), 10, requests(), CONFIRMED),
        "no answer: tried again": (BUSY, 12.9, requests(answer=ERROR), None),
        "in part: the end": (BUSY, 13, requests(answer=PARTIAL), UNOBSERVABLE),
        "no series: the end": (BUSY, 13, {}, UNOBSERVABLE),
        "65 on the control: 7 due": (BESIDE_CONTROL, 10, requests(direct=[13] * 20), CONFIRMED),
        "60 on the control: chance": (BESIDE_CONTROL, 10, requests(direct=[12] * 20), None),
        "both paths silent": (BESIDE_CONTROL, 13, requests(), UNOBSERVABLE),
        "both paths silent, whatever there was before": (
            replace(BUSY, policy=CONTROLLED), 13, requests(), UNOBSERVABLE,
        ),
        "both paths silent after the first two minutes": (
            BESIDE_CONTROL, 13, requests(direct=[100, 100, *SILENCE[2:]]), UNOBSERVABLE,
        ),
        "a leak beside both": (BESIDE_CONTROL, 5, requests(only(3), [50] * 20), FAILED),
        "requests of the stable path are no leak": (
            replace(BUSY, policy=STABLE_FIRST), 10, requests(direct=[40] * 20), CONFIRMED,
        ),
        "nothing counts requests: at once": (NOT_COUNTED, 3, {}, UNOBSERVABLE),
    },
)  # fmt: skip
def test_the_leak_check_by_requests(
    rollout: Rollout, minute: float, series: Mapping[str, Series], expected: Label | None
) -> None:
    assert label(decide_at(rollout, minute, series)) == expected


SEQUENTIAL: Mapping[str, Any] = {
    "kind": "success_rate", "total": "requests", "failures": ["errors"], "min": "99%",
}  # fmt: skip
COUNTING: Mapping[str, Any] = {
    "share": {"kind": "share", "metric": "requests", "control": "direct"},
    "burn rate": {
        "kind": "burn_rate", "total": "requests", "failures": ["errors"], "slo": "99.9%",
    },
    "threshold": {"kind": "threshold", "metric": "errors", "per": "requests", "max": "1%"},
}  # fmt: skip


@pytest.mark.parametrize("criterion", COUNTING.values(), ids=COUNTING)
def test_whatever_kind_counts_requests_shows_a_leak(criterion: Mapping[str, Any]) -> None:
    policy = a_policy(
        metrics={**LADDER["metrics"], "direct": DIRECT}, criteria={"alone": criterion}
    )
    assert label(decide_at(replace(BUSY, policy=policy), 5, requests(only(3)))) == FAILED


def test_a_metric_of_both_paths_shows_no_leak() -> None:
    both = {**LADDER["metrics"]["requests"], "counts": "both"}
    policy = a_policy(
        metrics={**LADDER["metrics"], "requests": both},
        criteria={"alone": COUNTING["threshold"]},
    )
    rollout = replace(BUSY, policy=policy)
    assert label(decide_at(rollout, 5, requests(only(3)))) == UNOBSERVABLE


def test_the_control_of_a_success_rate_is_not_beside_its_requests() -> None:
    control = {"total": "direct", "failures": ["direct"]}
    policy = a_policy(
        metrics={**LADDER["metrics"], "direct": {**DIRECT, "counts": "stable"}},
        criteria={"works": {**SEQUENTIAL, "control": control}},
    )
    rollout = replace(BUSY, policy=policy)
    assert label(decide_at(rollout, 10, requests())) == CONFIRMED  # by the rate before


def test_requests_that_were_due_are_known_from_a_burn_rate() -> None:
    policy = a_policy(criteria={"alone": COUNTING["burn rate"]})
    rollout = replace(after_gate(600, criterion="alone"), policy=policy)
    assert label(decide_at(rollout, 10, requests())) == CONFIRMED


PROBED = replace(BUSY, policy=a_policy(probes_per_minute=1))  # nine requests of users a minute
QUIET = replace(after_gate(66), policy=a_policy(probes_per_minute=1))  # six of users in an hour


@cases(
    "rollout, minute, series, expected",
    {
        "a probe is no leak": (PROBED, 3.5, requests(only(2, 1)), None),
        "probes alone are left": (PROBED, 10, requests([1] * 20), CONFIRMED),
        "they may come twice as fast": (PROBED, 10, requests([2] * 20), CONFIRMED),
        "and may have ended": (PROBED, 10, requests(), CONFIRMED),
        "a few more are neither": (PROBED, 13, requests([3] * 20), UNOBSERVABLE),
        "users still come": (PROBED, 10, requests([10] * 20), FAILED),
        "users still come, in the first minute": (PROBED, 6, requests([40] * 20), FAILED),
        "users made too few before": (QUIET, 13, requests([1] * 20), UNOBSERVABLE),
        "65 on the control: 7 due": (
            replace(BESIDE_CONTROL, policy=CONTROLLED.model_copy(update={"probes_per_minute": 1})),
            10, requests([0] * 20, [13] * 20), CONFIRMED,
        ),
        "65 on the control, beside probes": (
            replace(BESIDE_CONTROL, policy=CONTROLLED.model_copy(update={"probes_per_minute": 1})),
            13, requests([1] * 20, [13] * 20), UNOBSERVABLE,
        ),
    },
)  # fmt: skip
def test_declared_probes_go_on_and_are_no_leak(
    rollout: Rollout, minute: float, series: Mapping[str, Series], expected: Label | None
) -> None:
    assert label(decide_at(rollout, minute, series)) == expected


FROM_100 = with_state(BESIDE_CONTROL, step=2, intended=100, from_weight=100)


def test_after_100_percent_one_request_on_the_stable_path_says_that_it_is_back() -> None:
    """Before, the stable path had none."""
    assert label(decide_at(FROM_100, 10, requests(direct=only(4, 1)))) is CONFIRMED
    assert label(decide_at(FROM_100, 10, requests())) is None
    assert label(decide_at(FROM_100, 13, requests())) is UNOBSERVABLE


# --- Requests that were due -----------------------------------------------------------------------

ARRIVALS = a_policy(criteria={"reached": TRAFFIC})
ELSEWHERE = a_policy(
    criteria={**LADDER["criteria"], "reached": {**TRAFFIC, "metric": "errors"}},
)


@cases(
    "policy, criterion, minutes, expected",
    {
        "by the traffic criterion": (ARRIVALS, "reached", 60, CONFIRMED),
        "not by what counts something else": (ELSEWHERE, "works", 60, None),
        "by what counts the same": (ELSEWHERE, "reached", 60, CONFIRMED),
        "not by a criterion that is none": (ARRIVALS, "gone", 60, None),
        "not by a step without a minute": (ARRIVALS, "reached", 0, None),
    },
)
def test_expected_requests_are_known_from_before_the_rollback(
    policy: Policy, criterion: str, minutes: int, expected: Label | None
) -> None:
    rollout = replace(after_gate(600, minutes, criterion), policy=policy)
    silence = {**requests(), "errors:Sum@60": a_series(SILENCE)}
    assert label(decide_at(rollout, 10, silence)) == expected


DRIFTED = a_paused_rollout(Reason.DRIFTED)
RESTORING, KEEPING = (
    decide_command(DRIFTED, Verb.RESUME, a_reading(100), way="restore", minute=-5).rollout,
    decide_command(DRIFTED, Verb.RESUME, a_reading(30), way="keep", minute=-5).rollout,
)


@cases(
    "before, live, applied",
    {
        "an applied weight": (at_weight(10), 10, 10),
        "a target that cannot be read": (at_weight(10), None, 10),
        "0 by drift": (replace(at_weight(50), seen_weight=50), 0, 50),
        "a weight raised by drift": (at_weight(10), 100, 100),
        "one that was seen": (replace(DRIFTED, seen_weight=100), None, 100),
        "a raise under way: the weight before": (RAISING, 10, 10),
        "a raise that may not be applied: the weight before": (RAISING, 50, 10),
        "a first raise that was never seen": (FIRST_RAISE, 0, 0),
        "a first raise under way": (FIRST_RAISE, 10, 10),
        "a first raise that could not be read": (FIRST_RAISE, None, 10),
        "a first raise that was seen, and 0": (replace(FIRST_RAISE, seen_weight=10), 0, 10),
        "a restore that was not written: the lower weight": (RESTORING, 100, 10),
        "a restore that could not be read": (RESTORING, None, 10),
        "an adopted weight": (an_adopted_rollout(100), 100, 100),
        "an adopted weight, and 0 by drift": (an_adopted_rollout(100), 0, 100),
        "an adopted first step": (an_adopted_rollout(10), 10, 10),
        "a kept weight": (KEEPING, 30, 30),
        "a paused raise, not written": (a_rollout_paused_in_flight(), 10, 10),
        "another rollback of the same": (AFTER_ROLLBACK, 0, 10),
        "another rollback, of what came back": (AFTER_ROLLBACK, 20, 20),
    },
)
def test_expected_requests_follow_the_weight_that_was_applied_last(
    before: Rollout, live: int | None, applied: int
) -> None:
    """By command, and where 0% is found: a rollback of two ticks, and one of one tick.

    The finding names the weight at which requests were due; after 100% any request will do.
    """
    before = replace(before, policy=CONTROLLED, updated=NOON - 9 * MINUTE)
    rolling_back = roll_back(before, UNREADABLE if live is None else a_reading(live))
    after = decide_at(decide_at(rolling_back, 0, {}).rollout, 10, requests(direct=[1000] * 20))
    leak_check = after.rollout.leak_check
    assert (leak_check is not None) == (applied > 0)
    if leak_check is not None:
        assert leak_check.label is CONFIRMED
        due = re.search(r"(\d+) ?%", sentence_of(leak_check))
        assert (int(due[1]) if due else 100) == applied


# --- The end of the watch -------------------------------------------------------------------------


@cases(
    "rollout, minute, owns",
    {
        "the first two minutes are not checked": (BUSY, 2, True),
        "the watch is over": (BUSY, 15, True),
        "a newer rollout owns the target": (BUSY, 10, False),
        "the first weight was never applied": (NEVER_APPLIED, 10, True),
    },
)
def test_a_leak_check_that_is_not_due_has_no_finding(
    rollout: Rollout, minute: float, owns: bool
) -> None:
    decision = decide_at(rollout, minute, requests(only(3)), owns=owns)
    assert (label(decision), decision.record, decision.alert) == (None, None, None)


def test_counts_prove_nothing_while_the_target_cannot_be_read() -> None:
    assert label(decide_at(BUSY, 10, requests(only(3)), UNREADABLE)) is None
    assert label(decide_at(BUSY, 13, requests(only(3)), UNREADABLE)) is UNOBSERVABLE


@pytest.mark.parametrize("weight", [10, 20], ids=["our own late write", "drift"])
def test_drift_ends_the_leak_check(weight: int) -> None:
    moved = decide_at(BUSY, 4, requests(), a_reading(weight))
    assert label(moved) is UNOBSERVABLE
    assert decide_at(moved.rollout, 8, requests(only(5))).alert is None


def test_another_rollback_has_its_own_leak_check() -> None:
    confirmed = decide_at(BUSY, 10, requests()).rollout
    assert roll_back(confirmed, a_reading(0), minute=11).leak_check is None


SENTENCES: Sentences = {
    "confirmed by what there was before": the_leak_check(BUSY, 10, requests()),
    "confirmed by the control": the_leak_check(BESIDE_CONTROL, 10, requests(direct=[100] * 20)),
    "confirmed by the control after 100%": the_leak_check(
        FROM_100, 10, requests(direct=only(4, 1))
    ),
    "refuted": the_leak_check(BUSY, 4, requests(only(3))),
    "both paths are silent": the_leak_check(BESIDE_CONTROL, 13, requests()),
    "both paths are silent after 100%": the_leak_check(FROM_100, 13, requests()),
    "silent before": the_leak_check(AFTER_ROLLBACK, 13, requests()),
    "too few before": the_leak_check(after_gate(8), 13, requests()),
    "no answer": the_leak_check(BUSY, 13, requests(answer=ERROR)),
    "settles too late": the_leak_check(
        replace(BUSY, policy=a_policy(evaluation_delay="10m")), 13, requests()
    ),
    "nothing counts requests": the_leak_check(NOT_COUNTED, 3, {}),
    "the weight drifted": the_leak_check(BUSY, 4, requests(), a_reading(20)),
}
