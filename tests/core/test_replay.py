"""A history that was changed does not follow from itself any more, whoever made its hashes."""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from controller.core import transitions as to
from controller.core.commands import GATED_VERBS, Command, Verb, apply_command
from controller.core.conflict import rebase_rollback
from controller.core.decide import decide, with_refused_rollback
from controller.core.decision import Decision
from controller.core.history import Entry, append, observation_data
from controller.core.judge.evidence import Tally
from controller.core.judge.gate import needs
from controller.core.judge.sealing import kept
from controller.core.observation import (
    Observation,
    QueryStatus,
    Series,
    TargetReading,
    UnreadableTarget,
    UpdateStatus,
)
from controller.core.outbox import hook_record
from controller.core.policy import Policy
from controller.core.replay.replay import Replay, replay
from controller.core.rollout import Phase, Reason, Rollout
from tests.support.rollouts import MINUTE, NOON, a_policy, a_reading

HOUR = 60 * MINUTE
POLICY = a_policy(steps=[{"weight": 10, "bake": "150m"}, {"weight": 100, "bake": "30m"}])


@dataclass(slots=True)
class Life:
    """A rollout that is written down as the runner does it, without one.

    errors: a minute, of a hundred requests, from when on. unanswered: metrics whose queries fail.
    """

    rollout: Rollout
    now: datetime = NOON
    entries: list[Entry] = field(default_factory=list)
    errors: Callable[[int], float] = lambda second: 0.0
    unanswered: Collection[str] = ()

    def take(self, decision: Decision, seen: Observation) -> Decision:
        """Write `decision` down, and go on from there."""
        before, after = self.rollout, decision.rollout
        if decision.record is not None:
            series = kept(before, after, seen.series) if decision.record.keeps_series else {}
            data = observation_data(before, seen, series)
            after, entry = append(after, decision.record, by="tester", observation=data)
            self.entries.append(entry)
        self.rollout = after
        return decision

    def see(
        self, target: TargetReading | UnreadableTarget, after: timedelta = MINUTE
    ) -> Observation:
        """Let time pass, and look."""
        self.now += after
        wanted = needs(self.rollout, self.now)
        minutes = range(wanted.span.start, wanted.span.end, 60)
        series = {
            key: Series({one: self.errors(one) if "errors" in key else 100.0 for one in minutes})
            for key in wanted.queries
        }
        failed = Series(answer=QueryStatus.ERROR, message="Throttling")
        lost = {key: failed for key in series if key.partition(":")[0] in self.unanswered}
        return Observation(target, series | lost)

    def tick(self, target: TargetReading | UnreadableTarget, after: timedelta = MINUTE) -> Decision:
        """Look and decide."""
        seen = self.see(target, after)
        return self.take(decide(self.rollout, seen, self.now), seen)

    def ask(self, ask: Command, target: TargetReading | UnreadableTarget) -> Decision:
        """Do what a person asks."""
        seen = self.see(target)
        if ask.verb not in GATED_VERBS:
            seen = replace(seen, series={})
        return self.take(apply_command(self.rollout, ask, seen, self.now), seen)

    @property
    def replay(self) -> Replay:
        """The replay of it."""
        return replay(self.rollout, self.entries)

    @property
    def kinds(self) -> list[str]:
        """What was written down."""
        return [entry.kind for entry in self.entries]


def a_life(policy: Policy = POLICY, adopted: int | None = None) -> Life:
    """Return a rollout that was just started, or that has adopted the weight of a step."""
    target = a_reading(0 if adopted is None else policy.steps[adopted].weight)
    first = to.start_rollout(policy, "code-1", target, 1, {}, None, NOON, adopted)
    life = Life(first.rollout)
    life.take(first, Observation(target))
    return life


def a_success() -> Life:
    """Return one that went up in two steps, with two hours of evidence, and succeeded."""
    life = a_life()
    for _ in range(32):
        life.tick(a_reading(life.rollout.weight), 7 * MINUTE)
    assert life.kinds == [
        "started", "settled", "evidence", "evidence", "advanced", "settled", "succeeded",
    ]  # fmt: skip
    return life


SUCCESS = a_success()


def test_a_history_that_nobody_touched_derives_again() -> None:
    replayed = SUCCESS.replay
    assert replayed.consistent
    assert (replayed.entries, replayed.decisions, replayed.seals) == (7, 5, 2)


