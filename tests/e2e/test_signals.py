"""Real processes that get a signal: exit statuses, and the state for the next process."""

import signal
from signal import SIGINT, SIGTERM
from time import sleep

import pytest

from tests.e2e.account import OTHERS, POLICY
from tests.e2e.calls import Wanted, named
from tests.e2e.held_calls import Way
from tests.e2e.on_call import MINUTE, ROLLOUT, Answer, Desk
from tests.e2e.program import Program
from tests.e2e.proxy import Proxy
from tests.e2e.stored_items import ON_A_TABLE, takes_a_rollout
from tests.support.deep_rows import deep_after, named_after

pytestmark = [pytest.mark.ministack, ON_A_TABLE]

READ, WRITE, SAVE = (
    named("GetFunctionConfiguration"), named("UpdateFunctionConfiguration"),
    named("TransactWriteItems"),
)  # fmt: skip


def stopped(
    desk: Desk, program: Program, watched: Proxy, at: Wanted, number: signal.Signals
) -> Answer:
    """Tick, send a signal while a call is in flight, release the call; return the answer."""
    with watched.holding(at) as held:
        tick = program.at(desk.now).begin("tick")
        held.wait()
        tick.signal(number)
        held.free()
    return tick.answer()


@pytest.mark.parametrize("number", named_after(1, {"SIGTERM": SIGTERM, "SIGINT": SIGINT}))
@pytest.mark.parametrize(
    ("at", "weight", "recorded"),
    deep_after(  # while it looks: test_exit_statuses.py as well
        1,
        [
            pytest.param(WRITE, "50", ["advanced"], id="while it raises"),
            pytest.param(READ, "10", [], id="while it looks"),
            pytest.param(takes_a_rollout, "10", [], id="while it takes the lease"),
            pytest.param(SAVE, "50", ["advanced"], id="while it saves that it raises"),
        ],
    ),
)
def test_a_tick_ends_at_a_safe_point_and_gives_the_lease_back(
    started: Desk,
    program: Program,
    watched: Proxy,
    number: signal.Signals,
    at: Wanted,
    weight: str,
    recorded: list[str],
) -> None:
    started.serve(72 * MINUTE)

    answer = stopped(started, program, watched, at, number)

    assert answer.status == 128 + number
    assert f"rolloutctl: ended by {number.name} at a safe point; " in answer.err
    assert "Traceback" not in answer.err
    started.account.revision()  # this waits until the update is over
    assert started.account.pair() == (weight, "false")
    assert started.kinds() == ["started", "applied", *recorded]
    assert started.tick().status == 0  # the lease is free
    assert started.account.pair() == ("50", "false")
    assert started.kinds() == ["started", "applied", "advanced", "applied"]
    assert started.account.others() == OTHERS


def test_less_traffic_is_written_and_recorded_before_a_tick_ends(
    started: Desk, program: Program, watched: Proxy
) -> None:
    started.serve(30 * MINUTE, failing=3)

    answer = stopped(started, program, watched, WRITE, SIGTERM)

    assert answer.status == 143
    assert started.account.pair() == ("0", "false")
    assert started.kinds() == ["started", "applied", "rolling_back"]
    started.account.settled()
    assert started.tick().status == 0
    assert started.kinds()[-1] == "rolled_back"


@pytest.mark.parametrize(
    ("signals", "patience_s"),
    [
        pytest.param([SIGTERM], 1, id="time is up"),
        pytest.param([SIGINT, SIGTERM], 60, id="a second signal comes"),
    ],
)
def test_a_call_that_is_not_answered_is_cut_off_when(
    started: Desk,
    program: Program,
    watched: Proxy,
    signals: list[signal.Signals],
    patience_s: float,
) -> None:
    started.serve(72 * MINUTE)
    with watched.holding(WRITE) as held:
        tick = program.at(started.now, patience_s).begin("tick")
        held.wait()
        for number in signals:
            tick.signal(number)
            sleep(0.2)  # of two signals that are pending at once, either may come first
        answer = tick.answer()
        held.free(Way.NOT_MADE)

    assert answer.status == 128 + signals[0]
    assert f"rolloutctl: ended by {signals[0].name} in the middle of a call; " in answer.err
    assert started.account.pair() == ("10", "false")
    assert started.tick().status == 0  # the lease is free
    assert started.kinds()[-2:] == ["write_retried", "applied"]
    assert started.account.pair() == ("50", "false")


@pytest.mark.parametrize(
    "verb",
    deep_after(
        1,
        [
            pytest.param(["run", str(POLICY), "--interval", "1h"], id="run"),
            pytest.param(["status", ROLLOUT, "--wait", "--interval", "1h"], id="status --wait"),
            pytest.param(["status", ROLLOUT, "--watch", "--interval", "1h"], id="status --watch"),
            pytest.param(
                ["history", ROLLOUT, "--follow", "--interval", "1h"], id="history --follow"
            ),
        ],
    ),
)
@pytest.mark.parametrize("number", named_after(1, {"SIGTERM": SIGTERM, "SIGINT": SIGINT}))
def test_a_command_that_waits_ends_at_once(
    started: Desk, program: Program, number: signal.Signals, verb: list[str]
) -> None:
    waiting = program.at(started.now).begin(*verb)
    shown = waiting.first_line()  # from here on it waits for an hour

    waiting.signal(number)

    answer = waiting.answer()
    assert (answer.status, "Traceback" in answer.err) == (128 + number, False)
    assert ROLLOUT in shown or "started" in shown
    assert started.tick().status == 0
