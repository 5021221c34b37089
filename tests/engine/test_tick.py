"""The tick, on the real adapters and a real SQLite file: what it saves and writes, in order."""

import dataclasses
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.core.observation import MetricQuery, Span
from controller.engine import exit_status, time_limits
from controller.engine.direct_write import lower_and_confirm
from controller.engine.execute import TickOutcome
from controller.engine.tick import Runner
from controller.engine.time_limits import LEASE_DURATION
from controller.errors import Exit, MetricsError, StoreError, UsageError
from controller.immutable import replace
from controller.operations.start import StartRequest, start
from controller.process import logging
from controller.tools.simulation.fakes.errors import AwsResponse, Proceed, client_error
from tests.support.core import (
    Alert,
    Command,
    Label,
    Live,
    Phase,
    Reason,
    Rollout,
    Series,
    Severity,
    Verb,
)
from tests.support.stage import (
    METRICS,
    READ,
    SECRET,
    SHORT_POLICY,
    WRITE,
    ActBefore,
    PatchedStore,
    RacingStore,
    ReadOnlyStore,
    Stage,
    failing,
    function_with,
    open_stage,
    short_policy,
)
from tests.tools.simulation.worlds import FUNCTION, MINUTE, POLICY, scenario

SICK = [{"kind": "errors", "at": {"step": 1}, "server_errors": "20%"}]


class Crash(BaseException):
    """The process is gone."""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with open_stage(tmp_path) as opened:
        yield opened


# --- order of save and write --------------------------------------------------------------------


@pytest.mark.parametrize("weight", [10, 100])
def test_more_traffic_is_saved_before_it_is_written(stage: Stage, weight: int) -> None:
    stored: list[int] = []
    if weight == 100:
        stage.start()
    stage.world.interceptors.append(ActBefore(WRITE, lambda: stored.append(stage.rollout.weight)))
    if weight == 10:
        stage.start()
    else:
        stage.tick_until(100)
    assert stored == [weight]


def test_a_store_that_cannot_be_read_decides_nothing(stage: Stage, tmp_path: Path) -> None:
    stage.start()
    calls = stage.world.calls.copy()
    with closing(sqlite3.connect(tmp_path / "rollouts.db")) as connection, connection:
        connection.execute("UPDATE rollouts SET state = 'no JSON'")
    with pytest.raises(StoreError):
        stage.tick("orders#1")
    assert stage.world.calls == calls


def unreadable_locks(stage: Stage) -> PatchedStore:
    """Return the store of `stage`, in which the owner of a lock cannot be read."""
    error = StoreError("the owner cannot be looked up", problem="throttled")
    return PatchedStore(stage.store, owns=failing(error))


def test_a_lock_that_cannot_be_looked_up_is_the_problem_of_its_rollout_alone(
    tmp_path: Path,
) -> None:
    with open_stage(tmp_path, scenario(function=function_with(), events=SICK)) as stage:
        done = start_second(stage)
        stage.runner.roll_back(done.id, "enough")
        first = stage.start()
        stage.use_store(unreadable_locks(stage))
        result = stage.runner.tick([done.id, first.id])
        while stage.world.weight_now() > 0:
            assert stage.world.clock.now() < first.created + 10 * MINUTE
            stage.world.clock.advance(MINUTE)
            result = stage.runner.tick([done.id, first.id])
        problems = {visit.rollout.id: visit.problem for visit in result.visits}
        assert problems[done.id] == "the owner cannot be looked up"
        assert (stage.world.weight_now(), result.skips) == (0, [])
        assert stage.store.load(first.id).reason is Reason.GATE_FAILED


def test_a_manual_rollback_reads_no_owner(stage: Stage) -> None:
    stage.start()
    while stage.rollout.phase is not Phase.SUCCEEDED:
        stage.tick()
    stage.use_store(unreadable_locks(stage))
    visit = stage.runner.roll_back("orders#1", "support is paged")
    assert (visit.rollout.phase, visit.saved, stage.world.weight_now()) == (
        Phase.ROLLED_BACK, True, 0,
    )  # fmt: skip


