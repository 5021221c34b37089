"""Each transition has a history entry, with its time and weights, and the notices it needs."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from controller.core import transitions
from tests.support.cases import cases
from tests.support.core import (
    BaselineMeasurement,
    Decision,
    DriftResolution,
    Intent,
    Notice,
    Reason,
    Rollout,
    Series,
    Severity,
    Shift,
    TargetReading,
    UnreadableTarget,
    Verb,
)
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy, a_reading
from tests.support.three_steps import (
    AFTER_ROLLBACK,
    AT_10,
    AT_50,
    AT_100,
    DURING_ROLLBACK,
    FAILING,
    FIRST_RAISE,
    HEALTHY,
    LATER,
    NO_DATA,
    ON_HOLD,
    PAUSED,
    POLICY,
    PROGRESSING,
    RAISING,
    TOO_FEW_REQUESTS,
    UNREADABLE,
    UPDATE_FAILED,
    UPDATE_IN_PROGRESS,
    a_paused_rollout,
    an_adopted_rollout,
    at_weight,
    decide_command,
    decide_tick,
)

INFO, WARNING, CRITICAL = Severity.INFO, Severity.WARNING, Severity.CRITICAL
UNFINISHED = replace(RAISING, unfinished_since=NOON)
# The intended weight was live already, as far as known.
NOT_A_RAISE = replace(
    UNFINISHED, step=2, intent=replace(UNFINISHED.intent, weight=100, previous=100)
)
FREEZE = {"freeze": {"zone": "UTC", "daily": [{"from": "12:10", "to": "18:00"}]}}
FROZEN_UNTIL = "frozen until 2026-11-24 18:00 UTC (daily 12:10 to 18:00, UTC)"
APPROVAL: Mapping[str, Any] = {
    "steps": [
        LADDER["steps"][0], {**LADDER["steps"][1], "approval": "required"}, LADDER["steps"][2],
    ]
}  # fmt: skip
UNCOUNTED = a_policy(
    metrics={"errors": LADDER["metrics"]["errors"]},
    criteria={"few": {"kind": "threshold", "judge": "threshold", "metric": "errors", "max": 1}},
)

Outcome = tuple[str, int | None, int, list[Notice]]


def outcome(decision: Decision, minute: float) -> Outcome:
    """Return kind and weights of the history entry, and the notices."""
    assert decision.record is not None
    assert decision.record.at == NOON + minute * MINUTE
    record = decision.record
    return record.kind, record.weight_from, record.weight_to, list(decision.notices)


def one_notice(severity: Severity, text: str, kind: str = "") -> list[Notice]:
    return [Notice(severity, f"checkout#1{text}", kind)]


TICKS = [
    pytest.param(
        RAISING, a_reading(50), 1, NO_DATA, ("settled", 50, 50), [], id="a weight in force",
    ),
    pytest.param(
        RAISING, a_reading(10), 1, NO_DATA, ("write_again", 10, 50), [], id="a raise written again",
    ),
    pytest.param(
        RAISING, a_reading(50, UPDATE_FAILED), 1, NO_DATA, ("rolling_back", 50, 0),
        one_notice(
            WARNING,
            " is rolling back to 0 %: the update to 50 % failed: no reason given",
        ),
        id="a raise that failed",
    ),
    pytest.param(
        UNFINISHED, a_reading(50, UPDATE_IN_PROGRESS), 11, NO_DATA, ("rolling_back", 50, 0),
        one_notice(
            WARNING,
            " is rolling back to 0 %: 50 % was still not in force 10m after the first look at it: "
            "the update is still in progress",
        ),
        id="a raise that takes too long",
    ),
    pytest.param(
        UNFINISHED, a_reading(10), 11, NO_DATA, ("rolling_back", 10, 0),
        one_notice(
            WARNING,
            " is rolling back to 0 %: 50 % was still not in force 10m after the first look at it: "
            "the target is unchanged at 10 %, so every write was refused or never arrived",
        ),
        id="a raise that never arrived",
    ),
    pytest.param(
        UNFINISHED, UNREADABLE, 11, NO_DATA, ("rolling_back", None, 0),
        one_notice(
            WARNING,
            " is rolling back to 0 %: 50 % was still not in force 10m after the first look at it, "
            "and the target cannot be read: Lambda did not answer",
        ),
        id="a raise whose target cannot be read",
    ),
    pytest.param(
        AT_10, a_reading(10), 15, HEALTHY, ("advanced", 10, 50),
        one_notice(INFO, ": the gate at 10 % passed; going to 50 %"),
        id="a gate that passed",
    ),
    pytest.param(
        AT_100, a_reading(100), 35, HEALTHY, ("succeeded", 100, 100),
        one_notice(
            INFO,
            ": the gate at 100 % passed; the rollout is complete (not refuted)\n\n"
            "      criterion  target  measured  samples  shown        role\n"
            "pass  works      ≥ 99%       100%    3 000  not refuted  gate",
        ),
        id="a success",
    ),
    pytest.param(
        DURING_ROLLBACK, a_reading(0), 1, NO_DATA, ("rolled_back", 0, 0),
        one_notice(WARNING, " is rolled back, 0 % is in force: Started at 10 %."),
        id="the end of a rollback",
    ),
    pytest.param(
        AT_10, a_reading(0), 5, HEALTHY, ("rolled_back", 0, 0),
        one_notice(
            WARNING,
            " is rolled back, 0 % is in force: the weight was found at 0 % where 10 % was asked "
            "for; that ends a rollout\n\n"
            "      criterion  target  measured  samples  shown           role\n"
            "open  works      ≥ 99%          –        –  not judged yet  gate",
        ),
        id="0 % set outside rolloutctl",
    ),
    pytest.param(
        AT_10, a_reading(0, UPDATE_IN_PROGRESS), 5, HEALTHY, ("rolling_back", 0, 0),
        one_notice(
            WARNING,
            " is rolling back to 0 %: the weight was found at 0 % where 10 % was asked for; that "
            "ends a rollout",
        ),
        id="0 % set outside rolloutctl, not applied yet",
    ),
    pytest.param(
        replace(AT_10, policy=a_policy(on_drift_up="rollback")), a_reading(30), 5, HEALTHY,
        ("rolling_back", 30, 0),
        one_notice(
            WARNING,
            " is rolling back to 0 %: another hand moved the weight: NEW_PATH_PERCENTAGE=30 where "
            "10 % was asked for",
        ),
        id="a weight raised outside rolloutctl, where the policy rolls back",
    ),
    pytest.param(
        AFTER_ROLLBACK, a_reading(10), 3, NO_DATA, ("guarding_zero", 10, 0),
        one_notice(WARNING, ": 10 % came back after the rollback; lowering it again"),
        id="our weight after a rollback",
    ),
    pytest.param(
        AFTER_ROLLBACK, a_reading(20), 3, NO_DATA, ("drifted", 20, 0),
        one_notice(
            WARNING, " ended at 0 %, now the target shows NEW_PATH_PERCENTAGE=20; left alone"
        ),
        id="another weight after a rollback",
    ),
    pytest.param(
        replace(AFTER_ROLLBACK, policy=UNCOUNTED), a_reading(0), 3, {}, ("drained", 0, 0),
        one_notice(
            INFO,
            ": drain unobservable: no traffic or success_rate criterion counts requests. Only the "
            "weight was read back.",
        ),
        id="a drain that cannot be observed",
    ),
    pytest.param(
        replace(AFTER_ROLLBACK, policy=UNCOUNTED), UNREADABLE, 3, {}, ("drained", 0, 0),
        one_notice(
            INFO,
            ": drain unobservable: no traffic or success_rate criterion counts requests. Only the "
            "weight was read back.",
        ),
        id="a drain of a target that cannot be read",
    ),
    pytest.param(
        replace(AT_10, policy=a_policy(**FREEZE)), a_reading(10), 15, HEALTHY, ("held_up", 10, 10),
        one_notice(INFO, f": the gate at 10 % passed; {FROZEN_UNTIL}"),
        id="a gate that passed in a freeze",
    ),
    pytest.param(
        replace(RAISING, policy=a_policy(**FREEZE)), a_reading(10), 15, HEALTHY,
        ("held_up", 10, 50),
        one_notice(
            INFO,
            f": 50 % was decided but not written; {FROZEN_UNTIL}; meanwhile the 10 % that are live "
            "are judged on",
        ),
        id="a raise that met a freeze",
    ),
    pytest.param(
        replace(AT_10, policy=a_policy(**APPROVAL)), a_reading(10), 15, HEALTHY,
        ("held_up", 10, 10),
        one_notice(
            WARNING,
            ": the gate at 10 % passed; 50 % needs an approval: rolloutctl approve checkout#1",
        ),
        id="a gate that passed without an approval",
    ),
    pytest.param(
        replace(AT_50, blind_since=NOON, sealed_at=NOON, reason=Reason.HOLDING),
        UNREADABLE, 15.7, HEALTHY,
        ("blind", None, 50),
        one_notice(
            WARNING,
            " has not seen its target for 15m (Lambda did not answer): traffic is not raised "
            "meanwhile; a criterion that fails still rolls it back. To end it: rolloutctl rollback "
            "checkout#1",
            kind="blind",
        ),
        id="blindness, in whole minutes",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("rollout", "target", "minute", "measured", "entry", "notices"), TICKS)
def test_a_tick_reports(
    rollout: Rollout,
    target: TargetReading | UnreadableTarget,
    minute: float,
    measured: Mapping[str, Series],
    entry: tuple[str, int | None, int],
    notices: list[Notice],
) -> None:
    assert outcome(decide_tick(rollout, target, minute, measured), minute) == (*entry, notices)


HOW_TO_GO_ON = (
    " Traffic stays where it is and is not raised any more; a criterion that fails still rolls it "
    "back. To go on: rolloutctl resume checkout#1"
)


@cases("rollout, target, minute, measured, entry, severity, text", {
    "an uncertain raise":
        (RAISING, a_reading(10, token="token-9"), 1, NO_DATA, ("paused", 10, 50), WARNING,
         " is paused: the target still shows 10 % and was changed by another hand after 50 % "
         "was decided, so nobody can say whether that was written."),
    "what raised nothing and takes too long":
        (NOT_A_RAISE, a_reading(100, UPDATE_IN_PROGRESS), 10.1, NO_DATA, ("paused", 100, 100),
         WARNING,
         " is paused: 100 % was still not in force 10m after the first look at it: the update "
         "is still in progress."),
    "drift":
        (AT_10, a_reading(30), 5, HEALTHY, ("paused", 30, 10), CRITICAL,
         " is paused: another hand moved the weight: NEW_PATH_PERCENTAGE=30 where 10 % was "
         "asked for."),
    "a gate without a verdict":
        (AT_10, a_reading(10), 32, TOO_FEW_REQUESTS, ("paused", 10, 10), WARNING,
         " is paused: still held at 10 % 20m after the bake: works has too few samples: 27 of "
         "50 that a pass needs; last 100%, at least 99% asked; 0 failures: at most 10.6% fail "
         "at 95 % confidence, so 99% itself is not shown (that takes 299 without one)."),
    "a target that cannot be read":
        (AT_10, UNREADABLE, 32, HEALTHY, ("paused", None, 10), WARNING,
         " is paused: still held at 10 % 20m after the bake: The target cannot be read: Lambda "
         "did not answer."),
    "a reminder, in whole hours":
        (ON_HOLD, a_reading(10), 25 * 60 + 30, NO_DATA, ("reminded", 10, 10), WARNING,
         " has been paused for 25h: too few samples."),
})  # fmt: skip
def test_a_pause_reports_why_and_how_to_resume_after(
    rollout: Rollout,
    target: TargetReading | UnreadableTarget,
    minute: float,
    measured: Mapping[str, Series],
    entry: tuple[str, int | None, int],
    severity: Severity,
    text: str,
) -> None:
    *recorded, notices = outcome(decide_tick(rollout, target, minute, measured), minute)
    assert tuple(recorded) == entry
    assert [one.severity for one in notices][:1] == [severity]
    assert notices[0].text.startswith(f"checkout#1{text}{HOW_TO_GO_ON}")


def test_drift_of_a_finished_rollout_is_recorded_with_the_text_of_its_notice() -> None:
    decision = decide_tick(AFTER_ROLLBACK, a_reading(20), 3, NO_DATA)
    assert decision.record is not None
    assert [decision.record.sentence] == [one.text for one in decision.notices]


@pytest.mark.parametrize(
    ("rollout", "weight", "kind"),
    [
        (RAISING, 50, "settled"),
        (RAISING, 10, "write_again"),
        (AFTER_ROLLBACK, 10, "guarding_zero"),
        (AFTER_ROLLBACK, 20, "drifted"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_was_measured_is_not_kept_with_what_no_measurement_decided(
    rollout: Rollout, weight: int, kind: str
) -> None:
    record = decide_tick(rollout, a_reading(weight), 3, HEALTHY).record
    assert record is not None
    assert (record.kind, record.keeps_series) == (kind, False)


def test_a_blindness_keeps_what_was_measured_with_its_record() -> None:
    record = decide_tick(replace(AT_50, blind_since=NOON, sealed_at=NOON), UNREADABLE, 16).record
    assert record is not None
    assert (record.kind, record.keeps_series) == ("blind", True)


def test_a_hold_that_ends_in_a_rollback_records_the_weight_it_left() -> None:
    rollout = replace(AT_10, policy=a_policy(on_inconclusive="rollback"))
    assert outcome(decide_tick(rollout, a_reading(10), 32, TOO_FEW_REQUESTS), 32)[:3] == (
        "rolling_back",
        10,
        0,
    )


# --- Commands -------------------------------------------------------------------------------------


@cases("before, verb, way, target, entry, notices", {
    "a pause":
        (AT_10, Verb.PAUSE, "", a_reading(10), ("paused", 10, 10),
         one_notice(INFO, " is paused: paused by hand: seen")),
    "a bake that goes on":
        (a_paused_rollout(Reason.INCONCLUSIVE, barrier="frozen", blocked="a person"), Verb.RESUME,
         "", a_reading(10), ("resumed", 10, 10),
         one_notice(INFO, " is progressing: going on at 10 %: seen")),
    "a weight that was put back":
        (replace(a_paused_rollout(Reason.DRIFTED), barrier="frozen"), Verb.RESUME, "",
         a_reading(10), ("resumed", 10, 10),
         one_notice(INFO,
          " is progressing: going on at 10 %: seen; baking at 10 % until 2026-11-24 12:32 "
         "UTC")),
    "a restore":
        (replace(a_paused_rollout(Reason.DRIFTED), barrier="frozen"), Verb.RESUME, "restore",
         a_reading(30), ("resumed", 30, 10),
         one_notice(INFO,
          " is progressing: going back from NEW_PATH_PERCENTAGE=30 to 10 %, and on: seen")),
    "a kept weight":
        (replace(a_paused_rollout(Reason.DRIFTED), barrier="frozen"), Verb.RESUME, "keep",
         a_reading(30), ("resumed", 30, 30),
         one_notice(INFO,
          " is progressing: going on with the 30 % that another hand had set: seen; baking "
         "at 30 % until 2026-11-24 12:32 UTC")),
    "a promotion":
        (AT_10, Verb.PROMOTE, "", a_reading(10), ("advanced", 10, 50),
         one_notice(INFO, ": promoted at 10 % by hand: seen; going to 50 %")),
    "an approval":
        (replace(AT_10, policy=a_policy(**APPROVAL)), Verb.APPROVE, "", a_reading(10),
         ("approved", 10, 10),
         one_notice(INFO, ": 50 % may be entered once the gate at 10 % passes: seen")),
    "a rollback":
        (AT_10, Verb.ROLLBACK, "", a_reading(10), ("rolling_back", 10, 0),
         one_notice(WARNING, " is rolling back to 0 %: seen")),
    "a rollback of a target that cannot be read":
        (AT_10, Verb.ROLLBACK, "", UNREADABLE, ("rolling_back", None, 0),
         one_notice(WARNING, " is rolling back to 0 %: seen")),
})  # fmt: skip
def test_a_command_reports(
    before: Rollout,
    verb: Verb,
    way: DriftResolution,
    target: TargetReading | UnreadableTarget,
    entry: tuple[str, int | None, int],
    notices: list[Notice],
) -> None:
    decision = decide_command(before, verb, target, reason="seen", way=way)
    assert outcome(decision, 20) == (*entry, notices)
    assert decision.rollout.barrier == ""
    assert decision.rollout.blocked == ("a person" if verb is Verb.PAUSE else "")


def test_an_approval_ahead_is_recorded_as_one_and_the_rollout_bakes_on() -> None:
    baking = replace(AT_10, policy=a_policy(**APPROVAL), reason=Reason.BAKING)
    decision = decide_command(baking, Verb.APPROVE, a_reading(10))
    assert decision.record is not None
    assert (decision.record.reason, decision.rollout.reason) == (Reason.APPROVED, Reason.BAKING)
    assert decision.record.sentence == "50 % may be entered once the gate at 10 % passes"


@cases("way, weight, intent", {
    "restored": ("restore", 30, Intent(10, 30, "token-1", LATER)),
    "kept": ("keep", 30, Intent(30, 30, "token-1", LATER)),
})  # fmt: skip
def test_a_resume_after_drift_makes_its_weight_the_intent(
    way: DriftResolution, weight: int, intent: Intent
) -> None:
    after = decide_command(
        a_paused_rollout(Reason.DRIFTED), Verb.RESUME, a_reading(weight), way=way, reason="seen"
    ).rollout
    assert after.intent == intent
    assert (after.since, after.hold_from, after.blocked) == (LATER, LATER, "")
    assert after.sentence.startswith("going ")


@cases("before, since", {
    "out of a pause": (a_paused_rollout(Reason.INCONCLUSIVE), LATER),
    "while it bakes": (at_weight(10, since=NOON - 9 * MINUTE), NOON - 9 * MINUTE),
})  # fmt: skip
def test_a_promotion_counts_as_progress_since_the_rollout_has_progressed(
    before: Rollout, since: object
) -> None:
    assert (before.phase is PAUSED) == (since == LATER)
    after = decide_command(before, Verb.PROMOTE, a_reading(10)).rollout
    assert (after.phase, after.since) == (PROGRESSING, since)


@pytest.mark.parametrize("minute", [31.9, 32])
def test_a_resume_says_until_when_it_bakes_while_it_does(minute: float) -> None:
    before = at_weight(10, phase=PAUSED, reason=Reason.PAUSED_BY_HAND, since=NOON + MINUTE)
    before = replace(before, settled=NOON + 20 * MINUTE)
    after = decide_command(before, Verb.RESUME, a_reading(10), minute=minute).rollout
    bakes = "; baking at 10 % until 2026-11-24 12:32 UTC" if minute < 32 else ""
    assert after.sentence == f"going on at 10 %{bakes}"


# --- Start ----------------------------------------------------------------------------------------


def started(retry_reason: str | None = None, adopts: int | None = None) -> Decision:
    live = 0 if adopts is None else POLICY.steps[adopts].weight
    frozen = {"fast": BaselineMeasurement(400.0, 5_000, 0, 60)}
    return transitions.start_rollout(
        POLICY, "code-1", a_reading(live), 1, frozen, retry_reason, NOON, adopts
    )


@cases("retry_reason, adopts, entry, sentence, because", {
    "from 0 %":
        (None, None, ("started", 0, 10), "started with revision code-1; going to 10 %",
         {"verb": "start", "retry_reason": None, "adopted": None}),
    "once more":
        ("new index", None, ("started", 0, 10),
         "started with revision code-1; going to 10 %; tried again: new index",
         {"verb": "start", "retry_reason": "new index", "adopted": None}),
    "from what is live":
        (None, 2, ("started", 100, 100),
         "started with revision code-1; adopting the 100 % that are live",
         {"verb": "start", "retry_reason": None, "adopted": 2}),
})  # fmt: skip
def test_a_start_reports_from_where_and_why(
    retry_reason: str | None,
    adopts: int | None,
    entry: tuple[str, int | None, int],
    sentence: str,
    because: Mapping[str, object],
) -> None:
    decision = started(retry_reason, adopts)
    assert outcome(decision, 0) == (*entry, one_notice(INFO, f": {sentence}"))
    assert decision.record is not None
    assert decision.record.because == {
        **because,
        "policy_digest": POLICY.digest(),
        "target": POLICY.target.model_dump(),
    }


def test_a_start_keeps_the_baselines_that_were_read_before_it() -> None:
    after = started().rollout
    assert after.baselines == {"fast": BaselineMeasurement(400.0, 5_000, 0, 60)}
    assert (after.since, after.created, after.exposed_from) == (NOON, NOON, NOON)


def test_an_adoption_moves_nothing_and_its_weight_is_in_force_already() -> None:
    decision = started(adopts=2)
    after = decision.rollout
    assert (decision.move, after.reason, after.settled) == (None, Reason.ADOPTED, NOON)
    assert after.intent == Intent(100, 100, "token-1", NOON)
    assert started().move == Shift(10, "token-1")
    assert an_adopted_rollout(100).seen_weight == 100


# --- Rollback -------------------------------------------------------------------------------------


def test_a_rollback_remembers_from_where_it_came_and_needs_no_token() -> None:
    assert decide_tick(AT_10, a_reading(10), 7, FAILING).rollout.intent == Intent(
        0, 10, "", NOON + 7 * MINUTE
    )


def test_a_first_raise_that_never_came_leaves_nothing_to_drain() -> None:
    ended = decide_tick(FIRST_RAISE, a_reading(0, token="token-9"), 1, NO_DATA).rollout
    assert (ended.weight, ended.intent.previous) == (0, 0)
