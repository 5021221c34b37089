"""Sealing: once an hour, and without any effect on a finding."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core.decide import Observed, decide
from controller.core.history import series_data
from controller.core.judge.evidence import BreachRun, StepInterval, Tally
from controller.core.judge.findings import Label
from controller.core.judge.gate import (
    GIVE_UP_AGE,
    SEAL_AGE,
    error_series,
    judge,
    query_plan,
    seal_tallies,
)
from controller.core.judge.gate_evidence import Evidence
from controller.core.judge.tally import mark_lost
from controller.core.judge.tick_evidence import (
    evidence_of,
    restore_series,
    seal_if_due,
    trim_series,
)
from controller.core.observation import Observation, QueryStatus, Series
from controller.core.policy import Policy
from controller.core.rollout import Intent, Phase, Rollout
from controller.core.stats.combined_tests import Fold
from controller.core.units import MINUTE_S, from_unix
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy, a_reading, a_rollout, a_series
from tests.support.sequential_rollouts import BASELINES, a_sequential_policy
from tests.support.three_steps import (
    AT_10,
    AT_100,
    RAISING,
    TOO_FEW_REQUESTS,
    UNREADABLE,
    at_weight,
    decide_tick,
)

START = int(NOON.timestamp())
MINUTES = 40

METRICS = {
    "requests": {"namespace": "Shop", "name": "Count", "statistic": "Sum"},
    "errors": {"namespace": "Shop", "name": "Errors", "statistic": "Sum"},
    "latency": {"namespace": "Shop", "name": "Latency", "statistic": "p95"},
    "direct": {"namespace": "Shop", "name": "Direct", "statistic": "p95"},
}


def policy_of_each_kind(over: str, failure_limit: int, missing: str) -> Policy:
    """Return a policy with a criterion of each kind, all judged in windows of `over`."""
    criteria: dict[str, dict[str, Any]] = {
        "rate": {
            "kind": "success_rate", "total": "requests", "failures": ["errors"], "min": "90%",
            "failure_limit": failure_limit, "min_samples": 20,
        },
        "count": {
            "kind": "threshold", "metric": "errors", "max": 3, "failure_limit": failure_limit,
        },
        "share": {
            "kind": "threshold", "metric": "errors", "per": "requests", "max": "10%",
            "failure_limit": failure_limit,
        },
        "latency": {
            "kind": "latency_increase", "metric": "latency", "max_increase": "5%",
            "baseline": {"concurrent": "direct"}, "min_samples": 20,
        },
        "traffic": {"kind": "traffic", "metric": "requests", "control": "errors", "min": 5},
    }  # fmt: skip
    metrics = {**METRICS, "errors": {**METRICS["errors"], "missing": missing}}
    return a_policy(
        metrics=metrics,
        criteria={
            name: {**one, "judge": "threshold", "over": over} for name, one in criteria.items()
        },
    )


counts = st.lists(st.none() | st.integers(0, 30), min_size=MINUTES, max_size=MINUTES)
few = st.lists(st.none() | st.integers(0, 5), min_size=MINUTES, max_size=MINUTES)
values = st.lists(st.none() | st.floats(100, 600), min_size=MINUTES, max_size=MINUTES)
policies = st.builds(
    policy_of_each_kind,
    st.sampled_from(["1m", "5m"]),
    st.integers(1, 4),
    st.sampled_from(["zero", "unknown"]),
)


def evidence(policy: Policy, series: Mapping[str, Series], minute: int) -> Evidence:
    return Evidence(
        policy=policy,
        gate=policy.criteria,
        series=series,
        tallies={},
        start=START,
        closed_end=START + minute * MINUTE_S,
        open_end=START + (minute + 3) * MINUTE_S,
        bake_over=True,
        weight=10,
        baselines={},
    )


def tallies_sealed_at(whole: Evidence, at_minutes: Sequence[int]) -> Mapping[str, Tally]:
    """Return the tallies after sealing at each of `at_minutes`, as one tick after the other."""
    tallies: Mapping[str, Tally] = {}
    for minute in at_minutes:
        now = from_unix(START + minute * MINUTE_S) + SEAL_AGE
        tallies = seal_tallies(replace(whole, tallies=tallies), now)
    return tallies


@settings(max_examples=60, deadline=None)
@given(policies, counts, few, values, counts, values, st.integers(0, MINUTES - 3))
def test_when_it_was_sealed_makes_no_difference(
    policy: Policy,
    requests: list[int | None],
    errors: list[int | None],
    latency: list[float | None],
    samples: list[int | None],
    direct: list[float | None],
    minute: int,
) -> None:
    over = policy.criteria["rate"].window
    period = int(over.total_seconds())
    series = {
        f"requests:Sum@{period}": a_series(requests, every=over),
        f"errors:Sum@{period}": a_series(errors, every=over),
        f"errors:SampleCount@{period}": a_series(requests, every=over),
        f"latency:p95@{period}": a_series(latency, every=over),
        f"latency:SampleCount@{period}": a_series(samples, every=over),
        f"direct:p95@{period}": a_series(direct, every=over),
        f"direct:SampleCount@{period}": a_series(samples, every=over),
    }
    whole = evidence(policy, series, minute)
    unsealed = judge(whole)
    for at_minutes in (range(minute + 1), range(0, minute + 1, 7), [minute], [minute // 2]):
        assert judge(replace(whole, tallies=tallies_sealed_at(whole, at_minutes))) == unsealed


def tallies_of(
    rollout: Rollout, observation: Observation, now: datetime
) -> Mapping[str, Tally] | None:
    """Return the tallies that are sealed now; None while it is too early."""
    seal = seal_if_due(rollout, observation, now)
    return None if seal is None else seal.tallies


def test_sealing_leaves_out_what_may_still_change() -> None:
    rollout = replace(AT_100, settled=NOON)
    tallies = tallies_of(rollout, Observation(a_reading(100), TOO_FEW_REQUESTS), NOON + 62 * MINUTE)
    assert tallies is not None
    assert tallies["works"].through == START + (62 - 15) * MINUTE_S


def test_what_is_sealed_is_not_read_again() -> None:
    now = NOON + 62 * MINUTE
    tallies = tallies_of(AT_100, Observation(a_reading(100), TOO_FEW_REQUESTS), now)
    assert tallies is not None
    assert query_plan(AT_100, now).span.start == START + 2 * MINUTE_S
    assert query_plan(replace(AT_100, tallies=tallies), now).span.start == START + 47 * MINUTE_S


def test_evidence_is_sealed_an_hour_after_the_first_judged_minute_and_then_every_hour() -> None:
    observation = Observation(a_reading(100), TOO_FEW_REQUESTS)
    again = replace(AT_100, sealed_at=NOON + 62 * MINUTE)
    assert [
        seal_if_due(AT_100, observation, NOON + 61 * MINUTE) is None,
        seal_if_due(AT_100, observation, NOON + 62 * MINUTE) is None,
        seal_if_due(again, observation, NOON + 121 * MINUTE) is None,
        seal_if_due(again, observation, NOON + 122 * MINUTE) is None,
    ] == [True, False, True, False]


def test_evidence_is_sealed_while_the_target_cannot_be_read() -> None:
    decision = decide_tick(AT_100, UNREADABLE, 70)
    assert decision.record is not None
    assert (decision.record.kind, decision.rollout.sealed_at) == ("evidence", NOON + 70 * MINUTE)


def test_a_series_that_was_not_answered_in_full_is_not_sealed() -> None:
    broken = dict(TOO_FEW_REQUESTS) | {
        "errors:Sum@60": a_series([0] * 60, answer=QueryStatus.PARTIAL)
    }
    tallies = tallies_of(AT_100, Observation(a_reading(100), broken), NOON + 62 * MINUTE)
    assert tallies == {"works": Tally()}


HOUR = 60 * MINUTE
BROKEN = {key: a_series([0] * 600, answer=QueryStatus.FORBIDDEN) for key in TOO_FEW_REQUESTS}


def sealed_hourly(hours: int, series: Mapping[str, Series], rollout: Rollout = AT_100) -> Rollout:
    """Return `rollout` with its evidence sealed every hour, the last time after `hours`."""
    for hour in range(1, hours + 1):
        now = NOON + hour * HOUR + 2 * MINUTE
        tallies = tallies_of(rollout, Observation(a_reading(100), series), now)
        assert tallies is not None
        rollout = replace(rollout, tallies=tallies, sealed_at=now)
    return rollout


def test_an_outage_of_the_whole_source_is_a_failed_answer_to_each_query() -> None:
    answers = error_series("no route to host", TOO_FEW_REQUESTS)
    assert answers == {
        key: Series({}, QueryStatus.ERROR, "no route to host") for key in TOO_FEW_REQUESTS
    }


def test_windows_that_stay_unanswered_for_hours_are_given_up() -> None:
    assert sealed_hourly(6, BROKEN).tallies["works"].through == 0
    tally = sealed_hourly(9, BROKEN).tallies["works"]
    assert (tally.lost, tally.windows, tally.recent) == (180, 0, ())
    assert tally.through == START + 2 * MINUTE_S + 180 * MINUTE_S


def test_what_is_read_of_a_query_that_is_never_answered_does_not_grow() -> None:
    now = NOON + 120 * HOUR + 2 * MINUTE
    read = query_plan(sealed_hourly(119, BROKEN), now).span
    assert read.end - read.start <= (GIVE_UP_AGE + HOUR + MINUTE).total_seconds()


def test_five_days_without_an_answer_fill_no_history() -> None:
    """One query is refused all the time; the others are answered, minute by minute."""
    rollout, sizes = replace(AT_100, policy=policy_of_each_kind("1m", 3, "zero")), []
    for hour in range(1, 121):
        now = NOON + hour * HOUR + 2 * MINUTE
        series = {}
        for key in (plan := query_plan(rollout, now)).queries:
            answer = QueryStatus.FORBIDDEN if key == "latency:p95@60" else QueryStatus.COMPLETE
            minutes = range(plan.span.start, plan.span.end, MINUTE_S)
            series[key] = Series(dict.fromkeys(minutes, 1234.5), answer)
        tallies = tallies_of(rollout, Observation(a_reading(100), series), now)
        assert tallies is not None
        later = replace(rollout, tallies=tallies, sealed_at=now)
        paused = replace(rollout, phase=Phase.PAUSED)
        sizes += [
            len(json.dumps(series_data(trim_series(rollout, one, series))))
            for one in (later, paused)
        ]
        rollout = later
    assert max(sizes) < 100_000


def test_a_finding_says_how_many_windows_were_lost() -> None:
    rollout = sealed_hourly(8, BROKEN)
    complete = {
        "requests:Sum@60": a_series([100] * 600),
        "errors:Sum@60": a_series([0] * 600),
    }
    evidence = evidence_of(rollout, Observation(a_reading(100), complete), NOON + 9 * HOUR)
    assert evidence is not None
    (finding,) = judge(evidence)
    assert finding.facts["lost_windows"] == 120


@pytest.mark.parametrize("unfit", [False, True], ids=["fit", "unfit"])
def test_nothing_passes_on_what_came_before_windows_that_were_lost(unfit: bool) -> None:
    begin, end = START + 10 * MINUTE_S, START + 20 * MINUTE_S
    healthy = Tally(begin, windows=10, samples=1_000, last=1.0, tail_empty=False, tail_unfit=unfit)
    lost = mark_lost(healthy, range(begin, end, MINUTE_S), MINUTE_S)
    now = replace(evidence(AT_100.policy, COMPLETE, 20), tallies={"works": lost})
    (finding,) = judge(now)
    assert (lost.through, finding.label) == (end, Label.NO_DATA)


def test_a_run_of_breaches_does_not_reach_over_windows_that_were_lost() -> None:
    tally = Tally(through=START + 2 * MINUTE_S, windows=1, run=BreachRun(1), worst=BreachRun(1))
    lost = sealed_hourly(8, BROKEN, replace(AT_100, tallies={"works": tally})).tallies["works"]
    assert (lost.run.length, lost.worst.length) == (0, 1)


def minutes_of(entry: Mapping[str, Series]) -> list[int]:
    """Return the minutes after noon that an entry keeps of the requests."""
    return [(second - START) // MINUTE_S for second in sorted(entry["requests:Sum@60"].points)]


COMPLETE = {key: a_series([9] * 600) for key in TOO_FEW_REQUESTS}


def test_hourly_evidence_keeps_every_minute_once() -> None:
    rollout, minutes = AT_100, []
    for hours in (1, 2, 3):
        later = sealed_hourly(hours, COMPLETE)
        minutes += minutes_of(trim_series(rollout, later, COMPLETE))
        rollout = later
    assert minutes == list(range(2, 2 + 165))


def test_a_transition_keeps_what_was_read_since_the_last_seal() -> None:
    rollout = sealed_hourly(2, COMPLETE)
    lowered = replace(rollout, phase=Phase.ROLLING_BACK)
    assert minutes_of(trim_series(rollout, lowered, COMPLETE))[0] == 2 * 60 + 2 - 15
    assert minutes_of(trim_series(AT_100, replace(AT_100, phase=Phase.PAUSED), COMPLETE))[0] == 2
    assert (
        minutes_of(trim_series(rollout, replace(rollout, tallies={}, sealed_at=None), COMPLETE))[0]
        == 107
    )


def test_a_transition_keeps_whole_what_no_criterion_of_the_step_reads() -> None:
    drained = {"direct:Sum@60": a_series([9] * 600)}
    assert trim_series(AT_100, replace(AT_100, phase=Phase.PAUSED), drained) == drained


def test_what_one_criterion_has_sealed_is_not_kept_again_for_another() -> None:
    reached = {"kind": "traffic", "judge": "threshold", "metric": "requests"}
    policy = a_policy(criteria={"reached": reached, "works": AT_100.policy.criteria["works"]})
    half = dict(COMPLETE) | {"errors:Sum@60": BROKEN["errors:Sum@60"]}
    before, later = (sealed_hourly(hours, half, replace(AT_100, policy=policy)) for hours in (1, 2))
    assert minutes_of(trim_series(before, later, half)) == list(range(47, 107))


def rollout_with_an_unsealed_criterion() -> tuple[Rollout, dict[str, dict[int, float]]]:
    """Return a rollout with an unsealed criterion, and the points that the other one sealed."""
    reached = {"kind": "traffic", "judge": "threshold", "metric": "requests"}
    policy = a_policy(criteria={"reached": reached, "works": AT_100.policy.criteria["works"]})
    half = dict(COMPLETE) | {"errors:Sum@60": a_series([9] * 600, answer=QueryStatus.FORBIDDEN)}
    before = replace(AT_100, policy=policy)
    later = sealed_hourly(1, half, before)
    return later, {key: dict(one.points) for key, one in trim_series(before, later, half).items()}


def test_an_entry_and_the_evidence_before_it_hold_what_its_tick_was_judged_from() -> None:
    rollout, sealed_points = rollout_with_an_unsealed_criterion()
    now = NOON + 100 * MINUTE
    entry = trim_series(rollout, replace(rollout, phase=Phase.PAUSED), COMPLETE)

    def findings_of(series: Mapping[str, Series]) -> object:
        evidence = evidence_of(rollout, Observation(a_reading(100), series), now)
        assert evidence is not None
        return judge(evidence)

    assert findings_of(entry) != findings_of(COMPLETE)
    assert findings_of(restore_series(rollout, entry, sealed_points)) == findings_of(COMPLETE)


def test_to_an_answer_that_was_not_complete_nothing_is_added() -> None:
    rollout, sealed_points = rollout_with_an_unsealed_criterion()
    partial = {key: Series(one.points, QueryStatus.PARTIAL) for key, one in COMPLETE.items()}
    entry = trim_series(rollout, replace(rollout, phase=Phase.PAUSED), partial)
    assert restore_series(rollout, entry, sealed_points) == entry


def nothing_to_judge(rollout: Rollout, minute: float = 30) -> bool:
    now = NOON + minute * MINUTE
    evidence = evidence_of(rollout, Observation(a_reading(rollout.weight), TOO_FEW_REQUESTS), now)
    return evidence is None and not query_plan(rollout, now).queries


def test_nothing_is_judged_or_read_before_the_first_judged_minute() -> None:
    assert nothing_to_judge(RAISING)
    assert nothing_to_judge(AT_10, 2)
    assert not nothing_to_judge(AT_10, 2.1)


def test_only_a_rollout_that_progresses_or_pauses_is_judged() -> None:
    phases = [one for one in Phase if not nothing_to_judge(replace(AT_10, phase=one))]
    assert phases == [Phase.PROGRESSING, Phase.PAUSED]


def test_judging_begins_with_the_first_whole_minute_after_the_warm_up() -> None:
    late = replace(AT_10, settled=NOON + 0.5 * MINUTE)
    own = a_policy(
        steps=[
            {"weight": 10, "bake": "10m", "warmup": "4m"},
            {"weight": 100, "bake": "10m"},
        ]
    )
    assert AT_10.judged_from == START + 2 * MINUTE_S
    assert late.judged_from == START + 3 * MINUTE_S
    assert replace(AT_10, policy=own).judged_from == START + 4 * MINUTE_S


def test_a_bake_is_over_when_its_last_minute_has_settled() -> None:
    def over(minute: float) -> bool:
        evidence = evidence_of(
            AT_10, Observation(a_reading(10), TOO_FEW_REQUESTS), NOON + minute * MINUTE
        )
        return evidence is not None and evidence.bake_over

    assert [over(minute) for minute in (12, 14.9, 15)] == [False, False, True]


@pytest.mark.parametrize(
    ("over", "settled_at", "end"),
    [
        pytest.param("1m", 0, 12, id="every minute is a window"),
        pytest.param("5m", 0, 15, id="five minutes from 12:05 to 12:15"),
        pytest.param("5m", 3, 15, id="the bake ends with a window"),
        pytest.param("5m", 4, 20, id="five minutes from 12:10 to 12:20"),
        pytest.param("10m", 0, 20, id="ten minutes from 12:10 to 12:20"),
    ],
)
def test_a_bake_holds_its_length_in_whole_windows(over: str, settled_at: int, end: int) -> None:
    works = {**LADDER["criteria"]["works"], "over": over, "failure_limit": 1}
    rollout = replace(
        AT_10, policy=a_policy(criteria={"works": works}), settled=NOON + settled_at * MINUTE
    )
    assert rollout.bake_end == NOON + end * MINUTE


def test_a_bake_is_over_when_the_last_window_of_every_criterion_is() -> None:
    works = LADDER["criteria"]["works"]
    criteria = {"quick": works, "slow": {**works, "over": "5m"}}
    rollout = replace(AT_10, policy=a_policy(criteria=criteria))
    alone = [{"weight": 10, "bake": "10m", "criteria": ["quick"]}, {"weight": 100, "bake": "10m"}]
    quick = replace(AT_10, policy=a_policy(criteria=criteria, steps=alone))
    assert (rollout.bake_end, quick.bake_end) == (NOON + 15 * MINUTE, NOON + 12 * MINUTE)


def test_the_canary_is_judged_at_the_lower_of_the_planned_and_the_live_weight() -> None:
    def judged_weight(live: int | None) -> int:
        evidence = evidence_of(
            AT_10, Observation(a_reading(live), TOO_FEW_REQUESTS), NOON + 9 * MINUTE
        )
        assert evidence is not None
        return evidence.weight

    assert [judged_weight(live) for live in (10, 5, 60, None)] == [10, 5, 10, 0]


def test_the_minute_that_is_still_open_is_read() -> None:
    now = NOON + 30.5 * MINUTE
    evidence = evidence_of(AT_100, Observation(a_reading(100), TOO_FEW_REQUESTS), now)
    assert evidence is not None
    assert evidence.open_end == query_plan(AT_100, now).span.end == START + 31 * MINUTE_S


# --- Many short steps -----------------------------------------------------------------------------

SEQUENTIAL = {**LADDER["criteria"]["works"], "judge": "sequential", "failure_limit": 3}
SHORT_STEPS = [{"weight": weight, "bake": "45m"} for weight in range(5, 100, 5)]


def test_the_fold_is_sealed_hourly_over_steps_that_are_shorter() -> None:
    """So no tick reads more than two hours, however many steps there were."""
    steps = [*SHORT_STEPS, {"weight": 100, "bake": "24h"}]
    first = Intent(5, 0, "token-0", NOON)
    policy = a_policy(criteria={"works": SEQUENTIAL}, steps=steps)
    rollout = at_weight(10, policy=policy, intent=first, peak=5)
    measured = {"requests:Sum@60": a_series([100] * 1_200), "errors:Sum@60": a_series([0] * 1_200)}
    spans, seals, now = [], [], NOON
    while rollout.weight < 100 and now < NOON + 20 * HOUR:
        now += 5 * MINUTE
        span = query_plan(rollout, now).span
        spans.append(span.end - span.start)
        decision = decide(rollout, Observed(Observation(a_reading(rollout.weight), measured)), now)
        if decision.record is not None and decision.record.kind == "evidence":
            seals.append(now)
        rollout = decision.rollout
    assert rollout.weight == 100
    assert len(seals) >= (now - NOON) / HOUR - 2
    assert min(later - earlier for earlier, later in pairwise(seals)) >= HOUR
    assert max(spans) < 2 * 60 * MINUTE_S


def test_of_a_step_that_was_left_no_minute_is_kept_twice() -> None:
    """Its latency is counted above the limit that its stored baseline gave."""
    policy = a_sequential_policy(
        steps=[
            {"weight": 10, "bake": "20m", "criteria": ["stored"]},
            {"weight": 100, "bake": "1h", "criteria": ["rate"]},
        ]
    )
    begin, through = START - 20 * MINUTE_S, START - 10 * MINUTE_S
    rollout = a_rollout(
        policy=policy,
        step=1,
        intent=Intent(100, 10, "token-1", NOON),
        settled=NOON,
        baselines=BASELINES,
        stretches=(StepInterval(0, begin, begin, START),),
        fold=Fold(through=through),
    )
    series = {"latency:TC(420:)@60": Series({begin: 1.0, through: 2.0})}
    later = replace(rollout, phase=Phase.PAUSED)
    assert trim_series(rollout, later, series) == {"latency:TC(420:)@60": Series({through: 2.0})}


def test_each_series_is_kept_from_where_the_criterion_that_is_furthest_has_sealed_it() -> None:
    """The fold is sealed for all criteria at once; a log by itself, its control only the newest."""
    sequential = a_sequential_policy(
        "rate", "share", "stored", steps=[{"weight": 100, "bake": "1h"}]
    )
    parts = sequential.model_dump(mode="json", exclude_none=True)
    silent = {"kind": "log_events", "absent": "ERROR", "control": "check"}
    policy = Policy.model_validate({**parts, "criteria": {**parts["criteria"], "quiet": silent}})
    begins = {"rate": 9, "share": 4, "stored": 8, "quiet": 3}
    rollout = replace(
        at_weight(100, policy=policy),
        step=0,
        settled=NOON - 60 * MINUTE,
        baselines=BASELINES,
        stretches=(),
        tallies={name: Tally(through=START + at * MINUTE_S) for name, at in begins.items()},
        fold=Fold(through=START + 5 * MINUTE_S),
    )
    expected = {
        "requests:Sum@60": 9,  # of the success rate, which is further than the share
        "rejects:Sum@60": 5,
        "latency:TC(420:)@60": 8,
        "log:quiet": 3,
        "log:quiet:control": 0,
    }
    series = {key: a_series(range(20)) for key in expected}
    trimmed = trim_series(rollout, replace(rollout, phase=Phase.PAUSED), series)
    assert {key: min(one.points) for key, one in trimmed.items()} == {
        key: START + at * MINUTE_S for key, at in expected.items()
    }
