"""Signals: a run ends at a safe point after a signal; the next tick continues from there."""

import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from controller.errors import Exit
from controller.process import signals
from tests.cli.conftest import CliHarness, MakeDesk
from tests.cli.test_start_and_tick import SICK
from tests.support.cases import cases
from tests.support.stage import METRICS, READ, WRITE, ActBefore, FailingCall
from tests.tools.simulation.worlds import FUNCTION, MINUTE

SECOND = MINUTE / 60
TERM, KEYBOARD, ALARM = signal.SIGTERM, signal.SIGINT, signal.SIGALRM


def signalled(desk: CliHarness, call: tuple[str, str], number: signal.Signals = TERM) -> None:
    """Send a signal just before the next `call`."""
    desk.world.interceptors.append(ActBefore(call, partial(send, number)))


def send(number: signal.Signals) -> None:
    """Send this process a signal; a thread that is not the main one waits until it is handled."""
    os.kill(os.getpid(), number)
    deadline = time.monotonic() + 10
    while threading.current_thread() is not threading.main_thread():
        if signals.stop_requested() or time.monotonic() > deadline:
            return
        time.sleep(0.001)


def later(desk: CliHarness, seconds: float, number: signal.Signals = TERM) -> None:
    """Send a signal after this many seconds."""
    at = desk.world.clock.now() + seconds * SECOND
    desk.world.clock.at(at, partial(signal.raise_signal, number))


def written(desk: CliHarness) -> int:
    """Return the weight in the function's variables, which may not be applied yet."""
    return int(desk.world.function(FUNCTION).variables["PERCENTAGE"])


def kinds(desk: CliHarness) -> list[str]:
    """Return the kinds of all entries of the history."""
    history = desk.run("history", "orders", "--json").data
    assert history["chain_valid"]
    return [entry["kind"] for entry in history["entries"]]


@pytest.fixture
def rising(desk: CliHarness) -> CliHarness:
    """A rollout that the next tick takes from 10% to 100%."""
    desk.run("start", desk.policy)
    desk.ticks(3)
    desk.world.clock.advance(2 * MINUTE)
    return desk


@pytest.fixture
def falling(desk_in: MakeDesk) -> CliHarness:
    """A rollout that the next tick takes from 10% to 0%."""
    desk = desk_in(events=SICK)
    desk.run("start", desk.policy)
    desk.world.clock.advance(4 * MINUTE)
    return desk


# --- a tick -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [TERM, KEYBOARD], ids=["SIGTERM", "SIGINT"])
@cases("call, weight, recorded", {
    "while it looks: nothing was begun": (READ, 10, []),
    "while it measures: nothing was begun": (METRICS, 10, []),
    "while it raises: that is saved and written": (WRITE, 100, ["advanced"]),
})  # fmt: skip
def test_a_tick_ends_at_a_safe_point(
    rising: CliHarness,
    number: signal.Signals,
    call: tuple[str, str],
    weight: int,
    recorded: list[str],
) -> None:
    before = kinds(rising)
    begin = rising.world.clock.now()
    signalled(rising, call, number)

    ended = rising.run("tick")

    assert ended.status == 128 + number
    assert f"rolloutctl: ended by {number.name} at a safe point" in ended.err
    assert rising.world.clock.now() == begin  # it did not wait
    assert kinds(rising) == [*before, *recorded]
    later = rising.ticks(1)  # the lease is free
    assert (later.status, written(rising)) == (Exit.DONE, 100)
    assert kinds(rising) == [*before, "advanced", "applied"]


def test_lowering_goes_on_through_refusals_and_waits_between_them(falling: CliHarness) -> None:
    refused = FailingCall(WRITE)
    falling.world.interceptors.append(refused)
    signalled(falling, WRITE)
    mended = falling.world.clock.now() + 8 * SECOND
    falling.world.clock.at(mended, partial(falling.world.interceptors.remove, refused))

    ended = falling.run("tick")

    assert (ended.status, written(falling)) == (143, 0)
    assert [event["event"] for event in ended.events].count("call_retried") < 10
    assert kinds(falling)[-1] == "rolling_back"


