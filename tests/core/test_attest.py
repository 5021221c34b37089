"""`attest`: which criteria take a signature, what is stored of it, and what the rollout does."""

from dataclasses import replace
from typing import Any

import pytest

from controller.core.commands import apply_command
from tests.support.cases import cases
from tests.support.core import (
    ALLOWED_PHASES,
    Command,
    Decision,
    Label,
    Lower,
    Notice,
    Observation,
    Observed,
    Phase,
    Reason,
    Rollout,
    Severity,
    SignOff,
    TargetReading,
    UsageError,
    Verb,
    Verdict,
    decide,
)
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy, a_reading
from tests.support.three_steps import (
    AT_10,
    FIRST_RAISE,
    HEALTHY,
    ON_HOLD,
    POLICY,
    RAISING,
    UPDATE_IN_PROGRESS,
)

STATEMENT = {"kind": "attestation", "statement": "Support has seen nothing."}
ONE_ATTESTATION = a_policy(criteria={**LADDER["criteria"], "SC-005": STATEMENT})
TWO_ATTESTATIONS = a_policy(
    criteria={**LADDER["criteria"], "SC-005": STATEMENT, "SC-006": STATEMENT}
)
WITH_WARMUP = a_policy(criteria={**LADDER["criteria"], "SC-005": STATEMENT}, warmup="30m")
AT_NOON = replace(AT_10, policy=ONE_ATTESTATION)
ATTEST = Command(Verb.ATTEST, "no tickets today", criterion="SC-005", by="ada")


def attest(rollout: Rollout, command: Command = ATTEST, minute: int = 5) -> Decision:
    return apply_command(rollout, command, Observation(a_reading(10)), NOON + minute * MINUTE)


def tick(rollout: Rollout, minute: int) -> Decision:
    return decide(rollout, Observed(Observation(a_reading(10), HEALTHY)), NOON + minute * MINUTE)


def test_a_signature_is_kept_with_who_and_when() -> None:
    decision = attest(AT_NOON)
    at = int((NOON + 5 * MINUTE).timestamp())
    assert decision.rollout.signed == {"SC-005": SignOff("ada", at, "no tickets today")}
    entry = decision.record
    assert entry is not None
    assert (entry.kind, entry.reason) == ("attested", Reason.ATTESTED)
    assert entry.sentence == "SC-005 is attested by ada: no tickets today"
    assert entry.because == {
        "verb": "attest", "reason": "no tickets today", "way": "", "criterion": "SC-005",
        "refuse": False, "by": "ada",
    }  # fmt: skip
    assert (entry.at, entry.weight_from, entry.weight_to) == (NOON + 5 * MINUTE, 10, 10)
    assert decision.notices == (Notice(Severity.INFO, f"checkout#1: {entry.sentence}"),)
    assert decision.rollout.sentence == AT_NOON.sentence  # the rollout stands where it stood
    assert decision.move is None


def test_unsigned_it_holds_and_signed_it_passes() -> None:
    holding = tick(AT_NOON, 15).rollout
    assert (holding.reason, holding.blocked) == (Reason.HOLDING, "inconclusive: SC-005")
    assert "rolloutctl attest checkout#1 SC-005 --note TEXT" in holding.sentence
    passed = tick(attest(AT_NOON).rollout, 15).rollout
    assert (passed.reason, passed.weight, passed.label) == (Reason.GATE_PASSED, 50, "not refuted")


def test_a_refusal_rolls_back_with_the_next_tick() -> None:
    refusal = attest(AT_NOON, replace(ATTEST, refuse=True))
    assert refusal.record is not None
    assert (refusal.record.kind, refusal.record.reason) == ("refused", Reason.ATTESTATION_REFUSED)
    assert [one.severity for one in refusal.notices] == [Severity.WARNING]
    assert refusal.record.sentence == (
        "SC-005 is refused by ada: no tickets today; the next tick rolls back"
    )
    lowered = tick(refusal.rollout, 6).rollout
    assert (lowered.phase, lowered.reason) == (Phase.ROLLING_BACK, Reason.GATE_FAILED)
    assert lowered.sentence.startswith("SC-005 fails: refused by ada at 2026-11-24 12:05 UTC")


def test_a_signature_changes_its_own_finding_at_once_and_no_other() -> None:
    before = tick(AT_NOON, 4).rollout
    after = attest(before).rollout
    measured, unsigned = before.findings
    assert unsigned.label is Label.NOT_ATTESTED
    unchanged, signed = after.findings
    assert unchanged == measured
    assert (signed.verdict, signed.label) == (Verdict.PASS, Label.ATTESTED)
    assert (signed.start, signed.end) == (unsigned.start, unsigned.end)
    assert signed.sentence == (
        "SC-005 holds: attested by ada at 2026-11-24 12:05 UTC: no tickets today."
    )


def test_a_refusal_of_what_only_reports_is_recorded_and_moves_nothing() -> None:
    policy = a_policy(criteria={**LADDER["criteria"], "SC-005": {**STATEMENT, "gates": False}})
    refusal = attest(replace(AT_NOON, policy=policy), replace(ATTEST, refuse=True))
    assert refusal.record is not None
    assert refusal.record.sentence == "SC-005 is refused by ada: no tickets today"
    passed = tick(refusal.rollout, 15).rollout
    assert (passed.reason, passed.label) == (Reason.GATE_PASSED, "not refuted")


REFUSED = {"SC-005": SignOff("ada", int(NOON.timestamp()), "no", refused=True)}


