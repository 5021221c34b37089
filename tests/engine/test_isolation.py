"""Isolation of rollouts: exceptions and delays of one rollout do not stop another one."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.engine.slices import TickResult
from controller.engine.time_limits import LEASE_DURATION, TICK_LIMIT
from controller.errors import Exit, MetricsRefusedError, StoreError
from controller.immutable import Immutable, replace
from controller.operations.start import StartRequest, start
from controller.ports.store import Store
from controller.tools.simulation.fakes.errors import AwsResponse, Proceed, client_error
from tests.support.core import (
    AlarmReading,
    AlarmState,
    Decision,
    Phase,
    Rollout,
    WriteFailed,
    decide,
    sentence_of,
)
from tests.support.other_sources import OTHERS
from tests.support.rollouts import a_rollout
from tests.support.stage import (
    READ,
    SHORT_POLICY,
    WRITE,
    FailingCall,
    PatchedStore,
    Stage,
    failing,
    function_with,
    open_stage,
    short_policy,
)
from tests.tools.simulation.worlds import MINUTE, POLICY, scenario

SECOND = timedelta(seconds=1)
SICK = [{"kind": "errors", "server_errors": "20%", "at": {"step": 1}}]


class FaultError(Exception):
    """An unforeseen exception."""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A stage whose canary fails, with `orders` at 10%."""
    with open_stage(tmp_path, scenario(function=function_with(), events=SICK)) as opened:
        opened.start()
        yield opened


def add(stage: Stage, name: str, **parts: Any) -> Rollout:
    """Start another rollout, with its own function."""
    stage.world.add_function(name, {"PERCENTAGE": "0", "ENABLED": "false"})
    policy = short_policy(name=name, target={**POLICY["target"], "function": name}, **parts)
    return start(stage.runner, StartRequest(policy)).rollout


def tick(stage: Stage, after: timedelta = MINUTE) -> TickResult:
    stage.world.clock.advance(after)
    return stage.runner.tick_active(early=True)


def weight_of(stage: Stage, function: str) -> str:
    return stage.world.function(function).variables["PERCENTAGE"]


# --- exceptions ---------------------------------------------------------------------------------


class RaisingCall(Immutable):
    """An interceptor: calls of one kind for one function raise an unexpected exception."""

    call: tuple[str, str]
    function: str

    def __call__(
        self, service: str, operation: str, request: Mapping[str, Any], proceed: Proceed
    ) -> AwsResponse:
        if (service, operation) == self.call and request.get("FunctionName") == self.function:
            raise FaultError(self.function)
        return proceed()


class RaisingStore:
    """A store in which one method raises an unexpected exception for one rollout."""

    def __init__(self, store: Store, method: str, rollout_id: str) -> None:
        self._store, self._method, self._rollout_id = store, method, rollout_id

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name != self._method:
            return method

        def fail(first: Any, *others: Any, **named: Any) -> Any:
            if getattr(first, "id", first) == self._rollout_id:
                raise FaultError(self._rollout_id)
            return method(first, *others, **named)

        return fail


class RaisingNotifier:
    """A channel notifier that raises an unexpected exception for one rollout."""

    def __init__(self, rollout_id: str) -> None:
        self._rollout_id = rollout_id
        self.rollout_ids: list[str] = []

    def deliver(self, channel: object, rollout: Rollout, message: object) -> None:
        if rollout.id == self._rollout_id:
            raise FaultError(rollout.id)
        self.rollout_ids.append(rollout.id)


