"""After a rollback, in the logs: an event that must be absent, and one that makes that telling."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from controller.core.decide import decide
from controller.core.decision import Alert, Severity
from controller.core.judge.drain import ABSENT, ANY, ENOUGH_EVENTS, PRESENT
from controller.core.judge.findings import Label, Verdict
from controller.core.judge.gate import needs
from controller.core.observation import LogQuery, Observation, QueryStatus, Series, Span
from controller.core.rollout import Rollout
from tests.core.judge.test_drain import (
    BUSY,
    CONTROLLED,
    QUARTER,
    UNCOUNTED,
    label,
    leak,
    look,
    requests,
)
from tests.support.rollouts import MINUTE, NOON, a_policy, a_reading, a_series
from tests.support.three_steps import AFTER_ROLLBACK

GATEWAY, DIRECT = '{ $.event = "gateway" }', '{ $.event = "direct" }'
VERIFY = {"verify_rollback": {"absent": GATEWAY, "present": DIRECT}}
GROUP = "/aws/lambda/handler"

LOGS = replace(
    AFTER_ROLLBACK,
    policy=a_policy(
        metrics=UNCOUNTED.model_dump()["metrics"],
        criteria={"few": {"kind": "threshold", "judge": "threshold", "metric": "errors", "max": 1}},
        **VERIFY,
    ),
)
FULL = replace(LOGS, intent=replace(LOGS.intent, previous=100))
BOTH = replace(BUSY, policy=a_policy(**VERIFY))

DENIED = Series(
    {}, QueryStatus.FORBIDDEN, "/aws/lambda/handler could not be searched: AccessDenied."
)
CUT_OFF = Series(
    {}, QueryStatus.PARTIAL, "/aws/lambda/handler was searched in part: too many pages"
)


def events(
    gateway: Series | None = None, direct: Series | None = None, anything: Series | None = None
) -> dict[str, Series]:
    """Return what was counted of each event."""
    return {ABSENT: gateway or Series(), PRESENT: direct or Series(), ANY: anything or Series()}


def each_minute(number: float) -> Series:
    """Return so many events in every minute from noon on."""
    return a_series([number] * 20)


BUSY_LOG = events(direct=each_minute(100))
SILENT_LOG = events()
LEAK = events(gateway=a_series(leak(3)), direct=each_minute(100))
CONFIRMED, REFUTED, UNOBSERVABLE = Label.CONFIRMED, Label.REFUTED, Label.UNOBSERVABLE


@pytest.mark.parametrize(
    ("rollout", "minute", "series", "expected"),
    [
        pytest.param(LOGS, 10, BUSY_LOG, CONFIRMED, id="absent, and the control is there"),
        pytest.param(LOGS, 9.9, BUSY_LOG, None, id="four settled minutes: not yet"),
        pytest.param(
            LOGS, 10, events(direct=each_minute(13)), CONFIRMED, id="65 of the control: 7 were due"
        ),
        pytest.param(LOGS, 10, events(direct=each_minute(12)), None, id="60: chance"),
        pytest.param(FULL, 10, events(direct=a_series(leak(4, 1))), CONFIRMED, id="one, after 100 %"),
        pytest.param(FULL, 10, events(direct=a_series(leak(8, 1))), None, id="one, not settled yet"),
        pytest.param(LOGS, 3.5, events(gateway=a_series(leak(2))), REFUTED, id="a leak at once"),
        pytest.param(LOGS, 10, events(a_series(leak(1)), each_minute(99)), CONFIRMED, id="in flight"),
        pytest.param(LOGS, 4, events(a_series(leak(3, 1))), REFUTED, id="one event is a leak"),
        pytest.param(LOGS, 10, LEAK, REFUTED, id="a leak beside the control"),
        pytest.param(
            LOGS, 5, events(gateway=replace(a_series(leak(3)), answer=QueryStatus.PARTIAL)), REFUTED,
            id="a leak in a search that was cut off",
        ),
        pytest.param(LOGS, 12.9, SILENT_LOG, None, id="no event yet"),
        pytest.param(LOGS, 13, SILENT_LOG, UNOBSERVABLE, id="no event at all: the end"),
        pytest.param(LOGS, 10, events(DENIED, DENIED), None, id="denied: tried again"),
        pytest.param(LOGS, 13, events(DENIED, DENIED), UNOBSERVABLE, id="denied: the end"),
        pytest.param(
            LOGS, 12, events(CUT_OFF, each_minute(100)), None, id="not searched to the end"
        ),
        pytest.param(LOGS, 13, {}, UNOBSERVABLE, id="not asked: the end"),
    ],
)  # fmt: skip
def test_what_is_known_of_the_drain_by_log_events(
    rollout: Rollout, minute: float, series: Mapping[str, Series], expected: Label | None
) -> None:
    assert label(look(rollout, minute, series)) == expected


COUNTED, LEAKED = requests(), requests(leak(3))


@pytest.mark.parametrize(
    ("metrics", "logs", "expected"),
    [
        pytest.param(COUNTED, BUSY_LOG, CONFIRMED, id="both confirm"),
        pytest.param(COUNTED, SILENT_LOG, CONFIRMED, id="requests confirm, the log is silent"),
        pytest.param(COUNTED, events(DENIED, DENIED), CONFIRMED, id="requests, no logs"),
        pytest.param(
            requests(answer=QueryStatus.ERROR), BUSY_LOG, CONFIRMED, id="events, no metrics"
        ),
        pytest.param(LEAKED, BUSY_LOG, REFUTED, id="requests refute what events confirm"),
        pytest.param(COUNTED, LEAK, REFUTED, id="events refute what requests confirm"),
        pytest.param(LEAKED, LEAK, REFUTED, id="both refute"),
        pytest.param(LEAKED, events(DENIED, DENIED), REFUTED, id="requests, no log"),
        pytest.param(requests(answer=QueryStatus.ERROR), SILENT_LOG, UNOBSERVABLE, id="neither"),
    ],
)
def test_either_refutes_and_one_that_confirms_is_enough(
    metrics: Mapping[str, Series], logs: Mapping[str, Series], expected: Label
) -> None:
    decision = look(BOTH, 13, {**metrics, **logs})
    assert label(decision) is expected
    assert (decision.alert is Alert.ROLLBACK_UNCONFIRMED) == (expected is REFUTED)
    severity = Severity.CRITICAL if expected is REFUTED else Severity.INFO
    assert [one.severity for one in decision.notices] == [severity]


SINCE = "since 2026-11-24 12:02 UTC"


@pytest.mark.parametrize(
    ("rollout", "minute", "series", "sentence"),
    [
        pytest.param(
            LOGS, 10, BUSY_LOG,
            f"drain confirmed: {GATEWAY} was not logged in {GROUP} in 5 minutes {SINCE}; {DIRECT} "
            "was logged 500 times, and about 56 requests were due at 10 %.",
            id="confirmed",
        ),
        pytest.param(
            FULL, 10, events(direct=a_series(leak(4, 1))),
            f"drain confirmed: {GATEWAY} was not logged in {GROUP} in 5 minutes {SINCE}; {DIRECT} "
            "was logged once.",
            id="confirmed after 100 %",
        ),
        pytest.param(
            FULL, 10, events(direct=a_series(leak(4, 2))),
            f"drain confirmed: {GATEWAY} was not logged in {GROUP} in 5 minutes {SINCE}; {DIRECT} "
            "was logged 2 times.",
            id="confirmed twice after 100 %",
        ),
        pytest.param(
            LOGS, 10, events(direct=each_minute(ENOUGH_EVENTS / 5)),
            f"drain confirmed: {GATEWAY} was not logged in {GROUP} in 5 minutes {SINCE}; {DIRECT} "
            "was logged at least 1 000 times, and about 111 requests were due at 10 %.",
            id="more than are counted",
        ),
        pytest.param(
            LOGS, 5, LEAK,
            f"drain refuted: {GATEWAY} was logged 3 times in {GROUP} {SINCE}, although 0 % is in "
            "force since 2026-11-24 12:00 UTC. Writing 0 % again does not help: look for callers "
            "that use a published version or an alias of the function, for another function or "
            "client that has the flag on.",
            id="refuted",
        ),
        pytest.param(
            LOGS, 13, SILENT_LOG,
            f"drain unobservable: no log event at all in {GROUP} {SINCE}; that proves nothing. "
            "Only the weight was read back.",
            id="a log without any event",
        ),
        pytest.param(
            LOGS, 13, events(anything=each_minute(1)),
            f"drain unobservable: neither {GATEWAY} nor {DIRECT} was logged in {GROUP} {SINCE}, "
            "and other events were: the patterns may not fit, or nobody called; that proves "
            "nothing. Only the weight was read back.",
            id="a log without these events",
        ),
        pytest.param(
            LOGS, 13, events(direct=each_minute(1)),
            f"drain unobservable: {GATEWAY} was not logged in {GROUP} in 8 minutes {SINCE}; "
            f"{DIRECT} was logged 8 times, and about 1 request was due at 10 %, too few to tell a "
            "drain from chance. Only the weight was read back.",
            id="too few",
        ),
        pytest.param(
            LOGS, 13, events(DENIED, DENIED),
            "drain unobservable: /aws/lambda/handler could not be searched: AccessDenied. Only "
            "the weight was read back.",
            id="denied",
        ),
        pytest.param(
            replace(LOGS, policy=LOGS.policy.model_copy(update={"settle": timedelta(minutes=10)})),
            13, {ABSENT: Series()},
            f"drain unobservable: 1 minute {SINCE} settled during the watch (settle 10m), and 5 "
            "are needed. Only the weight was read back.",
            id="settles too late",
        ),
        pytest.param(
            BOTH, 10, {**requests(), **events(DENIED, DENIED)},
            f"drain confirmed: requests counted no request in 5 minutes {SINCE}; about 50 requests "
            "were due at the rate before. By log events: unobservable: /aws/lambda/handler could "
            "not be searched: AccessDenied.",
            id="confirmed by one of two",
        ),
        pytest.param(
            BOTH, 10, {**requests(answer=QueryStatus.ERROR), **BUSY_LOG},
            f"drain confirmed: {GATEWAY} was not logged in {GROUP} in 5 minutes {SINCE}; {DIRECT} "
            "was logged 500 times, and about 56 requests were due at 10 %. By requests: "
            "unobservable: it cannot be judged: CloudWatch did not answer for requests: "
            "Throttling.",
            id="confirmed by the other",
        ),
        pytest.param(
            BOTH, 13, {**requests(answer=QueryStatus.ERROR), **SILENT_LOG},
            "drain unobservable: it cannot be judged: CloudWatch did not answer for requests: "
            f"Throttling. By log events: no log event at all in {GROUP} {SINCE}; that proves "
            "nothing. Only the weight was read back.",
            id="neither of two",
        ),
    ],
)  # fmt: skip
def test_the_sentence_says_what_was_logged_and_what_that_is_worth(
    rollout: Rollout, minute: float, series: Mapping[str, Series], sentence: str
) -> None:
    told = look(rollout, minute, series).rollout.drain
    assert told is not None
    assert told.sentence == sentence


def test_what_one_witness_refutes_the_other_is_quoted_on() -> None:
    told = look(BOTH, 10, {**requests(), **LEAK}).rollout.drain
    assert told is not None
    assert told.sentence.startswith(f"drain refuted: {GATEWAY} was logged 3 times")
    assert " By requests: confirmed: requests counted no request" in told.sentence


def test_silence_on_the_canary_alone_confirms_nothing_where_the_control_is_silent_too() -> None:
    """By either witness: it needs traffic on the stable path."""
    control = replace(AFTER_ROLLBACK, policy=CONTROLLED)
    assert label(look(control, 13, requests(QUARTER, [100] * 20))) is CONFIRMED
    assert label(look(control, 13, requests(QUARTER, QUARTER))) is UNOBSERVABLE
    assert label(look(control, 13, requests(QUARTER, [100, 100] + [None] * 18))) is UNOBSERVABLE


@pytest.mark.parametrize(
    ("series", "verdict", "measured"),
    [
        pytest.param(BUSY_LOG, Verdict.PASS, 0.0, id="confirmed"),
        pytest.param(LEAK, Verdict.FAIL, 3.0, id="refuted"),
    ],
)
def test_a_drain_by_log_events_measures_what_was_logged_of_the_canary(
    series: Mapping[str, Series], verdict: Verdict, measured: float
) -> None:
    found = look(LOGS, 10, series).rollout.drain
    assert found is not None
    assert (found.verdict, found.measured) == (verdict, measured)


# --- what is counted for it ---------------------------------------------------------------------


def counted(rollout: Rollout, minute: float) -> Mapping[str, LogQuery]:
    return needs(rollout, NOON + minute * MINUTE).logs


def test_the_absent_event_is_counted_to_the_open_minute_and_the_control_where_it_is_settled() -> (
    None
):
    noon = int(NOON.timestamp())
    assert counted(LOGS, 10.5) == {
        ABSENT: LogQuery(GROUP, GATEWAY, Span(noon + 120, noon + 660), ENOUGH_EVENTS),
        PRESENT: LogQuery(GROUP, DIRECT, Span(noon + 120, noon + 420), ENOUGH_EVENTS),
    }
    assert counted(LOGS, 13)[ANY] == LogQuery(GROUP, "", Span(noon + 120, noon + 840), 1)


@pytest.mark.parametrize(
    ("rollout", "minute", "keys"),
    [
        pytest.param(LOGS, 2, set(), id="nothing during the drain"),
        pytest.param(LOGS, 5, {ABSENT}, id="no control before it can tell anything"),
        pytest.param(LOGS, 13, {ABSENT, PRESENT, ANY}, id="at the last look, any event too"),
        pytest.param(LOGS, 15, set(), id="nothing after the watch"),
        pytest.param(BUSY, 13, set(), id="nothing where the policy names no events"),
        pytest.param(
            look(LOGS, 10, BUSY_LOG).rollout, 13, set(), id="nothing once the drain is known"
        ),
        pytest.param(
            replace(LOGS, intent=replace(LOGS.intent, previous=0)), 10, set(),
            id="nothing where no weight was in force",
        ),
    ],
)  # fmt: skip
def test_logs_are_read_only_while_they_may_tell_something(
    rollout: Rollout, minute: float, keys: set[str]
) -> None:
    assert set(counted(rollout, minute)) == keys


def test_counts_tell_nothing_once_another_hand_has_moved_the_weight() -> None:
    decision = decide(LOGS, Observation(a_reading(20), LEAK), NOON + 5 * MINUTE)
    assert label(decision) is UNOBSERVABLE
