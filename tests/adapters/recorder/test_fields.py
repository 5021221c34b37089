"""What is never in a recording: fifty secrets in the texts of each answer."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final

import botocore.session
import pytest

from controller.adapters.aws.clients import SERVICES
from controller.adapters.recorder import FIELDS, Writer

START: Final = datetime(2026, 12, 1, tzinfo=UTC)
SECRET: Final = "pl4nted"
DEEPEST: Final = 12  # some shapes contain themselves
# Texts that AWS chose, wherever it answers them; no account has its own there.
OF_AWS: Final = {
    *("Namespace", "MetricName", "Stat", "Protocol", "Id"),
    *("ErrorCode", "ActionNames", "EvalActionName"),
}


def models() -> Iterator[Any]:
    """Yield botocore's model of each recorded call."""
    session = botocore.session.get_session()
    for service in SERVICES:
        model = session.get_service_model(service)
        for operation in sorted(set(model.operation_names) & FIELDS.keys()):
            yield pytest.param(model.operation_model(operation), id=f"{service}: {operation}")


def planted(shape: Any, secrets: Iterator[int], member: str = "", depth: int = 0) -> Any:
    """Return a value of `shape` with a secret in each text, and in each key of a map."""
    match shape.type_name:
        case "structure":
            members = shape.members.items() if depth < DEEPEST else ()
            return {name: planted(one, secrets, name, depth + 1) for name, one in members}
        case "list":
            return [planted(shape.member, secrets, member, depth + 1) for _ in range(2)]
        case "map":
            key = f"{SECRET} key {next(secrets)}"
            return {key: planted(shape.value, secrets, member, depth + 1)}
        case "string":
            known = member in OF_AWS or shape.name == "DimensionName"
            return "AWS/Lambda" if known else f"{SECRET} text {next(secrets)}"
        case "timestamp":
            return START + timedelta(seconds=30)
        case other:
            return {"blob": SECRET.encode(), "boolean": True}.get(other, 7)


@pytest.mark.parametrize("model", list(models()))
def test_no_text_of_an_account_is_written(model: Any) -> None:
    writer, secrets = Writer(START), count(1)
    answer = planted(model.output_shape, secrets)
    request = planted(model.input_shape, secrets)
    written = [
        writer.fields(model.name, model.output_shape, answer),
        writer.fields(model.name, model.input_shape, request),
    ]
    assert any(written)
    assert SECRET not in json.dumps(written)


def test_there_are_more_than_fifty_planted_texts() -> None:
    secrets = count(1)
    for parameter in models():
        planted(parameter.values[0].output_shape, secrets)
    assert next(secrets) > 50


def test_every_listed_field_exists() -> None:
    """A misspelt field would be left out of each recording."""
    known = {parameter.values[0].name: parameter.values[0] for parameter in models()}
    assert known.keys() == FIELDS.keys()
    for operation, paths in FIELDS.items():
        shapes = [known[operation].input_shape, known[operation].output_shape]
        for path in paths.split():
            assert any(exists(shape, path.split(".")) for shape in shapes), (operation, path)


def exists(shape: Any, names: list[str]) -> bool:
    """Tell whether `names` lead through `shape`; lists are passed over."""
    for name in names:
        while shape.type_name == "list":
            shape = shape.member
        if name not in getattr(shape, "members", {}):
            return False
        shape = shape.members[name]
    return True


def test_the_same_text_has_the_same_name_and_times_count_from_the_start() -> None:
    writer = Writer(START)
    model = botocore.session.get_session().get_service_model("lambda").operation_model("GetAlias")
    first = {"Name": "live", "RevisionId": "5f0", "FunctionVersion": "7", "Description": "ours"}
    assert writer.fields("GetAlias", model.output_shape, first) == {
        "Name": "Name-1", "RevisionId": "RevisionId-1", "FunctionVersion": "7",
    }  # fmt: skip
    again = writer.fields("GetAlias", model.output_shape, {**first, "RevisionId": "6a1"})
    assert (again["Name"], again["RevisionId"]) == ("Name-1", "RevisionId-2")
    assert writer.seconds(START + timedelta(minutes=1)) == 60