# --- forgeries ----------------------------------------------------------------------------------


def chained(entries: Sequence[Entry]) -> list[Entry]:
    """Return `entries` with numbers and hashes made anew, as a forger would make them."""
    chain: list[Entry] = []
    for seq, entry in enumerate(entries, 1):
        previous = chain[-1].hash if chain else ""
        text = json.dumps(
            [previous, seq, entry.at.isoformat(), entry.kind, entry.body], sort_keys=True
        )
        digest = hashlib.sha256(text.encode()).hexdigest()
        chain.append(replace(entry, seq=seq, previous=previous, hash=digest))
    return chain


def in_body(number: int, change: Callable[[Any], object]) -> Callable[[list[Entry]], list[Entry]]:
    """Return what changes the body of one entry."""

    def forged(entries: list[Entry]) -> list[Entry]:
        body = deepcopy(dict(entries[number - 1].body))
        change(body)
        return [*entries[: number - 1], replace(entries[number - 1], body=body), *entries[number:]]

    return forged


def a_point(body: Any) -> None:
    body["seen"]["series"]["requests:Sum@60"]["points"][5][1] += 1


def set_to(value: object, *path: Any) -> Callable[[Any], None]:
    """Return what sets one place in a body."""

    def change(body: Any) -> None:
        for part in path[:-1]:
            body = body[part]
        body[path[-1]] = value

    return change


def later(number: int) -> Callable[[list[Entry]], list[Entry]]:
    """Return what makes an entry a minute younger."""

    def forged(entries: list[Entry]) -> list[Entry]:
        moved = replace(entries[number - 1], at=entries[number - 1].at + MINUTE)
        return [*entries[: number - 1], moved, *entries[number:]]

    return forged


FORGERIES = [
    pytest.param(in_body(3, a_point), 3, "tally of works", id="a count in an hour of evidence"),
    pytest.param(in_body(5, a_point), 5, "finding works", id="a count that a transition saw"),
    pytest.param(
        in_body(5, set_to("fail", "findings", 0, "verdict")), 5, "finding works", id="a verdict"
    ),
    pytest.param(
        in_body(5, set_to("all is well", "findings", 0, "sentence")), 5, "finding works",
        id="the words of a finding",
    ),
    pytest.param(in_body(5, set_to([], "findings")), 5, "finding works", id="no findings"),
    pytest.param(
        in_body(4, set_to(99.0, "tallies", "works", "samples")), 4, "tally of works",
        id="what was sealed",
    ),
    pytest.param(
        in_body(4, lambda body: body.pop("tallies")), 4, "tally of works", id="nothing sealed"
    ),
    pytest.param(in_body(5, set_to(50, "weight_to")), 5, "weight_to", id="a weight"),
    pytest.param(in_body(5, set_to(50, "weight_from")), 5, "weight_from", id="an old weight"),
    pytest.param(in_body(5, set_to("paused", "phase_to")), 5, "phase_to", id="a phase"),
    pytest.param(in_body(5, set_to("paused", "phase_from")), 5, "phase_from", id="an old phase"),
    pytest.param(in_body(5, set_to(0, "step")), 5, "step", id="a step"),
    pytest.param(in_body(5, set_to("promoted", "reason")), 5, "reason", id="a reason"),
    pytest.param(in_body(2, set_to("it settled", "sentence")), 2, "sentence", id="a sentence"),
    pytest.param(
        in_body(2, set_to(50, "seen", "target", "weight")), 2, "the decision", id="a weight seen"
    ),
    pytest.param(
        in_body(5, set_to({"verb": "pause"}, "because")), 5, "the decision", id="a verb put in"
    ),
    pytest.param(later(2), 2, "sentence", id="the time of a transition"),
    pytest.param(later(5), 5, "finding works", id="the time of a verdict"),
    pytest.param(
        lambda e: [*e[:2], replace(e[2], at=e[2].at - HOUR), *e[3:]], 3, "the decision",
        id="evidence before it was due",
    ),
    pytest.param(lambda e: e[1:], 1, "the decision", id="the first entry dropped"),
    pytest.param(lambda e: [e[0], *e[2:]], 2, "the decision", id="a transition dropped"),
    pytest.param(lambda e: [*e[:2], *e[3:]], 3, "tally of works", id="an hour dropped"),
    pytest.param(lambda e: [*e[:2], e[3], e[2], *e[4:]], 3, "tally of works", id="hours swapped"),
    pytest.param(lambda e: [*e[:5], e[6], e[5]], 6, "the decision", id="transitions swapped"),
    pytest.param(lambda e: [*e[:5], *e[4:]], 6, "the decision", id="a transition doubled"),
    pytest.param(lambda e: [*e[:2], *e[2:3] * 2, *e[3:]], 4, "the decision", id="an hour doubled"),
]  # fmt: skip