# --- a raise is one shot ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "later",
    [
        pytest.param(timedelta(seconds=10), id="412: an outside write came first and is complete"),
        pytest.param(timedelta(), id="409: an outside write is still in progress"),
    ],
)
def test_an_outside_write_between_decision_and_write_pauses_and_nothing_is_raised(
    stage: Stage, later: timedelta
) -> None:
    def write_outside() -> None:
        stage.world.set_variables("handler", {"LOG_LEVEL": "DEBUG"})
        stage.world.clock.advance(later)

    stage.start()
    stage.world.interceptors.append(ActBefore(WRITE, write_outside))
    stage.tick_until(100)
    attempts = stage.writes
    visit = stage.tick()
    assert (visit.rollout.phase, visit.rollout.reason) == (Phase.PAUSED, Reason.RAISE_UNCERTAIN)
    stage.ticks(10)
    assert (stage.writes, stage.world.weight_now()) == (attempts, 10)
    assert stage.variables["LOG_LEVEL"] == "DEBUG"


# --- waiting for the applied weight -------------------------------------------------------------


def test_a_weight_that_is_applied_within_the_tick_is_recorded_by_it(tmp_path: Path) -> None:
    with open_stage(tmp_path, scenario(function={"update_takes": "20s"})) as stage:
        begin = stage.world.clock.now()
        rollout = stage.start()
        assert stage.world.clock.now() == begin + timedelta(seconds=20)
        assert rollout.position == Live(0, 10, stage.world.clock.now())


# --- measurements -------------------------------------------------------------------------------


def test_an_outage_of_the_metrics_holds_the_weight_and_is_survived(tmp_path: Path) -> None:
    outage = {
        "kind": "metrics_outage",
        "at": {"step": 1, "after": "3m"},
        "lasting": "4m",
        "how": "error",
    }
    with open_stage(tmp_path, scenario(function=function_with(), events=[outage])) as stage:
        stage.start()
        rollout = [stage.tick(after=2 * MINUTE).rollout for _ in range(3)][-1]
        (finding,) = rollout.evidence.findings
        assert (rollout.weight, finding.label) == (10, Label.QUERY_FAILED)
        assert stage.tick_until(100).rollout.reason is Reason.APPLIED


def start_second(stage: Stage, name: str = "payments") -> Rollout:
    """Start a second rollout on the stage: other name, other function, same metrics."""
    stage.world.add_function(name, {"PERCENTAGE": "0", "ENABLED": "false"})
    target = {**POLICY["target"], "function": name}
    return start(stage.runner, StartRequest(short_policy(name=name, target=target))).rollout


def test_two_rollouts_share_one_read_of_the_metrics(stage: Stage) -> None:
    ids = [stage.start().id, start_second(stage).id]
    before = stage.world.calls.copy()
    stage.world.clock.advance(3 * MINUTE)
    visits = stage.runner.tick(ids).visits
    assert [visit.rollout.id for visit in visits] == ids
    assert all(visit.rollout.evidence.findings for visit in visits)
    assert stage.world.calls - before == {READ: 2, METRICS: 1}


@pytest.mark.parametrize("company", [False, True], ids=["alone", "with a rollout of other windows"])
def test_a_sick_rollout_is_rolled_back_as_fast(tmp_path: Path, company: bool) -> None:
    sick = {"kind": "errors", "server_errors": "20%", "at": {"after": "12m"}}
    with open_stage(tmp_path, scenario(function=function_with(), events=[sick])) as stage:
        target = {**POLICY["target"], "function": "payments"}
        patient = {**SHORT_POLICY["criteria"]["works"], "window": "1m", "failure_limit": 20}
        quick = {**SHORT_POLICY["criteria"]["works"], "window": "5m"}
        hour = [{"weight": 10, "bake": "1h"}]
        stage.world.add_function("payments", {"PERCENTAGE": "0", "ENABLED": "false"})
        stage.world.clock.advance(2 * MINUTE)
        ids = []
        if company:
            criteria = {"works": patient}
            other = short_policy(name="payments", target=target, criteria=criteria, steps=hour)
            ids.append(start(stage.runner, StartRequest(other)).rollout.id)
        stage.world.clock.advance(5 * MINUTE)
        stage.policy = short_policy(criteria={"works": quick}, steps=hour)
        ids.insert(0, stage.start().id)
        while (rollout := stage.tick(*ids).rollout).phase is Phase.PROGRESSING:
            assert rollout.updated - rollout.created < timedelta(minutes=30)
        assert (rollout.reason, f"{rollout.since:%H:%M}") == (Reason.GATE_FAILED, "09:17")