def test_lowering_that_does_not_succeed_in_time_is_left_to_the_next_tick(
    falling: CliHarness,
) -> None:
    refused = FailingCall(WRITE)
    falling.world.interceptors.append(refused)
    signalled(falling, WRITE)
    begin = falling.world.clock.now()
    later(falling, 10, ALARM)

    ended = falling.run("tick")

    (failed,) = [event for event in ended.events if event["event"] == "lower_failed"]
    assert "was not set to 0% before this run had to end; the target shows" in failed["problem"]
    assert falling.world.clock.now() - begin < 20 * SECOND
    assert (ended.status, written(falling), kinds(falling)[-1]) == (5, 10, "rolling_back")
    falling.world.interceptors.remove(refused)
    falling.ticks(1)
    assert (written(falling), kinds(falling)[-1]) == (0, "rolled_back")


def test_of_two_rollouts_one_at_a_time_the_second_is_left_to_the_next_tick(
    rising: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLOUTCTL_CALLS_AT_ONCE", "1")
    rising.world.add_function("payments", {})
    target = {"kind": "lambda-env", "function": "payments", "percentage": "PERCENTAGE"}
    other_policy = rising.another_policy("payments", target=target)
    rising.run("start", other_policy)
    rising.world.clock.advance(8 * MINUTE)  # both are to be raised
    signalled(rising, WRITE)

    assert rising.run("tick").status == 143

    assert written(rising) == 100
    assert rising.state("payments")["weight"] == 10
    ended = rising.ticks(1, "--json")
    assert [one["weight"] for one in ended.data["rollouts"]] == [100, 100]


# --- verbs that wait ----------------------------------------------------------------------------


@cases("verb", {
    "status --wait": ("status", "orders", "--wait"),
    "status --watch": ("status", "orders", "--watch"),
    "history --follow": ("history", "orders", "--follow"),
})  # fmt: skip
def test_who_only_looks_ends_at_once_and_in_silence(
    desk: CliHarness, verb: tuple[str, ...]
) -> None:
    desk.run("start", desk.policy)
    begin = desk.world.clock.now()
    later(desk, 45)
    ended = desk.run(*verb)
    assert (ended.status, ended.err) == (143, "")
    assert ended.out
    assert desk.world.clock.now() - begin == 45 * SECOND


# --- operators' verbs ---------------------------------------------------------------------------


def test_a_start_that_is_still_checking_touches_nothing(desk: CliHarness) -> None:
    signalled(desk, READ, KEYBOARD)
    assert desk.run("start", desk.policy).status == 130
    assert (desk.weight, desk.world.calls[WRITE]) == (0, 0)
    assert desk.run("status", "--all").out == "no rollout\n"


def test_a_rollback_by_hand_is_finished_and_not_waited_for(rising: CliHarness) -> None:
    signalled(rising, WRITE, KEYBOARD)
    begin = rising.world.clock.now()

    ended = rising.run("rollback", "orders", "--json")

    assert ended.status == Exit.UNCONFIRMED  # worse than 130: 0% is not read back yet
    assert (ended.data["phase"], written(rising)) == ("rolling_back", 0)
    assert rising.world.clock.now() == begin
    rising.ticks(1)
    assert kinds(rising)[-1] == "rolled_back"


def test_a_bare_rollback_is_finished_and_not_waited_for(rising: CliHarness) -> None:
    signalled(rising, WRITE)
    names = ("--function", "handler", "--percentage", "PERCENTAGE", "--boolean", "ENABLED")
    ended = rising.run("rollback", *names)
    assert (ended.status, written(rising)) == (Exit.UNCONFIRMED, 0)
    assert ended.out.startswith("handler: NOT confirmed: PERCENTAGE=0")


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL], ids=["ignored", "default"])
def test_a_command_leaves_the_signals_as_they_were(desk: CliHarness, handler: Any) -> None:
    numbers: list[Callable[..., Any] | int | None] = []
    before = {number: signal.signal(number, handler) for number in (TERM, KEYBOARD)}
    try:
        if handler is signal.SIG_IGN:
            signalled(desk, READ)  # a process that ignores it goes on ignoring it
        status = desk.run("start", desk.policy).status
        numbers = [signal.getsignal(number) for number in before]
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
    assert (status, numbers) == (Exit.DONE, [handler, handler])


def test_where_python_has_no_timers_a_command_runs_without_handlers(
    desk: CliHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a browser, where the site plays rehearsals."""
    monkeypatch.delattr(signal, "setitimer")
    assert desk.run("rehearse", desk.policy).status == Exit.DONE
