"""status --wait and --watch, history --follow: a rollout is followed while a schedule ticks it."""

from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

import pytest

from controller import cli
from controller.adapters.stores.sqlite import SqliteStore
from controller.cli.follow import MAX_MISSES, is_complete
from controller.engine.exit_status import of_rollout, worst
from controller.errors import Exit, StoreError
from tests.cli.conftest import CliHarness, MakeDesk
from tests.cli.test_start_and_tick import DENIED, MEDDLING, SICK, SILENT
from tests.support.cases import cases
from tests.support.core import Condition, ConditionKind, Label, Phase, Reason, Rollout
from tests.support.findings import a_finding
from tests.support.rollouts import MINUTE, NOON, in_phase

LEAK_CHECK = a_finding("leak_check", "leak check passed.", label=Label.CONFIRMED)


@pytest.fixture
def started_in(desk_in: MakeDesk) -> Callable[..., CliHarness]:
    """Return a factory of desks with a rollout that a schedule ticks once a minute."""

    def make(**played: Any) -> CliHarness:
        desk = desk_in(**played)
        desk.run("start", desk.policy)
        for minute in range(1, 60):
            desk.world.clock.at(desk.world.clock.now() + minute * MINUTE, silent_tick)
        return desk

    return make


@pytest.fixture
def started(started_in: Callable[..., CliHarness]) -> CliHarness:
    """A desk in a healthy world, with a rollout that a schedule ticks once a minute."""
    return started_in()


def silent_tick() -> None:
    """Tick as another process would: its output is discarded."""
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        cli.main(["tick"])


# --- status --wait ------------------------------------------------------------------------------


@cases("events, status, phase", {
    "healthy: 0": ([], Exit.DONE, "succeeded"),
    "sick: 4": (SICK, Exit.ROLLED_BACK, "rolled_back"),
    "silent: 3": (SILENT, Exit.UNDECIDED, "paused"),
    "drift: 6": (MEDDLING, Exit.DRIFT, "paused"),
    "denied: 5": ([*SICK, *DENIED], Exit.UNCONFIRMED, "rolling_back"),
})  # fmt: skip
def test_wait_ends_when_the_rollout_rests_and_says_how(
    started_in: Callable[..., CliHarness], events: list[Any], status: Exit, phase: str
) -> None:
    desk = started_in(events=events)
    before = desk.world.clock.now()
    ended = desk.run("status", "orders", "--wait", "--timeout", "50m", "--json")
    assert (ended.status, ended.data["phase"], ended.data["schema"]) == (status, phase, "status/1")
    at_the_limit = desk.world.clock.now() - before == 50 * MINUTE
    assert at_the_limit is (phase == "rolling_back")


@cases("events, until, status, phase", {
    "it is reached": (SILENT, "paused,succeeded", Exit.DONE, "paused"),
    "it ends in another": ([], "paused", Exit.CHECK_FAILED, "succeeded"),
    "it is rolled back": (SICK, "succeeded", Exit.CHECK_FAILED, "rolled_back"),
    "it is rolled back, which is named": (SICK, "paused,rolled_back", Exit.DONE, "rolled_back"),
    "it is rolled back, and neither is reached": (
        SICK, "paused,succeeded", Exit.CHECK_FAILED, "rolled_back"
    ),
    "time is over": (SILENT, "succeeded", Exit.UNDECIDED, "paused"),
})  # fmt: skip
def test_wait_until_ends_with_0_in_the_phases_that_are_named(
    started_in: Callable[..., CliHarness], events: list[Any], until: str, status: Exit, phase: str
) -> None:
    desk = started_in(events=events)
    ended = desk.run("status", "orders", "--wait", "--until", until, "--timeout", "50m", "--json")
    assert (ended.status, ended.data["phase"]) == (status, phase)


def test_wait_prints_a_line_whenever_it_reads_differently(started: CliHarness) -> None:
    lines = started.run("status", "orders", "--wait").out.splitlines()
    assert len(lines) == len(set(lines)) > 4
    assert lines[0].startswith("orders#1  progressing  10%  10% is applied")
    assert lines[-1].startswith("orders#1  succeeded  100%  the gate at 100% passed")


def test_wait_touches_no_account(desk: CliHarness) -> None:
    desk.run("start", desk.policy)
    before = desk.world.calls.copy()
    desk.run("status", "orders", "--wait", "--timeout", "10m")
    assert desk.world.calls == before