def test_an_idle_tick_makes_one_read_of_the_function_and_one_of_the_metrics(stage: Stage) -> None:
    stage.start()
    before = stage.world.calls.copy()
    assert stage.tick(after=2 * MINUTE).rollout.reason is Reason.BAKING
    assert stage.world.calls - before == {READ: 1, METRICS: 1}


# --- notices ------------------------------------------------------------------------------------


def test_a_notice_that_cannot_be_shown_does_not_stop_a_tick(stage: Stage) -> None:
    def fail(rollout: Rollout, notice: object) -> None:
        raise ConnectionError("the terminal is gone")

    stage.rewire(announce=fail)
    assert stage.start().reason is Reason.APPLIED
    assert stage.tick_until(100).rollout.reason is Reason.APPLIED
    assert stage.world.weight_now() == 100


# --- concurrent runs ----------------------------------------------------------------------------


def tick_after_the_lease(stage: Stage, rival: Runner) -> Callable[[], object]:
    """Return an action during which the lease of a slow run ends and `rival` ticks."""

    def act() -> None:
        stage.world.clock.advance(LEASE_DURATION)
        rival.tick(["orders#1"])

    return act


def test_the_slower_of_two_overlapping_ticks_is_busy_and_does_nothing(
    stage: Stage, tmp_path: Path
) -> None:
    stage.start()
    stage.world.clock.advance(5 * MINUTE)
    stage.world.interceptors.append(
        ActBefore(METRICS, tick_after_the_lease(stage, stage.another_runner()))
    )
    visit = stage.runner.visit("orders#1")
    assert visit.busy
    assert (stage.rollout.weight, stage.world.weight_now(), stage.writes) == (100, 100, 2)
    kinds = [entry.kind for entry in stage.store.history("orders#1")]
    assert kinds == ["started", "applied", "advanced", "applied"]


# --- concurrent rollbacks -----------------------------------------------------------------------


def tick_until_lowered(stage: Stage) -> TickOutcome:
    """Tick until the weight is 0%; return that visit."""
    for _ in range(5):
        visit = stage.tick()
        if stage.world.weight_now() == 0:
            return visit
    raise AssertionError("the weight was never lowered")


def rollback_notices(stage: Stage) -> list[str]:
    """Return the texts of the notices about a rollback by the gate."""
    return [
        notice.text
        for notice in stage.notices
        if "is rolling back to 0%: criterion works fails" in notice.text
    ]


def test_a_rollback_keeps_its_reason_when_another_run_reads_its_0_first(tmp_path: Path) -> None:
    with open_stage(tmp_path, scenario(function=function_with(), events=SICK)) as stage:
        stage.start()
        rival = stage.another_runner()
        rival = dataclasses.replace(
            rival, observer=replace(rival.observer, metrics=UnavailableMetrics())
        )
        stage.use_store(RacingStore(stage.store, tick_after_the_lease(stage, rival)))
        visit = tick_until_lowered(stage)
        assert (visit.busy, visit.problem, visit.saved) == (False, "", True)
        assert (stage.rollout.phase, stage.rollout.reason) == (
            Phase.ROLLED_BACK,
            Reason.GATE_FAILED,
        )
        assert stage.rollout.sentence.startswith("criterion works fails")
        assert len(rollback_notices(stage)) == 1


class UnavailableMetrics:
    def read(self, queries: Iterable[MetricQuery], span: Span) -> Mapping[MetricQuery, Series]:
        raise MetricsError("nobody answers")


