"""Replay finds a change of a history, even where all hashes were computed again."""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest

from controller.core.judge.stored_series import series_of
from controller.core.observation import Series
from controller.core.stats.counts import Counts
from controller.immutable import replace
from tests.support.cases import cases
from tests.support.core import (
    Command,
    Commanded,
    Entry,
    LostSave,
    Observed,
    Phase,
    Reason,
    Succeeded,
    Tally,
    TargetReading,
    UpdateStatus,
    Verb,
    WriteFailed,
    append,
    decide,
    hook_record,
    replay,
)
from tests.support.recorded_run import TWO_STEPS, WEIGHED, RecordedRun, a_run
from tests.support.rollouts import MINUTE, NOON, a_policy, a_reading, a_state, state_of, with_facts

HOUR = 60 * MINUTE


def a_success() -> RecordedRun:
    """Return a rollout that succeeded after two steps, with two hours of evidence."""
    run = a_run()
    for _ in range(32):
        run.tick(a_reading(run.rollout.weight), 7 * MINUTE)
    assert run.kinds == [
        "started", "applied", "evidence", "evidence", "advanced", "applied", "succeeded",
    ]  # fmt: skip
    return run


SUCCESS = a_success()
SUCCEEDED = state_of(SUCCESS.rollout, Succeeded)


def test_an_unchanged_history_derives_again() -> None:
    replayed = SUCCESS.replay
    assert replayed.consistent
    assert (replayed.entries, replayed.decisions, replayed.checkpoints) == (7, 5, 2)


# --- Forgeries ------------------------------------------------------------------------------------


def rehash(entries: Sequence[Entry]) -> list[Entry]:
    """Return `entries` with numbers and hashes computed again, as a forger would do it."""
    chain: list[Entry] = []
    for seq, entry in enumerate(entries, 1):
        previous = chain[-1].hash if chain else ""
        text = json.dumps(
            [previous, seq, entry.at.isoformat(), entry.kind, entry.body], sort_keys=True
        )
        digest = hashlib.sha256(text.encode()).hexdigest()
        chain.append(replace(entry, seq=seq, previous=previous, hash=digest))
    return chain


def edit(number: int, change: Callable[[Any], object]) -> Callable[[list[Entry]], list[Entry]]:
    """Return a forgery that changes the body of one entry."""

    def forged(entries: list[Entry]) -> list[Entry]:
        body = deepcopy(dict(entries[number - 1].body))
        change(body)
        return [*entries[: number - 1], replace(entries[number - 1], body=body), *entries[number:]]

    return forged


def raise_point(body: Any) -> None:
    body["observation"]["series"]["requests:Sum@60"]["runs"][0][6] += 1


def set_to(value: object, *path: Any) -> Callable[[Any], None]:
    """Return a change that sets one value in a body."""

    def change(body: Any) -> None:
        for part in path[:-1]:
            body = body[part]
        body[path[-1]] = value

    return change


def move_later(number: int) -> Callable[[list[Entry]], list[Entry]]:
    """Return a forgery that makes the time of an entry a minute later."""

    def forged(entries: list[Entry]) -> list[Entry]:
        moved = replace(entries[number - 1], at=entries[number - 1].at + MINUTE)
        return [*entries[: number - 1], moved, *entries[number:]]

    return forged


