"""`attest`: which criteria take a signature, what is stored of it, and what the rollout does."""

from collections.abc import Mapping
from typing import Any

import pytest

from controller.immutable import replace
from tests.sentences import decision_text
from tests.support.cases import cases
from tests.support.core import (
    Command,
    Commanded,
    Decision,
    Label,
    Notice,
    Observation,
    Phase,
    Reason,
    Rollout,
    SetZero,
    Severity,
    SignOff,
    TargetReading,
    UsageError,
    Verb,
    decide,
    sentence_of,
    waits_for,
)
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy, a_reading, with_facts
from tests.support.three_steps import (
    AT_10,
    FIRST_RAISE,
    ON_HOLD,
    POLICY,
    RAISING,
    UPDATE_IN_PROGRESS,
    decide_command,
    decide_tick,
)

STATEMENT = {"kind": "attestation", "statement": "Support has seen nothing."}
ONE_ATTESTATION = a_policy(criteria={**LADDER["criteria"], "SC-005": STATEMENT})
TWO_ATTESTATIONS = a_policy(
    criteria={**LADDER["criteria"], "SC-005": STATEMENT, "SC-006": STATEMENT}
)
WITH_WARMUP = a_policy(criteria={**LADDER["criteria"], "SC-005": STATEMENT}, warmup="30m")
AT_NOON = replace(AT_10, policy=ONE_ATTESTATION)
ATTEST = Command(Verb.ATTEST, "no tickets today", criterion="SC-005", by="ada")
REFUSE = replace(ATTEST, refuse=True)
REPORTING = replace(
    AT_10,
    policy=a_policy(criteria={**LADDER["criteria"], "SC-005": {**STATEMENT, "gates": False}}),
)


def attest(rollout: Rollout, command: Command = ATTEST, minute: int = 5) -> Decision:
    event = Commanded(Observation(a_reading(10)), command)
    return decide(rollout, event, NOON + minute * MINUTE)


def tick(rollout: Rollout, minute: int) -> Decision:
    return decide_tick(rollout, a_reading(10), minute)


def test_a_signature_is_kept_with_who_and_when() -> None:
    decision = attest(AT_NOON)
    at = int((NOON + 5 * MINUTE).timestamp())
    assert decision.rollout.evidence.sign_offs == {"SC-005": SignOff("ada", at, "no tickets today")}
    entry = decision.record
    assert entry is not None
    assert (entry.kind, entry.reason) == ("attested", Reason.ATTESTED)
    assert all(one in entry.sentence for one in ("SC-005", "ada", "no tickets today"))
    assert entry.cause == {
        "verb": "attest", "reason": "no tickets today", "way": "", "criterion": "SC-005",
        "refuse": False, "by": "ada",
    }  # fmt: skip
    assert (entry.at, entry.weight_from, entry.weight_to) == (NOON + 5 * MINUTE, 10, 10)
    assert decision.notices == (Notice(Severity.INFO, f"checkout#1: {entry.sentence}"),)
    assert decision.rollout.sentence == AT_NOON.sentence  # the rollout stands where it stood
    assert decision.move is None


def test_unsigned_it_holds_and_signed_it_passes() -> None:
    holding = tick(AT_NOON, 15).rollout
    assert (holding.reason, "SC-005" in waits_for(holding)) == (Reason.ON_HOLD, True)
    assert "rolloutctl attest checkout#1 SC-005" in holding.sentence
    passed = tick(attest(AT_NOON).rollout, 15).rollout
    assert (passed.reason, passed.weight, passed.evidence.label) == (
        Reason.GATE_PASSED,
        50,
        Label.NO_REGRESSION,
    )