def test_wait_for_what_rests_already_ends_at_once(started: CliHarness) -> None:
    started.run("rollback", "orders")
    begin = started.world.clock.now()
    assert started.run("status", "orders", "--wait").status == Exit.ROLLED_BACK
    assert started.world.clock.now() == begin


@pytest.fixture
def silence(started: CliHarness, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that makes polls fail, by their numbers from 0 on."""
    load = SqliteStore.load

    def silent(*looks: int) -> None:
        polls = iter(range(1_000))

        def answer(store: SqliteStore, rollout_id: str) -> Rollout:
            if next(polls) in looks:
                raise StoreError("the disk does not answer")
            return load(store, rollout_id)

        monkeypatch.setattr(SqliteStore, "load", answer)

    return silent


@cases("looks", {
    "for a moment": range(1, MAX_MISSES),
    "for two moments": [*range(1, MAX_MISSES), *range(MAX_MISSES + 1, 2 * MAX_MISSES)],
    "at first": range(MAX_MISSES - 1),
})  # fmt: skip
def test_wait_outlives_a_store_that_does_not_answer(
    started: CliHarness, silence: Callable[..., None], looks: Iterable[int]
) -> None:
    unanswered = list(looks)
    silence(*unanswered)
    ended = started.run("status", "orders", "--wait", "--timeout", "2m")
    assert ended.status == Exit.UNDECIDED
    *warnings, last_line = ended.err.splitlines()
    assert last_line.startswith("rolloutctl: waited 2m for orders#1 to pause or end")
    assert len(warnings) == len(unanswered)
    assert (
        warnings[-1]
        == f"rolloutctl: no answer (4 of {MAX_MISSES} in a row): the disk does not answer"
    )


def test_wait_gives_up_on_a_store_that_does_not_answer_at_all(
    started: CliHarness, silence: Callable[..., None]
) -> None:
    silence(*range(1, MAX_MISSES + 1))
    ended = started.run("status", "orders", "--wait")
    assert ended.status == Exit.INTERNAL
    assert ended.err.endswith(
        "rolloutctl: the disk does not answer (docs/troubleshooting.md#error-store)\n"
    )


def test_wait_does_not_ask_again_for_what_does_not_exist(started: CliHarness) -> None:
    begin = started.world.clock.now()
    assert started.run("status", "checkout#7", "--wait").status == Exit.USAGE
    assert started.world.clock.now() == begin


@cases("arguments, words", {
    "of all": (["status", "--wait"], "follows one rollout: name it"),
    "until alone": (["status", "orders", "--until", "paused"], "needs --wait"),
    "no phase": (["status", "orders", "--wait", "--until", "pausd"], "no phase is called 'pausd'"),
    "all of one": (["status", "orders", "--all"], "leave ROLLOUT out"),
    "no waiting": (["status", "orders", "--timeout", "1h"], "--wait or --watch"),
    "no following": (["history", "orders", "--interval", "1m"], "needs --follow"),
    "lines as JSON": (["history", "orders", "--follow", "--json"], "--follow prints lines"),
})  # fmt: skip
def test_options_that_do_not_go_together_are_refused(
    started: CliHarness, arguments: list[str], words: str
) -> None:
    ended = started.run(*arguments)
    assert ended.status == Exit.USAGE
    assert not ended.out or ended.data["schema"] == "error/1"
    assert words in ended.err


# --- status --watch without a terminal ----------------------------------------------------------


def test_watch_goes_on_through_a_pause_and_prints_lines_where_there_is_no_terminal(
    started_in: Callable[..., CliHarness],
) -> None:
    desk = started_in(events=SILENT)
    begin = desk.world.clock.now()
    ended = desk.run("status", "orders", "--watch", "--timeout", "50m")
    assert ended.status == Exit.UNDECIDED
    assert desk.world.clock.now() - begin == 50 * MINUTE
    assert "orders#1  paused  10%" in ended.out


def test_watch_shows_what_a_rollback_has_left_behind(started_in: Callable[..., CliHarness]) -> None:
    desk = started_in(events=SICK)
    ended = desk.run("status", "orders", "--watch", "--json")
    assert ended.status == Exit.ROLLED_BACK
    assert ended.data["leak_check"]["label"] == "confirmed"


def test_watch_without_a_name_shows_every_rollout_until_time_is_up(started: CliHarness) -> None:
    begin = started.world.clock.now()
    ended = started.run("status", "--watch", "--timeout", "20m", "--interval", "1m")
    assert ended.status == Exit.DONE
    assert started.world.clock.now() - begin == 20 * MINUTE
    lines = ended.out.splitlines()
    assert lines[0].startswith("orders#1  progressing  10%")
    assert lines[-1].startswith("orders#1  succeeded  100%")
    assert len(lines) == len(set(lines))


# --- history --follow ---------------------------------------------------------------------------


def test_follow_prints_entries_as_they_come_until_the_rollout_has_ended(
    started: CliHarness,
) -> None:
    begin = started.world.clock.now()
    printed: list[tuple[float, str]] = []

    def looked() -> None:
        out = started.capsys.readouterr().out
        printed.extend(((started.world.clock.now() - begin) / MINUTE, x) for x in out.splitlines())

    for minute in (1, 30):
        started.world.clock.at(begin + minute * MINUTE, looked)
    assert cli.main(["history", "orders", "--follow"]) == Exit.DONE
    looked()
    kinds = [line.partition("%  ")[2].split()[0] for _, line in printed if line.startswith("2026-")]
    assert kinds == ["started", "applied", "advanced", "applied", "succeeded"]
    assert [line.partition("%  ")[2].split()[0] for minute, line in printed if minute == 1] == [
        "started",
        "applied",
    ]
    assert started.world.clock.now() - begin < 15 * MINUTE


def test_follow_stops_at_its_limit(started: CliHarness) -> None:
    begin = started.world.clock.now()
    ended = started.run("history", "orders", "--follow", "--timeout", "3m")
    assert ended.status == Exit.DONE
    assert started.world.clock.now() - begin == 3 * MINUTE
    assert ended.out == started.run("history", "orders").out


def test_follow_sees_a_rollback_through_to_its_leak_check(
    started_in: Callable[..., CliHarness],
) -> None:
    desk = started_in(events=SICK)
    lines = desk.run("history", "orders", "--follow").out.splitlines()
    assert "  leak_checked  " in lines[-1]


def test_ctrl_c_ends_following_with_130(started: CliHarness) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    started.world.clock.at(started.world.clock.now() + MINUTE / 2, interrupt)
    ended = started.run("history", "orders", "--follow")
    assert ended.status == 130
    assert ended.out.startswith("2026-01-05 09:00    0 → 10%  started")


# --- exit statuses of a state -------------------------------------------------------------------


def one(phase: Phase, *, unconfirmed: bool = False, **facts: Any) -> Rollout:
    """Return a rollout in `phase`, whose rollback may be unconfirmed; `facts` are of its state."""
    rollout = in_phase(phase, **facts)
    condition = Condition(NOON, "it is NOT at 0%", critical=True) if unconfirmed else None
    return rollout.with_condition(ConditionKind.UNCONFIRMED, condition)


def test_the_exit_status_of_several_is_the_most_urgent() -> None:
    several = [
        one(Phase.SUCCEEDED), one(Phase.PROGRESSING), one(Phase.ROLLED_BACK),
        one(Phase.PAUSED, reason=Reason.DRIFTED), one(Phase.ROLLING_BACK, unconfirmed=True),
    ]  # fmt: skip
    statuses = [worst(map(of_rollout, several[: number + 1])) for number in range(len(several))]
    assert statuses == [Exit.DONE, Exit.UNDECIDED, Exit.ROLLED_BACK, Exit.DRIFT, Exit.UNCONFIRMED]
    assert worst([]) == Exit.DONE


@cases("rollout, over", {
    "a pause may end": (one(Phase.PAUSED), False),
    "success": (one(Phase.SUCCEEDED, watch_until=NOON + MINUTE), True),
    "leak check not ended": (one(Phase.ROLLED_BACK, watch_until=NOON + MINUTE), False),
    "leak check ended":
        (one(Phase.ROLLED_BACK, watch_until=NOON + MINUTE, leak_check=LEAK_CHECK), True),
    "watched long enough": (one(Phase.ROLLED_BACK, watch_until=NOON), True),
})  # fmt: skip
def test_a_rollout_is_quiet_when_nothing_more_is_to_be_known(rollout: Rollout, over: bool) -> None:
    assert is_complete(rollout, NOON) is over


def test_every_time_limit_says_what_was_waited_for_and_ends_with_3(started: CliHarness) -> None:
    for command in (
        ["run", started.policy],
        ["status", "orders#1", "--wait"],
        ["status", "orders#1", "--watch"],
        ["status", "--watch"],
    ):
        ended = started.run(*command, "--timeout", "30s")
        assert ended.status == Exit.UNDECIDED
        assert ended.err.rstrip().endswith(f": rolloutctl {' '.join(command)}")
        assert ("only reads the store" in ended.err) is (command[0] == "status")
