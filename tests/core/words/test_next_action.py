"""What comes next: of a rollout that has ended, while ticks watch it and after that."""

from datetime import datetime, timedelta

import pytest

from tests.support.core import Rollout, Verdict, next_action
from tests.support.findings import a_finding
from tests.support.rollouts import MINUTE, NOON, with_state
from tests.support.three_steps import AFTER_ROLLBACK, AFTER_SUCCESS

LEAK_CHECKED = with_state(
    AFTER_ROLLBACK, leak_check=a_finding("leak_check", "gone.", verdict=Verdict.PASS)
)


@pytest.mark.parametrize(
    ("rollout", "now", "watched"),
    [
        pytest.param(AFTER_ROLLBACK, None, True, id="as of the last change"),
        pytest.param(AFTER_ROLLBACK, NOON + 14 * MINUTE, True, id="of a rollback"),
        pytest.param(AFTER_ROLLBACK, NOON + 15 * MINUTE, False, id="over, of a rollback"),
        pytest.param(AFTER_SUCCESS, NOON + timedelta(days=6), True, id="of a success"),
        pytest.param(AFTER_SUCCESS, NOON + timedelta(days=8), False, id="over, of a success"),
    ],
)
def test_a_watch_that_is_over_is_no_next_action(
    rollout: Rollout, now: datetime | None, watched: bool
) -> None:
    following = next_action(rollout, now)
    assert (following.at is not None) is watched
    assert ("watched until" in following.text) is watched
    assert ("ended at" in following.text) is not watched


def test_after_a_watch_without_a_leak_check_an_operator_can_watch_again() -> None:
    again, later = "to watch again: rolloutctl rollback checkout#1", NOON + 15 * MINUTE
    assert again in next_action(AFTER_ROLLBACK, later).text
    assert again not in next_action(LEAK_CHECKED, later).text
    assert again not in next_action(with_state(AFTER_ROLLBACK, from_weight=0), later).text