FORGERIES: Mapping[str, Any] = {
    "a count in an hour of evidence": (edit(3, raise_point), 3, "tally of works"),
    "a count that a transition saw": (edit(5, raise_point), 5, "finding works"),
    "no findings": (edit(5, set_to([], "findings")), 5, "finding works"),
    "a verdict": (edit(5, set_to("fail", "findings", 0, "verdict")), 5, "finding works"),
    "the reason of a finding":
        (edit(5, set_to("all is well", "findings", 0, "reason")), 5, "finding works"),
    "what was stored":
        (edit(4, set_to(99.0, "tallies", "works", "counts", "samples")), 4, "tally of works"),
    "nothing stored": (edit(4, lambda body: body.pop("tallies")), 4, "tally of works"),
    "a weight": (edit(5, set_to(50, "weight_to")), 5, "weight_to"),
    "an old weight": (edit(5, set_to(50, "weight_from")), 5, "weight_from"),
    "a phase": (edit(5, set_to("paused", "phase_to")), 5, "phase_to"),
    "an old phase": (edit(5, set_to("paused", "phase_from")), 5, "phase_from"),
    "a step": (edit(5, set_to(0, "step")), 5, "step"),
    "a reason": (edit(5, set_to("promoted", "reason")), 5, "reason"),
    "a sentence": (edit(2, set_to("it settled", "sentence")), 2, "sentence"),
    "a weight seen": (edit(2, set_to(50, "observation", "target", "weight")), 2, "the decision"),
    "a verb put in": (edit(5, set_to({"verb": "pause"}, "cause")), 5, "the decision"),
    "the time of a transition": (move_later(2), 2, "sentence"),
    "evidence before it was due":
        (lambda e: [*e[:2], replace(e[2], at=e[2].at - HOUR), *e[3:]], 3, "the decision"),
    "the first entry dropped": (lambda e: e[1:], 1, "the decision"),
    "a transition dropped": (lambda e: [e[0], *e[2:]], 2, "the decision"),
    "an hour dropped": (lambda e: [*e[:2], *e[3:]], 3, "tally of works"),
    "transitions swapped": (lambda e: [*e[:5], e[6], e[5]], 6, "the decision"),
    "a transition doubled": (lambda e: [*e[:5], *e[4:]], 6, "the decision"),
}  # fmt: skip

Forge = Callable[[list[Entry]], list[Entry]]


@cases("forge, seq, what", FORGERIES)
def test_a_forgery_with_new_hashes_is_found_by_what_does_not_follow(
    forge: Forge, seq: int, what: str
) -> None:
    forged = rehash(forge(SUCCESS.entries))
    replayed = replay(replace(SUCCESS.rollout, chain=forged[-1].hash), forged)
    assert replayed.broken_at is None
    assert not replayed.consistent
    first = replayed.entry_differences[0]
    assert (first.seq, first.differences[0].what) == (seq, what)


@cases("number", {
    "the words of a transition": 2,
    "an hour of evidence": 3,
    "a verdict": 5,
    "a count of the last finding": 7,
})  # fmt: skip
def test_a_difference_is_reported_once(number: int) -> None:
    words = set_to(0.5, "findings", 0, "facts", "failures")
    forges = {2: set_to("it settled", "sentence"), 3: raise_point, 5: raise_point, 7: words}
    forged = rehash(edit(number, forges[number])(SUCCESS.entries))
    replayed = replay(replace(SUCCESS.rollout, chain=forged[-1].hash), forged)
    assert [difference.seq for difference in replayed.entry_differences] == [number]
    assert replayed.state == ()


def test_after_an_entry_that_went_another_way_the_rest_still_derives() -> None:
    forged = rehash([*SUCCESS.entries[:1], *SUCCESS.entries[2:]])
    replayed = replay(replace(SUCCESS.rollout, chain=forged[-1].hash), forged)
    assert 5 not in [difference.seq for difference in replayed.entry_differences]
    assert 6 not in [difference.seq for difference in replayed.entry_differences]


def test_a_cut_off_end_does_not_lead_to_what_is_stored() -> None:
    forged = SUCCESS.entries[:-1]
    replayed = replay(replace(SUCCESS.rollout, chain=forged[-1].hash), forged)
    assert (replayed.broken_at, replayed.entry_differences) == (None, ())
    assert [(one.what, one.recorded, one.expected) for one in replayed.state][:1] == [
        ("phase", "succeeded", "progressing")
    ]


