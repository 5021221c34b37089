"""A freeze begins when a raise is saved and not written: the live step is still judged."""

import pytest

from controller.process import logging
from tests.chaos.event_log import RolloutSave
from tests.chaos.run import run_plan
from tests.chaos.sample_plans import freeze_before_write
from tests.support.core import replay
from tests.tools.simulation.worlds import MINUTE, START


@pytest.mark.parametrize(
    ("fails", "expected"),
    [
        pytest.param("600s", ["13 rolling_back", "13 rolled_back"], id="a canary that fails in it"),
        pytest.param("2220s", ["40 rolling_back", "40 rolled_back"],
                     id="a canary that is seen to fail as it ends"),
        pytest.param("9h", ["40 write_retried", "40 applied", "45 succeeded"],
                     id="a canary that is well"),
    ],
)  # fmt: skip
def test_a_raise_that_was_not_written_before_a_freeze(fails: str, expected: list[str]) -> None:
    """The freeze lasts from 9:06 to 9:40; an entry is shown with its minute after 9:00."""
    logging.disable()
    trace = run_plan(freeze_before_write(fails))
    saved = [event for event in trace.events if isinstance(event, RolloutSave)]
    entries = [entry for one in saved for entry in one.entries]
    kinds = [
        f"{(one.at - START) // MINUTE} {one.kind}" for one in entries if one.kind != "leak_checked"
    ]
    assert kinds[2:] == ["5 advanced", "7 blocked", *expected]
    assert trace.violations == ()
    assert trace.rollout is not None
    assert replay(trace.rollout, entries).consistent
