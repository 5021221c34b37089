"""The emulator that other tests use."""

from pathlib import Path

import pytest

from tests.support import emulator
from tests.support.emulator import Emulator, EmulatorError


def test_a_missing_emulator_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A suite that skips tests without an error proves nothing."""
    monkeypatch.setattr(emulator, "PYTHON", tmp_path / "ministack")
    with pytest.raises(EmulatorError, match="make e2e-venv"), emulator.running_emulator(tmp_path):
        pass


def test_an_emulator_that_ends_by_itself_is_reported_with_its_log(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "ministack"
    broken.write_text("#!/bin/sh\necho no room\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr(emulator, "PYTHON", broken)
    with (
        pytest.raises(EmulatorError, match="ended with 3:\nno room"),
        emulator.running_emulator(tmp_path),
    ):
        pass


def test_accounts_do_not_see_each_other(ministack: Emulator, account: str) -> None:
    other = str(int(account) + 500_000_000_000)
    ministack.client("sns", account).create_topic(Name="mine")
    assert len(ministack.client("sns", account).list_topics()["Topics"]) == 1
    assert ministack.client("sns", other).list_topics()["Topics"] == []
