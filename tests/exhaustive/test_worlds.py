"""Every way through every small world: each invariant after each step, and how it all ends."""

from pathlib import Path

import pytest

from tests.exhaustive.search_cases import FAST_STARTS, explore
from tests.exhaustive.start_states import START_STATES


@pytest.mark.parametrize("start", START_STATES)
def test_every_invariant_holds_on_every_way(tmp_path: Path, start: str) -> None:
    """Two ticks, of which one may be gone while time passes; a tick and another hand."""
    for name, found in explore(tmp_path, start, slow=False):
        assert not found.violations, f"{start}: {name}\n{found.violations[0]}"
        assert found.schedules >= len(found.end_states) > 0


@pytest.mark.parametrize("start", [start for start in START_STATES if start not in FAST_STARTS])
def test_every_invariant_holds_on_every_way_where_updates_take_a_while(
    tmp_path: Path, start: str
) -> None:
    for name, found in explore(tmp_path, start, slow=True):
        assert not found.violations, f"{start}: {name}\n{found.violations[0]}"
        assert found.schedules >= len(found.end_states) > 0
