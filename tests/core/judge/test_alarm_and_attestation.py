"""Criteria of kind alarm and attestation: the states of an alarm, sign-offs and refusals."""

from dataclasses import replace

import pytest

from controller.core.decide import Observed, decide
from controller.core.judge.evidence import NonMetricEvidence, SignOff
from controller.core.judge.findings import Finding, Label, Verdict, gate_verdict
from controller.core.judge.gate import judge, seal_tallies
from controller.core.observation import AlarmReading, AlarmState, Observation
from controller.core.rollout import Phase
from controller.core.units import MINUTE_S
from tests.core.judge.kinds import START, evidence_of, judge_criterion
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy, a_reading, a_series
from tests.support.three_steps import AT_10, HEALTHY

ALARM = {"kind": "alarm", "alarm": "auth-failures"}
ATTESTATION = {"kind": "attestation", "statement": "Support has seen nothing."}
ROLLOUT_START = START - 300
PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE


def alarm_evidence(state: AlarmState, since: int = 0, reason: str = "") -> NonMetricEvidence:
    return NonMetricEvidence(
        {"auth-failures": AlarmReading(state, since, reason)}, rollout_start=ROLLOUT_START
    )


@pytest.mark.parametrize(
    ("non_metric", "verdict", "label", "sentence"),
    [
        pytest.param(
            alarm_evidence(AlarmState.OK, START - 86_400), PASS, Label.NOT_REFUTED,
            "C holds: auth-failures is OK since 2026-11-23 12:00 UTC.", id="OK",
        ),
        pytest.param(
            alarm_evidence(AlarmState.OK), PASS, Label.NOT_REFUTED, "C holds: auth-failures is OK.",
            id="OK, without a time",
        ),
        pytest.param(
            alarm_evidence(AlarmState.ALARM, START + 60, "11 datapoints were above MAX."), FAIL,
            Label.REFUTED, "C fails: auth-failures is in ALARM since 2026-11-24 12:01 UTC (11 "
            "datapoints were above MAX).", id="in ALARM since the step began",
        ),
        pytest.param(
            alarm_evidence(AlarmState.ALARM, ROLLOUT_START + 1), FAIL, Label.REFUTED,
            "C fails: auth-failures is in ALARM since 2026-11-24 11:55 UTC.",
            id="in ALARM since the rollout began",
        ),
        pytest.param(
            alarm_evidence(AlarmState.ALARM, ROLLOUT_START), INCONCLUSIVE, Label.ALARM_BEFORE_START,
            "C cannot be judged: auth-failures is in ALARM since 2026-11-24 11:55 UTC, so it was "
            "red before the rollout began; it counts once it has been OK.",
            id="in ALARM before the rollout began",
        ),
        pytest.param(
            alarm_evidence(AlarmState.INSUFFICIENT_DATA, START), INCONCLUSIVE, Label.NO_DATA,
            "C has no data: auth-failures has had too few datapoints to be OK or not since "
            "2026-11-24 12:00 UTC.", id="insufficient data",
        ),
        pytest.param(
            alarm_evidence(AlarmState.MISSING), INCONCLUSIVE, Label.NO_DATA,
            "C cannot be judged: there is no alarm auth-failures in the account and region of the "
            "rollout; create it, or start again with a policy that names another.",
            id="no such alarm",
        ),
        pytest.param(
            alarm_evidence(AlarmState.UNREAD, reason="grant the action to this role"), INCONCLUSIVE,
            Label.QUERY_FAILED,
            "C cannot be judged: auth-failures was not read (grant the action to this role).",
            id="not read",
        ),
        pytest.param(
            NonMetricEvidence(), INCONCLUSIVE, Label.QUERY_FAILED,
            "C cannot be judged: auth-failures was not read (it was not asked for).",
            id="no reading",
        ),
    ],
)  # fmt: skip
def test_an_alarm_passes_fails_or_is_inconclusive(
    non_metric: NonMetricEvidence, verdict: Verdict, label: Label, sentence: str
) -> None:
    finding = judge_criterion(ALARM, {}, closed=10, non_metric=non_metric)
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
def test_an_alarm_measures_zero_or_one_or_nothing(state: AlarmState, answer: float | None) -> None:
    finding = judge_criterion(ALARM, {}, closed=10, non_metric=alarm_evidence(state, START + 60))
    now = START + 13 * MINUTE_S
    assert finding == Finding(
        "C", finding.verdict, finding.label, answer, 0.0, 0, START, now, finding.sentence
    )


