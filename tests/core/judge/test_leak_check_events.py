"""The leak check after a rollback, by log events: one must be absent, one is of the stable path."""

from collections.abc import Mapping

from controller.immutable import replace
from tests.sentences import Sentences
from tests.support.cases import cases
from tests.support.core import (
    Alert,
    Label,
    QueryStatus,
    Rollout,
    Series,
    Severity,
)
from tests.support.judging import log_queries
from tests.support.leak_checks import (
    BUSY,
    CONFIRMED,
    FAILED,
    UNCOUNTED,
    UNOBSERVABLE,
    decide_at,
    label,
    only,
    requests,
    the_leak_check,
)
from tests.support.rollouts import a_policy, a_series, with_state
from tests.support.three_steps import AFTER_ROLLBACK

GATEWAY, DIRECT = '{ $.event = "gateway" }', '{ $.event = "direct" }'
VERIFY = {"verify_rollback": {"absent": GATEWAY, "present": DIRECT}}
GROUP = "/aws/lambda/handler"
ABSENT, PRESENT, ANY = "log:absent", "log:present", "log:any"
# No more events than this are counted.
LIMIT = 1_000

BY_EVENTS = replace(AFTER_ROLLBACK, policy=a_policy(**UNCOUNTED, **VERIFY))
SETTLES_LATE = replace(BY_EVENTS, policy=a_policy(**UNCOUNTED, **VERIFY, evaluation_delay="10m"))
FROM_100 = with_state(BY_EVENTS, from_weight=100)
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


@cases(
    "rollout, minute, series, expected",
    {
        "absent, and the control is there": (BY_EVENTS, 10, BUSY_LOG, CONFIRMED),
        "four settled minutes: not yet": (BY_EVENTS, 9.9, BUSY_LOG, None),
        "65 of the control: 7 were due": (BY_EVENTS, 10, events(direct=each_minute(13)), CONFIRMED),
        "60: chance": (BY_EVENTS, 10, events(direct=each_minute(12)), None),
        "one, after 100%": (FROM_100, 10, events(direct=a_series(only(4, 1))), CONFIRMED),
        "one, not settled yet": (FROM_100, 10, events(direct=a_series(only(8, 1))), None),
        "a leak at once": (BY_EVENTS, 3.5, events(a_series(only(2))), FAILED),
        "in flight": (BY_EVENTS, 10, events(a_series(only(1)), each_minute(99)), CONFIRMED),
        "one event is a leak": (BY_EVENTS, 4, events(a_series(only(3, 1))), FAILED),
        "a leak beside the control": (BY_EVENTS, 10, LEAK, FAILED),
        "a leak in a search that was cut off": (
            BY_EVENTS, 5, events(a_series(only(3), answer=QueryStatus.PARTIAL)), FAILED,
        ),
        "no event yet": (BY_EVENTS, 12.9, SILENT_LOG, None),
        "no event at all: the end": (BY_EVENTS, 13, SILENT_LOG, UNOBSERVABLE),
        "denied: tried again": (BY_EVENTS, 10, NO_ACCESS, None),
        "denied: the end": (BY_EVENTS, 13, NO_ACCESS, UNOBSERVABLE),
        "not searched to the end": (BY_EVENTS, 12, events(CUT_OFF, each_minute(100)), None),
        "no series: the end": (BY_EVENTS, 13, {}, UNOBSERVABLE),
    },
)  # fmt: skip
def test_the_leak_check_by_log_events(
    rollout: Rollout, minute: float, series: Mapping[str, Series], expected: Label | None
) -> None:
    assert label(decide_at(rollout, minute, series)) == expected


COUNTED, LEAKED = requests(), requests(only(3))
UNANSWERED = requests(answer=QueryStatus.ERROR)