Forge = Callable[[list[Entry]], list[Entry]]


@pytest.mark.parametrize(("forge", "seq", "what"), FORGERIES)
def test_a_forger_who_makes_the_hashes_anew_is_found_by_what_does_not_follow(
    forge: Forge, seq: int, what: str
) -> None:
    forged = chained(forge(SUCCESS.entries))
    replayed = replay(replace(SUCCESS.rollout, chain=forged[-1].hash), forged)
    assert replayed.broken_at is None
    assert not replayed.consistent
    first = replayed.entry_differences[0]
    assert (first.seq, first.differences[0].what) == (seq, what)


@pytest.mark.parametrize(("forge", "seq", "what"), FORGERIES)
def test_a_forger_who_leaves_the_hashes_alone_is_found_by_the_chain_too(
    forge: Forge, seq: int, what: str
) -> None:
    replayed = replay(SUCCESS.rollout, forge(SUCCESS.entries))
    assert replayed.broken_at == seq
    assert replayed.entry_differences


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(2, id="the words of a transition"),
        pytest.param(3, id="an hour of evidence"),
        pytest.param(5, id="a verdict"),
        pytest.param(7, id="the words of the last finding"),
    ],
)
def test_a_difference_is_told_once(number: int) -> None:
    words = set_to("all is well", "findings", 0, "sentence")
    forges = {2: set_to("it settled", "sentence"), 3: a_point, 5: a_point, 7: words}
    forged = chained(in_body(number, forges[number])(SUCCESS.entries))
    replayed = replay(replace(SUCCESS.rollout, chain=forged[-1].hash), forged)
    assert [one.seq for one in replayed.entry_differences] == [number]
    assert replayed.state == ()


def test_after_an_entry_that_went_another_way_the_rest_still_derives() -> None:
    forged = chained([*SUCCESS.entries[:1], *SUCCESS.entries[2:]])
    replayed = replay(replace(SUCCESS.rollout, chain=forged[-1].hash), forged)
    assert 5 not in [one.seq for one in replayed.entry_differences]
    assert 6 not in [one.seq for one in replayed.entry_differences]


def test_a_cut_off_end_does_not_lead_to_what_is_stored() -> None:
    forged = SUCCESS.entries[:-1]
    replayed = replay(replace(SUCCESS.rollout, chain=forged[-1].hash), forged)
    assert (replayed.broken_at, replayed.entry_differences) == (None, ())
    assert [(one.what, one.recorded, one.expected) for one in replayed.state][:1] == [
        ("phase", "succeeded", "progressing")
    ]


@pytest.mark.parametrize(
    ("facts", "what"),
    [
        pytest.param({"label": "confirmed"}, "label", id="a better label"),
        pytest.param({"phase": Phase.ROLLED_BACK}, "phase", id="another phase"),
        pytest.param({"sentence": "promoted"}, "sentence", id="another sentence"),
        pytest.param({"tallies": {"works": Tally(samples=9)}}, "tally of works", id="evidence"),
        pytest.param({"findings": ()}, "finding works", id="findings left out"),
        pytest.param({"approved": 1}, "approved", id="an approval nobody gave"),
        pytest.param({"peak": 10}, "peak", id="another peak"),
        pytest.param({"digest": "other"}, "digest", id="another policy"),
        pytest.param({"created": NOON - MINUTE}, "created", id="an earlier start"),
    ],
)
def test_a_state_that_does_not_follow_is_told(facts: Mapping[str, Any], what: str) -> None:
    replayed = replay(replace(SUCCESS.rollout, **facts), SUCCESS.entries)
    assert [one.what for one in replayed.state] == [what]
    assert not replayed.consistent


