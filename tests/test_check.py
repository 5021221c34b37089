"""`make check` runs what a change concerns, and says what it left out when its time was up."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

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


@pytest.fixture
def with_two_modules(checkout: Path) -> Path:
    """The checkout, with a test that imports one module of two, and one that imports both."""
    (checkout / "controller/render/table.py").write_text("")
    both = "from controller.render import page, table"
    (checkout / "tests/cli/test_z_both.py").write_text(both)
    return checkout


def test_a_test_that_imports_more_of_what_changed_runs_before_others(
    with_two_modules: Path,
) -> None:
    changed = ["controller/render/page.py", "controller/render/table.py"]
    *_, first, _, _ = check.selected_tests(changed, with_two_modules)
    assert first == "tests/cli/test_z_both.py"


def runs(deadline: check.Deadline, name: str) -> bool:
    """Tell whether a test of this id is run and not skipped."""
    item: Any = SimpleNamespace(nodeid=name)
    try:
        deadline.pytest_runtest_setup(item)
    except pytest.skip.Exception:
        return False
    return True


@cases("name, still", {
    "of the core": ("tests/core/test_decide.py::test_it", True),
    "of the engine": ("tests/engine/test_tick.py::test_it", True),
    "that imports what changed": ("tests/cli/test_page.py::test_it", False),
})  # fmt: skip
def test_when_the_time_is_up_a_test_of_core_or_engine_still_runs(
    monkeypatch: pytest.MonkeyPatch, name: str, still: bool
) -> None:
    deadline, began = check.Deadline(), time.perf_counter()
    for after_s in (0.0, check.SECONDS - 1):
        monkeypatch.setattr("time.perf_counter", lambda after_s=after_s: began + after_s)
        assert runs(deadline, name)
    monkeypatch.setattr("time.perf_counter", lambda: began + check.SECONDS + 1)
    assert runs(deadline, name) == still


@cases("skipped, said", {
    "nothing": ([], ["not run: tests that are slow or use the emulator (make test)"]),
    "three tests of two files": (
        ["tests/cli/test_a.py::test_1", "tests/cli/test_a.py::test_2", "tests/cli/test_b.py::test"],
        [
            "not run: tests that are slow or use the emulator (make test)",
            "not run, as the time was up: 3 tests that import what changed:",
            "  pytest tests/cli/test_a.py tests/cli/test_b.py",
        ],
    ),
})  # fmt: skip
def test_it_says_what_was_not_run(skipped: list[str], said: list[str]) -> None:
    assert check.not_run(skipped) == said