def test_a_rollback_that_both_runs_decide_is_recorded_and_notified_once(tmp_path: Path) -> None:
    with open_stage(tmp_path, scenario(function=function_with(), events=SICK)) as stage:
        stage.start()
        stage.world.interceptors.append(
            ActBefore(WRITE, tick_after_the_lease(stage, stage.another_runner()))
        )
        visit = tick_until_lowered(stage)
        assert (visit.busy, visit.rollout.phase) == (False, Phase.ROLLED_BACK)
        kinds = [entry.kind for entry in stage.store.history("orders#1")]
        assert kinds == ["started", "applied", "rolling_back", "rolled_back"]
        assert len(rollback_notices(stage)) == 1


def test_a_rollback_that_other_runs_keep_from_being_recorded_is_notified(tmp_path: Path) -> None:
    with open_stage(tmp_path, scenario(function=function_with(), events=SICK)) as stage:
        stage.start()

        def save_first() -> None:
            stage.store.save(stage.rollout, [])

        stage.use_store(RacingStore(stage.store, save_first, times=100))
        visit = tick_until_lowered(stage)
        assert (visit.busy, visit.saved) == (False, False)
        assert "another run saved orders#1 first" in visit.problem
        assert len(rollback_notices(stage)) == 1


# --- rollbacks ----------------------------------------------------------------------------------


def test_a_rollback_whose_end_cannot_be_recorded_is_notified_once(stage: Stage) -> None:
    stage.start()
    notices_before = len(stage.notices)
    stage.use_store(ReadOnlyStore(stage.store, after=1))
    visit = stage.runner.roll_back("orders#1", "support is paged")
    assert (visit.saved, visit.rollout.phase) == (False, Phase.ROLLED_BACK)
    assert stage.rollout.phase is Phase.ROLLING_BACK
    assert len(stage.notices) - notices_before == 1


@pytest.mark.parametrize("busy", [False, True], ids=["a slow update", "an update in progress"])
def test_a_manual_rollback_waits_as_long_as_the_rollback_timeout(
    tmp_path: Path, busy: bool
) -> None:
    slow = {"kind": "slow_updates", "at": {"step": 1}, "takes": "3m"}
    policy = short_policy(rollback_timeout="4m")
    with open_stage(tmp_path, scenario(function=function_with(), events=[slow]), policy) as stage:
        stage.start()
        stage.world.clock.advance(MINUTE)
        if busy:
            stage.world.set_variables("handler", {"LOG_LEVEL": "DEBUG"})
        assert stage.runner.roll_back("orders#1", "enough").rollout.phase is Phase.ROLLED_BACK


def test_the_watch_after_a_rollback_leaves_a_weight_that_an_operator_sets_during_its_write(
    stage: Stage,
) -> None:
    stage.start()
    stage.runner.roll_back("orders#1", "looks odd")
    stage.world.set_variables("handler", {"PERCENTAGE": "10"})
    operator_weight = {"PERCENTAGE": "5"}
    stage.world.interceptors.append(
        ActBefore(WRITE, lambda: stage.world.set_variables("handler", operator_weight))
    )
    stage.tick(after=14 * MINUTE)
    assert stage.variables["PERCENTAGE"] == "5"


def test_a_manual_rollback_needs_no_metrics(tmp_path: Path) -> None:
    down = {"kind": "metrics_outage", "at": {"step": 1}, "how": "error"}
    with open_stage(tmp_path, scenario(function=function_with(), events=[down])) as stage:
        stage.start()
        before = stage.world.calls[METRICS]
        visit = stage.runner.roll_back("orders#1", "support is paged")
        assert visit.rollout.phase is Phase.ROLLED_BACK
        assert visit.rollout.sentence == "support is paged"
        assert stage.world.weight_now() == 0
        assert stage.world.calls[METRICS] == before


