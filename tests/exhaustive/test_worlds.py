"""Every schedule of every small world: each invariant after each step, and each end state."""

from pathlib import Path

import pytest

from tests.exhaustive.search_cases import FAST_STARTS, explore
from tests.exhaustive.start_states import START_STATES


@pytest.mark.parametrize("start", START_STATES)
def test_every_invariant_holds_in_every_schedule(tmp_path: Path, start: str) -> None:
    """Two ticks, of which one may crash while time passes; a tick and another actor."""
    for name, result in explore(tmp_path, start, slow=False):
        assert not result.violations, f"{start}: {name}\n{result.violations[0]}"
        assert result.schedules >= len(result.end_states) > 0


@pytest.mark.parametrize("start", [start for start in START_STATES if start not in FAST_STARTS])
def test_every_invariant_holds_in_every_schedule_with_slow_updates(
    tmp_path: Path, start: str
) -> None:
    for name, result in explore(tmp_path, start, slow=True):
        assert not result.violations, f"{start}: {name}\n{result.violations[0]}"
        assert result.schedules >= len(result.end_states) > 0