@cases("facts, what", {
    "a better label": ({"label": "confirmed"}, "label"),
    "another phase": ({"state": a_state(Phase.ROLLED_BACK)}, "phase"),
    "another sentence": ({"state": replace(SUCCEEDED, sentence="promoted")}, "state"),
    "evidence": ({"tallies": {"works": Tally(counts=Counts(samples=9))}}, "tally of works"),
    "findings left out": ({"findings": ()}, "finding works"),
    "an approval that was not given": ({"approved": 1}, "approved"),
    "another weight":
        ({"state": replace(SUCCEEDED, position=replace(SUCCEEDED.position, weight=10))}, "state"),
    "another policy": ({"digest": "other"}, "digest"),
    "an earlier start": ({"created": NOON - MINUTE}, "created"),
})  # fmt: skip
def test_a_state_that_does_not_follow_is_reported(facts: Mapping[str, Any], what: str) -> None:
    replayed = replay(with_facts(SUCCESS.rollout, **facts), SUCCESS.entries)
    assert [one.what for one in replayed.state] == [what]
    assert not replayed.consistent


def test_a_milder_policy_put_into_the_state_leads_to_other_findings() -> None:
    works = {**TWO_STEPS.criteria["works"].model_dump(), "min": "90%"}
    milder = a_policy(steps=TWO_STEPS.model_dump(mode="json")["steps"], criteria={"works": works})
    replayed = replay(
        replace(SUCCESS.rollout, policy=milder, digest=milder.digest()), SUCCESS.entries
    )
    assert [difference.seq for difference in replayed.entry_differences] == [5, 7]


def test_what_ticks_without_an_entry_had_moved_is_remembered() -> None:
    """A gate that loses its verdict while it waits for an approval holds anew from then on."""
    steps = [{"weight": 10, "bake": "10m"}, {"weight": 100, "bake": "10m", "approval": "required"}]
    run = a_run(a_policy(steps=steps))
    breaching_from = int((NOON + HOUR).timestamp())
    run.errors = lambda second: 50.0 if second >= breaching_from and second % 120 == 0 else 0.0
    run.tick_on(a_reading(10), 90, 2 * MINUTE)
    run.tick(a_reading(10))
    run.command(Command(Verb.APPROVE), a_reading(10))
    run.tick_on(a_reading(10), 90, 2 * MINUTE)
    assert run.kinds == ["started", "applied", "blocked", "evidence", "approved", "paused"]
    assert run.rollout.reason is Reason.INCONCLUSIVE
    assert run.replay.consistent


COUNT = {"namespace": "Shop", "statistic": "Sum"}
SEQUENTIAL = a_policy(
    metrics={
        "requests": {**COUNT, "name": "Count"},
        "errors": {**COUNT, "name": "Errors"},
        "errors_logged": {**COUNT, "name": "ErrorsLogged"},
    },
    criteria={
        "works": {
            "kind": "success_rate", "judge": "sequential", "total": "requests",
            "failures": ["errors"], "min": "99%",
        },
        "quiet": {
            "kind": "threshold", "judge": "sequential", "metric": "errors_logged", "max": 10,
            "min_samples": 0,
        },
    },
    steps=[{"weight": 10, "bake": "150m"}, {"weight": 100, "bake": "30m"}],
)  # fmt: skip


def a_sequential_run(fails: Callable[[int], bool], lost: Collection[str]) -> RecordedRun:
    """Return a rollout with sequential criteria; in some ticks the queries of metrics fail."""
    run = a_run(SEQUENTIAL)
    for tick in range(50):
        run.failing_metrics = lost if fails(tick) else ()
        run.tick(a_reading(run.rollout.weight), 7 * MINUTE)
    return run


def stored_minutes(run: RecordedRun, metric: str) -> list[int]:
    """Return the minutes since noon of a metric that the history stores."""
    return [
        (second - int(NOON.timestamp())) // 60
        for entry in run.entries
        for second in series_of(entry.body["observation"]["series"])
        .get(f"{metric}:Sum@60", Series())
        .points
    ]


COMPLETE = a_sequential_run(lambda tick: False, ())
EVERY_METRIC = ("requests", "errors_logged")


