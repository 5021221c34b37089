"""`make check` runs what a change concerns, and stops when its time is up."""

import time
from pathlib import Path

import pytest

from tests import check
from tests.support.cases import cases


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small checkout."""
    for name, text in {
        "controller/core/decide.py": "",
        "controller/render/page.py": "",
        "tests/core/test_decide.py": "import controller.core.decide",
        "tests/cli/test_page.py": "from controller.render import page",
        "tests/cli/test_status.py": "from controller.render.page import Page",
        "tests/cli/test_other.py": "import json",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@cases("changed, selected", {
    "nothing changed: the core and the engine": ([], ["tests/core", "tests/engine"]),
    "a module: the tests that import it, last": (
        ["controller/render/page.py"],
        ["tests/core", "tests/engine", "tests/cli/test_page.py", "tests/cli/test_status.py"],
    ),
    "a test: it runs first": (
        ["tests/cli/test_other.py"], ["tests/cli/test_other.py", "tests/core", "tests/engine"],
    ),
    "what the folders have runs once": (
        ["controller/core/decide.py"], ["tests/core", "tests/engine"],
    ),
    "what was removed, and what is no code, selects nothing": (
        ["controller/gone.py", "README.md"], ["tests/core", "tests/engine"],
    ),
})  # fmt: skip
def test_a_change_selects(checkout: Path, changed: list[str], selected: list[str]) -> None:
    assert check.selected_tests(changed, checkout) == selected


def test_when_the_time_is_up_a_test_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    deadline, began = check.Deadline(), time.perf_counter()
    for after_s in (0.0, check.SECONDS - 1):
        monkeypatch.setattr("time.perf_counter", lambda after_s=after_s: began + after_s)
        deadline.pytest_runtest_setup()
    monkeypatch.setattr("time.perf_counter", lambda: began + check.SECONDS + 1)
    with pytest.raises(pytest.skip.Exception, match="time"):
        deadline.pytest_runtest_setup()
