"""Annotations: what GitHub parses out of a line, and what it must not."""

import re

from controller.cli.validate import annotation
from controller.errors import Flaw
from tests.support.cases import cases


def read(command: str) -> tuple[dict[str, str], str]:
    """Return properties and message as GitHub's runner reads them, with its escapes undone."""
    match = re.fullmatch(r"::error (.*?)::(.*)", command)
    assert match is not None
    properties = (one.split("=", 1) for one in match[1].split(","))
    undone = {name: value.replace("%2C", ",").replace("%3A", ":") for name, value in properties}
    return {name: _data(value) for name, value in undone.items()}, _data(match[2])


def _data(text: str) -> str:
    return text.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")


@cases("text", {
    "percents": "at least 99.9%, not 100%25",
    "colons and commas": "a: b, c::d",
})  # fmt: skip
def test_nothing_in_a_name_or_a_text_ends_the_command_or_begins_another(text: str) -> None:
    command = annotation(Flaw(text, text, 1, 2))
    assert command.splitlines() == [command]
    properties, message = read(command)
    assert properties == {"file": text, "line": "1", "col": "2", "title": "rolloutctl"}
    assert message == text
