"""The commands of docs/operations.md run in its order, and print what it shows.

What its comments may say: 72m of traffic; 16m of traffic, 3 failing; 24h of rare traffic, a tick
every 1h.
"""

import re
import shutil
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from controller.adapters.aws.clients import Clients
from controller.core.units import parse_duration
from controller.flag import Flag
from tests.adapters.cloudformation.fake_cloudformation import FakeCloudFormation
from tests.e2e.account import FUNCTION, PERCENTAGE
from tests.e2e.executed_page import differences
from tests.e2e.on_call import HOUR, Answer, Desk, changed
from tests.e2e.test_adopt import FIXED_BASELINE

pytestmark = pytest.mark.ministack

ROOT: Final = Path(__file__).parents[2]
TEXT: Final = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")

_TRAFFIC: Final = re.compile(
    r"(?P<length>\w+) of (?P<kind>rare |direct )?traffic"
    r"(, (?P<failing>\d+) failing)?(, a tick every (?P<every>\w+))?"
)


@pytest.fixture
def at_the_full_hour(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The desk at the start of an hour, so that windows are the same in every run.

    The policies are the shipped ones; a fixed baseline replaces the week of a quiet service.
    CloudFormation is a fake, as that of the emulator does not support alarms on metric math.
    """
    real, fake = Clients.get, FakeCloudFormation()

    def get(self: Clients, service: str, *, lowers: bool = False) -> Any:
        return fake if service == "cloudformation" else real(self, service, lowers=lowers)

    monkeypatch.setattr(Clients, "get", get)
    until_full_hour = HOUR - timedelta(
        minutes=desk.now.minute, seconds=desk.now.second, microseconds=desk.now.microsecond
    )
    desk.serve_directly(until_full_hour)
    desk.account.time_the_backend(desk.now - 25 * HOUR, desk.now)
    shutil.copytree(ROOT / "policies", desk.folder / "policies")
    quiet = desk.folder / "policies" / "quiet-service.yaml"
    quiet.write_text(changed(quiet.read_text(encoding="utf-8"), FIXED_BASELINE), encoding="utf-8")
    return desk


def apply_comment(desk: Desk, what: str) -> None:
    """Do what a comment says."""
    if what == "the function logs":
        _log(desk)
        return
    traffic = _TRAFFIC.fullmatch(what)
    assert traffic, f"docs/operations.md: the test does not know what this means: {what}"
    length = parse_duration(traffic["length"])
    every = parse_duration(traffic["every"]) if traffic["every"] else length
    for _ in range(length // every):
        match traffic["kind"]:
            case "rare ":
                desk.account.call_gateway_rarely(desk.now, desk.now + every)
                desk.move_clock(every)
            case "direct ":
                desk.account.time_the_backend(desk.now, desk.now + every)
                desk.serve_directly(every)
            case _:
                desk.serve(every, failing=int(traffic["failing"] or 0))
        if traffic["every"]:
            desk.tick()


def _log(desk: Desk) -> None:
    """Write the log of three requests of the last minute, as the flag logs them."""
    lines = list[str]()
    moment = desk.now.timestamp() - 60
    environ = {PERCENTAGE: "30", "AWS_LAMBDA_FUNCTION_NAME": FUNCTION}
    flag = Flag(PERCENTAGE, environ=environ, log=lines.append, now=lambda: moment)
    for key in ("a", "b", "c"):
        with flag.request(key):
            pass
    group = {"logGroupName": f"/aws/lambda/{FUNCTION}"}
    logs = desk.account.client("logs")
    logs.create_log_group(**group)
    logs.create_log_stream(**group, logStreamName="one")
    logs.put_log_events(
        **group,
        logStreamName="one",
        logEvents=[{"timestamp": int(moment * 1_000), "message": line} for line in lines],
    )


def test_the_commands_of_the_operations_page_print_what_it_shows(
    at_the_full_hour: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = at_the_full_hour
    monkeypatch.chdir(desk.folder)

    def run(words: list[str]) -> Answer:
        return desk.run(*words[1:])

    assert differences(TEXT, partial(apply_comment, desk), run) == ""
