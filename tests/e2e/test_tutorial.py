"""The tutorial is executed: its folder is copied, its commands run, their outcome compared.

What its comments may say: 10m of traffic; 5m of traffic, 20% failing. The shop of the page serves
it, minute by minute.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Final

import boto3
import pytest
from freezegun import freeze_time

from controller.cli import main
from controller.core.units import parse_duration
from tests.e2e.account import Account
from tests.e2e.executed_page import differences
from tests.e2e.on_call import MINUTE, Answer, Desk
from tests.support.emulator import Emulator

ROOT: Final = Path(__file__).parents[2]
TEXT: Final = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
FOLDER: Final = ROOT / "docs" / "tutorial"
ON_THE_EMULATOR, _, OFFLINE = TEXT.partition("\n## Without the emulator\n")
_TRAFFIC: Final = re.compile(r"(?P<length>\w+) of traffic(, (?P<failing>\d+)% failing)?")


class Reader:
    """Somebody who does what the page says: the files, the two terminals, the waiting."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._status = 0
        shutil.copytree(FOLDER, desk.folder, dirs_exist_ok=True)
        self._shop = ModuleType("shop")
        exec((desk.folder / "shop.py").read_text(encoding="utf-8"), self._shop.__dict__)  # noqa: S102

    def run(self, words: list[str]) -> Answer:
        """Run a command line of the page, in the first terminal.

        What commands take is taken off the clock: two rehearsals are longer than a minute on a
        machine with others at work.
        """
        self._desk.move_clock(timedelta(0))
        match words:
            case ["rolloutctl", *arguments]:
                answer = self._desk.run(*arguments)
                self._status = answer.status
                return answer
            case ["echo", "$?"]:
                return Answer(0, f"{self._status}\n", "")
            case ["python", "shop.py", verb]:
                return self._call_shop(verb)
            case _:
                raise AssertionError(words)

    def wait(self, comment: str) -> None:
        """Let the shop serve traffic, in the second terminal."""
        traffic = _TRAFFIC.fullmatch(comment)
        assert traffic, comment
        for _ in range(parse_duration(traffic["length"]) // MINUTE):
            self._shop.minute(self._desk.now, int(traffic["failing"] or 0))
            self._desk.move_clock(MINUTE)

    def _call_shop(self, verb: str) -> Answer:
        out = StringIO()
        with redirect_stdout(out):
            self._shop.main([verb])
        return Answer(0, out.getvalue(), "")


@pytest.fixture
def reader(
    ministack: Emulator,
    account: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Reader]:
    """A reader in an empty account, with a clock that starts with a minute."""
    for name, value in {
        **ministack.environment(account),
        "AWS_DEFAULT_REGION": "eu-central-1",
        "ROLLOUTCTL_STORE": f"sqlite:///{tmp_path / 'rollouts.db'}",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it keeps the account of its first client
    monkeypatch.chdir(tmp_path)
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    with freeze_time(now, tick=True) as clock:
        shop = Account.of(ministack, account)
        yield Reader(Desk(shop, tmp_path, now, clock.move_to, capsys))


def test_the_commands_of_the_tutorial_print_what_it_shows(reader: Reader) -> None:
    assert differences(ON_THE_EMULATOR, reader.wait, reader.run) == ""


def test_without_the_emulator_a_reader_drafts_and_rehearses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is no account, no region and no store."""
    monkeypatch.chdir(tmp_path)

    def run(words: list[str]) -> Answer:
        capsys.readouterr()
        status = main(words[1:])
        return Answer(status, *capsys.readouterr())

    assert differences(OFFLINE, pytest.fail, run) == ""


def test_a_reader_installs_the_emulator_that_the_tests_use() -> None:
    (named,) = re.findall(r"pip install (ministack==\S+)", TEXT)
    assert f"{named} \\\n" in (ROOT / "tests" / "e2e" / "ministack.lock").read_text(
        encoding="utf-8"
    )