def test_a_milder_policy_put_into_the_state_leads_to_other_findings() -> None:
    works = {**POLICY.criteria["works"].model_dump(), "min": "90%"}
    milder = a_policy(steps=POLICY.model_dump(mode="json")["steps"], criteria={"works": works})
    replayed = replay(
        replace(SUCCESS.rollout, policy=milder, digest=milder.digest()), SUCCESS.entries
    )
    assert [one.seq for one in replayed.entry_differences] == [5, 7]


def test_what_ticks_without_an_entry_change_of_a_running_rollout_is_no_difference() -> None:
    life = a_life()
    for _ in range(9):
        life.tick(a_reading(10))
    assert life.rollout.reason is Reason.BAKING
    assert life.replay.consistent


def test_what_ticks_without_an_entry_had_moved_is_remembered() -> None:
    """A gate that loses its verdict while it waits for a person holds anew from their answer on."""
    steps = [{"weight": 10, "bake": "10m"}, {"weight": 100, "bake": "10m", "approval": "required"}]
    life = a_life(a_policy(steps=steps))
    wavering_from = int((NOON + HOUR).timestamp())
    life.errors = lambda second: 50.0 if second >= wavering_from and second % 120 == 0 else 0.0
    while life.now < NOON + 90 * MINUTE:
        life.tick(a_reading(10), 2 * MINUTE)
    life.tick(a_reading(10))
    life.ask(Command(Verb.APPROVE), a_reading(10))
    while life.rollout.phase is Phase.PROGRESSING and life.now < NOON + 3 * HOUR:
        life.tick(a_reading(10), 2 * MINUTE)
    assert life.kinds == ["started", "settled", "held_up", "evidence", "approved", "paused"]
    assert life.rollout.reason is Reason.INCONCLUSIVE
    assert life.replay.consistent


FREEZE = {"zone": "UTC", "daily": [{"from": "12:10", "to": "14:00"}]}


def test_a_raise_that_a_freeze_kept_from_being_written_is_derived() -> None:
    life = a_life(a_policy(steps=[{"weight": 10, "bake": "10m"}], freeze=FREEZE))
    for _ in range(9):
        life.tick(a_reading(0, UpdateStatus.IN_PROGRESS))
    while life.rollout.phase is Phase.PROGRESSING:
        life.tick(a_reading(0))
    assert life.now > NOON + 2 * HOUR
    assert life.kinds[:3] == ["started", "held_up", "write_again"]
    assert life.kinds[-1] == "rolled_back"
    assert life.replay.consistent


def test_a_gate_that_lost_its_verdict_in_a_freeze_is_derived() -> None:
    steps = [{"weight": 10, "bake": "5m"}, {"weight": 100, "bake": "10m"}]
    life = a_life(a_policy(steps=steps, freeze=FREEZE, on_inconclusive="rollback"))
    silent_from = int((NOON + 20 * MINUTE).timestamp())
    life.errors = lambda second: 1000.0 if second >= silent_from else 0.0  # makes no sense
    while life.rollout.phase is Phase.PROGRESSING:
        life.tick(a_reading(10))
    assert life.now == NOON + 2 * HOUR + 10 * MINUTE
    assert life.replay.consistent


COUNT = {"namespace": "Shop", "statistic": "Sum"}
WEIGHED = a_policy(
    metrics={
        "requests": {**COUNT, "name": "Count"},
        "errors": {**COUNT, "name": "Errors"},
        "errors_told": {**COUNT, "name": "ErrorsTold"},
    },
    criteria={
        "works": {
            "kind": "success_rate", "judge": "sequential", "total": "requests",
            "failures": ["errors"], "min": "99%",
        },
        "quiet": {
            "kind": "threshold", "judge": "sequential", "metric": "errors_told", "max": 10,
            "min_samples": 0,
        },
    },
    steps=[{"weight": 10, "bake": "150m"}, {"weight": 100, "bake": "30m"}],
)  # fmt: skip


def a_weighed_life(fails: Callable[[int], bool], lost: Collection[str]) -> Life:
    """Return a rollout whose evidence adds up; the queries of some metrics fail in some ticks."""
    life = a_life(WEIGHED)
    for tick in range(50):
        life.unanswered = lost if fails(tick) else ()
        life.tick(a_reading(life.rollout.weight), 7 * MINUTE)
    return life


def minutes_kept(life: Life, metric: str) -> list[int]:
    """Return the minutes of a metric that the history keeps, since noon."""
    return [
        (second - int(NOON.timestamp())) // 60
        for entry in life.entries
        for second, _ in entry.body["seen"]["series"].get(f"{metric}:Sum@60", {}).get("points", ())
    ]


