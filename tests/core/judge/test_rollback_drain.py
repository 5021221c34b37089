"""The drain after a rollback, by request metrics: confirmed, refuted or unobservable."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from controller.core.commands import Command, Verb, apply_command
from controller.core.decide import Observed, decide
from controller.core.decision import Alert, Decision, Severity
from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.judge.gate import query_plan
from controller.core.observation import (
    Observation,
    QueryStatus,
    Series,
    TargetReading,
    UnreadableTarget,
)
from controller.core.policy import Policy
from controller.core.rollout import Intent, Reason, Rollout
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy, a_reading, a_series
from tests.support.three_steps import (
    AFTER_ROLLBACK,
    FIRST_RAISE,
    ON_HOLD,
    RAISING,
    UNREADABLE,
    a_paused_rollout,
    a_rollout_paused_in_flight,
    an_adopted_rollout,
    at_weight,
    decide_command,
)

TRAFFIC = {"kind": "traffic", "judge": "threshold", "metric": "requests"}
CONTROLLED = a_policy(
    metrics={
        **LADDER["metrics"],
        "direct": {"namespace": "Shop", "name": "Direct", "statistic": "Sum"},
    },
    criteria={**LADDER["criteria"], "traffic": {**TRAFFIC, "control": "direct"}},
)
UNCOUNTED = a_policy(
    metrics={"errors": LADDER["metrics"]["errors"]},
    criteria={"few": {"kind": "threshold", "judge": "threshold", "metric": "errors", "max": 1}},
)
SILENCE = [None] * 20


def gate_finding(samples: int, minutes: int = 60) -> Finding:
    """Return the last finding of the gate before the rollback at noon: `samples` in `minutes`."""
    start, end = int((NOON - minutes * MINUTE).timestamp()), int(NOON.timestamp())
    return Finding(
        "works", Verdict.FAIL, Label.REFUTED, 0.9, 0.99, samples, start, end, "works fails."
    )


BUSY = replace(AFTER_ROLLBACK, findings=(gate_finding(600),))
CONTROL = replace(AFTER_ROLLBACK, policy=CONTROLLED)
UNCOUNTED_ROLLBACK = replace(AFTER_ROLLBACK, policy=UNCOUNTED)
NEVER_APPLIED = replace(BUSY, settled=None, intent=Intent(0, 0, "", NOON))


def requests(
    canary: Sequence[float | None] = SILENCE,
    direct: Sequence[float | None] = SILENCE,
    answer: QueryStatus = QueryStatus.COMPLETE,
) -> Mapping[str, Series]:
    """Return what was counted in each minute from noon on."""
    return {
        "requests:Sum@60": a_series(canary, answer=answer),
        "direct:Sum@60": a_series(direct, answer=answer),
    }


def decide_at(
    rollout: Rollout,
    minute: float,
    series: Mapping[str, Series],
    target: TargetReading | UnreadableTarget | None = None,
    owns: bool = True,
) -> Decision:
    observation = Observation(target or a_reading(0), series, owns)
    return decide(rollout, Observed(observation), NOON + minute * MINUTE)


def label(decision: Decision) -> Label | None:
    return decision.rollout.drain.label if decision.rollout.drain else None


def leak(minute: int, requests_: float = 3) -> list[float | None]:
    return [requests_ if one == minute else None for one in range(20)]


CONFIRMED, REFUTED, UNOBSERVABLE = Label.CONFIRMED, Label.REFUTED, Label.UNOBSERVABLE


@pytest.mark.parametrize(
    ("rollout", "minute", "series", "expected"),
    [
        pytest.param(BUSY, 10, requests(), CONFIRMED, id="five settled minutes, 50 were due"),
        pytest.param(BUSY, 9.9, requests(), None, id="four settled minutes: not yet"),
        pytest.param(BUSY, 10, requests([40, 40]), CONFIRMED, id="in flight for two minutes"),
        pytest.param(BUSY, 3.5, requests(leak(2)), REFUTED, id="a leak, however young"),
        pytest.param(BUSY, 12, requests(leak(9, 1)), REFUTED, id="one request, not settled yet"),
        pytest.param(
            BUSY, 4, requests(leak(3), answer=QueryStatus.PARTIAL), REFUTED,
            id="a leak in an answer in part",
        ),
        pytest.param(BUSY, 10, requests([0] * 20), CONFIRMED, id="zeros are silence, too"),
        pytest.param(
            AFTER_ROLLBACK, 12.9, requests(), None, id="expected requests unknown: not yet"
        ),
        pytest.param(
            AFTER_ROLLBACK, 13, requests(), UNOBSERVABLE, id="expected requests unknown: the end"
        ),
        pytest.param(
            replace(AFTER_ROLLBACK, findings=(gate_finding(82),)), 10, requests(), None,
            id="6.8 were due: chance",
        ),
        pytest.param(
            replace(AFTER_ROLLBACK, findings=(gate_finding(84),)), 10, requests(), CONFIRMED,
            id="7 were due",
        ),
        pytest.param(
            BUSY, 12.9, requests(answer=QueryStatus.ERROR), None, id="no answer: tried again"
        ),
        pytest.param(
            BUSY, 13, requests(answer=QueryStatus.PARTIAL), UNOBSERVABLE,
            id="no whole answer: the end",
        ),
        pytest.param(BUSY, 13, {}, UNOBSERVABLE, id="no series: the end"),
        pytest.param(
            CONTROL, 10, requests(direct=[13] * 20), CONFIRMED, id="65 on the control: 7 were due"
        ),
        pytest.param(
            CONTROL, 10, requests(direct=[12] * 20), None, id="60 on the control: chance"
        ),
        pytest.param(CONTROL, 13, requests(), UNOBSERVABLE, id="both paths silent"),
        pytest.param(
            replace(CONTROL, findings=(gate_finding(600),)), 13, requests(), UNOBSERVABLE,
            id="both paths silent, whatever there was before",
        ),
        pytest.param(CONTROL, 5, requests(leak(3), [50] * 20), REFUTED, id="a leak beside both"),
        pytest.param(
            UNCOUNTED_ROLLBACK, 3, {}, UNOBSERVABLE, id="nothing counts requests: at once"
        ),
    ],
)  # fmt: skip
def test_what_is_known_of_the_drain(
    rollout: Rollout, minute: float, series: Mapping[str, Series], expected: Label | None
) -> None:
    assert label(decide_at(rollout, minute, series)) == expected


def rollback_from_100(policy: Policy) -> Rollout:
    """Return a rollback from 100 %."""
    return at_weight(
        100, policy=policy, phase=AFTER_ROLLBACK.phase, intent=Intent(0, 100, "", NOON),
        watch_until=AFTER_ROLLBACK.watch_until, peak=100,
    )  # fmt: skip


def test_after_100_percent_one_request_on_the_stable_path_says_that_it_is_back() -> None:
    """Before, the stable path had none."""
    assert (
        label(decide_at(rollback_from_100(CONTROLLED), 10, requests(direct=leak(4, 1))))
        is CONFIRMED
    )
    assert label(decide_at(rollback_from_100(CONTROLLED), 10, requests())) is None
    silent = decide_at(rollback_from_100(CONTROLLED), 13, requests()).rollout.drain
    assert silent is not None
    assert "no requests of either path were counted" in silent.sentence


@pytest.mark.parametrize(
    ("rollout", "minute", "series", "sentence"),
    [
        pytest.param(
            BUSY, 10, requests(),
            "drain confirmed: requests counted no request in 5 minutes since 2026-11-24 12:02 UTC; "
            "about 50 requests were due at the rate before.",
            id="confirmed by what there was before",
        ),
        pytest.param(
            CONTROL, 10, requests(direct=[100] * 20),
            "drain confirmed: requests counted no request in 5 minutes since 2026-11-24 12:02 UTC; "
            "direct counted 500 requests, and about 56 requests were due at 10 %.",
            id="confirmed by the control",
        ),
        pytest.param(
            BUSY, 4, requests(leak(3)),
            "drain refuted: requests counted 3 requests on the canary since 2026-11-24 12:02 UTC, "
            "although 0 % is in force since 2026-11-24 12:00 UTC. Writing 0 % again does not help: "
            "look for callers that use a published version or an alias of the function, for "
            "another function or client that has the flag on, and for other callers that this "
            "metric counts.",
            id="refuted",
        ),
        pytest.param(
            CONTROL, 13, requests(),
            "drain unobservable: no requests of either path were counted; no logs or metrics is no "
            "proof. Only the weight was read back.",
            id="both silent",
        ),
        pytest.param(
            AFTER_ROLLBACK, 13, requests(),
            "drain unobservable: requests counted no request in 8 minutes since 2026-11-24 12:02 "
            "UTC, and none before it; no logs or metrics is no proof. Only the weight was read "
            "back.",
            id="silent before",
        ),
        pytest.param(
            replace(AFTER_ROLLBACK, findings=(gate_finding(8),)), 13, requests(),
            "drain unobservable: requests counted no request in 8 minutes since 2026-11-24 12:02 "
            "UTC; about 1 request was due at the rate before, too few to tell a drain from chance. "
            "Only the weight was read back.",
            id="too few before",
        ),
        pytest.param(
            BUSY, 13, requests(answer=QueryStatus.ERROR),
            "drain unobservable: it cannot be judged: CloudWatch did not answer for requests: "
            "Throttling. Only the weight was read back.",
            id="no answer",
        ),
        pytest.param(
            replace(BUSY, policy=a_policy(settle="10m")), 13, requests(),
            "drain unobservable: 1 minute since 2026-11-24 12:02 UTC settled during the watch "
            "(settle 10m), and 5 are needed. Only the weight was read back.",
            id="settles too late",
        ),
        pytest.param(
            UNCOUNTED_ROLLBACK, 3, {},
            "drain unobservable: no traffic or success_rate criterion counts requests. Only the "
            "weight was read back.",
            id="nothing counts",
        ),
    ],
)  # fmt: skip
def test_the_sentence_says_what_was_seen_and_what_now(
    rollout: Rollout, minute: float, series: Mapping[str, Series], sentence: str
) -> None:
    decision = decide_at(rollout, minute, series)
    assert decision.rollout.drain is not None
    assert decision.rollout.drain.sentence == sentence
    (notice,) = decision.notices
    assert notice.text == f"checkout#1: {sentence}"


@pytest.mark.parametrize(
    ("rollout", "minute", "series", "severity", "alert"),
    [
        (BUSY, 10, requests(), Severity.INFO, None),
        (AFTER_ROLLBACK, 13, requests(), Severity.INFO, None),
        (BUSY, 4, requests(leak(3)), Severity.CRITICAL, Alert.ROLLBACK_UNCONFIRMED),
    ],
    ids=["confirmed", "unobservable", "refuted"],
)
def test_a_leak_pages_and_everything_else_only_informs(
    rollout: Rollout,
    minute: float,
    series: Mapping[str, Series],
    severity: Severity,
    alert: Alert | None,
) -> None:
    decision = decide_at(rollout, minute, series)
    assert [one.severity for one in decision.notices] == [severity]
    assert decision.alert is alert
    assert decision.move is None


@pytest.mark.parametrize(
    ("minute", "series", "verdict", "label", "measured", "samples", "end"),
    [
        pytest.param(10, requests(), Verdict.PASS, CONFIRMED, 0.0, 0, 7, id="confirmed"),
        pytest.param(4, requests(leak(3)), Verdict.FAIL, REFUTED, 3.0, 3, 2, id="refuted"),
        pytest.param(
            13, requests(answer=QueryStatus.ERROR), Verdict.INCONCLUSIVE, UNOBSERVABLE, None, 0, 10,
            id="unobservable",
        ),
    ],
)  # fmt: skip
def test_a_drain_is_a_finding_of_the_minutes_after_it(
    minute: float,
    series: Mapping[str, Series],
    verdict: Verdict,
    label: Label,
    measured: float | None,
    samples: int,
    end: int,
) -> None:
    drain, noon = decide_at(BUSY, minute, series).rollout.drain, int(NOON.timestamp())
    assert drain is not None
    assert (drain.criterion, drain.verdict, drain.label) == ("drain", verdict, label)
    assert (drain.measured, drain.bound, drain.samples) == (measured, 0.0, samples)
    assert (drain.start - noon, drain.end - noon) == (2 * 60, end * 60)


@pytest.mark.parametrize(
    ("rollout", "target"),
    [
        pytest.param(UNCOUNTED_ROLLBACK, a_reading(0), id="nothing counts requests"),
        pytest.param(BUSY, a_reading(20), id="the weight drifted"),
    ],
)
def test_a_drain_that_cannot_be_judged_covers_no_minute(
    rollout: Rollout, target: TargetReading
) -> None:
    drain, begin = decide_at(rollout, 3, {}, target).rollout.drain, int(NOON.timestamp()) + 2 * 60
    assert drain is not None
    assert replace(drain, sentence="") == Finding(
        "drain", Verdict.INCONCLUSIVE, UNOBSERVABLE, None, 0.0, 0, begin, begin, ""
    )


ARRIVALS = a_policy(criteria={"reached": TRAFFIC})
ELSEWHERE = a_policy(
    criteria={**LADDER["criteria"], "reached": {**TRAFFIC, "metric": "errors"}},
)


@pytest.mark.parametrize(
    ("policy", "criterion", "minutes", "expected"),
    [
        pytest.param(ARRIVALS, "reached", 60, CONFIRMED, id="by the traffic criterion"),
        pytest.param(ELSEWHERE, "works", 60, None, id="not by what counts something else"),
        pytest.param(ELSEWHERE, "reached", 60, CONFIRMED, id="by what counts the same"),
        pytest.param(ARRIVALS, "gone", 60, None, id="not by a criterion that is none"),
        pytest.param(ARRIVALS, "reached", 0, None, id="not by a step without a minute"),
    ],
)
def test_expected_requests_are_known_from_before_the_rollback(
    policy: Policy, criterion: str, minutes: int, expected: Label | None
) -> None:
    before = replace(gate_finding(600, minutes), criterion=criterion)
    rollout = replace(AFTER_ROLLBACK, policy=policy, findings=(before,))
    silence = {**requests(), "errors:Sum@60": a_series(SILENCE)}
    assert label(decide_at(rollout, 10, silence)) == expected


def test_the_drain_is_reported_once() -> None:
    rollout, minutes = BUSY, []
    for minute in range(1, 15):
        decision = decide_at(rollout, minute, requests(leak(3)))
        minutes += [minute] * len(decision.notices)
        rollout = decision.rollout
    assert minutes == [3]


@pytest.mark.parametrize(
    ("rollout", "minute", "owns"),
    [
        pytest.param(BUSY, 2, True, id="the drain has its two minutes"),
        pytest.param(BUSY, 15, True, id="the watch is over"),
        pytest.param(BUSY, 10, False, id="a newer rollout owns the target"),
        pytest.param(NEVER_APPLIED, 10, True, id="the first weight was never applied"),
    ],
)
def test_a_drain_that_is_not_watched_has_no_finding(
    rollout: Rollout, minute: float, owns: bool
) -> None:
    decision = decide_at(rollout, minute, requests(leak(3)), owns=owns)
    assert (label(decision), decision.record, decision.alert) == (None, None, None)


RESTORING = decide_command(
    a_paused_rollout(Reason.DRIFTED), Verb.RESUME, a_reading(100), way="restore", minute=-5
).rollout
KEEPING = decide_command(
    a_paused_rollout(Reason.DRIFTED), Verb.RESUME, a_reading(30), way="keep", minute=-5
).rollout


@pytest.mark.parametrize(
    ("before", "live", "applied"),
    [
        pytest.param(at_weight(10), 10, 10, id="an applied weight"),
        pytest.param(at_weight(10), None, 10, id="a target that cannot be read"),
        pytest.param(replace(at_weight(50), seen_weight=50), 0, 50, id="0 by drift"),
        pytest.param(at_weight(10), 100, 100, id="a weight raised by drift"),
        pytest.param(
            replace(a_paused_rollout(Reason.DRIFTED), seen_weight=100), None, 100,
            id="one that was seen",
        ),
        pytest.param(RAISING, 10, 10, id="a raise under way: the weight before"),
        pytest.param(RAISING, 50, 10, id="a raise that may not be applied: the weight before"),
        pytest.param(FIRST_RAISE, 0, 0, id="a first raise that was never seen"),
        pytest.param(FIRST_RAISE, 10, 10, id="a first raise under way"),
        pytest.param(FIRST_RAISE, None, 10, id="a first raise that could not be read"),
        pytest.param(
            replace(FIRST_RAISE, seen_weight=10), 0, 10, id="a first raise that was seen, and 0"
        ),
        pytest.param(RESTORING, 100, 10, id="a restore that was not written: the lower weight"),
        pytest.param(RESTORING, None, 10, id="a restore that could not be read"),
        pytest.param(an_adopted_rollout(100), 100, 100, id="an adopted weight"),
        pytest.param(an_adopted_rollout(100), 0, 100, id="an adopted weight, and 0 by drift"),
        pytest.param(an_adopted_rollout(10), 10, 10, id="an adopted first step"),
        pytest.param(
            KEEPING, 30, 30, id="a kept weight",
        ),
        pytest.param(
            a_rollout_paused_in_flight(), 10, 10, id="a raise that was paused and not written"
        ),
        pytest.param(AFTER_ROLLBACK, 0, 10, id="another rollback of the same"),
        pytest.param(AFTER_ROLLBACK, 20, 20, id="another rollback, of what came back"),
    ],
)  # fmt: skip
def test_expected_requests_follow_the_weight_that_was_applied_last(
    before: Rollout, live: int | None, applied: int
) -> None:
    """By command, and where 0 % is found: a rollback of two ticks, and one of one tick."""
    before = replace(before, policy=CONTROLLED, updated=NOON - 9 * MINUTE)
    target = UNREADABLE if live is None else a_reading(live)
    rolling_back = apply_command(
        before, Command(Verb.ROLLBACK, "now"), Observation(target), NOON
    ).rollout
    rolling_back = decide_at(rolling_back, 0, {}).rollout
    drain = decide_at(rolling_back, 10, requests(direct=[1000] * 20)).rollout.drain
    assert (drain is not None) == (applied > 0)
    if drain is not None and applied < 100:
        assert drain.sentence.endswith(f"were due at {applied} %.")
    if drain is not None and applied == 100:
        assert drain.sentence.endswith("; direct counted 5 000 requests.")


def test_counts_prove_nothing_while_the_target_cannot_be_read() -> None:
    assert label(decide_at(BUSY, 10, requests(leak(3)), UNREADABLE)) is None
    assert label(decide_at(BUSY, 13, requests(leak(3)), UNREADABLE)) is UNOBSERVABLE


@pytest.mark.parametrize("weight", [10, 20], ids=["our own late write", "drift"])
def test_drift_ends_the_watch_of_the_drain(weight: int) -> None:
    moved = decide_at(BUSY, 4, requests(), a_reading(weight)).rollout
    assert moved.drain is not None
    assert moved.drain.label is UNOBSERVABLE
    assert f"(NEW_PATH_PERCENTAGE={weight})" in moved.drain.sentence
    assert decide_at(moved, 8, requests(leak(5))).alert is None


def test_drift_without_an_applied_weight_has_no_drain() -> None:
    assert decide_at(NEVER_APPLIED, 4, requests(), a_reading(20)).rollout.drain is None


def test_drift_does_not_change_an_earlier_finding() -> None:
    confirmed = decide_at(BUSY, 10, requests()).rollout
    assert decide_at(confirmed, 11, requests(), a_reading(20)).rollout.drain == confirmed.drain


def test_another_rollback_watches_its_own_drain() -> None:
    confirmed = decide_at(BUSY, 10, requests()).rollout
    again = apply_command(
        confirmed, Command(Verb.ROLLBACK, "again"), Observation(a_reading(0)), NOON + 11 * MINUTE
    ).rollout
    assert again.drain is None


# --- Query plan -----------------------------------------------------------------------------------


def query_keys(rollout: Rollout, minute: float) -> set[str]:
    return set(query_plan(rollout, NOON + minute * MINUTE).queries)


def test_the_request_counts_are_read_while_the_drain_is_open() -> None:
    assert [query_keys(BUSY, minute) for minute in (2, 2.1, 14.9, 15)] == [
        set(), {"requests:Sum@60"}, {"requests:Sum@60"}, set(),
    ]  # fmt: skip
    assert query_keys(CONTROL, 3) == {"requests:Sum@60", "direct:Sum@60"}
    (query,) = query_plan(BUSY, NOON + 3 * MINUTE).queries.values()
    assert (query.statistic, query.period_s) == ("Sum", 60)


@pytest.mark.parametrize(
    "rollout",
    [
        pytest.param(decide_at(BUSY, 10, requests()).rollout, id="known"),
        pytest.param(NEVER_APPLIED, id="nothing had been applied"),
        pytest.param(UNCOUNTED_ROLLBACK, id="nothing counts requests"),
    ],
)
def test_nothing_is_read_for_a_drain_that_needs_no_more_evidence(rollout: Rollout) -> None:
    assert query_keys(rollout, 11) == set()


def test_every_minute_after_the_drain_is_read_and_the_open_one() -> None:
    span = query_plan(BUSY, NOON + 7.5 * MINUTE).span
    noon = int(NOON.timestamp())
    assert (span.start - noon, span.end - noon) == (2 * 60, 8 * 60)


@pytest.mark.parametrize("seconds", [0.5, 20])
def test_the_first_minute_is_a_whole_one(seconds: float) -> None:
    late = replace(BUSY, since=NOON + timedelta(seconds=seconds), watch_until=NOON + 15 * MINUTE)
    assert query_plan(late, NOON + 5 * MINUTE).span.start - int(NOON.timestamp()) == 3 * 60


def test_a_paused_rollout_found_at_zero_is_watched() -> None:
    ended = decide_at(ON_HOLD, 20, requests()).rollout
    assert (str(ended.phase), query_keys(ended, 23)) == ("rolled_back", {"requests:Sum@60"})
