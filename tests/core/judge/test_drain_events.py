"""The drain after a rollback, by log events: one must be absent, one is of the stable path."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.sentences import Sentences, recorded, spoken
from tests.support.core import (
    Alert,
    Label,
    QueryStatus,
    Rollout,
    Series,
    Severity,
    Verdict,
)
from tests.support.drains import (
    BUSY,
    CONFIRMED,
    REFUTED,
    UNCOUNTED,
    UNOBSERVABLE,
    decide_at,
    drain_of,
    label,
    only,
    requests,
    the_drain,
)
from tests.support.judging import log_queries
from tests.support.rollouts import a_policy, a_reading, a_series
from tests.support.three_steps import AFTER_ROLLBACK

GATEWAY, DIRECT = '{ $.event = "gateway" }', '{ $.event = "direct" }'
VERIFY = {"verify_rollback": {"absent": GATEWAY, "present": DIRECT}}
GROUP = "/aws/lambda/handler"
ABSENT, PRESENT, ANY = "log:absent", "log:present", "log:any"
# No more events than this are counted.
LIMIT = 1_000

BY_EVENTS = replace(AFTER_ROLLBACK, policy=a_policy(**UNCOUNTED, **VERIFY))
SETTLES_LATE = replace(BY_EVENTS, policy=a_policy(**UNCOUNTED, **VERIFY, settle="10m"))
FROM_100 = replace(BY_EVENTS, intent=replace(BY_EVENTS.intent, previous=100))
BOTH = replace(BUSY, policy=a_policy(**VERIFY))

DENIED = Series(
    {}, QueryStatus.FORBIDDEN, "/aws/lambda/handler could not be searched: AccessDenied."
)
CUT_OFF = Series(
    {}, QueryStatus.PARTIAL, "/aws/lambda/handler was searched in part: too many pages"
)
NOTHING = Series()


def events(
    gateway: Series = NOTHING, direct: Series = NOTHING, anything: Series = NOTHING
) -> dict[str, Series]:
    """Return what was counted of each event."""
    return {ABSENT: gateway, PRESENT: direct, ANY: anything}


def each_minute(number: float) -> Series:
    """Return so many events in every minute from noon on."""
    return a_series([number] * 20)


BUSY_LOG, SILENT_LOG = events(direct=each_minute(100)), events()
LEAK = events(a_series(only(3)), each_minute(100))
NO_ACCESS = events(DENIED, DENIED)


@pytest.mark.parametrize(
    ("rollout", "minute", "series", "expected"),
    [
        pytest.param(BY_EVENTS, 10, BUSY_LOG, CONFIRMED, id="absent, and the control is there"),
        pytest.param(BY_EVENTS, 9.9, BUSY_LOG, None, id="four settled minutes: not yet"),
        pytest.param(
            BY_EVENTS, 10, events(direct=each_minute(13)), CONFIRMED,
            id="65 of the control: 7 were due",
        ),
        pytest.param(BY_EVENTS, 10, events(direct=each_minute(12)), None, id="60: chance"),
        pytest.param(
            FROM_100, 10, events(direct=a_series(only(4, 1))), CONFIRMED, id="after 100 %"
        ),
        pytest.param(FROM_100, 10, events(direct=a_series(only(8, 1))), None, id="not settled"),
        pytest.param(BY_EVENTS, 3.5, events(a_series(only(2))), REFUTED, id="a leak at once"),
        pytest.param(
            BY_EVENTS, 10, events(a_series(only(1)), each_minute(99)), CONFIRMED, id="in flight"
        ),
        pytest.param(BY_EVENTS, 4, events(a_series(only(3, 1))), REFUTED, id="one event is a leak"),
        pytest.param(BY_EVENTS, 10, LEAK, REFUTED, id="a leak beside the control"),
        pytest.param(
            BY_EVENTS, 5, events(a_series(only(3), answer=QueryStatus.PARTIAL)), REFUTED,
            id="a leak in a search that was cut off",
        ),
        pytest.param(BY_EVENTS, 12.9, SILENT_LOG, None, id="no event yet"),
        pytest.param(BY_EVENTS, 13, SILENT_LOG, UNOBSERVABLE, id="no event at all: the end"),
        pytest.param(BY_EVENTS, 10, NO_ACCESS, None, id="denied: tried again"),
        pytest.param(BY_EVENTS, 13, NO_ACCESS, UNOBSERVABLE, id="denied: the end"),
        pytest.param(BY_EVENTS, 12, events(CUT_OFF, each_minute(100)), None, id="cut off"),
        pytest.param(BY_EVENTS, 13, {}, UNOBSERVABLE, id="no series: the end"),
    ],
)  # fmt: skip
def test_what_is_known_of_the_drain_by_log_events(
    rollout: Rollout, minute: float, series: Mapping[str, Series], expected: Label | None
) -> None:
    assert label(decide_at(rollout, minute, series)) == expected


COUNTED, LEAKED = requests(), requests(only(3))
UNANSWERED = requests(answer=QueryStatus.ERROR)


@pytest.mark.parametrize(
    ("metrics", "logs", "expected"),
    [
        pytest.param(COUNTED, BUSY_LOG, CONFIRMED, id="both confirm"),
        pytest.param(COUNTED, SILENT_LOG, CONFIRMED, id="requests confirm, the log is silent"),
        pytest.param(COUNTED, NO_ACCESS, CONFIRMED, id="requests, no logs"),
        pytest.param(UNANSWERED, BUSY_LOG, CONFIRMED, id="events, no metrics"),
        pytest.param(LEAKED, BUSY_LOG, REFUTED, id="requests refute what events confirm"),
        pytest.param(COUNTED, LEAK, REFUTED, id="events refute what requests confirm"),
        pytest.param(LEAKED, LEAK, REFUTED, id="both refute"),
        pytest.param(LEAKED, NO_ACCESS, REFUTED, id="requests, no log"),
        pytest.param(UNANSWERED, SILENT_LOG, UNOBSERVABLE, id="neither"),
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


@pytest.mark.parametrize(
    ("series", "verdict", "measured"),
    [
        pytest.param(BUSY_LOG, Verdict.PASS, 0, id="confirmed"),
        pytest.param(LEAK, Verdict.FAIL, 3, id="refuted"),
    ],
)
def test_a_drain_by_log_events_measures_what_was_logged_of_the_canary(
    series: Mapping[str, Series], verdict: Verdict, measured: float
) -> None:
    drain = drain_of(decide_at(BY_EVENTS, 10, series))
    assert (drain.verdict, drain.measured) == (verdict, measured)


def test_counts_prove_nothing_after_drift() -> None:
    assert label(decide_at(BY_EVENTS, 5, LEAK, a_reading(20))) is UNOBSERVABLE


SENTENCES: Sentences = {
    "confirmed": the_drain(BY_EVENTS, 10, BUSY_LOG),
    "confirmed once after 100 %": the_drain(FROM_100, 10, events(direct=a_series(only(4, 1)))),
    "confirmed twice after 100 %": the_drain(FROM_100, 10, events(direct=a_series(only(4, 2)))),
    "confirmed by more than are counted": the_drain(
        BY_EVENTS, 10, events(direct=each_minute(LIMIT / 5))
    ),
    "refuted": the_drain(BY_EVENTS, 5, LEAK),
    "no event at all": the_drain(BY_EVENTS, 13, SILENT_LOG),
    "none of these events": the_drain(BY_EVENTS, 13, events(anything=each_minute(1))),
    "too few events": the_drain(BY_EVENTS, 13, events(direct=each_minute(1))),
    "denied": the_drain(BY_EVENTS, 13, NO_ACCESS),
    "settles too late": the_drain(SETTLES_LATE, 13, {ABSENT: NOTHING}),
    "confirmed by requests, no log": the_drain(BOTH, 10, {**COUNTED, **NO_ACCESS}),
    "confirmed by events, no metrics": the_drain(BOTH, 10, {**UNANSWERED, **BUSY_LOG}),
    "refuted by events alone": the_drain(BOTH, 10, {**COUNTED, **LEAK}),
    "neither by requests nor by events": the_drain(BOTH, 13, {**UNANSWERED, **SILENT_LOG}),
}


def test_sentences() -> None:
    assert spoken(SENTENCES) == recorded(__file__)


# --- Log queries ----------------------------------------------------------------------------------


def test_the_absent_event_is_counted_to_the_open_minute_and_the_control_where_it_is_settled() -> (
    None
):
    assert log_queries(BY_EVENTS, 10.5) == {
        ABSENT: (GROUP, GATEWAY, (2, 11), LIMIT),
        PRESENT: (GROUP, DIRECT, (2, 7), LIMIT),
    }
    assert log_queries(BY_EVENTS, 13)[ANY] == (GROUP, "", (2, 14), 1)


@pytest.mark.parametrize(
    ("rollout", "minute", "keys"),
    [
        pytest.param(BY_EVENTS, 2, set(), id="nothing during the drain"),
        pytest.param(BY_EVENTS, 5, {ABSENT}, id="no control before it can decide anything"),
        pytest.param(BY_EVENTS, 13, {ABSENT, PRESENT, ANY}, id="at last any event too"),
        pytest.param(BY_EVENTS, 15, set(), id="nothing after the watch"),
        pytest.param(BUSY, 13, set(), id="nothing where the policy names no events"),
        pytest.param(
            replace(BY_EVENTS, intent=replace(BY_EVENTS.intent, previous=0)), 10, set(),
            id="nothing where no weight was applied",
        ),
    ],
)  # fmt: skip
def test_logs_are_read_only_while_they_may_decide_something(
    rollout: Rollout, minute: float, keys: set[str]
) -> None:
    assert set(log_queries(rollout, minute)) == keys


def test_no_log_is_read_once_the_drain_is_known() -> None:
    assert not log_queries(decide_at(BY_EVENTS, 10, BUSY_LOG).rollout, 13)
