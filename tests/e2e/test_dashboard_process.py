"""The dashboard as a process: what it prints, where it listens, and how it ends."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path

import pytest

from controller import cli
from controller.errors import Exit
from tests.support.stage import open_stage


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A store with a rollout."""
    with open_stage(tmp_path) as stage:
        stage.start()
        yield f"sqlite:///{stage.file}"


def begin(*arguments: str) -> subprocess.Popen[str]:
    """Start the dashboard, without an account."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "ROLLOUTCTL_BY": "oncall"}
    return subprocess.Popen(
        [sys.executable, "-m", "controller", "dashboard", "--offline", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
        env=environment,
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_the_address_that_it_prints_until_a_signal(
    url: str, number: signal.Signals
) -> None:
    with begin("--store", url) as process:
        assert process.stdout is not None
        head, line = process.stdout.readline(), process.stdout.readline()
        assert head == f"{url}, read-only\n"
        address = re.fullmatch(
            r"open in a browser, once: http://(127\.0\.0\.1:\d+)/\?code=[\w-]+\n", line
        )
        assert address is not None
        connection = HTTPConnection(address[1], timeout=10)
        connection.request("GET", "/")
        assert connection.getresponse().status == HTTPStatus.FORBIDDEN
        connection.close()
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert f"ended by {number.name} at a safe point" in err


def test_a_store_that_is_not_there_and_a_port_that_is_taken_are_mistakes(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = f"sqlite:///{tmp_path / 'gone.db'}"
    assert cli.main(["dashboard", "--store", gone]) == Exit.USAGE
    assert "there is no store at" in capsys.readouterr().err
    with begin("--store", url) as process:
        assert process.stdout is not None
        process.stdout.readline()
        port = re.findall(r":(\d+)/", process.stdout.readline())[0]
        assert cli.main(["dashboard", "--store", url, "--port", port]) == Exit.USAGE
        process.kill()
    assert f"--port: {port} cannot be listened at: " in capsys.readouterr().err