def test_a_history_of_days_that_passes_by_is_derived_also_where_its_newest_day_is_read_again() -> (
    None
):
    """The bake of a day is over, so each tick reads what was stored up to a day before."""
    steps = [{"weight": 10, "bake": "1d"}, {"weight": 100, "bake": "1d"}]
    run = a_run(a_policy(criteria=WEIGHED.model_dump()["criteria"], steps=steps))
    run.errors = lambda second: 1.002  # by chance, so that the finding speaks of the newest day
    run.tick(a_reading(10))
    run.command(Command(Verb.PAUSE, "look at it"), a_reading(10))
    run.tick_on(a_reading(10), 5 * 24 * 60, every=61 * MINUTE)
    assert run.kinds.count("evidence") > 100
    run.command(Command(Verb.RESUME, "fine"), a_reading(10))
    run.tick(a_reading(10))
    assert "newest_s" in run.entries[-1].body["findings"][0]["facts"]
    replayed = replay(run.rollout, iter(run.entries))
    assert replayed.consistent
    assert (replayed.entries, replayed.checkpoints) == (
        len(run.entries),
        run.kinds.count("evidence"),
    )


@pytest.mark.parametrize("lost", EVERY_METRIC)
@pytest.mark.parametrize("failing", [*range(8, 12), *range(17, 27)])
def test_a_query_that_failed_once_loses_nothing_of_what_adds_up(failing: int, lost: str) -> None:
    """Also where that tick writes a checkpoint of the other criterion, or would have advanced."""
    run = a_sequential_run(lambda tick: tick == failing, (lost,))
    assert run.rollout.phase is Phase.SUCCEEDED
    assert run.rollout.evidence.label == COMPLETE.rollout.evidence.label
    assert run.replay.consistent
    for metric in EVERY_METRIC:
        assert set(stored_minutes(COMPLETE, metric)) <= set(stored_minutes(run, metric))


def test_a_command_that_met_drift_is_derived_and_so_is_the_tick_that_announces_it() -> None:
    run = a_run()
    run.tick(a_reading(10))
    run.command(Command(Verb.PAUSE, "what is this"), a_reading(70))
    assert run.tick(a_reading(70)).rollout.reason is Reason.DRIFTED
    run.command(Command(Verb.RESUME, "ours", "restore"), a_reading(70))
    run.tick(a_reading(70, token="token-9"))
    assert run.kinds[2:] == ["paused", "paused", "resumed", "paused"]
    assert run.replay.consistent


@cases("damage", {
    "nothing in it": lambda body: body.clear(),
    "an unknown phase": set_to("gone", "phase_to"),
    "nothing seen": set_to(None, "observation"),
    "no moment": set_to({"requests:Sum@60": {"runs": [["x", 1]]}}, "observation", "series"),
    "no number":
        set_to({"requests:Sum@60": {"runs": [[60, float("nan")]]}}, "observation", "series"),
    "a run of nothing": set_to({"requests:Sum@60": {"runs": [[]]}}, "observation", "series"),
    "the points of no series": set_to({"requests:Sum@60": {"same": "x"}}, "observation", "series"),
    "pairs": set_to({"requests:Sum@60": {"points": [[60, 1]]}}, "observation", "series"),
    "no memory": lambda body: body["observation"].pop("memory"),
    "no zone": set_to({"hold_from": "2026-11-24T12:00:00"}, "observation", "memory"),
    "a step that the policy does not have": set_to(7, "step"),
    "adopted from nowhere": set_to({"verb": "start", "adopted": 9}, "cause"),
    "an unknown verb": set_to({"verb": "deploy"}, "cause"),
    "an unknown way": set_to({"verb": "resume", "way": "up"}, "cause"),
    "overtaken for no reason": set_to({"verb": "lost_save"}, "cause"),
})  # fmt: skip
@pytest.mark.parametrize("number", [1, 5])
def test_an_entry_that_cannot_be_read_is_reported_and_skipped(
    damage: Callable[[Any], None], number: int
) -> None:
    forged = edit(number, damage)(SUCCESS.entries)
    replayed = replay(SUCCESS.rollout, forged)
    assert replayed.entry_differences[0].seq == number
    assert replayed.broken_at == number


