"""An alarm and a signature: what they say, and what they say nothing of."""

from dataclasses import replace

import pytest

from controller.core.decide import decide
from controller.core.judge.evidence import Signature
from controller.core.judge.findings import Finding, Label, Verdict, gate
from controller.core.judge.gate import judge, seal
from controller.core.judge.kinds.alarm import Said
from controller.core.observation import AlarmReading, AlarmState, Observation
from controller.core.rollout import Phase
from controller.core.units import MINUTE_S
from tests.core.judge.kinds import START, evidence_of, judged
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy, a_reading, a_series
from tests.support.three_steps import AT_10, HEALTHY

ALARM = {"kind": "alarm", "alarm": "auth-failures"}
ATTESTATION = {"kind": "attestation", "statement": "Support has seen nothing."}
BEGUN = START - 300
PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE


def says(state: AlarmState, since: int = 0, reason: str = "") -> Said:
    return Said({"auth-failures": AlarmReading(state, since, reason)}, begun=BEGUN)


@pytest.mark.parametrize(
    ("said", "verdict", "label", "sentence"),
    [
        pytest.param(
            says(AlarmState.OK, START - 86_400), PASS, Label.NOT_REFUTED,
            "C holds: auth-failures is OK since 2026-11-23 12:00 UTC.", id="OK",
        ),
        pytest.param(
            says(AlarmState.OK), PASS, Label.NOT_REFUTED, "C holds: auth-failures is OK.",
            id="OK, and nobody says since when",
        ),
        pytest.param(
            says(AlarmState.ALARM, START + 60, "11 datapoints were above MAX."), FAIL,
            Label.REFUTED, "C fails: auth-failures is in ALARM since 2026-11-24 12:01 UTC (11 "
            "datapoints were above MAX).", id="it went red in the step",
        ),
        pytest.param(
            says(AlarmState.ALARM, BEGUN + 1), FAIL, Label.REFUTED,
            "C fails: auth-failures is in ALARM since 2026-11-24 11:55 UTC.",
            id="it went red once the rollout had begun",
        ),
        pytest.param(
            says(AlarmState.ALARM, BEGUN), INCONCLUSIVE, Label.RED_BEFORE,
            "C cannot be judged: auth-failures is in ALARM since 2026-11-24 11:55 UTC, so it was "
            "red before the rollout began; it counts once it has been OK.",
            id="it was red before the rollout began",
        ),
        pytest.param(
            says(AlarmState.INSUFFICIENT_DATA, START), INCONCLUSIVE, Label.NO_DATA,
            "C has no data: auth-failures has had too few datapoints to be OK or not since "
            "2026-11-24 12:00 UTC.", id="insufficient data",
        ),
        pytest.param(
            says(AlarmState.MISSING), INCONCLUSIVE, Label.NO_DATA,
            "C cannot be judged: there is no alarm auth-failures in the account and region of the "
            "rollout; create it, or start again with a policy that names another.",
            id="no such alarm",
        ),
        pytest.param(
            says(AlarmState.UNREAD, reason="grant the action to this role"), INCONCLUSIVE,
            Label.QUERY_FAILED,
            "C cannot be judged: auth-failures was not read (grant the action to this role).",
            id="not read",
        ),
        pytest.param(
            Said(), INCONCLUSIVE, Label.QUERY_FAILED,
            "C cannot be judged: auth-failures was not read (it was not asked for).",
            id="not asked for",
        ),
    ],
)  # fmt: skip
def test_an_alarm_is_ok_or_red_or_says_nothing(
    said: Said, verdict: Verdict, label: Label, sentence: str
) -> None:
    finding = judged(ALARM, {}, closed=10, said=said)
    assert (finding.verdict, finding.label, finding.sentence) == (verdict, label, sentence)


@pytest.mark.parametrize(
    ("state", "answer"),
    [
        (AlarmState.OK, 0.0),
        (AlarmState.ALARM, 1.0),
        (AlarmState.INSUFFICIENT_DATA, None),
        (AlarmState.MISSING, None),
        (AlarmState.UNREAD, None),
    ],
)
def test_an_alarm_in_numbers_is_red_or_not_and_none_may_be(
    state: AlarmState, answer: float | None
) -> None:
    found = judged(ALARM, {}, closed=10, said=says(state, START + 60))
    now = START + 13 * MINUTE_S
    assert found == Finding(
        "C", found.verdict, found.label, answer, 0.0, 0, START, now, found.sentence
    )


def test_an_alarm_that_went_red_in_the_warm_up_is_not_judged_before_it_is_over() -> None:
    """It is looked at now: four minutes after the last one that is closed."""
    red = says(AlarmState.ALARM, START - 60)
    finding = judged(ALARM, {}, closed=-4, said=red)
    assert (finding.verdict, finding.label) == (INCONCLUSIVE, Label.NOT_YET)
    assert finding.sentence == "C is not judged during the warm-up."
    assert (finding.start, finding.end) == (START, START)
    assert judged(ALARM, {}, closed=-3, said=red).verdict is FAIL


