"""Hostile text from outside in every verb: a terminal or CI runner executes none of it."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import CliHarness
from tests.support.hostile import HOSTILE_TEXTS, unsafe_parts
from tests.tools.simulation.worlds import MINUTE, START


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS)
def test_what_a_person_writes_is_printed_by_no_verb_as_a_command(
    desk: CliHarness, text: str
) -> None:
    desk.run("start", desk.policy, "--by", text)
    paused = desk.run("pause", desk.policy, "--reason", text, "--by", text)
    results = [desk.run(*verb, desk.policy) for verb in (("status",), ("history",))]
    results.append(desk.run("status", desk.policy, "--markdown"))
    results.append(desk.run("status", desk.policy, "--json"))
    assert paused.status == 0
    for result in (paused, *results):
        assert list(unsafe_parts(result.out)) == list(unsafe_parts(result.err)) == []


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS)
def test_what_a_function_has_logged_is_rows_and_exact_as_json(desk: CliHarness, text: str) -> None:
    for message in (text, json.dumps({"event": text})):
        desk.world.add_log_event("/aws/lambda/handler", START, message)
    desk.world.clock.advance(10 * MINUTE)
    rows, data = desk.run("logs", desk.policy), desk.run("logs", desk.policy, "--json")
    assert list(unsafe_parts(rows.out)) == list(unsafe_parts(data.out)) == []
    assert text in [one["text"] for one in data.data["events"]]


@pytest.mark.parametrize(
    "text",
    [
        hostile_text
        for hostile_text in HOSTILE_TEXTS.values()
        if "\0" not in hostile_text and "\ud83d" not in hostile_text
    ],
)
@pytest.mark.parametrize("form", ["text", "github"])
def test_the_name_of_a_file_is_printable(
    desk: CliHarness, tmp_path: Path, form: str, text: str
) -> None:
    path = tmp_path / f"{text.replace('/', '')}.yaml"
    path.write_text("version: 1\nname: A\n")
    ended = desk.run("validate", "--format", form, str(path))
    assert ended.status == 2
    output = [line.removeprefix("::error ") for line in (ended.out + ended.err).split("\n")]
    assert list(unsafe_parts("\n".join(output))) == []
