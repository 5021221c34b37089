"""A rollout is visited when it is due: what is decided, and when, is as with a tick a minute."""

import dataclasses
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from controller.core.units import MINUTE_S
from controller.core.visit_order import FARTHEST
from controller.errors import Exit
from controller.immutable import Immutable
from controller.operations.start import StartRequest, start
from controller.policy_file.loader import load
from controller.process import logging
from controller.tools.rehearse.rehearsal import rehearsal
from tests.support.core import Command, Notice, Phase, Rollout, Verb
from tests.support.deep_rows import deep_after
from tests.support.shipped import POLICIES
from tests.support.stage import Stage, function_with, open_stage, short_policy
from tests.tools.simulation.worlds import scenario

MINUTE: Final = timedelta(minutes=1)
LONG: Final = [{"weight": 10, "bake": "2h"}, {"weight": 100, "bake": "2h"}]
BY_WINDOW: Final = {"judge": "threshold", "window": "1m", "failure_limit": 1}
SEQUENTIAL: Final = {
    "works": {
        "kind": "success_rate",
        "total": "requests",
        "failures": ["server_errors"],
        "min": "99%",
    }
}


@pytest.fixture(autouse=True)
def _silence() -> None:
    logging.disable()


class Played(Immutable):
    """What a rollout came to. history: when and why; notices: when. visits: how many there were."""

    history: list[tuple[datetime, str, Mapping[str, Any]]]
    notices: list[tuple[datetime, str]]
    visits: int


def played(policy: str, world: str, *, early: bool, most: timedelta) -> Played:
    """Tick once a minute until the rollout is over; early: visit it each time."""
    notices, visits = list[tuple[datetime, str]](), 0
    with rehearsal(load(POLICIES[policy]), world, 1) as setup:
        clock = setup.runner.clock

        def announce(_: Rollout, notice: Notice) -> None:
            notices.append((clock.now(), notice.text))

        runner = dataclasses.replace(setup.runner, announce=announce)
        rollout, end = start(runner, StartRequest(setup.policy)).rollout, clock.now() + most
        while clock.now() < end:
            clock.sleep(MINUTE)
            visits += len(runner.tick_active(early=early).visits)
        entries = [(one.at, one.kind, one.body) for one in runner.store.history(rollout.id)]
        return Played(entries, notices, visits)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "world", "most"),
    deep_after(
        4,
        [
            pytest.param("execution-api", "error-burst", timedelta(hours=4)),
            pytest.param("execution-api", "latency-creep", timedelta(hours=4)),
            pytest.param("gateway-metrics-only", "error-burst", timedelta(hours=4)),
            pytest.param("lambda-alias", "console-up", timedelta(hours=2)),
            pytest.param("execution-api", "healthy", timedelta(hours=30)),
            pytest.param("execution-api", "quiet", timedelta(hours=30)),
            pytest.param("execution-api", "silent", timedelta(hours=30)),
            pytest.param("gateway-metrics-only", "latency-creep", timedelta(hours=30)),
        ],
    ),
)
def test_each_decision_comes_in_the_minute_in_which_a_tick_a_minute_makes_it(
    policy: str, world: str, most: timedelta
) -> None:
    due = played(policy, world, early=False, most=most)
    every = played(policy, world, early=True, most=most)
    assert due.history == every.history
    assert due.notices == every.notices
    assert due.visits < every.visits or policy == "gateway-metrics-only"  # counts open windows


@pytest.mark.slow
@pytest.mark.parametrize("world", ["cdk-reset", "metrics-outage"])
def test_what_no_datapoint_foretells_is_seen_within_five_minutes(world: str) -> None:
    """A weight that was changed outside, and metrics that cannot be read."""
    due, every = (
        played("execution-api", world, early=early, most=timedelta(hours=2))
        for early in (False, True)
    )
    differences = (
        late - soon
        for (late, *_), (soon, *_) in zip(due.notices, every.notices, strict=False)
        if late != soon
    )
    assert timedelta() <= next(differences, timedelta()) <= FARTHEST