def test_a_refusal_rolls_back_with_the_next_tick() -> None:
    refusal = attest(AT_NOON, REFUSE)
    assert refusal.record is not None
    assert (refusal.record.kind, refusal.record.reason) == ("refused", Reason.ATTESTATION_REFUSED)
    assert [notice.severity for notice in refusal.notices] == [Severity.WARNING]
    lowered = tick(refusal.rollout, 6).rollout
    assert (lowered.phase, lowered.reason) == (Phase.ROLLING_BACK, Reason.GATE_FAILED)
    assert [finding.criterion for finding in lowered.evidence.findings if finding.fails] == [
        "SC-005"
    ]


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
    decision = decide_tick(with_facts(rollout, sign_offs=REFUSED), target, 1, {})
    assert (decision.rollout.phase, decision.rollout.reason) == (
        Phase.ROLLING_BACK, Reason.GATE_FAILED,
    )  # fmt: skip
    assert decision.move == SetZero(MINUTE, outdated_token=void)
    assert decision.record is not None
    assert decision.record.weight_from == target.weight
    assert [finding.criterion for finding in decision.record.findings if finding.fails] == [
        "SC-005"
    ]


def test_a_refusal_of_what_only_reports_takes_no_raise_back() -> None:
    raising = replace(with_facts(RAISING, sign_offs=REFUSED), policy=REPORTING.policy)
    after = decide_tick(raising, a_reading(10, token="token-1"), 1, {}).rollout
    assert (after.phase, after.reason) == (Phase.PROGRESSING, Reason.WRITE_RETRIED)


def test_a_refusal_in_the_warm_up_blocks_promote() -> None:
    rollout = replace(with_facts(AT_10, sign_offs=REFUSED), policy=WITH_WARMUP)
    with pytest.raises(UsageError, match="SC-005"):
        decide_command(rollout, Verb.PROMOTE, a_reading(10), minute=1)


def test_a_signature_on_a_criterion_that_only_reports_does_not_make_it_gate() -> None:
    judged = tick(REPORTING, 4).rollout
    for refuse in (False, True):
        findings = attest(judged, replace(ATTEST, refuse=refuse)).rollout.evidence.findings
        assert [finding.gates for finding in findings if finding.criterion == "SC-005"] == [False]


def test_a_repeated_signature_changes_nothing_and_a_refusal_replaces_it() -> None:
    signed = attest(AT_NOON).rollout
    repeated = attest(signed, replace(ATTEST, by="bob"), minute=6)
    assert repeated.record is None
    assert repeated.rollout.evidence.sign_offs == signed.evidence.sign_offs
    refusal = attest(signed, replace(REFUSE, by="bob"), minute=6)
    assert refusal.rollout.evidence.sign_offs["SC-005"].refused
    assert refusal.rollout.evidence.sign_offs["SC-005"].by == "bob"


REFUSALS: Mapping[str, tuple[Rollout, Mapping[str, Any]]] = {
    "unknown": (AT_NOON, {"criterion": "SC-05"}),
    "of two": (replace(AT_10, policy=TWO_ATTESTATIONS), {"criterion": "SC-05"}),
    "measured": (AT_NOON, {"criterion": "works"}),
    "none at all": (replace(AT_10, policy=POLICY), {}),
    "no note": (AT_NOON, {"reason": ""}),
}


def refused(rollout: Rollout, facts: Mapping[str, Any]) -> UsageError:
    """Return the error with which a signature is refused."""
    with pytest.raises(UsageError) as caught:
        attest(rollout, replace(ATTEST, **facts))
    return caught.value


@cases("rollout, facts", REFUSALS)
def test_attest_changes_nothing_where(rollout: Rollout, facts: Mapping[str, Any]) -> None:
    assert refused(rollout, facts).context == {"rollout": "checkout#1"}


def texts() -> dict[str, str]:
    """Return what people read of signatures, of their refusals, and of what they lead to."""
    decisions = {
        "a hold for a signature": tick(AT_NOON, 15),
        "a signature": attest(AT_NOON),
        "a refusal": attest(AT_NOON, REFUSE),
        "a refusal of what only reports": attest(REPORTING, REFUSE),
        "a rollback after a refusal": tick(attest(AT_NOON, REFUSE).rollout, 6),
    }
    return {
        **{f"nothing is signed: {claim}": str(refused(*row)) for claim, row in REFUSALS.items()},
        **{claim: decision_text(decision) for claim, decision in decisions.items()},
        "a finding that is signed": sentence_of(
            attest(tick(AT_NOON, 4).rollout).rollout.evidence.findings[1]
        ),
    }
