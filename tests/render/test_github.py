"""Annotations: what GitHub parses out of a line, and what it must not."""

import re

import pytest

from controller.errors import Flaw
from controller.render.github import annotation


def read(command: str) -> tuple[dict[str, str], str]:
    """Return properties and message as GitHub's runner reads them, with its escapes undone."""
    match = re.fullmatch(r"::error (.*?)::(.*)", command)
    assert match is not None
    properties = (one.split("=", 1) for one in match[1].split(","))
    undone = {name: value.replace("%2C", ",").replace("%3A", ":") for name, value in properties}
    return {name: _data(value) for name, value in undone.items()}, _data(match[2])


def _data(text: str) -> str:
    return text.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")


def test_a_mistake_is_shown_at_its_line_and_column() -> None:
    flaw = Flaw("policies/checkout.yaml", "steps[1].weight: expected a whole percent", 12, 5)
    assert annotation(flaw) == (
        "::error file=policies/checkout.yaml,line=12,col=5,title=rolloutctl"
        "::steps[1].weight: expected a whole percent"
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("at least 99.9%, not 100%25", id="percents"),
        pytest.param("a: b, c::d", id="colons and commas"),
    ],
)
def test_nothing_in_a_name_or_a_text_ends_the_command_or_begins_another(text: str) -> None:
    command = annotation(Flaw(text, text, 1, 2))
    assert command.splitlines() == [command]
    properties, message = read(command)
    assert properties == {"file": text, "line": "1", "col": "2", "title": "rolloutctl"}
    assert message == text