def test_an_environment_that_cannot_be_read_is_never_written_and_pages_at_once(
    tmp_path: Path,
) -> None:
    denied = {"kind": "kms_denied", "at": {"step": 1, "after": "1m"}}
    with open_stage(tmp_path, scenario(function=function_with(), events=[denied, *SICK])) as stage:
        stage.start()
        variables, writes = dict(stage.variables), stage.writes
        first = next(tick for tick in stage.ticks(5) if tick.rollout.phase is Phase.ROLLING_BACK)
        assert first.alerts == (Alert.ROLLBACK_UNCONFIRMED,)
        assert (stage.writes, stage.variables) == (writes, variables)
        paged = [notice.text for notice in stage.notices if notice.severity is Severity.CRITICAL]
        assert any("orders#1 is NOT rolled back" in text for text in paged)
        assert stage.tick().alerts == (Alert.ROLLBACK_UNCONFIRMED,)


def test_a_rollback_without_a_store_at_0_voids_a_first_raise_that_is_decided_and_not_written(
    stage: Stage,
) -> None:
    """Otherwise the next tick would write the raise after the operator saw 0% confirmed."""

    def crash() -> None:
        raise Crash

    stage.world.interceptors.append(ActBefore(WRITE, crash))
    with pytest.raises(Crash):
        stage.start()
    target = stage.runner.observer.targets(stage.policy.target)
    assert lower_and_confirm(target, stage.world.clock).has_applied(0)
    stage.ticks(5)
    assert (stage.rollout.phase, stage.world.weight_now()) == (Phase.ROLLED_BACK, 0)


# --- secrets and clocks -------------------------------------------------------------------------


