"""A rehearsal gives the same result on every store."""

import json
from pathlib import Path
from typing import Any

import pytest

from controller.cli import main
from tests.e2e import stored_items
from tests.e2e.account import POLICY
from tests.support.emulator import Emulator

pytestmark = pytest.mark.ministack


@pytest.fixture
def folder(
    ministack: Emulator,
    account: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A folder for files, and an account for tables; Lambda and CloudWatch are simulated."""
    for name, value in ministack.environment(account).items():
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.mark.parametrize(
    ("scenario", "every", "status"),
    [
        pytest.param("healthy", "30m", "succeeded", marks=pytest.mark.deep),
        pytest.param("error-burst", "5m", "rolled_back", marks=pytest.mark.deep),
        pytest.param("cdk-reset", "5m", "rolled_back", marks=pytest.mark.deep),
        ("console-up", "5m", "paused"),
        pytest.param("contradiction", "5m", "paused", marks=pytest.mark.deep),
        pytest.param("second-owner", "30m", "succeeded", marks=pytest.mark.deep),
        pytest.param("alias-reset", "5m", "rolled_back", marks=pytest.mark.deep),
        pytest.param("meddling-human", "5m", "paused", marks=pytest.mark.deep),
    ],
)
def test_a_scenario_ends_the_same_on_a_file_and_on_a_table(
    scenario: str, every: str, status: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def rehearsed(store: str) -> dict[str, Any]:
        assert main(["store", "init", "--store", store]) == 0
        capsys.readouterr()
        arguments = ["rehearse", str(POLICY), "--scenario", scenario, "--interval", every]
        assert main([*arguments, "--store", store, "--expect", status, "--json"]) == 0
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    on_a_file = rehearsed(f"sqlite:///{folder / 'rehearsal.db'}")
    on_a_table = rehearsed(stored_items.URL)

    assert on_a_table == on_a_file  # with every weight, sentence, moment, finding and call
