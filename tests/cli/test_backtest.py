"""backtest: how a policy would have ended on the past, and whether CI may take it."""

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controller.errors import Exit
from controller.tools.backtest.play import BacktestSetup
from controller.tools.backtest.run import play_starts
from tests.cli.conftest import CliHarness, write_policy
from tests.support.action import ROOT, VALID, make_checkout, plant_modules
from tests.support.backtests import SHOP, rows_of, write_rows


def failing(share: float) -> Callable[[int, dict[str, float]], None]:
    def change(_: int, row: dict[str, float]) -> None:
        row["errors"] = round(row["requests"] * share)

    return change


@pytest.fixture
def played(desk: CliHarness, tmp_path: Path) -> Callable[..., Any]:
    """Return what runs `backtest` on the shop, with a share of requests that fail."""

    def play(*options: str, share: float = 0.001, policy: dict[str, Any] | None = None) -> Any:
        file = write_rows(tmp_path / "shop.csv", rows_of(90, change=failing(share)))
        shop = write_policy(tmp_path, {**SHOP, **(policy or {})})
        return desk.run("backtest", shop, "--csv", str(file), *options)

    return play


def test_healthy_days_promote_every_start(played: Callable[..., Any]) -> None:
    ended = played("--json", "--max-false-rollbacks", "5%")
    assert (ended.status, ended.err) == (Exit.DONE, "")  # progress is for terminals
    data = ended.data
    assert data["runs"] == data["promoted"] > 10
    assert (data["held"], data["rolled_back"], data["causes"]) == (0, 0, {})
    assert data["not_counted"]["no_baseline"] > 0


def test_a_rate_above_the_limit_ends_with_7_and_shows_what_would_have_held(
    played: Callable[..., Any],
) -> None:
    ended = played("--json", "--max-false-rollbacks", "5%", share=0.03)
    assert ended.status == Exit.CHECK_FAILED
    assert ended.data["rolled_back_rate"] == 1.0
    assert ended.data["causes"]["works"] == ended.data["runs"]
    changes = {one["criterion"]: one for one in ended.data["suggestion"]["changes"]}
    assert changes["works"] == {
        "criterion": "works", "field": "min", "before": "99%", "after": "97%",
    }  # fmt: skip
    assert ended.data["suggestion"]["rolled_back_rate"] <= 0.05
    assert "+  works: min: 97%" in played("--max-false-rollbacks", "5%", share=0.03).out


def test_an_added_fault_is_found(played: Callable[..., Any]) -> None:
    data = played("--json", "--inject", "errors=10%@100").data
    assert (data["rolled_back"], data["missed"]) == (data["runs"], 0)
    assert {one["weight"] for one in data["places"]} == {100}
    assert 0 < data["median_delay_minutes"] <= 30
    assert data["median_bad_requests"] == pytest.approx(
        100 * data["median_delay_minutes"] / 5, rel=0.4
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--inject", "errors=1%"], "expected errors=1%@50"),
        (["--inject", "latency=20%@100"], "expected errors=1%@50, latency=+20%@10"),
        (["--inject", "errors=1%@50"], "no step of shop has 50%, only 10%, 100%"),
        (["--inject", "hang=3%:soon@100"], "a number and a unit"),
        (["--inject", "errors=1%@100", "--max-false-rollbacks", "5%"], "no --inject"),
        (["--days", "3"], "name one history"),
        (["--every", "7m"], "multiple of the history's period of 5m"),
        (["--starts", "never"], "Invalid value"),
        (["--max-false-rollbacks", "5"], "Invalid value"),
    ],
)
def test_a_wrong_option_is_a_mistake_of_the_command(
    played: Callable[..., Any], options: list[str], says: str
) -> None:
    ended = played(*options)
    assert ended.status == Exit.USAGE
    assert says in ended.err


def test_a_history_that_is_too_short_says_how_long_it_has_to_be(
    desk: CliHarness, tmp_path: Path
) -> None:
    file = write_rows(tmp_path / "shop.csv", rows_of(20))
    ended = desk.run("backtest", write_policy(tmp_path, SHOP), "--csv", str(file))
    assert ended.status == Exit.USAGE
    assert "a rollout takes 144m" in ended.err


def test_many_starts_are_played_by_several_processes_alike(
    played: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = played("--json").out
    monkeypatch.setattr("controller.tools.backtest.run._MIN_STARTS_FOR_PROCESSES", 2)
    monkeypatch.setattr("controller.tools.backtest.run._CHUNK", 5)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert played("--json").out == alone


# What pip writes for the command rolloutctl.
CONSOLE_SCRIPT = """
import sys
from controller.__main__ import main
if __name__ == "__main__":
    sys.exit(main())
"""


def test_no_process_imports_a_module_of_the_folder_that_it_begins_in(tmp_path: Path) -> None:
    """It may be a checkout with its own logging.py, or with one that is meant to run."""
    folder = make_checkout(tmp_path)
    imported = plant_modules(folder)
    rows = (f"{60 * minute},100,0" for minute in range(480))
    history = "\n".join(["timestamp,requests,failures", *rows])
    (folder / "history.csv").write_text(history, encoding="utf-8")
    script = tmp_path / "rolloutctl"
    script.write_text(CONSOLE_SCRIPT, encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, str(script), "backtest", "--csv", "history.csv", VALID],
        cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=30,
        check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (Exit.DONE, "")
    assert not imported.exists()


def test_a_process_that_cannot_begin_ends_the_command() -> None:
    broken: Any = None
    setup = BacktestSetup(broken, timedelta(minutes=5))
    with pytest.raises(AttributeError):
        play_starts(setup, range(1_000), lambda *_: None, processes=2)