@cases(
    "metrics, logs, expected",
    {
        "both confirm": (COUNTED, BUSY_LOG, CONFIRMED),
        "requests confirm, the log is silent": (COUNTED, SILENT_LOG, CONFIRMED),
        "requests, no logs": (COUNTED, NO_ACCESS, CONFIRMED),
        "events, no metrics": (UNANSWERED, BUSY_LOG, CONFIRMED),
        "requests refute what events confirm": (LEAKED, BUSY_LOG, FAILED),
        "events refute what requests confirm": (COUNTED, LEAK, FAILED),
        "both refute": (LEAKED, LEAK, FAILED),
        "requests, no log": (LEAKED, NO_ACCESS, FAILED),
        "neither": (UNANSWERED, SILENT_LOG, UNOBSERVABLE),
    },
)
def test_either_refutes_and_one_that_confirms_is_enough(
    metrics: Mapping[str, Series], logs: Mapping[str, Series], expected: Label
) -> None:
    decision = decide_at(BOTH, 13, {**metrics, **logs})
    assert label(decision) is expected
    assert (decision.alert is Alert.ROLLBACK_UNCONFIRMED) == (expected is FAILED)
    severity = Severity.CRITICAL if expected is FAILED else Severity.INFO
    assert [notice.severity for notice in decision.notices] == [severity]


SENTENCES: Sentences = {
    "confirmed": the_leak_check(BY_EVENTS, 10, BUSY_LOG),
    "confirmed once after 100%": the_leak_check(FROM_100, 10, events(direct=a_series(only(4, 1)))),
    "confirmed twice after 100%": the_leak_check(FROM_100, 10, events(direct=a_series(only(4, 2)))),
    "confirmed by more than are counted": the_leak_check(
        BY_EVENTS, 10, events(direct=each_minute(LIMIT / 5))
    ),
    "refuted": the_leak_check(BY_EVENTS, 5, LEAK),
    "no event at all": the_leak_check(BY_EVENTS, 13, SILENT_LOG),
    "none of these events": the_leak_check(BY_EVENTS, 13, events(anything=each_minute(1))),
    "too few events": the_leak_check(BY_EVENTS, 13, events(direct=each_minute(1))),
    "denied": the_leak_check(BY_EVENTS, 13, NO_ACCESS),
    "settles too late": the_leak_check(SETTLES_LATE, 13, {ABSENT: NOTHING}),
    "confirmed by requests, no log": the_leak_check(BOTH, 10, {**COUNTED, **NO_ACCESS}),
    "confirmed by events, no metrics": the_leak_check(BOTH, 10, {**UNANSWERED, **BUSY_LOG}),
    "refuted by events alone": the_leak_check(BOTH, 10, {**COUNTED, **LEAK}),
    "neither by requests nor by events": the_leak_check(BOTH, 13, {**UNANSWERED, **SILENT_LOG}),
}


# --- Log queries ----------------------------------------------------------------------------------


def test_the_absent_event_is_counted_to_the_open_minute_and_the_control_where_it_is_settled() -> (
    None
):
    assert log_queries(BY_EVENTS, 10.5) == {
        ABSENT: (GROUP, GATEWAY, (2, 11), LIMIT),
        PRESENT: (GROUP, DIRECT, (2, 7), LIMIT),
    }
    assert log_queries(BY_EVENTS, 13)[ANY] == (GROUP, "", (2, 14), 1)


@cases(
    "rollout, minute, keys",
    {
        "nothing while requests are in flight": (BY_EVENTS, 2, set()),
        "no control before it can decide anything": (BY_EVENTS, 5, {ABSENT}),
        "any event too, in the last ticks": (BY_EVENTS, 13, {ABSENT, PRESENT, ANY}),
        "nothing after the watch": (BY_EVENTS, 15, set()),
        "nothing where the policy names no events": (BUSY, 13, set()),
        "nothing where no weight was applied": (
            with_state(BY_EVENTS, from_weight=0), 10, set(),
        ),
    },
)  # fmt: skip
def test_logs_are_read_only_while_they_may_decide_something(
    rollout: Rollout, minute: float, keys: set[str]
) -> None:
    assert set(log_queries(rollout, minute)) == keys