# --- Refused writes, lost races, hooks ------------------------------------------------------------


def a_rolled_back_run() -> RecordedRun:
    """Return a rollout that an operator rolled back, with 0% applied."""
    run = a_run()
    run.tick(a_reading(10))
    run.command(Command(Verb.ROLLBACK, "enough"), a_reading(10))
    run.tick(a_reading(0))
    assert run.rollout.phase is Phase.ROLLED_BACK
    return run


def test_a_write_that_was_refused_for_good_is_derived_with_its_refusal() -> None:
    run = a_run()
    run.tick(a_reading(10))
    observation = run.observe(a_reading(10))
    decision = run.decide(Commanded(observation, Command(Verb.ROLLBACK, "enough")))
    failed = WriteFailed(decision, "KMS says no", permanent=True)
    run.record(decide(decision.rollout, failed, run.now + MINUTE), observation)
    observation = run.observe(a_reading(10))
    decision = run.decide(Observed(observation))
    failed = WriteFailed(decision, "KMS says no", permanent=True)
    run.record(decide(decision.rollout, failed, run.now + MINUTE), observation)
    assert run.kinds == ["started", "applied", "rolling_back", "rollback_unconfirmed"]
    assert run.replay.consistent


@cases("meanwhile, kind", {
    "another run saved an observation": (a_reading(10), "rolling_back"),
    "another run found the 0% of this one": (a_reading(0), "rolling_back"),
})  # fmt: skip
def test_a_rollback_that_another_run_overtook_is_derived_on_what_that_run_saved(
    meanwhile: TargetReading, kind: str
) -> None:
    run = a_run()
    run.tick(a_reading(10))
    run.errors = lambda second: 50.0
    observation = run.observe(a_reading(10), 10 * MINUTE)
    lowered = run.decide(Observed(observation))
    assert lowered.rollout.reason is Reason.GATE_FAILED
    run.errors = lambda second: 0.0
    run.tick(meanwhile, timedelta())
    observation = replace(run.observe(a_reading(0)), series={})
    run.apply(LostSave.of(observation, lowered.rollout))
    assert run.kinds[-1] == kind
    assert run.entries[-1].body["cause"]["reason"] == "gate_failed"
    assert run.replay.consistent


def test_a_first_raise_that_an_operator_took_back_is_not_put_down_to_a_lost_raise() -> None:
    """Another run read the 0% of the rollback, and took it for a raise that was never written."""
    run = a_run()
    observation = replace(run.observe(a_reading(10, UpdateStatus.IN_PROGRESS)), series={})
    lowered = run.decide(Commanded(observation, Command(Verb.ROLLBACK, "enough")))
    run.tick(a_reading(0, token="token-9"), timedelta())
    assert run.rollout.reason is Reason.RAISE_UNCERTAIN
    observation = replace(run.observe(a_reading(0, token="token-9")), series={})
    run.apply(LostSave.of(observation, lowered.rollout))
    assert (run.rollout.reason, run.rollout.sentence) == (Reason.ROLLBACK_REQUESTED, "enough")
    assert run.replay.consistent


def test_a_guard_that_a_command_overtook_goes_on_with_the_rollback_of_that_command() -> None:
    run = a_rolled_back_run()
    observation = run.observe(a_reading(10))
    lowered = run.decide(Observed(observation))
    run.command(Command(Verb.ROLLBACK, "again"), a_reading(10))
    observation = replace(run.observe(a_reading(0)), series={})
    run.apply(LostSave.of(observation, lowered.rollout))
    assert run.kinds[-2:] == ["rolling_back", "rolled_back"]
    assert run.replay.consistent


def test_that_hooks_were_called_is_no_decision() -> None:
    run = a_run()
    run.tick(a_reading(10))
    record = hook_record(run.rollout, "after_start[0] was called", run.now)
    run.rollout, entry = append(run.rollout, record, by="tester", observation={})
    run.entries.append(entry)
    assert run.replay.consistent
    assert (run.replay.entries, run.replay.decisions) == (3, 2)
