"""A rollback that Lambda refuses pages after rollback_timeout, and is tried until it succeeds."""

from pathlib import Path

import pytest

from controller.errors import Exit
from tests.cli.conftest import CliHarness, MakeDesk
from tests.support.stage import METRICS, READ
from tests.tools.simulation.worlds import MINUTE

SICK = {"kind": "errors", "at": {"step": 1}, "server_errors": "20%"}


def an_outage(how: str) -> dict[str, object]:
    """Lambda's control plane fails from two minutes after the first weight on, for 16 minutes."""
    at = {"step": 1, "after": "2m"}
    return {"kind": "lambda_outage", "at": at, "lasting": "16m", "how": how}


def ticks(desk: CliHarness, number: int) -> list[int]:
    """Tick once a minute, and return how each tick ended."""
    ends = []
    for _ in range(number):
        desk.world.clock.advance(MINUTE)
        ends.append(desk.run("tick").status)
    return ends


@pytest.mark.parametrize("how", ["throttle", "error", "timeout"])
def test_past_rollback_timeout_every_tick_ends_with_5_until_0_is_in_force(
    desk_in: MakeDesk, how: str
) -> None:
    desk = desk_in(events=[SICK, an_outage(how)])
    desk.run("start", desk.policy)
    ends, waits = [], 0
    while desk.weight and waits < 30:
        ends += ticks(desk, 1)
        waits += 1
    critical = [end == Exit.UNCONFIRMED for end in ends]
    first = critical.index(True)
    assert all(critical[first:-1])  # in alarm from there on; the last one lowered it
    assert not any(critical[: first - 1])
    assert len(critical) - first >= 5
    data = desk.state()
    assert (data["phase"], desk.weight) == ("rolled_back", 0)
    kinds = [entry["kind"] for entry in desk.entries()]
    assert kinds.count("rollback_unconfirmed") == 1
    assert kinds[kinds.index("rolling_back") :] == [
        "rolling_back", "rollback_unconfirmed", "rolled_back",
    ]  # fmt: skip


def test_it_goes_on_trying_without_metrics_and_without_its_policy_file(
    desk_in: MakeDesk,
) -> None:
    """Once decided, a rollback needs nothing but the function and the stored rollout."""
    desk = desk_in(events=[SICK, an_outage("throttle")])
    desk.run("start", desk.policy)
    while desk.state()["phase"] != "rolling_back":
        ticks(desk, 1)
    measured, tried = desk.world.calls[METRICS], desk.world.calls[READ]
    Path(desk.policy).write_text("no policy any more")
    ticks(desk, 5)
    assert desk.world.calls[METRICS] == measured
    assert desk.world.calls[READ] > tried + 5  # several tries a tick
    ticks(desk, 15)
    assert desk.weight == 0
