"""docs/monitoring.md and docs/permanent.md are executed: they show the commands' output."""

import re
import shlex
from datetime import timedelta
from pathlib import Path

import pytest

from controller.adapters import cloudformation
from controller.adapters.aws.clients import Clients
from controller.cli import main
from controller.policy_file.loader import load
from controller.ports.monitoring import TAG
from controller.tools.monitoring.wanted_stack import desired_monitoring
from tests.adapters.cloudformation.fake_cloudformation import FakeCloudFormation

ROOT = Path(__file__).parents[2]
TEXT, AFTER, REFUSALS = (
    (ROOT / "docs" / name).read_text(encoding="utf-8")
    for name in ("monitoring.md", "permanent.md", "contributors/monitoring.md")
)
SHIPPED = load(ROOT / "policies" / "execution-api.yaml")

_CONSOLE = re.compile(r"^```console\n\$ ([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SHELL = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture
def on_an_empty_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in the root of the repository, with an empty account."""
    aws = FakeCloudFormation(0, 0)
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(
        Clients, "get", lambda _self, service, **_: {"cloudformation": aws}[service]
    )
    monkeypatch.setenv("ROLLOUTCTL_STORE", f"sqlite:///{tmp_path / 'rollouts.db'}")


@pytest.mark.parametrize(
    ("command", "shown"), [pytest.param(*one, id=one[0]) for one in _CONSOLE.findall(TEXT + AFTER)]
)
def test_what_is_shown_is_what_is_printed(
    on_an_empty_account: None, capsys: pytest.CaptureFixture[str], command: str, shown: str
) -> None:
    assert main(shlex.split(command)[1:]) == 0
    # A line of three full stops leaves lines out.
    parts = map(re.escape, re.split(r"^\.\.\.\n", shown, flags=re.MULTILINE))
    assert re.fullmatch("(?:.*\n)+".join(parts), capsys.readouterr().out)


def test_a_template_is_printed_as_the_text_says(
    on_an_empty_account: None, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = _SHELL.findall(TEXT)
    command, _, file = line.strip().partition(" > ")
    assert main(shlex.split(command)[1:]) == 0
    assert "AWS::CloudWatch::Dashboard" in capsys.readouterr().out
    assert file == "monitoring.yaml"


def test_the_longest_wait_is_documented() -> None:
    limit_minutes = cloudformation.DONE_WITHIN // timedelta(minutes=1)
    assert f"waits for {limit_minutes} minutes at most" in TEXT
    assert f"| {limit_minutes} minutes are over |" in REFUSALS


def test_names_and_tags_are_documented() -> None:
    desired = desired_monitoring(SHIPPED)
    assert f"`{TAG} = POLICY`" in REFUSALS
    assert desired.name == "rolloutctl-POLICY".replace("POLICY", SHIPPED.name)
    assert {alarm.name for alarm in desired.alarms} <= {
        "rolloutctl-POLICY-CRITERION".replace("POLICY", SHIPPED.name).replace("CRITERION", name)
        for name in SHIPPED.criteria
    }