def test_an_alarm_is_found_by_the_arn_that_the_policy_gives() -> None:
    arn = "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:auth: failures"
    said = Said({arn: AlarmReading(AlarmState.OK, START)}, begun=BEGUN)
    finding = judged({"kind": "alarm", "alarm": arn}, {}, closed=10, said=said)
    assert finding.sentence == "C holds: auth: failures is OK since 2026-11-24 12:00 UTC."


@pytest.mark.parametrize(
    ("minute", "phase"),
    [
        pytest.param(-6, Phase.PROGRESSING, id="before the rollout began"),
        pytest.param(-4, Phase.ROLLING_BACK, id="since then"),
    ],
)
def test_an_alarm_that_went_red_rolls_a_healthy_canary_back(minute: int, phase: Phase) -> None:
    policy = a_policy(criteria={"red": ALARM, **LADDER["criteria"]})
    rollout = replace(AT_10, policy=policy, created=NOON - 5 * MINUTE)
    red = AlarmReading(AlarmState.ALARM, START + minute * MINUTE_S)
    seen = Observation(a_reading(10), HEALTHY, alarms={"auth-failures": red})
    assert decide(rollout, seen, NOON + 20 * MINUTE).rollout.phase is phase


def test_beside_an_alarm_what_is_measured_is_sealed() -> None:
    policy = a_policy(criteria={"red": ALARM, **LADDER["criteria"]})
    evidence = replace(evidence_of(ALARM, {}, closed=60), policy=policy, gate=policy.criteria)
    minutes = a_series([100] * 60), a_series([0] * 60)
    series = dict(zip(("requests:Sum@60", "errors:Sum@60"), minutes, strict=True))
    tallies = seal(replace(evidence, series=series), NOON + 63 * MINUTE)
    assert {name: one.windows for name, one in tallies.items()} == {"works": 48}


# --- attestation --------------------------------------------------------------------------------


def test_what_nobody_has_signed_is_open_and_says_how_to_sign_it() -> None:
    finding = judged(ATTESTATION, {}, closed=10, said=Said(rollout="checkout#1"))
    assert (finding.verdict, finding.label) == (INCONCLUSIVE, Label.NOT_ATTESTED)
    assert finding.sentence == (
        'nobody has attested C ("Support has seen nothing."); rolloutctl attest checkout#1 C '
        "--note TEXT"
    )


@pytest.mark.parametrize(
    ("refused", "verdict", "label", "sentence"),
    [
        (False, PASS, Label.ATTESTED, "C holds: attested by ada at 2026-11-24 12:00 UTC: seen."),
        (True, FAIL, Label.REFUTED, "C fails: refused by ada at 2026-11-24 12:00 UTC: seen."),
    ],
)
def test_a_signature_passes_and_a_refusal_fails(
    refused: bool, verdict: Verdict, label: Label, sentence: str
) -> None:
    said = Said(signed={"C": Signature("ada", START, "seen", refused)})
    finding = judged(ATTESTATION, {}, closed=10, said=said)
    assert (finding.verdict, finding.label, finding.sentence) == (verdict, label, sentence)


@pytest.mark.parametrize(
    ("signed", "answer", "count"),
    [
        pytest.param({}, None, 0, id="nobody"),
        pytest.param({"C": Signature("ada", START, "seen")}, 1.0, 1, id="yes"),
        pytest.param({"C": Signature("ada", START, "no", refused=True)}, 0.0, 1, id="no"),
    ],
)
def test_a_signature_in_numbers_is_one_yes_or_no(
    signed: dict[str, Signature], answer: float | None, count: int
) -> None:
    found = judged(ATTESTATION, {}, closed=10, said=Said(signed=signed))
    now = START + 13 * MINUTE_S
    assert found == Finding(
        "C", found.verdict, found.label, answer, 1.0, count, START, now, found.sentence
    )


def test_a_refusal_counts_in_a_step_that_the_criterion_does_not_gate() -> None:
    """A person's no is not kept for the step in which most traffic would hear of it."""
    said = Said(signed={"C": Signature("ada", START, "no", refused=True)})
    evidence = evidence_of(ATTESTATION, {}, closed=10, said=said)
    assert gate(judge(evidence)) is FAIL
    (elsewhere,) = judge(replace(evidence, gate={}))
    assert elsewhere.verdict is FAIL


# --- reporting ----------------------------------------------------------------------------------


def test_what_only_reports_is_judged_and_neither_fails_nor_holds() -> None:
    said = says(AlarmState.ALARM, START + 60)
    (finding,) = judge(evidence_of({**ALARM, "gates": False}, {}, closed=10, said=said))
    assert (finding.verdict, finding.gates) == (FAIL, False)
    assert not finding.fails
    assert not finding.holds_up
    assert gate([finding]) is INCONCLUSIVE  # nothing gates at all: that never passes unseen