@pytest.mark.parametrize("seam", ["acquire", "release", "save", "read", "write", "decide"])
def test_an_exception_for_one_rollout_does_not_stop_the_rollback_of_another_one(
    stage: Stage, seam: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = add(stage, "odd")
    if seam in ("acquire", "release", "save"):
        stage.use_store(RaisingStore(stage.store, seam, odd.id))
    elif seam in ("read", "write"):
        stage.world.interceptors.append(RaisingCall(READ if seam == "read" else WRITE, "odd"))
    else:
        _let_decide_raise(monkeypatch, odd.id)
    results = [tick(stage) for _ in range(6)]
    assert weight_of(stage, "handler") == "0"
    assert stage.rollout.phase is Phase.ROLLED_BACK
    assert {result.status for result in results} <= {Exit.DONE, Exit.INTERNAL, Exit.UNCONFIRMED}
    expected = {"release": Exit.DONE, "write": Exit.UNCONFIRMED}.get(seam, Exit.INTERNAL)
    assert expected in {result.status for result in results}  # a lease that is not released expires


def test_the_error_of_a_skipped_rollout_keeps_nothing_that_was_read(stage: Stage) -> None:
    odd, broken = add(stage, "odd"), add(stage, "broken")
    with closing(sqlite3.connect(stage.file)) as file, file:
        file.execute("UPDATE rollouts SET state = '{' WHERE id = ?", [broken.id])
    stage.use_store(RaisingStore(stage.store, "acquire", odd.id))
    skips = {skip.rollout_id: skip.error for skip in tick(stage).skips}
    assert skips.keys() == {odd.id, broken.id}
    for error in skips.values():
        assert (error.__traceback__, error.__context__, error.__cause__) == (None, None, None)


def _let_decide_raise(patch: pytest.MonkeyPatch, rollout_id: str) -> None:
    def decide_or_raise(rollout: Rollout, *others: Any) -> Any:
        if rollout.id == rollout_id:
            raise FaultError(rollout_id)
        return decide(rollout, *others)

    patch.setattr("controller.engine.visitor.decide", decide_or_raise)


def test_a_channel_that_raises_does_not_stop_the_messages_of_another_rollout(stage: Stage) -> None:
    channel = {"kind": "sns", "topic": "arn:aws:sns:us-east-1:123456789012:t"}
    odd, other = add(stage, "odd", notify=[channel]), add(stage, "heard", notify=[channel])
    notifier = RaisingNotifier(odd.id)
    stage.rewire(channel_notifier=notifier)
    for _ in range(6):
        tick(stage)
    assert other.id in notifier.rollout_ids
    assert {weight_of(stage, name) for name in ("handler", "odd", "heard")} == {"0"}


def test_an_unexpected_error_is_named_by_its_kind_and_place_and_quotes_nothing(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = add(stage, "odd")
    stage.world.interceptors.append(RaisingCall(READ, "odd"))
    (problem,) = [visit.problem for visit in tick(stage).visits if visit.rollout.id == odd.id]
    assert "unexpected FaultError while looking at odd#1, at test_isolation.py:" in problem
    assert "rolloutctl rollback" in problem


@dataclass(slots=True)
class RefusingMetrics:
    """A source of metrics that refuses every read with a query of one namespace."""

    source: Any
    namespace: str
    calls: int = 0

    def read(self, queries: Any, span: Any) -> Any:
        self.calls += 1
        requested = list(queries)
        if any(one.namespace == self.namespace for one in requested):
            raise MetricsRefusedError("CloudWatch does not take this")
        return self.source.read(requested, span)


def test_a_query_that_cloudwatch_refuses_affects_its_own_rollout_alone(stage: Stage) -> None:
    strange = {**POLICY["metrics"]}
    strange = {name: {**one, "namespace": "Strange"} for name, one in strange.items()}
    stage.rewire(observer=replace(stage.runner.observer, catalogue=OTHERS))  # the world has none
    odd = add(stage, "odd", metrics=strange)
    source = RefusingMetrics(stage.runner.observer.metrics, "Strange")
    stage.rewire(observer=replace(stage.runner.observer, metrics=source))
    for _ in range(6):
        tick(stage)
    assert (weight_of(stage, "handler"), weight_of(stage, "odd")) == ("0", "10")
    findings = stage.store.load(odd.id).evidence.findings
    assert all("CloudWatch does not take this" in sentence_of(finding) for finding in findings)


# --- time limits --------------------------------------------------------------------------------


class SlowCall(Immutable):
    """An interceptor: calls of one kind for some functions take `length`."""

    stage: Stage
    call: tuple[str, str]
    functions: Sequence[str]
    length: timedelta

    def __call__(
        self, service: str, operation: str, request: Mapping[str, Any], proceed: Proceed
    ) -> AwsResponse:
        if (service, operation) == self.call and request.get("FunctionName") in self.functions:
            self.stage.world.clock.advance(self.length)
        return proceed()


def test_a_rollout_that_a_tick_does_not_reach_is_reported_and_is_first_in_the_next_one(
    tmp_path: Path,
) -> None:
    with open_stage(tmp_path) as stage:
        names = [f"slow-{index}" for index in range(5)]
        ids = [add(stage, name).id for name in names]
        tick(stage)
        slow = SlowCall(stage, READ, names, 20 * SECOND)
        stage.world.interceptors.append(slow)
        first = tick(stage)
        reached = {visit.rollout.id for visit in first.visits}
        skipped = {skip.rollout_id for skip in first.skips}
        assert reached | skipped == set(ids)
        assert reached
        assert skipped
        assert first.status == Exit.INTERNAL
        second = {visit.rollout.id for visit in tick(stage).visits}
        assert second
        assert second <= skipped
        third = {visit.rollout.id for visit in tick(stage).visits}
        assert reached | second | third == set(ids)


def test_a_rollout_that_is_not_reached_names_the_seconds_that_had_passed(tmp_path: Path) -> None:
    with open_stage(tmp_path) as stage:
        names = [f"slow-{index}" for index in range(3)]
        for name in names:
            add(stage, name)
        tick(stage)
        stage.world.interceptors.append(SlowCall(stage, READ, names, 21 * SECOND))
        (skip,) = tick(stage).skips
        assert f"{skip.rollout_id} was not visited: others took the first 42 s of" in str(
            skip.error
        )


def test_a_rollback_in_progress_is_visited_first_however_slow_the_others_are(
    tmp_path: Path,
) -> None:
    with open_stage(tmp_path, scenario(function=function_with(), events=SICK)) as stage:
        names = [f"slow-{index}" for index in range(6)]
        for name in names:
            add(stage, name, criteria={"works": {**POLICY["criteria"]["works"], "min": "1%"}})
        stage.start()
        refusing = FailingCall(WRITE, "denied")
        stage.world.interceptors.append(refusing)
        for _ in range(8):
            tick(stage)
        assert str(stage.rollout.phase) == "rolling_back"
        stage.world.interceptors.remove(refusing)
        stage.world.interceptors.append(SlowCall(stage, READ, names, 20 * SECOND))
        started_at = stage.world.clock.now() + MINUTE
        tick(stage)
        assert weight_of(stage, "handler") == "0"
        assert str(stage.rollout.phase) == "rolled_back"
        assert stage.rollout.updated - started_at < 20 * SECOND


def test_a_lease_that_may_end_during_a_late_write_is_renewed_before_it(stage: Stage) -> None:
    """Another run cannot lease the rollout while this one still lowers it."""
    other = stage.another_runner()
    stage.world.interceptors.append(SlowCall(stage, READ, ["handler"], TICK_LIMIT - 40 * SECOND))
    busy: list[bool] = []

    def visit_during_write(
        service: str, operation: str, request: Mapping[str, Any], proceed: Proceed
    ) -> AwsResponse:
        if (service, operation) == WRITE and not busy:
            # Until the first lease is over.
            stage.world.clock.advance(LEASE_DURATION - TICK_LIMIT + 6 * SECOND)
            busy.append(other.visit(stage.rollout.id).busy)
        return proceed()

    stage.world.interceptors.append(visit_during_write)
    for _ in range(6):
        tick(stage)
    assert busy[:1] == [True]
    assert weight_of(stage, "handler") == "0"


def test_a_rollout_that_is_listed_and_does_not_exist_is_a_problem(
    stage: Stage,
) -> None:
    active = stage.store.active
    listed = PatchedStore(
        stage.store, active=lambda *one, **more: [*active(*one, **more), "gone#1"]
    )
    stage.use_store(listed)
    result = tick(stage)
    assert [skip.rollout_id for skip in result.skips] == ["gone#1"]
    assert (result.status, len(result.visits)) == (Exit.INTERNAL, 1)


def test_an_unexpected_exception_of_the_listing_is_a_named_error(stage: Stage) -> None:
    stage.use_store(PatchedStore(stage.store, active=failing(KeyError("pk"))))
    with pytest.raises(Exception, match="unexpected KeyError while listing"):
        tick(stage)


# --- order of visits ----------------------------------------------------------------------------


def clones(stage: Stage, original: str, number: int) -> list[str]:
    """Write copies of a rollout into its store, as further ones of the same name."""
    name = original.partition("#")[0]
    added = [f"{name}#{attempt}" for attempt in range(2, number + 2)]
    with closing(sqlite3.connect(stage.file)) as file, file:
        cursor = file.execute("SELECT * FROM rollouts WHERE id = ?", [original])
        row = dict(zip([one[0] for one in cursor.description], cursor.fetchone(), strict=True))
        row |= {"holder": None, "lease_until": None}
        for attempt, clone in enumerate(added, 2):
            state = row["state"].replace(f'"{original}"', f'"{clone}"')
            changed = {**row, "id": clone, "attempt": attempt, "state": state}
            marks = ", ".join("?" * len(changed))
            file.execute(
                f"INSERT INTO rollouts ({', '.join(changed)}) VALUES ({marks})",  # noqa: S608
                [*changed.values()],
            )
    return added


class FailingWrites(Immutable):
    """An interceptor: every write of some functions fails with an error that may pass."""

    functions: Sequence[str]

    def __call__(
        self, service: str, operation: str, request: Mapping[str, Any], proceed: Proceed
    ) -> AwsResponse:
        if (service, operation) == WRITE and request.get("FunctionName") in self.functions:
            raise client_error(operation, "ServiceException", "it is us", status=500)
        return proceed()


def test_a_rollback_that_lambda_does_not_accept_does_not_delay_another_one(
    tmp_path: Path,
) -> None:
    late = {"kind": "errors", "server_errors": "20%", "at": {"after": "9m"}}
    with open_stage(tmp_path, scenario(function=function_with(), events=[late])) as stage:
        bad = add(stage, "bad")
        stage.start()
        stage.world.interceptors.append(FailingWrites(["bad"]))
        stage.runner.roll_back(bad.id, "it looks bad")
        for _ in range(20):
            tick(stage)
        assert str(stage.store.load(bad.id).phase) == "rolling_back"
        assert weight_of(stage, "bad") == "10"
        assert weight_of(stage, "handler") == "0"


def test_many_rollbacks_of_one_name_keep_another_rollout_waiting_for_one(tmp_path: Path) -> None:
    with open_stage(tmp_path, scenario(function=function_with(), events=SICK)) as stage:
        bad = add(stage, "bad")
        stage.start()
        tick(stage)
        stage.world.interceptors.append(FailingWrites(["bad"]))
        stage.runner.roll_back(bad.id, "it looks bad")
        rollbacks = [bad.id, *clones(stage, bad.id, 12)]
        stage.use_store(
            PatchedStore(stage.store, owners_and_requests=failing(StoreError("it is locked")))
        )
        stage.world.interceptors.append(SlowCall(stage, READ, ["bad"], 5 * SECOND))
        results = [tick(stage) for _ in range(6)]
        assert weight_of(stage, "handler") == "0"
        assert stage.rollout.phase is Phase.ROLLED_BACK
        reached = {visit.rollout.id for visit in results[0].visits}
        assert {stage.rollout.id, bad.id} <= reached
        problems = {str(skip.error) for skip in results[0].skips}
        assert len(problems) == len({*rollbacks} - reached)
        assert all(
            "the first rollout of each policy name goes first" in problem for problem in problems
        )


def test_a_store_that_takes_no_writes_costs_a_tick_one_wait_and_no_rollback(stage: Stage) -> None:
    for index in range(8):
        add(stage, f"other-{index}")

    def refuse_slowly(*_: object, **__: object) -> Rollout:
        stage.world.clock.advance(10 * SECOND)
        raise StoreError("it is locked")

    stage.use_store(PatchedStore(stage.store, acquire=refuse_slowly, save=refuse_slowly))
    for _ in range(6):
        tick(stage)
    assert weight_of(stage, "handler") == "0"


def test_an_alarm_is_read_where_the_metrics_are_refused(tmp_path: Path) -> None:
    criteria = {**SHORT_POLICY["criteria"], "alarm": {"kind": "alarm", "alarm": "red"}}
    with open_stage(tmp_path, policy=short_policy(criteria=criteria)) as stage:
        stage.start()
        source = RefusingMetrics(stage.runner.observer.metrics, "AWS/ApiGateway")
        observer = replace(stage.runner.observer, metrics=source, alarms=AlarmsInAlarm())
        stage.rewire(observer=observer)
        visits = [visit for _ in range(4) for visit in tick(stage).visits]
        assert not any("unexpected" in visit.problem for visit in visits)
        assert weight_of(stage, "handler") == "0"


class AlarmsInAlarm:
    """A source in which every alarm has just changed to ALARM."""

    def states(self, alarms: Any) -> dict[str, AlarmReading]:
        return {
            alarm: AlarmReading(AlarmState.ALARM, 2_000_000_000, "it is red") for alarm in alarms
        }


def test_a_rollback_whose_write_raises_an_unexpected_exception_is_recorded_and_notified(
    stage: Stage,
) -> None:
    stage.world.interceptors.append(RaisingCall(WRITE, "handler"))
    results = [tick(stage) for _ in range(6)]
    assert str(stage.rollout.phase) == "rolling_back"
    assert "unexpected FaultError" in stage.rollout.write_error
    assert results[-1].status == Exit.UNCONFIRMED
    assert any("is rolling back to 0%" in notice.text for notice in stage.notices)


@pytest.mark.parametrize(
    "texts",
    [
        ("KMS says no; Request ID: 1f0d2c3e-12ab-4cde-9f01-aabbccddeeff",
         "KMS says no; Request ID: 9a8b7c6d-beef-4abc-8def-012345678901"),
        ("waited 12 s", "waited 7 s"),
    ],
)  # fmt: skip
def test_a_write_error_that_differs_in_its_ids_alone_is_no_new_one(texts: tuple[str, str]) -> None:
    first, second = texts
    rollout = replace(a_rollout(), write_error=first)
    after = decide(rollout, WriteFailed(Decision(rollout), second), rollout.updated)
    assert (after.record, after.notices) == (None, ())