def test_other_variables_survive_and_appear_in_no_output(
    stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.configure()
    stage.start()
    stage.tick_until(100)
    stage.world.set_variables("handler", {"PERCENTAGE": "40"})
    stage.tick()
    stage.runner.roll_back("orders#1", "enough")
    assert stage.variables == {"API_KEY": SECRET, "PERCENTAGE": "0", "ENABLED": "false"}
    printed = capsys.readouterr()
    assert "weight_lowered" in printed.err
    texts = [*printed, *(notice.text for notice in stage.notices)]
    files = [path.read_bytes() for path in tmp_path.iterdir()]
    assert not any(SECRET in text for text in texts)
    assert not any(SECRET.encode() in content for content in files)


def test_the_clock_of_a_host_that_runs_behind_does_not_set_a_rollout_back_in_time(
    stage: Stage,
) -> None:
    rollout = stage.start()
    ahead = replace(rollout, updated=rollout.updated + 30 * MINUTE)
    stage.store.save(ahead, [])
    assert stage.tick().rollout.updated == ahead.updated


def test_a_rollback_does_not_wait_for_the_metrics_of_another_rollout(tmp_path: Path) -> None:
    with open_stage(tmp_path, scenario(function=function_with(), events=SICK)) as stage:
        other = start_second(stage)
        first = stage.start()
        calls: list[str] = []

        def record(service: str, operation: str, request: Any, proceed: Proceed) -> AwsResponse:
            calls.append(operation)
            return proceed()

        stage.world.interceptors.append(record)
        stage.runner.roll_back(first.id, "a person says so")
        stage.world.set_variables("handler", {"PERCENTAGE": "10"})
        stage.world.clock.advance(MINUTE)
        calls.clear()
        stage.runner.tick([other.id, first.id])
        assert calls.index("UpdateFunctionConfiguration") < calls.index("GetMetricData")


# --- target identity ----------------------------------------------------------------------------

ELSEWHERE = "arn:aws:lambda:eu-central-1:999999999999:function:handler"


def use_credentials_of_another_account(stage: Stage) -> None:
    """Let a function of the same name in another account answer from now on."""
    stage.world.function("handler").arn = ELSEWHERE


def test_a_function_of_the_same_name_in_another_account_is_not_raised(stage: Stage) -> None:
    home = stage.start().target
    use_credentials_of_another_account(stage)
    visits = stage.ticks(6)
    assert (stage.writes, stage.world.weight_now()) == (1, 10)
    assert {visit.problem for visit in visits} == {
        f"{ELSEWHERE} answers where the rollout runs on {home}; nothing is written: check the "
        "account and the region of these credentials"
    }
    assert {visit.rollout.phase for visit in visits} == {Phase.PROGRESSING}


def test_a_function_of_the_same_name_in_another_account_is_not_lowered_and_it_pages(
    tmp_path: Path,
) -> None:
    with open_stage(tmp_path, scenario(function=function_with(), events=SICK)) as stage:
        stage.start()
        use_credentials_of_another_account(stage)
        visits = [tick for tick in stage.ticks(8) if tick.rollout.phase is Phase.ROLLING_BACK]
        assert len(visits) > 1
        assert {visit.alerts for visit in visits} == {(Alert.ROLLBACK_UNCONFIRMED,)}
        assert (stage.writes, stage.variables["PERCENTAGE"]) == (1, "10")
        paged = [notice.text for notice in stage.notices if notice.severity is Severity.CRITICAL]
        assert len(paged) == 1
        assert f"NOT rolled back: {ELSEWHERE} answers where" in paged[0]


def test_a_function_of_another_account_is_not_lowered_where_the_first_reads_fail(
    stage: Stage,
) -> None:
    """Each attempt to lower reads the function again, and checks its account."""
    stage.start()
    use_credentials_of_another_account(stage)
    reads: list[str] = []

    def fail_twice(service: str, operation: str, request: Any, proceed: Proceed) -> AwsResponse:
        if (service, operation) == READ and len(reads) < 2:
            reads.append(operation)
            raise client_error(operation, "TooManyRequestsException", "slow down")
        return proceed()

    stage.world.interceptors.append(fail_twice)
    visit = stage.runner.roll_back("orders#1", "support is paged")
    assert visit.alerts == (Alert.ROLLBACK_UNCONFIRMED,)
    assert (stage.writes, stage.world.weight_now()) == (1, 10)


# --- commands -----------------------------------------------------------------------------------

PROMOTE = Command(Verb.PROMOTE, "seen by eye")


def test_a_promotion_reads_the_metrics_and_a_failing_canary_is_not_promoted(
    tmp_path: Path,
) -> None:
    with open_stage(tmp_path, scenario(function=function_with(), events=SICK)) as stage:
        stage.start()
        stage.world.clock.advance(5 * MINUTE)
        with pytest.raises(UsageError, match="a criterion fails, and the next tick rolls back"):
            stage.runner.run_command("orders#1", PROMOTE)
        assert (stage.rollout.phase, stage.world.weight_now()) == (Phase.PROGRESSING, 10)


# --- a rollback by hand beside a tick -------------------------------------------------------------


def succeeded(stage: Stage) -> None:
    """Let the rollout of the stage succeed."""
    stage.start()
    stage.ticks(12)
    assert stage.rollout.phase == "succeeded"


@pytest.mark.parametrize("after_s", [1, 4])
def test_a_rollback_by_hand_whose_record_comes_after_its_write_is_no_drift(
    stage: Stage, after_s: int
) -> None:
    succeeded(stage)
    by_hand = stage.another_runner()
    stage.world.set_variables(FUNCTION, {"PERCENTAGE": "0", "ENABLED": "false"})
    recorded_at = stage.world.clock.now() + MINUTE + timedelta(seconds=after_s)

    def record() -> None:
        by_hand.roll_back("orders#1", "by hand", 100)

    stage.world.clock.at(recorded_at, record)

    visit = stage.tick()

    assert (visit.busy, visit.alerts, exit_status.of_tick(visit)) == (True, (), Exit.BUSY)
    assert stage.rollout.phase == "rolled_back"
    kinds = [one.kind for one in stage.store.history("orders#1")]
    assert ("drifted" in kinds, kinds.count("rolling_back")) == (False, 1)


def test_a_0_percent_after_a_success_that_nobody_records_is_drift_after_five_seconds(
    stage: Stage,
) -> None:
    succeeded(stage)
    stage.world.set_variables(FUNCTION, {"PERCENTAGE": "0", "ENABLED": "false"})
    began = stage.world.clock.now() + MINUTE
    visit = stage.tick()
    assert exit_status.of_tick(visit) == Exit.DRIFT
    assert stage.world.clock.now() - began == time_limits.BY_HAND_LIMIT
    began = stage.world.clock.now() + MINUTE
    assert exit_status.of_tick(stage.tick()) == Exit.DONE
    assert stage.world.clock.now() == began