WHOLE = a_weighed_life(lambda tick: False, ())
EVERY_METRIC = ("requests", "errors_told")


@pytest.mark.parametrize("lost", EVERY_METRIC)
@pytest.mark.parametrize("failing", [*range(8, 12), *range(17, 27)])
def test_a_query_that_failed_once_loses_nothing_of_what_adds_up(failing: int, lost: str) -> None:
    """Also where that tick seals what the other criterion saw, or is the one that would go up."""
    life = a_weighed_life(lambda tick: tick == failing, (lost,))
    assert life.rollout.phase is Phase.SUCCEEDED
    assert life.rollout.label == WHOLE.rollout.label
    assert life.replay.consistent
    for metric in EVERY_METRIC:
        assert set(minutes_kept(WHOLE, metric)) <= set(minutes_kept(life, metric))


@pytest.mark.parametrize("lost", EVERY_METRIC)
def test_a_query_that_fails_for_good_is_derived_with_what_the_others_sealed(lost: str) -> None:
    life = a_weighed_life(lambda tick: tick >= 3, (lost,))
    assert life.kinds.count("evidence") == 5
    assert life.rollout.weight == 10
    assert life.replay.consistent


@pytest.mark.parametrize(
    ("targets", "kind"),
    [
        pytest.param([a_reading(0, token="token-9")], "rolled_back", id="a first raise without trace"),
        pytest.param(
            [a_reading(10), *[a_reading(10, UpdateStatus.FAILED)] * 3, a_reading(70), a_reading(0)], "rolled_back",
            id="drift, and 0",
        ),
    ],
)  # fmt: skip
def test_what_ends_at_zero_is_derived(targets: Sequence[TargetReading], kind: str) -> None:
    life = a_life()
    for target in targets:
        life.tick(target)
    assert life.kinds[-1] == kind
    assert life.replay.consistent


def test_an_adopted_rollout_is_derived_with_its_bake() -> None:
    policy = a_policy(steps=[{"weight": 10, "bake": "10m"}, {"weight": 100, "bake": "30m"}])
    life = a_life(policy, adopted=1)
    while life.rollout.phase is Phase.PROGRESSING:
        life.tick(a_reading(100))
    assert life.kinds == ["started", "succeeded"]
    assert life.replay.consistent


def test_zeros_and_traffic_after_a_success_are_derived() -> None:
    life = a_success()
    for weight in (0, 100, 0, 30, 30, 0):
        life.tick(a_reading(weight))
    life.ask(Command(Verb.ROLLBACK, "limit"), a_reading(30))
    life.tick(a_reading(0))
    assert life.rollout.exposed_to == life.now
    assert life.replay.consistent


def test_a_verb_that_met_drift_is_derived_and_so_is_the_tick_that_tells_it() -> None:
    life = a_life()
    life.tick(a_reading(10))
    life.ask(Command(Verb.PAUSE, "what is this"), a_reading(70))
    assert life.tick(a_reading(70)).rollout.reason is Reason.DRIFTED
    life.ask(Command(Verb.RESUME, "ours", "restore"), a_reading(70))
    life.tick(a_reading(70, token="token-9"))
    assert life.kinds[2:] == ["paused", "paused", "resumed", "paused"]
    assert life.replay.consistent


def test_the_first_look_at_a_raise_that_took_too_long_is_remembered() -> None:
    life = a_life()
    while life.rollout.phase is Phase.PROGRESSING and life.now < NOON + 3 * HOUR:
        life.tick(a_reading(10, UpdateStatus.IN_PROGRESS))
    assert (life.kinds, life.rollout.reason) == (
        ["started", "rolling_back"], Reason.SHIFT_TIMED_OUT,
    )  # fmt: skip
    assert life.replay.consistent


def test_a_reminder_of_a_pause_is_derived_with_what_it_found() -> None:
    life = a_life()
    life.tick(a_reading(10))
    life.ask(Command(Verb.PAUSE, "lunch"), a_reading(10))
    while "reminded" not in life.kinds and life.now < NOON + 30 * HOUR:
        life.tick(a_reading(10), 25 * MINUTE)
    assert life.kinds[-1] == "reminded"
    assert life.replay.consistent


