"""Every way through every small world: each invariant after each step, and how it all ends."""

from pathlib import Path

import pytest

from tests.exhaustive.start_states import STARTS
from tests.exhaustive.worlds import QUICK, explored


@pytest.mark.parametrize("start", STARTS)
def test_every_invariant_holds_on_every_way(tmp_path: Path, start: str) -> None:
    """Two ticks, of which one may be gone while time passes; a tick and another hand."""
    for name, found in explored(tmp_path, start, slow=False):
        assert not found.wrong, f"{start}: {name}\n{found.wrong[0]}"
        assert found.schedules >= len(found.ends) > 0


@pytest.mark.parametrize("start", [start for start in STARTS if start not in QUICK])
def test_every_invariant_holds_on_every_way_where_updates_take_a_while(
    tmp_path: Path, start: str
) -> None:
    for name, found in explored(tmp_path, start, slow=True):
        assert not found.wrong, f"{start}: {name}\n{found.wrong[0]}"
        assert found.schedules >= len(found.ends) > 0
