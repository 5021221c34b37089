"""A raise was saved and not written when a freeze begins: what is live is judged all the same."""

import pytest

from controller.core.replay.replay import replay
from controller.process import logging
from tests.chaos.event_log import RolloutSave
from tests.chaos.run import run_plan
from tests.chaos.sample_plans import freeze_before_write
from tests.simulation.worlds import MINUTE, START


@pytest.mark.parametrize(
    ("fails", "then"),
    [
        pytest.param("600s", ["13 rolling_back", "13 rolled_back"], id="a canary that fails in it"),
        pytest.param("2220s", ["40 rolling_back", "40 rolled_back"],
                     id="a canary that is seen to fail as it ends"),
        pytest.param("9h", ["40 write_again", "40 settled", "45 succeeded"],
                     id="a canary that is well"),
    ],
)  # fmt: skip
def test_what_becomes_of_a_raise_that_a_freeze_met(fails: str, then: list[str]) -> None:
    """The freeze lasts from 9:06 to 9:40; entries are told with their minute after nine."""
    logging.disable()
    story = run_plan(freeze_before_write(fails))
    saved = [one for one in story.events if isinstance(one, RolloutSave)]
    entries = [entry for one in saved for entry in one.entries]
    told = [f"{(one.at - START) // MINUTE} {one.kind}" for one in entries if one.kind != "drained"]
    assert told[2:] == ["5 advanced", "7 held_up", *then]
    assert story.violations == ()
    assert story.rollout is not None
    assert replay(story.rollout, entries).consistent