def test_after_a_difference_a_decision_that_went_the_same_way_is_gone_on_from() -> None:
    life = a_life()
    for _ in range(20):
        life.tick(a_reading(10), 5 * MINUTE)
    life.ask(Command(Verb.PAUSE, "lunch"), a_reading(10))
    life.ask(Command(Verb.RESUME, "back"), a_reading(10))
    while life.rollout.weight == 10 and life.now < NOON + 4 * HOUR:
        life.tick(a_reading(10), 5 * MINUTE)
    assert life.kinds[-3:] == ["resumed", "evidence", "advanced"]
    number = life.kinds.index("resumed") + 1
    forged = chained(in_body(number, set_to("as you were", "sentence"))(life.entries))
    replayed = replay(replace(life.rollout, chain=forged[-1].hash), forged)
    assert [one.seq for one in replayed.entry_differences] == [number]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda body: body.clear(), id="nothing in it"),
        pytest.param(set_to("gone", "phase_to"), id="an unknown phase"),
        pytest.param(set_to(None, "seen"), id="nothing seen"),
        pytest.param(
            set_to({"requests:Sum@60": {"points": [["x", 1]]}}, "seen", "series"), id="no moment"
        ),
        pytest.param(
            set_to({"requests:Sum@60": {"points": [[60, float("nan")]]}}, "seen", "series"),
            id="no number",
        ),
        pytest.param(lambda body: body["seen"].pop("memory"), id="no memory"),
        pytest.param(set_to({"hold_from": "2026-11-24T12:00:00"}, "seen", "memory"), id="no zone"),
        pytest.param(set_to(7, "step"), id="a step that the policy does not have"),
        pytest.param(set_to({"verb": "start", "adopted": 9}, "because"), id="adopted from nowhere"),
        pytest.param(set_to({"verb": "deploy"}, "because"), id="an unknown verb"),
        pytest.param(set_to({"verb": "resume", "way": "up"}, "because"), id="an unknown way"),
        pytest.param(set_to({"verb": "overtaken"}, "because"), id="overtaken for no reason"),
    ],
)
@pytest.mark.parametrize("number", [1, 5])
def test_an_entry_that_cannot_be_read_is_told_and_passed_by(
    damage: Callable[[Any], None], number: int
) -> None:
    forged = in_body(number, damage)(SUCCESS.entries)
    replayed = replay(SUCCESS.rollout, forged)
    assert replayed.entry_differences[0].seq == number
    assert replayed.broken_at == number


# --- decisions that something else had a part in ------------------------------------------------


def rolled_back() -> Life:
    """Return a rollout that a person has rolled back, to 0 % in force."""
    life = a_life()
    life.tick(a_reading(10))
    life.ask(Command(Verb.ROLLBACK, "limit"), a_reading(10))
    life.tick(a_reading(0))
    assert life.rollout.phase is Phase.ROLLED_BACK
    return life


def test_a_write_that_was_refused_for_good_is_derived_with_its_refusal() -> None:
    life = a_life()
    life.tick(a_reading(10))
    seen = life.see(a_reading(10))
    decision = apply_command(life.rollout, Command(Verb.ROLLBACK, "limit"), seen, life.now)
    life.take(with_refused_rollback(decision, "KMS says no", life.now + MINUTE), seen)
    seen = life.see(a_reading(10))
    decision = decide(life.rollout, seen, life.now)
    life.take(with_refused_rollback(decision, "KMS says no", life.now + MINUTE), seen)
    assert life.kinds == ["started", "settled", "rolling_back", "rollback_unconfirmed"]
    assert life.replay.consistent


def test_a_guard_that_was_refused_at_the_end_of_the_watch_is_derived_as_of_its_decision() -> None:
    life = rolled_back()
    seen = life.see(a_reading(10), 14.9 * MINUTE)
    decision = decide(life.rollout, seen, life.now)
    life.take(with_refused_rollback(decision, "KMS says no", life.now + MINUTE), seen)
    assert life.kinds[-1] == "rollback_unconfirmed"
    assert life.replay.consistent


