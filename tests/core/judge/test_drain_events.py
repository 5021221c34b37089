"""The drain after a rollback, by log events: one must be absent, one is of the stable path."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from controller.core.decide import Observed, decide
from controller.core.decision import Alert, Severity
from controller.core.judge.findings import Label, Verdict
from controller.core.judge.gate import query_plan
from controller.core.judge.rollback_drain import ABSENT_KEY, ANY_KEY, EVENT_LIMIT, PRESENT_KEY
from controller.core.observation import LogQuery, Observation, QueryStatus, Series, Span
from controller.core.rollout import Rollout
from tests.core.judge.test_rollback_drain import (
    BUSY,
    CONTROLLED,
    SILENCE,
    UNCOUNTED,
    decide_at,
    label,
    leak,
    requests,
)
from tests.support.rollouts import MINUTE, NOON, a_policy, a_reading, a_series
from tests.support.three_steps import AFTER_ROLLBACK

GATEWAY, DIRECT = '{ $.event = "gateway" }', '{ $.event = "direct" }'
VERIFY = {"verify_rollback": {"absent": GATEWAY, "present": DIRECT}}
GROUP = "/aws/lambda/handler"

EVENTS_ONLY = replace(
    AFTER_ROLLBACK,
    policy=a_policy(
        metrics=UNCOUNTED.model_dump()["metrics"],
        criteria={"few": {"kind": "threshold", "judge": "threshold", "metric": "errors", "max": 1}},
        **VERIFY,
    ),
)
LATE_DATA = EVENTS_ONLY.policy.model_copy(update={"settle": timedelta(minutes=10)})
ROLLBACK_FROM_100 = replace(EVENTS_ONLY, intent=replace(EVENTS_ONLY.intent, previous=100))
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
    return {
        ABSENT_KEY: gateway or Series(),
        PRESENT_KEY: direct or Series(),
        ANY_KEY: anything or Series(),
    }


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
        pytest.param(EVENTS_ONLY, 10, BUSY_LOG, CONFIRMED, id="absent, and the control is there"),
        pytest.param(EVENTS_ONLY, 9.9, BUSY_LOG, None, id="four settled minutes: not yet"),
        pytest.param(
            EVENTS_ONLY, 10, events(direct=each_minute(13)), CONFIRMED,
            id="65 of the control: 7 were due",
        ),
        pytest.param(EVENTS_ONLY, 10, events(direct=each_minute(12)), None, id="60: chance"),
        pytest.param(
            ROLLBACK_FROM_100, 10, events(direct=a_series(leak(4, 1))), CONFIRMED,
            id="one, after 100 %",
        ),
        pytest.param(
            ROLLBACK_FROM_100, 10, events(direct=a_series(leak(8, 1))), None,
            id="one, not settled yet",
        ),
        pytest.param(
            EVENTS_ONLY, 3.5, events(gateway=a_series(leak(2))), REFUTED, id="a leak at once"
        ),
        pytest.param(
            EVENTS_ONLY, 10, events(a_series(leak(1)), each_minute(99)), CONFIRMED, id="in flight"
        ),
        pytest.param(
            EVENTS_ONLY, 4, events(a_series(leak(3, 1))), REFUTED, id="one event is a leak"
        ),
        pytest.param(EVENTS_ONLY, 10, LEAK, REFUTED, id="a leak beside the control"),
        pytest.param(
            EVENTS_ONLY, 5, events(gateway=replace(a_series(leak(3)), answer=QueryStatus.PARTIAL)),
            REFUTED,
            id="a leak in a search that was cut off",
        ),
        pytest.param(EVENTS_ONLY, 12.9, SILENT_LOG, None, id="no event yet"),
        pytest.param(EVENTS_ONLY, 13, SILENT_LOG, UNOBSERVABLE, id="no event at all: the end"),
        pytest.param(EVENTS_ONLY, 10, events(DENIED, DENIED), None, id="denied: tried again"),
        pytest.param(EVENTS_ONLY, 13, events(DENIED, DENIED), UNOBSERVABLE, id="denied: the end"),
        pytest.param(
            EVENTS_ONLY, 12, events(CUT_OFF, each_minute(100)), None, id="not searched to the end"
        ),
        pytest.param(EVENTS_ONLY, 13, {}, UNOBSERVABLE, id="no series: the end"),
    ],
)  # fmt: skip
def test_what_is_known_of_the_drain_by_log_events(
    rollout: Rollout, minute: float, series: Mapping[str, Series], expected: Label | None
) -> None:
    assert label(decide_at(rollout, minute, series)) == expected


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
    decision = decide_at(BOTH, 13, {**metrics, **logs})
    assert label(decision) is expected
    assert (decision.alert is Alert.ROLLBACK_UNCONFIRMED) == (expected is REFUTED)
    severity = Severity.CRITICAL if expected is REFUTED else Severity.INFO
    assert [one.severity for one in decision.notices] == [severity]


SINCE = "since 2026-11-24 12:02 UTC"


@pytest.mark.parametrize(
    ("rollout", "minute", "series", "sentence"),
    [
        pytest.param(
            EVENTS_ONLY, 10, BUSY_LOG,
            f"drain confirmed: {GATEWAY} was not logged in {GROUP} in 5 minutes {SINCE}; {DIRECT} "
            "was logged 500 times, and about 56 requests were due at 10 %.",
            id="confirmed",
        ),
        pytest.param(
            ROLLBACK_FROM_100, 10, events(direct=a_series(leak(4, 1))),
            f"drain confirmed: {GATEWAY} was not logged in {GROUP} in 5 minutes {SINCE}; {DIRECT} "
            "was logged once.",
            id="confirmed after 100 %",
        ),
        pytest.param(
            ROLLBACK_FROM_100, 10, events(direct=a_series(leak(4, 2))),
            f"drain confirmed: {GATEWAY} was not logged in {GROUP} in 5 minutes {SINCE}; {DIRECT} "
            "was logged 2 times.",
            id="confirmed twice after 100 %",
        ),
        pytest.param(
            EVENTS_ONLY, 10, events(direct=each_minute(EVENT_LIMIT / 5)),
            f"drain confirmed: {GATEWAY} was not logged in {GROUP} in 5 minutes {SINCE}; {DIRECT} "
            "was logged at least 1 000 times, and about 111 requests were due at 10 %.",
            id="more than are counted",
        ),
        pytest.param(
            EVENTS_ONLY, 5, LEAK,
            f"drain refuted: {GATEWAY} was logged 3 times in {GROUP} {SINCE}, although 0 % is in "
            "force since 2026-11-24 12:00 UTC. Writing 0 % again does not help: look for callers "
            "that use a published version or an alias of the function, for another function or "
            "client that has the flag on.",
            id="refuted",
        ),
        pytest.param(
            EVENTS_ONLY, 13, SILENT_LOG,
            f"drain unobservable: no log event at all in {GROUP} {SINCE}; that proves nothing. "
            "Only the weight was read back.",
            id="a log without any event",
        ),
        pytest.param(
            EVENTS_ONLY, 13, events(anything=each_minute(1)),
            f"drain unobservable: neither {GATEWAY} nor {DIRECT} was logged in {GROUP} {SINCE}, "
            "and other events were: the patterns may not fit, or nobody called; that proves "
            "nothing. Only the weight was read back.",
            id="a log without these events",
        ),
        pytest.param(
            EVENTS_ONLY, 13, events(direct=each_minute(1)),
            f"drain unobservable: {GATEWAY} was not logged in {GROUP} in 8 minutes {SINCE}; "
            f"{DIRECT} was logged 8 times, and about 1 request was due at 10 %, too few to tell a "
            "drain from chance. Only the weight was read back.",
            id="too few",
        ),
        pytest.param(
            EVENTS_ONLY, 13, events(DENIED, DENIED),
            "drain unobservable: /aws/lambda/handler could not be searched: AccessDenied. Only "
            "the weight was read back.",
            id="denied",
        ),
        pytest.param(
            replace(EVENTS_ONLY, policy=LATE_DATA),
            13, {ABSENT_KEY: Series()},
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
    drain = decide_at(rollout, minute, series).rollout.drain
    assert drain is not None
    assert drain.sentence == sentence


def test_a_refuted_drain_quotes_the_other_evidence() -> None:
    drain = decide_at(BOTH, 10, {**requests(), **LEAK}).rollout.drain
    assert drain is not None
    assert drain.sentence.startswith(f"drain refuted: {GATEWAY} was logged 3 times")
    assert " By requests: confirmed: requests counted no request" in drain.sentence


def test_silence_on_the_canary_alone_confirms_nothing_where_the_control_is_silent_too() -> None:
    """By either kind of evidence: it needs traffic on the stable path."""
    control = replace(AFTER_ROLLBACK, policy=CONTROLLED)
    assert label(decide_at(control, 13, requests(SILENCE, [100] * 20))) is CONFIRMED
    assert label(decide_at(control, 13, requests(SILENCE, SILENCE))) is UNOBSERVABLE
    assert (
        label(decide_at(control, 13, requests(SILENCE, [100, 100] + [None] * 18))) is UNOBSERVABLE
    )


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
    drain = decide_at(EVENTS_ONLY, 10, series).rollout.drain
    assert drain is not None
    assert (drain.verdict, drain.measured) == (verdict, measured)


# --- Log queries ----------------------------------------------------------------------------------


def log_queries(rollout: Rollout, minute: float) -> Mapping[str, LogQuery]:
    return query_plan(rollout, NOON + minute * MINUTE).logs


def test_the_absent_event_is_counted_to_the_open_minute_and_the_control_where_it_is_settled() -> (
    None
):
    noon = int(NOON.timestamp())
    assert log_queries(EVENTS_ONLY, 10.5) == {
        ABSENT_KEY: LogQuery(GROUP, GATEWAY, Span(noon + 120, noon + 660), EVENT_LIMIT),
        PRESENT_KEY: LogQuery(GROUP, DIRECT, Span(noon + 120, noon + 420), EVENT_LIMIT),
    }
    assert log_queries(EVENTS_ONLY, 13)[ANY_KEY] == LogQuery(
        GROUP, "", Span(noon + 120, noon + 840), 1
    )


@pytest.mark.parametrize(
    ("rollout", "minute", "keys"),
    [
        pytest.param(EVENTS_ONLY, 2, set(), id="nothing during the drain"),
        pytest.param(EVENTS_ONLY, 5, {ABSENT_KEY}, id="no control before it can decide anything"),
        pytest.param(
            EVENTS_ONLY, 13, {ABSENT_KEY, PRESENT_KEY, ANY_KEY},
            id="in the last ticks, any event too",
        ),
        pytest.param(EVENTS_ONLY, 15, set(), id="nothing after the watch"),
        pytest.param(BUSY, 13, set(), id="nothing where the policy names no events"),
        pytest.param(
            decide_at(EVENTS_ONLY, 10, BUSY_LOG).rollout, 13, set(),
            id="nothing once the drain is known",
        ),
        pytest.param(
            replace(EVENTS_ONLY, intent=replace(EVENTS_ONLY.intent, previous=0)), 10, set(),
            id="nothing where no weight was applied",
        ),
    ],
)  # fmt: skip
def test_logs_are_read_only_while_they_may_decide_something(
    rollout: Rollout, minute: float, keys: set[str]
) -> None:
    assert set(log_queries(rollout, minute)) == keys


def test_counts_prove_nothing_after_drift() -> None:
    decision = decide(EVENTS_ONLY, Observed(Observation(a_reading(20), LEAK)), NOON + 5 * MINUTE)
    assert label(decision) is UNOBSERVABLE
