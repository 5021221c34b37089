"""Criteria of kind log_events: an event that must be absent or present, and its control."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from controller.core.decide import Observed, decide
from controller.core.judge.evidence import Tally
from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.judge.gate import judge, query_plan, seal_tallies
from controller.core.judge.gate_evidence import awaits_log_backlog, reads_log_backlog
from controller.core.observation import LogQuery, Observation, QueryStatus, Series, Span
from controller.core.rollout import Reason
from controller.core.units import MINUTE_S, from_unix
from tests.core.judge.kinds import START, evidence_of, judge_criterion, policy_of
from tests.support.rollouts import MINUTE, NOON, a_reading, a_rollout, a_series

CONTROL = '{ $.event = "check" }'
ABSENT: dict[str, Any] = {
    "kind": "log_events", "absent": '{ $.event = "fallback" }', "control": CONTROL,
}  # fmt: skip
PRESENT: dict[str, Any] = {"kind": "log_events", "present": "gateway", "control": CONTROL}
PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
SINCE = "since 2026-11-24 12:00 UTC"


def logs(
    events: list[float | None],
    control: list[float | None],
    answer: QueryStatus = QueryStatus.COMPLETE,
) -> dict[str, Series]:
    """Return how often the event and its control were logged, minute by minute from noon on."""
    return {"log:C": a_series(events, answer=answer), "log:C:control": a_series(control)}


@pytest.mark.parametrize(
    ("criterion", "series", "verdict", "label", "sentence"),
    [
        pytest.param(
            ABSENT, logs([], [None, 3, 4]), PASS, Label.NOT_REFUTED,
            'C holds: { $.event = "fallback" } was not logged in /aws/lambda/handler '
            f'{SINCE}, none allowed; {CONTROL} was logged 7 times in the newest 15m.',
            id="absent while logs arrive",
        ),
        pytest.param(
            ABSENT, logs([], []), INCONCLUSIVE, Label.NO_DATA,
            f"C has no data: {CONTROL}, which is logged whatever happens, was not logged in "
            "/aws/lambda/handler in the newest 15m; a log into which nothing arrives proves "
            "nothing.", id="no logs at all prove nothing",
        ),
        pytest.param(
            ABSENT, logs([None, 1], [3]), FAIL, Label.REFUTED,
            'C fails: { $.event = "fallback" } was logged at least 1 time in /aws/lambda/handler '
            f"{SINCE}, none allowed.", id="once is too often",
        ),
        pytest.param(
            ABSENT, logs([1], []), FAIL, Label.REFUTED, None, id="whatever the control says",
        ),
        pytest.param(
            ABSENT, logs([1], [3], QueryStatus.PARTIAL), FAIL, Label.REFUTED, None,
            id="an event that was read is no less for what was not read",
        ),
        pytest.param(
            ABSENT, logs([], [3], QueryStatus.PARTIAL), INCONCLUSIVE, Label.QUERY_FAILED,
            "C cannot be judged: Throttling.", id="a log that was read in part",
        ),
        pytest.param(
            {**ABSENT, "max": 2}, logs([1, 1], [3]), PASS, Label.NOT_REFUTED, None,
            id="as often as is allowed",
        ),
        pytest.param(
            {**ABSENT, "max": 2}, logs([1, 1, 1], [3]), FAIL, Label.REFUTED, None,
            id="once too often",
        ),
        pytest.param(
            PRESENT, logs([None, 1], [3]), PASS, Label.NOT_REFUTED, None, id="present",
        ),
        pytest.param(
            PRESENT, logs([1], []), PASS, Label.NOT_REFUTED,
            f"C holds: gateway was logged 1 time in /aws/lambda/handler {SINCE}, at least 1 time "
            "asked.", id="present: an event is a control of its own",
        ),
        pytest.param(
            PRESENT, logs([], [3]), INCONCLUSIVE, Label.NOT_JUDGED,
            f"C is undecided: gateway was not logged in /aws/lambda/handler {SINCE}, at least 1 "
            f"time asked; {CONTROL} was logged 3 times in the newest 15m.",
            id="not present yet, while logs arrive",
        ),
        pytest.param(
            PRESENT, logs([], []), INCONCLUSIVE, Label.NO_DATA, None, id="no logs, and no event",
        ),
        pytest.param(
            {**PRESENT, "min": 3}, logs([1, 1], [3]), INCONCLUSIVE, Label.NOT_JUDGED, None,
            id="not often enough",
        ),
    ],
)  # fmt: skip
def test_an_event_is_absent_or_present_while_logs_arrive(
    criterion: Mapping[str, Any],
    series: Mapping[str, Series],
    verdict: Verdict,
    label: Label,
    sentence: str | None,
) -> None:
    finding = judge_criterion(criterion, series, closed=10)
    assert (finding.verdict, finding.label) == (verdict, label)
    assert sentence in (None, finding.sentence)


def test_a_control_of_long_ago_shows_nothing_of_now() -> None:
    assert judge_criterion({**ABSENT, "over": "5m"}, logs([], [3]), closed=6).label is Label.NO_DATA
    assert judge_criterion({**ABSENT, "over": "5m"}, logs([], [3]), closed=5).verdict is PASS


def test_nothing_is_judged_before_a_minute_of_the_step_has_settled() -> None:
    for closed in (-3, 0):
        finding = judge_criterion(ABSENT, {}, closed=closed)
        assert (finding.verdict, finding.label) == (INCONCLUSIVE, Label.NOT_JUDGED)
        assert finding.sentence == "C is not judged yet: no minute of its step has settled yet."
        assert (finding.start, finding.end) == (START, START)


def test_a_log_that_was_not_read_is_no_silent_one() -> None:
    finding = judge_criterion(ABSENT, {}, closed=10)
    assert (finding.verdict, finding.label) == (INCONCLUSIVE, Label.QUERY_FAILED)


def test_a_finding_has_the_numbers_of_events() -> None:
    finding = judge_criterion({**ABSENT, "max": 2}, logs([1, 1], [3, 4]), closed=10)
    assert finding == Finding(
        "C", PASS, Label.NOT_REFUTED, 2.0, 2.0, 7, START, START + 10 * MINUTE_S, finding.sentence
    )


def test_what_is_read_is_what_is_judged_settled_and_not_sealed() -> None:
    """Closed minutes alone, the newest of the control; and no more events than decide."""
    rollout = a_rollout(policy=policy_of({**ABSENT, "max": 2}), settled=NOON - 2 * MINUTE)
    plan = query_plan(rollout, NOON + 30 * MINUTE)
    closed, group = START + 27 * MINUTE_S, "/aws/lambda/handler"
    assert plan.logs == {
        "log:C": LogQuery(group, ABSENT["absent"], Span(START, closed), 3),
        "log:C:control": LogQuery(group, CONTROL, Span(closed - 900, closed), 100),
    }
    assert not plan.queries


def test_no_more_events_are_counted_than_are_required() -> None:
    rollout = a_rollout(policy=policy_of({**PRESENT, "min": 3}), settled=NOON - 2 * MINUTE)
    assert query_plan(rollout, NOON + 30 * MINUTE).logs["log:C"].limit == 3


def test_nothing_is_read_before_a_minute_has_settled() -> None:
    rollout = a_rollout(policy=policy_of(ABSENT), settled=NOON - 2 * MINUTE)
    assert not query_plan(rollout, NOON + 3 * MINUTE).logs


def test_sealed_events_are_not_read_again_and_still_count() -> None:
    criterion = {**ABSENT, "max": 2}
    evidence = evidence_of(criterion, logs([1, 1], [1] * 30), closed=30)
    tallies = seal_tallies(evidence, NOON + 33 * MINUTE)
    through = START + 18 * MINUTE_S
    assert (tallies["C"].through, tallies["C"].amount) == (through, 2)
    rollout = a_rollout(
        policy=policy_of(criterion), settled=NOON - 2 * MINUTE, tallies=tallies, sealed_at=NOON
    )
    assert query_plan(rollout, NOON + 40 * MINUTE).logs["log:C"].span.start == through
    third = {"log:C": Series({through: 1.0}), "log:C:control": a_series([1] * 35)}
    (finding,) = judge(evidence_of(criterion, third, closed=35, tallies=tallies))
    assert (finding.verdict, finding.measured) == (FAIL, 3)


def test_a_log_that_could_not_be_read_is_not_sealed() -> None:
    evidence = evidence_of(ABSENT, logs([], [3], QueryStatus.ERROR), closed=60)
    assert seal_tallies(evidence, from_unix(START) + 63 * MINUTE)["C"].through == 0


def test_minutes_of_a_log_that_could_not_be_read_are_not_claimed() -> None:
    """A log that is not read for six hours is given up, and every later finding says so."""
    tallies = seal_tallies(
        evidence_of(ABSENT, logs([], [3], QueryStatus.ERROR), closed=400), NOON + 403 * MINUTE
    )
    assert tallies["C"].lost == 43
    rest = {"log:C": Series(), "log:C:control": a_series([None] * 395 + [1] * 5)}
    evidence = evidence_of(ABSENT, rest, closed=400, tallies=tallies)
    ticks = 0
    while reads_log_backlog(evidence):
        (finding,) = judge(evidence)
        label = Label.NOT_REFUTED if ticks == 2 else Label.NOT_JUDGED
        assert finding.label is label
        evidence = replace(evidence, tallies=seal_tallies(evidence, NOON + 403 * MINUTE))
        ticks += 1
    (finding,) = judge(evidence)
    assert (finding.verdict, ticks) == (PASS, 3)
    assert finding.sentence.endswith(". 43 windows of 1m were never answered and left out.")


def test_what_is_sealed_to_the_end_is_judged_by_its_control_alone() -> None:
    """Where data settle as late as they are sealed, a tick in the same minute reads no event."""
    sealed = {"C": Tally(through=START + 30 * MINUTE_S)}
    rollout = a_rollout(
        policy=policy_of(ABSENT, settle="15m"), settled=NOON - 2 * MINUTE, tallies=sealed
    )
    plan = query_plan(rollout, NOON + 45 * MINUTE)
    assert plan.logs.keys() == {"log:C:control"}
    control = {"log:C:control": a_series([1] * 30)}
    finding = judge_criterion(ABSENT, control, closed=30, tallies=sealed)
    assert (finding.verdict, finding.label) == (PASS, Label.NOT_REFUTED)


def test_an_event_too_many_counts_at_once_while_the_rest_is_still_to_be_read() -> None:
    early = {"log:C": Series({START: 1.0}), "log:C:control": a_series([None] * 395 + [1] * 5)}
    assert judge_criterion(ABSENT, early, closed=400).verdict is FAIL
    assert judge_criterion(PRESENT, early, closed=400).verdict is PASS
    assert judge_criterion({**PRESENT, "min": 2}, early, closed=400).sentence == (
        "C is not judged yet: /aws/lambda/handler was not read for long, and is read up to "
        "2026-11-24 14:00 UTC now; the rest follows with each tick."
    )


@pytest.mark.parametrize("then", ["pause", "rollback", "advance"])
@pytest.mark.parametrize("fallbacks", [0, 1])
def test_a_hold_does_not_end_while_a_log_is_caught_up_with(then: str, fallbacks: int) -> None:
    """No tick ran for five hours, and the hold of the step was over two hours ago."""
    policy = policy_of(ABSENT, on_inconclusive=then, max_hold="20m")
    rollout, now, reasons = a_rollout(policy=policy, settled=NOON), NOON + 300 * MINUTE, list[str]()
    late = START + 290 * MINUTE_S
    while rollout.weight == 10:
        queries = query_plan(rollout, now).logs
        span = queries["log:C"].span
        event = {late: float(fallbacks)} if span.start <= late < span.end else {}
        series = {"log:C": Series(event), "log:C:control": Series({span.end - 60: 1.0, late: 1.0})}
        rollout = decide(rollout, Observed(Observation(a_reading(10), series)), now).rollout
        reasons.append(rollout.reason)
        now += MINUTE
    ended = Reason.GATE_FAILED if fallbacks else Reason.GATE_PASSED
    assert reasons == [Reason.HOLDING, Reason.HOLDING, ended]


@pytest.mark.parametrize(
    ("facts", "closed", "waits"),
    [
        pytest.param({}, 121, True, id="a minute more than is read at once"),
        pytest.param({}, 120, False, id="all that is read at once"),
        pytest.param({"gates": False}, 121, False, id="of what only reports"),
    ],
)
def test_a_gate_has_no_verdict_while_its_log_has_a_backlog(
    facts: Mapping[str, Any], closed: int, waits: bool
) -> None:
    assert (
        awaits_log_backlog(evidence_of({**ABSENT, **facts}, logs([], [1]), closed=closed)) is waits
    )


@pytest.mark.parametrize(("closed", "catches_up"), [(90, False), (91, True)])
def test_more_than_an_hour_leaves_and_a_late_tick_adds_is_caught_up_with(
    closed: int, catches_up: bool
) -> None:
    assert reads_log_backlog(evidence_of(ABSENT, logs([], [1]), closed=closed)) is catches_up
