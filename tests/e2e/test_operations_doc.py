"""docs/operations.md is walked: its commands run in its order, and print what it shows.

What the world does in between stands in comments, which a reader does not see: 72m of traffic;
16m of traffic, 3 failing; 24h of rare traffic, a tick every 1h. What is shown is compared but for
dates, times and what a line `...` leaves out.
"""

import re
import shlex
import shutil
from collections.abc import Iterator
from datetime import timedelta
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from controller.adapters.aws.clients import Clients, Service
from controller.core.units import parse_duration
from controller.flag import Flag
from tests.adapters.cloudformation.fake_cloudformation import FakeCloudFormation
from tests.e2e.account import FUNCTION, PERCENTAGE
from tests.e2e.on_call import HOUR, Answer, Desk, changed
from tests.e2e.test_adopt import A_NUMBER

pytestmark = pytest.mark.ministack

ROOT: Final = Path(__file__).parents[2]
TEXT: Final = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")

_STEP: Final = re.compile(
    r"^<!-- (?P<world>.*?) -->$|^```console\n(?P<console>.*?)^```$", re.DOTALL | re.MULTILINE
)
_TRAFFIC: Final = re.compile(
    r"(?P<length>\w+) of (?P<kind>rare |direct )?traffic"
    r"(, (?P<failing>\d+) failing)?(, a tick every (?P<every>\w+))?"
)
_MOMENT: Final = re.compile(r"\d{4}-\d{2}-\d{2}|\b\d{2}:\d{2}\b")


class Command(NamedTuple):
    """A command line of the document, and what is shown below it."""

    words: list[str]
    shown: str


def steps(text: str) -> Iterator[str | Command]:
    """Yield what the world does, and each command, in the order of the document."""
    for match in _STEP.finditer(text):
        if match["world"]:
            yield match["world"]
        else:
            yield from _commands(match["console"])


def _commands(block: str) -> Iterator[Command]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, _, shown = part.partition("\n")
        yield Command(shlex.split(line, comments=True), shown)


@pytest.fixture
def at_the_full_hour(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The desk when an hour begins, so that windows begin alike in every walk.

    The policies of the walk are the shipped ones; a number stands for the week of a quiet service.
    CloudFormation is a fake, because that of the emulator makes no alarm of an expression.
    """
    real, fake = Clients.get, FakeCloudFormation()

    def get(self: Clients, service: Service) -> Any:
        return fake if service == "cloudformation" else real(self, service)

    monkeypatch.setattr(Clients, "get", get)
    left = HOUR - timedelta(
        minutes=desk.now.minute, seconds=desk.now.second, microseconds=desk.now.microsecond
    )
    desk.serve_directly(left)
    desk.account.time_the_backend(desk.now - 25 * HOUR, desk.now)
    shutil.copytree(ROOT / "policies", desk.folder / "policies")
    quiet = desk.folder / "policies" / "quiet-service.yaml"
    quiet.write_text(changed(quiet.read_text(encoding="utf-8"), A_NUMBER), encoding="utf-8")
    return desk


def happens(desk: Desk, what: str) -> None:
    """Let the world do what a comment says."""
    if what == "the function logs":
        _log(desk)
        return
    asked = _TRAFFIC.fullmatch(what)
    assert asked, f"docs/operations.md: the test does not know what this means: {what}"
    length = parse_duration(asked["length"])
    every = parse_duration(asked["every"]) if asked["every"] else length
    for _ in range(length // every):
        match asked["kind"]:
            case "rare ":
                desk.account.call_gateway_rarely(desk.now, desk.now + every)
                desk.move_clock(every)
            case "direct ":
                desk.account.time_the_backend(desk.now, desk.now + every)
                desk.serve_directly(every)
            case _:
                desk.serve(every, failing=int(asked["failing"] or 0))
        if asked["every"]:
            desk.tick()


def _log(desk: Desk) -> None:
    """Let the flag in the function log three requests of the last minute."""
    lines = list[str]()
    moment = desk.now.timestamp() - 60
    flag = Flag(environ={PERCENTAGE: "30"}, log=lines.append, now=lambda: moment)
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
        logEvents=[{"timestamp": int(moment * 1_000), "message": one} for one in lines],
    )


def told(answer: Answer) -> str:
    """Return what a person reads: what was printed, and then what else was said but the log."""
    said = [one for one in answer.err.splitlines(keepends=True) if not one.startswith("{")]
    return answer.out + "".join(said)


def unmoored(text: str) -> str:
    """Return `text` without the dates and times in it, which are others in every walk."""
    return _MOMENT.sub("-", text)


def test_the_walk_through_operations_goes_as_it_is_written(
    at_the_full_hour: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, same = at_the_full_hour, OutputChecker().check_output
    monkeypatch.chdir(desk.folder)
    different = []
    for step in steps(TEXT):
        if isinstance(step, str):
            happens(desk, step)
            continue
        said = told(desk.run(*step.words[1:]))
        if not same(unmoored(step.shown), unmoored(said), ELLIPSIS | NORMALIZE_WHITESPACE):
            different.append(f"$ {shlex.join(step.words)}\n{said}")
    assert not different, "\n".join(["the document shows something else than:", *different])