# --- what a tick does with a rollout that is not due ----------------------------------------------


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Yield a stage whose first step bakes for two hours, and whose evidence adds up."""
    policy = short_policy(criteria=SEQUENTIAL, steps=LONG)
    with open_stage(tmp_path, scenario(function=function_with()), policy=policy) as stage:
        stage.start()
        yield stage


def until_left_alone(stage: Stage) -> datetime:
    """Tick until a tick leaves the rollout to a later one; return when it is due."""
    for _ in range(60):
        stage.world.clock.advance(MINUTE)
        if stage.runner.tick_active().later:
            assert stage.rollout.due is not None
            return stage.rollout.due
    raise AssertionError("it was visited by each tick")


def test_a_rollout_that_is_not_due_costs_no_call_and_no_save(stage: Stage) -> None:
    due = until_left_alone(stage)
    assert stage.world.clock.now() < due <= stage.rollout.updated + FARTHEST
    calls, version = stage.world.calls.copy(), stage.rollout.version
    result = stage.runner.tick_active()
    assert (result.visits, list(result.later)) == ([], [Phase.PROGRESSING])
    assert (stage.world.calls, stage.rollout.version) == (calls, version)
    while stage.world.clock.now() < due:
        stage.world.clock.advance(MINUTE)
    assert len(stage.runner.tick_active().visits) == 1


def test_a_tick_by_name_and_an_early_one_visit_at_once(stage: Stage) -> None:
    until_left_alone(stage)
    assert stage.runner.tick([stage.rollout.id]).visits
    assert stage.runner.tick_active(early=True).visits
    assert not stage.runner.tick_active().visits


def test_after_a_command_the_next_tick_visits(stage: Stage) -> None:
    until_left_alone(stage)
    stage.runner.run_command(stage.rollout.id, Command(Verb.PAUSE, "lunch"))
    assert stage.rollout.due is None
    stage.runner.run_command(stage.rollout.id, Command(Verb.RESUME))
    assert len(stage.runner.tick_active().visits) == 1


def test_the_next_checkpoint_is_not_late(stage: Stage) -> None:
    """A checkpoint is written once an hour, in the tick that comes first after the hour."""
    until_left_alone(stage)
    for _ in range(150):
        stage.world.clock.advance(MINUTE)
        stage.runner.tick_active()
    kinds = stage.store.history("orders#1")
    first, second, *_ = (one.at for one in kinds if one.kind == "evidence")
    assert second - first < timedelta(hours=1) + MINUTE


def test_a_succeeded_rollout_is_visited_every_five_minutes(tmp_path: Path) -> None:
    with open_stage(tmp_path, scenario(function=function_with()), policy=short_policy()) as stage:
        stage.start()
        while not stage.rollout.final:
            stage.tick()
        visited = []
        for _ in range(30):
            stage.world.clock.advance(MINUTE)
            visited.append(len(stage.runner.tick_active().visits))
        assert visited[5:] == [*visited[:5]] * 5
        assert sum(visited[:5]) == 1


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"red": {"kind": "alarm", "alarm": "orders-errors"}}, id="an alarm"),
        pytest.param(
            {"few": {**BY_WINDOW, "kind": "threshold", "metric": "server_errors", "max": 5}},
            id="a count, also of an open window",
        ),
        pytest.param({"short": {**SEQUENTIAL["works"], **BY_WINDOW}}, id="windows of a minute"),
    ],
)
def test_a_gate_that_may_fail_at_any_minute_is_visited_by_each_tick(
    tmp_path: Path, changes: Mapping[str, Any]
) -> None:
    policy = short_policy(criteria={**SEQUENTIAL, **changes}, steps=LONG)
    with open_stage(tmp_path, scenario(function=function_with()), policy=policy) as stage:
        stage.start()
        visits = []
        for _ in range(20):
            stage.world.clock.advance(MINUTE)
            visits.append(len(stage.runner.tick_active().visits))
        assert visits[5:] == [1] * 15  # before, no window has closed


@pytest.mark.parametrize("how", ["error", "partial"])
def test_a_rollout_whose_metrics_are_not_answered_is_visited_by_each_tick(
    tmp_path: Path, how: str
) -> None:
    begin = {"step": 1, "after": "20m"}
    outage = {"kind": "metrics_outage", "at": begin, "lasting": "1h", "how": how}
    world = scenario(function=function_with(), events=[outage])
    policy = short_policy(criteria=SEQUENTIAL, steps=LONG)
    with open_stage(tmp_path, world, policy=policy) as stage:
        stage.start()
        visited = []
        for _ in range(50):
            stage.world.clock.advance(MINUTE)
            visited.append(len(stage.runner.tick_active().visits))
        assert 0 in visited[:20]
        assert visited[20 + FARTHEST.seconds // MINUTE_S :] == [1] * 25


# --- what time alone changes ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        pytest.param("10:30", "18:00", id="frozen for hours"),
        pytest.param("11:00", "11:04", id="frozen until a minute after the bake"),
    ],
)
def test_a_freeze_at_the_end_of_a_bake_is_reported_in_its_minute(
    tmp_path: Path, begin: str, end: str
) -> None:
    """The bake ends at 11:01, and its data are final two minutes later."""
    freeze = {"zone": "UTC", "daily": [{"from": begin, "to": end}]}
    policy = short_policy(criteria=SEQUENTIAL, steps=LONG, freeze=freeze)
    with open_stage(tmp_path, scenario(function=function_with()), policy=policy) as stage:
        stage.start()
        for _ in range(130):
            stage.world.clock.advance(MINUTE)
            stage.runner.tick_active()
        history = stage.store.history("orders#1")
    blocked = next(one.at for one in history if one.kind == "blocked")
    assert f"{blocked:%H:%M}" == "11:03"


@pytest.mark.parametrize("second", [0, 30, 50])
def test_ticks_five_minutes_apart_visit_although_some_come_late(
    tmp_path: Path, second: int
) -> None:
    """A task of a schedule takes up to some 20 seconds more or less until it lists rollouts."""
    with open_stage(tmp_path, scenario(function=function_with()), policy=short_policy()) as stage:
        stage.start()
        while not stage.rollout.final:
            stage.tick()
        clock = stage.world.clock
        first = clock.now().replace(second=second)
        for number in range(1, 13):
            planned = first + number * FARTHEST
            clock.advance(planned + timedelta(seconds=number * 7 % 20) - clock.now())
            assert len(stage.runner.tick_active().visits) == 1


def changed_revision(stage: Stage) -> None:
    """Change the stored revision: nothing can be put back."""
    write(stage, "UPDATE rollouts SET state = json_set(state, '$.revision', 'forged')")


def changed_policy(stage: Stage) -> None:
    """Change the stored policy, which no longer fits its digest."""
    write(stage, "UPDATE rollouts SET policy = json_set(policy, '$.max_wait', '1h')")


def write(stage: Stage, statement: str) -> None:
    """Execute a statement on the file of the store."""
    with closing(sqlite3.connect(stage.file)) as file, file:
        file.execute(statement)


@pytest.mark.parametrize("change", [changed_revision, changed_policy])
def test_what_is_wrong_with_a_record_is_reported_by_each_tick(
    stage: Stage, change: Callable[[Stage], None]
) -> None:
    until_left_alone(stage)
    change(stage)
    stage.world.clock.advance(FARTHEST)
    for _ in range(8):
        result = stage.runner.tick_active()
        assert (len([*result.visits, *result.skips]), result.status) == (1, Exit.INTERNAL)
        stage.world.clock.advance(MINUTE)
