"""A rollout that bakes at 10%, and a dashboard over its store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dashboards import Visitor, open_dashboard
from tests.support.stage import Stage, open_stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A rollout in its first step."""
    with open_stage(tmp_path) as opened:
        opened.start()
        opened.tick()
        yield opened


@pytest.fixture
def visitor(stage: Stage) -> Iterator[Visitor]:
    """A browser with the cookie of a dashboard that has all buttons."""
    with open_dashboard(stage) as opened:
        opened.enter()
        yield opened