def test_an_alarm_in_the_warm_up_is_not_judged_before_the_warm_up_is_over() -> None:
    """The tick is four minutes after the last closed minute."""
    evidence = alarm_evidence(AlarmState.ALARM, START - 60)
    finding = judge_criterion(ALARM, {}, closed=-4, non_metric=evidence)
    assert (finding.verdict, finding.label) == (INCONCLUSIVE, Label.NOT_JUDGED)
    assert finding.sentence == "C is not judged during the warm-up."
    assert (finding.start, finding.end) == (START, START)
    assert judge_criterion(ALARM, {}, closed=-3, non_metric=evidence).verdict is FAIL


def test_an_alarm_is_found_by_the_arn_that_the_policy_gives() -> None:
    arn = "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:auth: failures"
    non_metric = NonMetricEvidence(
        {arn: AlarmReading(AlarmState.OK, START)}, rollout_start=ROLLOUT_START
    )
    finding = judge_criterion({"kind": "alarm", "alarm": arn}, {}, closed=10, non_metric=non_metric)
    assert finding.sentence == "C holds: auth: failures is OK since 2026-11-24 12:00 UTC."


@pytest.mark.parametrize(
    ("minute", "phase"),
    [
        pytest.param(-6, Phase.PROGRESSING, id="before the rollout began"),
        pytest.param(-4, Phase.ROLLING_BACK, id="since then"),
    ],
)
def test_an_alarm_since_the_start_rolls_a_healthy_canary_back(minute: int, phase: Phase) -> None:
    policy = a_policy(criteria={"red": ALARM, **LADDER["criteria"]})
    rollout = replace(AT_10, policy=policy, created=NOON - 5 * MINUTE)
    alarm = AlarmReading(AlarmState.ALARM, START + minute * MINUTE_S)
    observation = Observation(a_reading(10), HEALTHY, alarms={"auth-failures": alarm})
    assert decide(rollout, Observed(observation), NOON + 20 * MINUTE).rollout.phase is phase


def test_metrics_are_sealed_beside_an_alarm() -> None:
    policy = a_policy(criteria={"red": ALARM, **LADDER["criteria"]})
    evidence = replace(evidence_of(ALARM, {}, closed=60), policy=policy, gate=policy.criteria)
    minutes = a_series([100] * 60), a_series([0] * 60)
    series = dict(zip(("requests:Sum@60", "errors:Sum@60"), minutes, strict=True))
    tallies = seal_tallies(replace(evidence, series=series), NOON + 63 * MINUTE)
    assert {name: one.windows for name, one in tallies.items()} == {"works": 48}


# --- Attestation ----------------------------------------------------------------------------------


def test_a_missing_sign_off_is_inconclusive_and_says_how_to_give_it() -> None:
    finding = judge_criterion(
        ATTESTATION, {}, closed=10, non_metric=NonMetricEvidence(rollout_id="checkout#1")
    )
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
    non_metric = NonMetricEvidence(sign_offs={"C": SignOff("ada", START, "seen", refused)})
    finding = judge_criterion(ATTESTATION, {}, closed=10, non_metric=non_metric)
    assert (finding.verdict, finding.label, finding.sentence) == (verdict, label, sentence)


@pytest.mark.parametrize(
    ("signed", "answer", "count"),
    [
        pytest.param({}, None, 0, id="none"),
        pytest.param({"C": SignOff("ada", START, "seen")}, 1.0, 1, id="yes"),
        pytest.param({"C": SignOff("ada", START, "no", refused=True)}, 0.0, 1, id="no"),
    ],
)
def test_a_signature_in_numbers_is_one_yes_or_no(
    signed: dict[str, SignOff], answer: float | None, count: int
) -> None:
    finding = judge_criterion(
        ATTESTATION, {}, closed=10, non_metric=NonMetricEvidence(sign_offs=signed)
    )
    now = START + 13 * MINUTE_S
    assert finding == Finding(
        "C", finding.verdict, finding.label, answer, 1.0, count, START, now, finding.sentence
    )


def test_a_refusal_counts_in_a_step_that_the_criterion_does_not_gate() -> None:
    """A refusal does not wait for the step that would send most traffic to the canary."""
    non_metric = NonMetricEvidence(sign_offs={"C": SignOff("ada", START, "no", refused=True)})
    evidence = evidence_of(ATTESTATION, {}, closed=10, non_metric=non_metric)
    assert gate_verdict(judge(evidence)) is FAIL
    (finding,) = judge(replace(evidence, gate={}))
    assert finding.verdict is FAIL


# --- Criteria that only report --------------------------------------------------------------------


def test_what_only_reports_is_judged_and_neither_fails_nor_blocks() -> None:
    non_metric = alarm_evidence(AlarmState.ALARM, START + 60)
    (finding,) = judge(evidence_of({**ALARM, "gates": False}, {}, closed=10, non_metric=non_metric))
    assert (finding.verdict, finding.gates) == (FAIL, False)
    assert not finding.fails
    assert not finding.blocks_advance
    assert gate_verdict([finding]) is INCONCLUSIVE  # nothing gates at all: that never passes
