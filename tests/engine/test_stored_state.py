"""A state that is not that of its history raises nothing and hides nothing, on both stores.

Each mutation is one write to the record of a rollout; its history and its chain stay as they are.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from controller.core.events import Command, Verb
from controller.core.repeated_state import digest_of_state, repeated_state
from controller.core.stats.counts import Counts
from controller.engine.slices import TickResult
from controller.errors import Exit, StoreError
from controller.immutable import replace
from controller.tools.replay import replay
from tests.chaos.dynamodb import on_moto
from tests.support.core import (
    Entry,
    Live,
    Paused,
    Pending,
    Phase,
    Progressing,
    Reason,
    Rollout,
    Succeeded,
    Tally,
)
from tests.support.deep_rows import deep_after, pairs
from tests.support.rollouts import a_state, state_of, with_entry
from tests.support.stage import PatchedStore, Stage, function_with, open_stage, short_policy
from tests.tools.simulation.worlds import HOUR, MINUTE, scenario

STEPS = [
    {"weight": 10, "bake": "2m"},
    {"weight": 50, "bake": "2m", "approval": "required"},
    {"weight": 100, "bake": "2m"},
]

SICK = [{"kind": "errors", "at": {"after": "40m"}, "server_errors": "20%"}]

Mutation = Callable[[Stage, Rollout], Rollout]


STORES = {"sqlite": "sqlite", "dynamodb": "dynamodb"}


@pytest.fixture(params=deep_after(1, STORES))
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """Yield a stage at 10% that waits for an approval; its canary fails after forty minutes."""
    played, policy = scenario(function=function_with(), events=SICK), short_policy(steps=STEPS)
    with ExitStack() as stack:
        stage = stack.enter_context(open_stage(tmp_path, played, policy))
        if request.param == "dynamodb":
            stage.use_store(stack.enter_context(stack.enter_context(on_moto()).fault_free()))
        stage.start()
        ticks(stage, 8)
        yield stage


def ticks(stage: Stage, minutes: int = 6) -> TickResult:
    """Tick every minute, as the scheduled task does; return the result of the last tick."""
    results = list[TickResult]()
    for _ in range(minutes):
        stage.world.clock.advance(MINUTE)
        results.append(stage.runner.tick_active(early=True))
    return results[-1]


def mutate(stage: Stage, mutation: Mutation, *, new_digest: bool = False) -> None:
    """Write the mutated record, as a role that may write this one item could.

    new_digest: with the digest of its new state.
    """
    store = stage.runner.store
    rollout = mutation(stage, store.load("orders#1"))
    if new_digest:
        rollout = replace(rollout, state_digest=digest_of_state(repeated_state(rollout)))
    store.save(rollout, [])


def approved(_: Stage, rollout: Rollout) -> Rollout:
    return replace(rollout, approved=1)


def pending(stage: Stage, rollout: Rollout) -> Rollout:
    token = stage.runner.observer.target_of(rollout).read().token
    write = Pending(1, 50, 10, token, rollout.updated, live=rollout.live)
    state = state_of(rollout, Progressing)
    return replace(rollout, state=replace(state, position=write))


def resumed(_: Stage, rollout: Rollout) -> Rollout:
    position = state_of(rollout, Paused).position
    state = Progressing(since=rollout.since, reason=Reason.BAKING, sentence="", position=position)
    return replace(rollout, state=state, approved=1, conditions={})


def judged(_: Stage, rollout: Rollout) -> Rollout:
    now = int(rollout.updated.timestamp())
    good = Tally(through=now, windows=5, counts=Counts(samples=3_000), last=1.0, last_end=now)
    return replace(rollout, evidence=replace(rollout.evidence, tallies={"works": good}))


def succeeded(stage: Stage, rollout: Rollout) -> Rollout:
    live, until = Live(2, 100, rollout.updated), rollout.updated + HOUR
    state = Succeeded(since=rollout.updated, sentence="", position=live, watch_until=until)
    return replace(rollout, state=state, conditions={})


def rolled_back(stage: Stage, rollout: Rollout) -> Rollout:
    until = rollout.updated + HOUR
    state = a_state(Phase.ROLLED_BACK, rollout.policy, since=rollout.updated, watch_until=until)
    return replace(rollout, state=state, conditions={})


MUTATIONS: Mapping[str, tuple[Mutation, str]] = {
    "an approval": (approved, "approved"),
    "a pending raise": (pending, "position"),
    "a pause undone": (resumed, "phase"),
    "judged evidence": (judged, "tallies"),
    "a success": (succeeded, "phase"),
}


# Those on a table are left to `make test`.
MUTATED = [
    row._replace(marks=[*row.marks, pytest.mark.slow]) if "dynamodb" in row.values else row
    for row in pairs({name: name for name in MUTATIONS}, STORES)
]


@pytest.mark.parametrize(("mutation", "stage"), MUTATED, indirect=["stage"])
def test_a_changed_state_raises_nothing_and_pauses_as_it_was_recorded(
    stage: Stage, mutation: str
) -> None:
    change, field = MUTATIONS[mutation]
    if change is resumed:
        stage.runner.run_command("orders#1", Command(Verb.PAUSE, "a look"))
    recorded = stage.runner.store.load("orders#1")
    mutate(stage, change)
    result = ticks(stage, 1)
    assert (field in result.visits[0].problem, result.status) == (True, Exit.INTERNAL)
    ticks(stage)
    rollout = stage.runner.store.load("orders#1")
    assert stage.variables["PERCENTAGE"] == "10"
    assert (rollout.phase, rollout.reason) == (Phase.PAUSED, Reason.RECORD_CHANGED)
    assert (rollout.live, rollout.approved) == (recorded.live, recorded.approved)


@pytest.mark.parametrize("new_digest", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("mutation", [approved, pending, judged, succeeded, rolled_back])
def test_a_changed_state_hides_no_failing_canary(
    stage: Stage, mutation: Mutation, new_digest: bool
) -> None:
    """A change with a new digest is found at the next entry, which is written after an hour."""
    mutate(stage, mutation, new_digest=new_digest)
    ticks(stage, 36 + 60 * new_digest)
    assert stage.variables["PERCENTAGE"] == "0"
    store = stage.runner.store
    replayed = replay(store.load("orders#1"), store.history("orders#1"))
    # Less traffic is carried out as decided on the changed state: no history leads to that.
    assert replayed.consistent == (mutation is not rolled_back)


@pytest.mark.parametrize("verb", [Verb.PROMOTE, Verb.APPROVE])
def test_no_verb_that_raises_accepts_a_changed_state(stage: Stage, verb: Verb) -> None:
    mutate(stage, pending)
    with pytest.raises(StoreError, match="position"):
        stage.runner.run_command("orders#1", Command(verb, "go on"))


def test_a_record_that_was_put_back_goes_on_once_an_operator_resumes_it(stage: Stage) -> None:
    mutate(stage, approved)
    ticks(stage, 1)
    stage.runner.run_command("orders#1", Command(Verb.RESUME, "looked at"))
    ticks(stage)
    assert stage.variables["PERCENTAGE"] == "10"
    stage.runner.run_command("orders#1", Command(Verb.APPROVE, "go on"))
    ticks(stage, 12)
    assert stage.variables["PERCENTAGE"] == "100"
    store = stage.runner.store
    assert replay(store.load("orders#1"), store.history("orders#1")).consistent


def test_the_state_of_a_history_is_raised_as_ever(stage: Stage) -> None:
    mutate(stage, lambda _, rollout: rollout)
    stage.runner.run_command("orders#1", Command(Verb.APPROVE, "go on"))
    ticks(stage, 12)
    assert stage.variables["PERCENTAGE"] == "100"


def test_an_entry_after_a_change_does_not_keep_the_change(stage: Stage) -> None:
    mutate(stage, approved)
    stage.runner.run_command("orders#1", Command(Verb.PAUSE, "a look"))
    assert stage.runner.store.load("orders#1").approved == 0


def test_a_state_and_an_entry_that_are_written_together_are_believed(stage: Stage) -> None:
    """No store can tell them from a decision: they move the target that the rollout owns."""
    store = stage.runner.store
    forged, entry = with_entry(replace(store.load("orders#1"), approved=1))
    store.save(forged, [entry])
    ticks(stage, 1)
    assert stage.variables["PERCENTAGE"] == "50"


def test_a_record_that_is_put_back_to_an_earlier_state_raises_nothing(stage: Stage) -> None:
    store = stage.runner.store
    stage.runner.run_command("orders#1", Command(Verb.APPROVE, "go on"))
    before = store.load("orders#1")
    stage.runner.run_command("orders#1", Command(Verb.PAUSE, "a look"))
    version = store.load("orders#1").version
    mutate(stage, lambda _stage, _rollout: replace(before, version=version))
    result = ticks(stage)
    assert stage.variables["PERCENTAGE"] == "10"
    assert "(chain)" in result.visits[0].problem


def test_a_record_that_another_run_saves_meanwhile_is_left_to_that_run(stage: Stage) -> None:
    """Its newest entry is not that of the state that this run has read."""
    store = stage.runner.store
    stage.runner.run_command("orders#1", Command(Verb.APPROVE, "go on"))

    def newest_after_a_save(rollout_id: str) -> Entry | None:
        rollout = store.load(rollout_id)
        after, entry = with_entry(rollout, sentence="Another run was here.")
        store.save(after, [entry])
        return store.newest_entry(rollout_id)

    stage.use_store(PatchedStore(store, newest_entry=newest_after_a_save))
    (visit,) = ticks(stage, 1).visits
    assert (visit.busy, visit.problem) == (True, "")
    assert stage.variables["PERCENTAGE"] == "10"