@pytest.mark.parametrize(
    ("meanwhile", "kind"),
    [
        pytest.param(a_reading(10), "rolling_back", id="another run saved a look"),
        pytest.param(a_reading(0), "rolling_back", id="another run found our 0 %"),
    ],
)
def test_a_rollback_that_another_run_overtook_is_derived_on_what_that_run_saved(
    meanwhile: TargetReading, kind: str
) -> None:
    life = a_life()
    life.tick(a_reading(10))
    life.errors = lambda second: 50.0
    seen = life.see(a_reading(10), 10 * MINUTE)
    lowered = decide(life.rollout, seen, life.now)
    assert lowered.rollout.reason is Reason.GATE_FAILED
    life.errors = lambda second: 0.0
    life.tick(meanwhile, timedelta())
    seen = replace(life.see(a_reading(0)), series={})
    life.take(rebase_rollback(life.rollout, lowered, seen, life.now), seen)
    assert life.kinds[-1] == kind
    assert life.entries[-1].body["because"]["reason"] == "gate_failed"
    assert life.replay.consistent


def test_a_first_raise_that_a_person_took_back_is_not_put_down_to_another_hand() -> None:
    """The run beside saw our 0 %, and took it for the reason why nothing was raised."""
    life = a_life()
    seen = replace(life.see(a_reading(10, UpdateStatus.IN_PROGRESS)), series={})
    lowered = apply_command(life.rollout, Command(Verb.ROLLBACK, "limit"), seen, life.now)
    life.tick(a_reading(0, token="token-9"), timedelta())
    assert life.rollout.reason is Reason.RAISE_UNCERTAIN
    seen = replace(life.see(a_reading(0, token="token-9")), series={})
    life.take(rebase_rollback(life.rollout, lowered, seen, life.now), seen)
    assert (life.rollout.reason, life.rollout.sentence) == (Reason.ROLLBACK_REQUESTED, "enough")
    assert life.replay.consistent


def test_a_guard_that_another_run_overtook_is_derived_too() -> None:
    life = rolled_back()
    seen = life.see(a_reading(10))
    lowered = decide(life.rollout, seen, life.now)
    life.tick(a_reading(70), timedelta())
    seen = replace(life.see(a_reading(0)), series={})
    life.take(rebase_rollback(life.rollout, lowered, seen, life.now), seen)
    assert life.kinds[-2:] == ["drifted", "guarding_zero"]
    assert life.entries[-1].at >= life.entries[-2].at
    assert life.replay.consistent


def test_a_guard_that_was_overtaken_and_refused_is_derived_too() -> None:
    life = rolled_back()
    seen = life.see(a_reading(10))
    lowered = decide(life.rollout, seen, life.now)
    life.tick(a_reading(70), timedelta())
    seen = replace(life.see(a_reading(70)), series={})
    again = rebase_rollback(life.rollout, lowered, seen, life.now)
    life.take(with_refused_rollback(again, "KMS says no", life.now), seen)
    assert life.kinds[-2:] == ["drifted", "rollback_unconfirmed"]
    assert life.replay.consistent


def test_a_guard_that_a_person_overtook_goes_on_with_the_rollback_of_that_person() -> None:
    life = rolled_back()
    seen = life.see(a_reading(10))
    lowered = decide(life.rollout, seen, life.now)
    life.ask(Command(Verb.ROLLBACK, "again"), a_reading(10))
    seen = replace(life.see(a_reading(0)), series={})
    life.take(rebase_rollback(life.rollout, lowered, seen, life.now), seen)
    assert life.kinds[-2:] == ["rolling_back", "rolled_back"]
    assert life.replay.consistent


def test_a_finished_rollout_that_lost_its_target_is_derived_as_one_that_did() -> None:
    life = rolled_back()
    seen = replace(life.see(a_reading(70)), owns_target=False)
    decision = life.take(decide(life.rollout, seen, life.now), seen)
    assert decision.record is None
    assert life.replay.consistent


def test_variables_that_may_mean_100_are_seen_again() -> None:
    life = a_life(a_policy(on_drift_up="rollback"))
    life.tick(a_reading(10))
    life.tick(a_reading(None, may_be_full=True))
    assert life.kinds[-1] == "rolling_back"
    assert life.replay.consistent


def test_that_hooks_were_called_is_no_decision() -> None:
    life = a_life()
    life.tick(a_reading(10))
    record = hook_record(life.rollout, "after_start[0] was called", life.now)
    life.rollout, entry = append(life.rollout, record, by="tester", observation={})
    life.entries.append(entry)
    assert life.replay.consistent
    assert (life.replay.entries, life.replay.decisions) == (3, 2)
