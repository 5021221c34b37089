"""Criteria of kind alarm: the state of an alarm, and since when."""

from functools import partial

from tests.sentences import Sentences
from tests.support.cases import cases
from tests.support.core import (
    AlarmReading,
    AlarmState,
    Label,
    Verdict,
)
from tests.support.judging import (
    FAIL,
    MINUTE_S,
    NO_DATA,
    PASS,
    START,
    UNANSWERED,
    UNDECIDED,
    Judging,
    Outcome,
    a_step,
    datapoints,
    findings_at,
    judged,
    judged_minutes,
    outcome,
    policy_of,
    with_checkpoint,
)
from tests.support.rollouts import MINUTE, NOON

ALARM = {"kind": "alarm", "alarm": "auth-failures"}
ARN = "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:auth: failures"
OK, IN_ALARM = AlarmState.OK, AlarmState.ALARM
RED_BEFORE = Verdict.INCONCLUSIVE, Label.ALARM_BEFORE_START
# The rollout was started five minutes before its step began.
CREATED = -5


def reading(state: AlarmState, minute: int | None = None, reason: str = "") -> AlarmReading:
    """Return the state of an alarm since `minute`; None: it is not said."""
    return AlarmReading(state, 0 if minute is None else START + minute * MINUTE_S, reason)


def alarm(
    state: AlarmState, minute: int | None = None, reason: str = "", name: str = "auth-failures"
) -> Judging:
    """Return how to judge an alarm that has been in `state` since `minute`."""
    alarms = {name: reading(state, minute, reason)}
    return judging_of(alarms, name)


def judging_of(alarms: dict[str, AlarmReading], name: str = "auth-failures") -> Judging:
    created = NOON + CREATED * MINUTE
    return partial(judged, {**ALARM, "alarm": name}, {}, closed=10, alarms=alarms, created=created)


@cases(
    "judging, expected, measured",
    {
        "OK": (alarm(OK, -1_440), PASS, 0),
        "by its ARN": (alarm(OK, 0, name=ARN), PASS, 0),
        "in ALARM since the step began": (alarm(IN_ALARM, 1), FAIL, 1),
        "in ALARM since the rollout began": (alarm(IN_ALARM, CREATED + 1), FAIL, 1),
        "in ALARM before the rollout began": (alarm(IN_ALARM, CREATED), RED_BEFORE, 1),
        "too little data": (alarm(AlarmState.INSUFFICIENT_DATA, 0), NO_DATA, None),
        "no such alarm": (alarm(AlarmState.MISSING), NO_DATA, None),
        "not read": (alarm(AlarmState.UNREAD), UNANSWERED, None),
        "no reading": (judging_of({}), UNANSWERED, None),
    },
)
def test_an_alarm_passes_fails_or_is_inconclusive(
    judging: Judging, expected: Outcome, measured: float | None
) -> None:
    finding = judging()
    assert (outcome(finding), finding.measured) == (expected, measured)
    assert (finding.bound, finding.samples, judged_minutes(finding)) == (0, 0, (0, 13))


RATE = {
    "kind": "success_rate", "judge": "sequential", "total": "requests", "failures": ["errors"],
    "min": "99%",
}  # fmt: skip
HEALTHY = datapoints({"requests": [600] * 90, "errors": [0] * 90})
BOTH = policy_of(ALARM, criteria={"C": ALARM, "works": RATE}, warmup="10m")


@cases(
    "minute, expected",
    {
        "in the warm-up": (9, UNDECIDED),
        "after the warm-up": (10, FAIL),
    },
)
def test_an_alarm_is_not_judged_in_the_warm_up(minute: int, expected: Outcome) -> None:
    alarms = {"auth-failures": reading(IN_ALARM, 5)}
    found = findings_at(a_step(BOTH), HEALTHY, minute, alarms=alarms)
    (finding,) = [one for one in found if one.criterion == "C"]
    assert (outcome(finding), judged_minutes(finding)) == (expected, (10, 10))


def test_metrics_have_a_checkpoint_beside_an_alarm() -> None:
    assert with_checkpoint(a_step(BOTH), HEALTHY, 80).evidence.tallies.keys() == {"works"}


SENTENCES: Sentences = {
    "OK": alarm(OK, -1_440),
    "OK, without a time": alarm(OK),
    "OK, by its ARN": alarm(OK, 0, name=ARN),
    "in ALARM": alarm(IN_ALARM, 1),
    "in ALARM, and CloudWatch says why": alarm(IN_ALARM, 1, "11 datapoints were above MAX."),
    "in ALARM before the rollout began": alarm(IN_ALARM, CREATED),
    "too little data": alarm(AlarmState.INSUFFICIENT_DATA, 0),
    "no such alarm": alarm(AlarmState.MISSING),
    "not read": alarm(AlarmState.UNREAD, reason="grant the action to this role"),
    "no reading": judging_of({}),
    "in the warm-up": lambda: findings_at(a_step(BOTH), HEALTHY, 9)[0],
}
