"""What each transition reports: its history entry, its notices, and when the next action is due.

The words are in `sentences/transitions.txt`.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from controller.immutable import replace
from tests.sentences import decision_text
from tests.support.cases import cases
from tests.support.core import (
    BaselineMeasurement,
    Condition,
    ConditionKind,
    Decision,
    DriftResolution,
    Measured,
    Reason,
    Rollout,
    SetWeight,
    Severity,
    Target,
    Verb,
    next_action,
    waits_for,
)
from tests.support.rollouts import (
    LADDER,
    MINUTE,
    NOON,
    a_policy,
    a_reading,
    a_start,
    with_facts,
    with_state,
)
from tests.support.three_steps import (
    AFTER_ROLLBACK,
    AFTER_SUCCESS,
    APPROVAL,
    AT_10,
    AT_50,
    AT_100,
    DRIFTED,
    DURING_ROLLBACK,
    FAILING,
    FIRST_RAISE,
    FIRST_UNFINISHED,
    FREEZE,
    HEALTHY,
    IN_FLIGHT,
    LATER,
    NO_DATA,
    NOT_A_RAISE,
    ON_HOLD,
    POLICY,
    RAISING,
    TOO_FEW_REQUESTS,
    UNFINISHED,
    UNREADABLE,
    UPDATE_FAILED,
    UPDATE_IN_PROGRESS,
    a_paused_rollout,
    decide_command,
    decide_tick,
    under,
)

INFO, WARNING, CRITICAL = Severity.INFO, Severity.WARNING, Severity.CRITICAL
DAY, WEEK = 24 * 60, 7 * 24 * 60
WORKS = LADDER["criteria"]["works"]
SEVERAL = {
    "works": WORKS,
    "reached": {"kind": "traffic", "judge": "threshold", "metric": "requests", "min": 9_999},
    "steady": {**WORKS, "min": "98%"},
}
NO_BOOLEAN = {**LADDER["target"], "boolean": None}
UNCOUNTED = a_policy(
    metrics={"errors": LADDER["metrics"]["errors"]},
    criteria={"few": {"kind": "threshold", "judge": "threshold", "metric": "errors", "max": 1}},
)

BLIND_AT_50 = with_facts(AT_50, checkpoint_at=NOON).with_condition(
    ConditionKind.BLIND, Condition(NOON, "nothing was read")
)

# Kind and weights of the history entry, None without one; the severity of the notice; and how many
# minutes after noon the next action is due.
Report: TypeAlias = tuple[tuple[str, int | None, int] | None, Severity | None, float | None]


def report(decision: Decision) -> Report:
    """Return what a decision reports."""
    record, due = decision.record, next_action(decision.rollout).at
    entry = (record.kind, record.weight_from, record.weight_to) if record else None
    severities = [notice.severity for notice in decision.notices]
    assert len(severities) < 2
    return entry, next(iter(severities), None), (due - NOON) / MINUTE if due else None


TICKS: Mapping[str, tuple[Any, ...]] = {
    "a weight in force": (RAISING, a_reading(50), 1, NO_DATA, ("applied", 50, 50), None, 16),
    "a raise written again":
        (RAISING.with_condition(ConditionKind.BLOCKED, Condition(NOON, "the update")),
         a_reading(10), 1, NO_DATA, ("write_retried", 10, 50), None, 11),
    "a raise in progress": (RAISING, a_reading(50, UPDATE_IN_PROGRESS), 1, NO_DATA, None, None, 11),
    "a raise that failed":
        (RAISING, a_reading(50, UPDATE_FAILED), 1, NO_DATA, ("rolling_back", 50, 0), WARNING, 6),
    "a raise that takes too long":
        (UNFINISHED, a_reading(50, UPDATE_IN_PROGRESS), 11, NO_DATA, ("rolling_back", 50, 0),
         WARNING, 16),
    "a raise that never arrived":
        (UNFINISHED, a_reading(10), 11, NO_DATA, ("rolling_back", 10, 0), WARNING, 16),
    "a first raise that never arrived":
        (FIRST_UNFINISHED, a_reading(0), 11, NO_DATA, ("rolled_back", 0, 0), WARNING, 26),
    "a raise whose target cannot be read":
        (UNFINISHED, UNREADABLE, 11, NO_DATA, ("rolling_back", None, 0), WARNING, 16),
    "an uncertain raise":
        (RAISING, a_reading(10, token="token-9"), 1, NO_DATA, ("paused", 10, 50), WARNING, DAY + 1),
    "an uncertain first raise":
        (FIRST_RAISE, a_reading(0, token="token-9"), 1, NO_DATA, ("rolled_back", 0, 0), WARNING,
         16),
    "a write that raised nothing and takes too long":
        (NOT_A_RAISE, a_reading(100, UPDATE_IN_PROGRESS), 11, NO_DATA, ("paused", 100, 100),
         WARNING, DAY + 11),
    "a raise that was written before a freeze":
        (under(RAISING, **FREEZE), a_reading(50, UPDATE_IN_PROGRESS), 15, NO_DATA, None, None, 25),
    "a raise that met a freeze":
        (under(RAISING, **FREEZE), a_reading(10), 15, HEALTHY, ("blocked", 10, 50), INFO, 360),
    "a bake": (AT_10, a_reading(10), 5, HEALTHY, None, None, 15),
    "a bake whose last data settle": (AT_10, a_reading(10), 12, HEALTHY, None, None, 15),
    "the last bake, which no freeze delays":
        (under(AT_100, **FREEZE), a_reading(100), 5, HEALTHY, None, None, 35),
    "a gate that passed":
        (AT_10.with_condition(ConditionKind.BLOCKED, Condition(NOON, "the target")),
         a_reading(10), 15, HEALTHY, ("advanced", 10, 50), INFO, 25),
    "a success": (AT_100, a_reading(100), 35, HEALTHY, ("succeeded", 100, 100), INFO, WEEK + 35),
    "a gate that failed": (AT_10, a_reading(10), 7, FAILING, ("rolling_back", 10, 0), WARNING, 12),
    "a gate that failed at 0%":
        (AT_10, a_reading(0), 7, FAILING, ("rolled_back", 0, 0), WARNING, 22),
    "two criteria that failed":
        (under(AT_10, criteria=dict.fromkeys(("works", "steady"), WORKS)), a_reading(10), 7,
         FAILING,
         ("rolling_back", 10, 0), WARNING, 12),
    "a hold for samples": (AT_10, a_reading(10), 15, TOO_FEW_REQUESTS, None, WARNING, 32),
    "a hold for several criteria":
        (under(AT_10, criteria=SEVERAL), a_reading(10), 15, TOO_FEW_REQUESTS, None, WARNING, 32),
    "a hold for the target":
        (AT_10, a_reading(10, UPDATE_IN_PROGRESS), 15, HEALTHY, None, WARNING, 32),
    "a hold for a target that cannot be read": (AT_10, UNREADABLE, 20, HEALTHY, None, WARNING, 32),
    "a hold for data and the target":
        (AT_10, a_reading(10, UPDATE_IN_PROGRESS, detail="a new image"), 15, NO_DATA, None, WARNING,
         32),
    "a hold that ended in a pause":
        (AT_10, a_reading(10), 32, TOO_FEW_REQUESTS, ("paused", 10, 10), WARNING, DAY + 32),
    "a hold that ended in a rollback":
        (under(AT_10, on_inconclusive="rollback"), a_reading(10), 32, TOO_FEW_REQUESTS,
         ("rolling_back", 10, 0), WARNING, 37),
    "a hold that ended in an advance":
        (under(AT_10, on_inconclusive="advance"), a_reading(10), 32, TOO_FEW_REQUESTS,
         ("advanced", 10, 50), INFO, 42),
    "a hold that ended without a readable target":
        (AT_10, UNREADABLE, 32, HEALTHY, ("paused", None, 10), WARNING, DAY + 32),
    "a bake towards a freeze": (under(AT_10, **FREEZE), a_reading(10), 5, HEALTHY, None, None, 360),
    "a bake towards an approval":
        (under(AT_10, **APPROVAL), a_reading(10), 5, HEALTHY, None, None, 15),
    "a bake towards a freeze and an approval":
        (under(AT_10, **FREEZE, **APPROVAL), a_reading(10), 5, HEALTHY, None, None, 360),
    "a gate that passed in a freeze":
        (under(AT_10, **FREEZE), a_reading(10), 15, HEALTHY, ("blocked", 10, 10), INFO, 360),
    "a gate that passed without an approval":
        (under(AT_10, **APPROVAL), a_reading(10), 15, HEALTHY, ("blocked", 10, 10), WARNING,
         DAY + 15),
    "a gate that passed in a freeze without an approval":
        (under(AT_10, **FREEZE, **APPROVAL), a_reading(10), 15, HEALTHY, ("blocked", 10, 10),
         WARNING,
         DAY + 15),
    "an inconclusive gate in a freeze, where the policy advances":
        (under(AT_10, **FREEZE, on_inconclusive="advance"), a_reading(10), 32, TOO_FEW_REQUESTS,
         ("blocked", 10, 10), INFO, 360),
    "an inconclusive gate without an approval, where the policy advances":
        (under(AT_10, **APPROVAL, on_inconclusive="advance"), a_reading(10), 32, TOO_FEW_REQUESTS,
         ("blocked", 10, 10), WARNING, DAY + 32),
    "drift": (AT_10, a_reading(30), 5, HEALTHY, ("paused", 30, 10), CRITICAL, DAY + 5),
    "drift up, where the policy rolls back":
        (under(AT_10, on_drift_up="rollback"), a_reading(30), 5, HEALTHY, ("rolling_back", 30, 0),
         WARNING, 10),
    "0% set outside rolloutctl":
        (AT_10, a_reading(0), 5, HEALTHY, ("rolled_back", 0, 0), WARNING, 20),
    "0% set outside rolloutctl, not applied yet":
        (AT_10, a_reading(0, UPDATE_IN_PROGRESS), 5, HEALTHY, ("rolling_back", 0, 0), WARNING, 10),
    "a reminder of a pause, in whole hours":
        (ON_HOLD, a_reading(10), 25 * 60 + 30, NO_DATA, ("reminded", 10, 10), WARNING, DAY + 1530),
    "blindness, in whole minutes":
        (with_state(BLIND_AT_50, block=Reason.ON_HOLD), UNREADABLE, 15.7, HEALTHY,
         ("blind", None, 50), WARNING, 32),
    "a rollback": (DURING_ROLLBACK, a_reading(10), 1, HEALTHY, None, None, 5),
    "a rollback that is late":
        (DURING_ROLLBACK, a_reading(10), 6, HEALTHY, ("rollback_unconfirmed", None, 0), CRITICAL,
         5),
    "a rollback that is late on a target without a boolean":
        (under(DURING_ROLLBACK, target=NO_BOOLEAN), a_reading(10), 6, HEALTHY,
         ("rollback_unconfirmed", None, 0), CRITICAL, 5),
    "the end of a rollback":
        (DURING_ROLLBACK, a_reading(0), 1, NO_DATA, ("rolled_back", 0, 0), WARNING, 16),
    "our weight after a rollback":
        (AFTER_ROLLBACK, a_reading(10), 3, NO_DATA, ("lowered_again", 10, 0), WARNING, 15),
    "another weight after a rollback":
        (AFTER_ROLLBACK, a_reading(20), 3, NO_DATA, ("drifted", 20, 0), WARNING, 15),
    "a leak check without a result":
        (replace(AFTER_ROLLBACK, policy=UNCOUNTED), a_reading(0), 3, {}, ("leak_checked", 0, 0),
         INFO, 15),
    "0% after a success":
        (AFTER_SUCCESS, a_reading(0), 10, HEALTHY, ("drifted", 0, 100), WARNING, WEEK),
    "traffic after a success and a 0%":
        (replace(AFTER_SUCCESS, exposed_to=NOON), a_reading(100), 20, HEALTHY,
         ("drifted", 100, 100), WARNING, WEEK),
}  # fmt: skip


@cases("rollout, target, minute, measured, entry, severity, due", TICKS)
def test_a_tick_reports(
    rollout: Rollout,
    target: Target,
    minute: float,
    measured: Measured,
    entry: tuple[str, int | None, int] | None,
    severity: Severity | None,
    due: float,
) -> None:
    decision = decide_tick(rollout, target, minute, measured)
    assert report(decision) == (entry, severity, due)
    assert decision.record is None or decision.record.at == NOON + minute * MINUTE


# --- Entries --------------------------------------------------------------------------------------


@cases("rollout, target, minute, measured, kind, keeps", {
    "a weight in force": (RAISING, a_reading(50), 3, HEALTHY, "applied", False),
    "a raise written again": (RAISING, a_reading(10), 3, HEALTHY, "write_retried", False),
    "a guarded 0%": (AFTER_ROLLBACK, a_reading(10), 3, HEALTHY, "lowered_again", False),
    "drift of a rollout that is over":
        (AFTER_ROLLBACK, a_reading(20), 3, HEALTHY, "drifted", False),
    "blindness":
        (BLIND_AT_50, UNREADABLE, 16, HEALTHY, "blind", True),
    "a gate that failed": (AT_10, a_reading(10), 7, FAILING, "rolling_back", True),
    "a gate that passed": (AT_10, a_reading(10), 15, HEALTHY, "advanced", True),
    "a hold that ended": (AT_10, a_reading(10), 32, TOO_FEW_REQUESTS, "paused", True),
    "a success": (AT_100, a_reading(100), 35, HEALTHY, "succeeded", True),
    "an hour of evidence": (
        with_facts(AT_100, checkpoint_at=NOON - 60 * MINUTE),
        a_reading(100), 15, HEALTHY, "evidence", True,
    ),
})  # fmt: skip
def test_an_entry_keeps_what_was_measured_where_that_decided_or_was_missing(
    rollout: Rollout, target: Target, minute: float, measured: Measured, kind: str, keeps: bool
) -> None:
    record = decide_tick(rollout, target, minute, measured).record
    assert record is not None
    assert (record.kind, record.keeps_series) == (kind, keeps)
    assert [finding.criterion for finding in record.findings] == ["works"] * keeps


# --- Commands -------------------------------------------------------------------------------------

# By claim: a rollout, the command and what it meets; the history entry and the notice.
COMMANDS: Mapping[str, tuple[Any, ...]] = {
    "a pause": (AT_10, Verb.PAUSE, "", a_reading(10), ("paused", 10, 10), INFO),
    "a bake that goes on":
        (a_paused_rollout(Reason.INCONCLUSIVE), Verb.RESUME, "", a_reading(10),
         ("resumed", 10, 10), INFO),
    "a weight that was put back":
        (DRIFTED, Verb.RESUME, "", a_reading(10), ("resumed", 10, 10), INFO),
    "a restore": (DRIFTED, Verb.RESUME, "restore", a_reading(30), ("resumed", 30, 10), INFO),
    "a kept weight": (DRIFTED, Verb.RESUME, "keep", a_reading(30), ("resumed", 30, 30), INFO),
    "a kept weight before a raise":
        (IN_FLIGHT, Verb.RESUME, "keep", a_reading(10), ("resumed", 10, 10),
         INFO),
    "a promotion": (AT_10, Verb.PROMOTE, "", a_reading(10), ("advanced", 10, 50), INFO),
    "a promotion of the last step":
        (AT_100, Verb.PROMOTE, "", a_reading(100), ("succeeded", 100, 100), INFO),
    "an approval":
        (under(AT_10, **APPROVAL), Verb.APPROVE, "", a_reading(10), ("approved", 10, 10), INFO),
    "a rollback": (AT_10, Verb.ROLLBACK, "", a_reading(10), ("rolling_back", 10, 0), WARNING),
    "a rollback of a target that cannot be read":
        (AT_10, Verb.ROLLBACK, "", UNREADABLE, ("rolling_back", None, 0), WARNING),
    "a pause before the first raise is written":
        (FIRST_RAISE, Verb.PAUSE, "", a_reading(0), ("paused", 0, 10), INFO),
}  # fmt: skip


@cases("before, verb, way, target, entry, severity", COMMANDS)
def test_a_command_reports(
    before: Rollout,
    verb: Verb,
    way: DriftResolution,
    target: Target,
    entry: tuple[str, int | None, int],
    severity: Severity,
) -> None:
    decision = decide_command(before, verb, target, reason="seen", way=way)
    assert report(decision)[:2] == (entry, severity)
    assert decision.record is not None
    assert decision.record.at == LATER
    assert bool(waits_for(decision.rollout)) == (verb is Verb.PAUSE)


# --- Start ----------------------------------------------------------------------------------------


NONE: Mapping[str, str] = {}
WHY = "no failure yet"
PASSED = {"metric errors": "Shop has no Errors", "reach": "callers use an alias"}


def started(
    retry_reason: str | None = None, adopts: int | None = None, despite: Mapping[str, str] = NONE
) -> Decision:
    live = 0 if adopts is None else POLICY.steps[adopts].weight
    frozen = {"fast": BaselineMeasurement(400.0, 5_000, 0, 60)}
    return a_start(POLICY, a_reading(live), frozen, retry_reason, adopts, despite, WHY)


# By claim: why it is retried, the step that is adopted, and the history entry.
STARTS: Mapping[str, tuple[str | None, int | None, tuple[str, int, int]]] = {
    "from 0%": (None, None, ("started", 0, 10)),
    "once more": ("new index", None, ("started", 0, 10)),
    "from what is live": (None, 2, ("started", 100, 100)),
}


@cases("retry_reason, adopts, entry", STARTS)
def test_a_start_reports_from_where_and_why(
    retry_reason: str | None, adopts: int | None, entry: tuple[str, int, int]
) -> None:
    decision = started(retry_reason, adopts)
    assert report(decision)[:2] == (entry, INFO)
    assert decision.record is not None
    assert decision.record.cause == {
        "verb": "start",
        "retry_reason": retry_reason,
        "adopted": adopts,
        "policy_digest": POLICY.digest(),
        "target": POLICY.target.model_dump(),
    }


@cases("retry_reason, despite, told", {
    "one check": (None, {"reach": "callers use an alias"},
                  "despite a failed check (reach): no failure yet"),
    "two checks": (None, PASSED, "despite failed checks (metric errors, reach): no failure yet"),
    "a retry for the same reason": (WHY, PASSED, "despite failed checks (metric errors, reach)"),
})  # fmt: skip
def test_a_start_despite_failed_checks_tells_and_records_them(
    retry_reason: str | None, despite: Mapping[str, str], told: str
) -> None:
    decision = started(retry_reason, despite=despite)
    assert decision.rollout.sentence.endswith(told)
    assert decision.record is not None
    cause: Any = decision.record.cause
    assert (cause["despite"], cause["despite_reason"]) == (despite, WHY)


def test_an_adoption_moves_nothing_and_its_weight_is_in_force_already() -> None:
    decision = started(adopts=2)
    after = decision.rollout
    assert (decision.move, after.reason) == (None, Reason.ADOPTED)
    assert (after.position, after.seen_weight) == (AT_100.position, 100)
    assert started().move == SetWeight(10, "token-1")


# --- Texts ----------------------------------------------------------------------------------------


def texts() -> dict[str, str]:
    """Return what people read of each case."""
    ticks = {claim: decide_tick(*row[:4]) for claim, row in TICKS.items()}
    commands = {
        f"{claim}, by an operator": decide_command(before, verb, target, reason="seen", way=way)
        for claim, (before, verb, way, target, *_) in COMMANDS.items()
    }
    starts = {f"a start {claim}": started(*row[:2]) for claim, row in STARTS.items()}
    starts["a start despite failed checks"] = started(despite=PASSED)
    decisions = {**ticks, **commands, **starts}
    return {claim: decision_text(decision) for claim, decision in decisions.items()}