@cases("rollout, target, void", {
    "a raise that was not written is not written any more":
        (replace(RAISING, policy=ONE_ATTESTATION), a_reading(10, token="token-1"), ""),
    "a raise in progress":
        (replace(RAISING, policy=ONE_ATTESTATION), a_reading(50, UPDATE_IN_PROGRESS), ""),
    "a first raise fits no more":
        (replace(FIRST_RAISE, policy=ONE_ATTESTATION), a_reading(0), "token-1"),
    "in the warm-up": (replace(AT_10, policy=WITH_WARMUP), a_reading(10), ""),
    "paused in the warm-up": (replace(ON_HOLD, policy=WITH_WARMUP), a_reading(10), ""),
})  # fmt: skip
def test_a_refusal_waits_for_no_measurement(
    rollout: Rollout, target: TargetReading, void: str
) -> None:
    decision = decide(
        replace(rollout, signed=REFUSED), Observed(Observation(target)), NOON + MINUTE
    )
    assert (decision.rollout.phase, decision.rollout.reason) == (
        Phase.ROLLING_BACK, Reason.GATE_FAILED,
    )  # fmt: skip
    assert decision.move == Lower(MINUTE, void=void)
    assert decision.rollout.sentence == "SC-005 fails: refused by ada at 2026-11-24 12:00 UTC: no."
    assert decision.record is not None
    assert decision.record.weight_from == target.weight
    assert [one.criterion for one in decision.record.findings if one.fails] == ["SC-005"]


def test_a_refusal_of_what_only_reports_takes_no_raise_back() -> None:
    policy = a_policy(criteria={**LADDER["criteria"], "SC-005": {**STATEMENT, "gates": False}})
    raising = replace(RAISING, policy=policy, signed=REFUSED)
    after = decide(
        raising, Observed(Observation(a_reading(10, token="token-1"))), NOON + MINUTE
    ).rollout
    assert (after.phase, after.reason) == (Phase.PROGRESSING, Reason.WRITE_AGAIN)


def test_every_refusal_is_named_when_a_raise_is_taken_back() -> None:
    both = {**REFUSED, "SC-006": replace(REFUSED["SC-005"], note="never")}
    raising = replace(RAISING, policy=TWO_ATTESTATIONS, signed=both)
    lowered = decide(
        raising, Observed(Observation(a_reading(10, token="token-1"))), NOON + MINUTE
    ).rollout
    assert lowered.sentence == (
        "SC-005 fails: refused by ada at 2026-11-24 12:00 UTC: no. "
        "SC-006 fails: refused by ada at 2026-11-24 12:00 UTC: never."
    )


def test_a_refusal_in_the_warm_up_blocks_promote() -> None:
    rollout = replace(AT_10, policy=WITH_WARMUP, signed=REFUSED)
    with pytest.raises(UsageError, match="nobody promotes a fail"):
        apply_command(
            rollout, Command(Verb.PROMOTE, "now"), Observation(a_reading(10)), NOON + MINUTE
        )


def test_a_signature_on_a_criterion_that_only_reports_does_not_make_it_gate() -> None:
    policy = a_policy(criteria={**LADDER["criteria"], "SC-005": {**STATEMENT, "gates": False}})
    judged = tick(replace(AT_NOON, policy=policy), 4).rollout
    for refuse in (False, True):
        findings = attest(judged, replace(ATTEST, refuse=refuse)).rollout.findings
        assert [one.gates for one in findings if one.criterion == "SC-005"] == [False]


def test_a_refusal_counts_at_a_step_that_does_not_ask_for_it() -> None:
    steps = [
        {**step, "criteria": ["works"] if step["weight"] < 100 else None}
        for step in LADDER["steps"]
    ]
    late = replace(AT_NOON, policy=a_policy(criteria=ONE_ATTESTATION.model_dump(mode="json",
        exclude_none=True)["criteria"], steps=steps))  # fmt: skip
    assert tick(late, 15).rollout.weight == 50
    assert tick(attest(late, replace(ATTEST, refuse=True)).rollout, 6).rollout.weight == 0


def test_a_repeated_signature_changes_nothing_and_a_refusal_replaces_it() -> None:
    signed = attest(AT_NOON).rollout
    repeated = attest(signed, replace(ATTEST, by="bob"), minute=6)
    assert repeated.record is None
    assert repeated.rollout.signed == signed.signed
    refusal = attest(signed, replace(ATTEST, refuse=True, by="bob"), minute=6)
    assert refusal.rollout.signed["SC-005"].refused
    assert refusal.rollout.signed["SC-005"].by == "bob"


@cases("rollout, facts, why", {
    "unknown":
        (AT_NOON, {"criterion": "SC-05"}, "nobody attests 'SC-05' there; its attestations: SC-005"),
    "of two":
        (replace(AT_10, policy=TWO_ATTESTATIONS), {"criterion": "SC-05"},
         "nobody attests 'SC-05' there; its attestations: SC-005, SC-006"),
    "measured":
        (AT_NOON, {"criterion": "works"}, "nobody attests 'works' there; its attestations: SC-005"),
    "none at all":
        (replace(AT_10, policy=POLICY), {},
         "nobody attests 'SC-005' there; its attestations: none"),
    "no note":
        (AT_NOON, {"reason": ""}, "say what was seen (--note): it is written into the history"),
})  # fmt: skip
def test_attest_changes_nothing_where(rollout: Rollout, facts: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match="changed nothing") as caught:
        attest(rollout, replace(ATTEST, **facts))
    assert str(caught.value) == f"attest changed nothing of checkout#1: {why}"


def test_a_paused_rollout_takes_a_signature() -> None:
    paused = replace(ON_HOLD, policy=ONE_ATTESTATION)
    assert attest(paused).rollout.phase is Phase.PAUSED
    assert ALLOWED_PHASES[Verb.ATTEST] == {Phase.PROGRESSING, Phase.PAUSED}
