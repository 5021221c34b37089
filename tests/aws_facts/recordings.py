"""Recordings of `rolloutctl record`: what the product and the fakes make of them.

A directory below `recordings/` is one account. Its files are as `record` wrote them; `about.yaml`
says where they are from, and in which outcomes of a write that account is known to differ from AWS.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError
from ruamel.yaml import YAML

from controller.adapters.aws.answer_validation import answer_problem, error_problem
from controller.adapters.recorder import Recorder
from controller.adapters.recorder.calls import record_alias_writes, record_function_writes
from controller.immutable import Immutable
from controller.tools.simulation.world import World
from tests.adapters.contracts.routing_benches import ALIAS
from tests.tools.simulation.service_model import hold_to_model, operation_model
from tests.tools.simulation.worlds import empty_world

FOLDER: Final = Path(__file__).with_name("recordings")
_START: Final = datetime(2026, 12, 1, tzinfo=UTC)

Call = Mapping[str, Any]


def calls_of(directory: Path) -> dict[str, list[Call]]:
    """Return the calls of a recording, by service."""
    documents = (
        YAML(typ="safe").load(path) for path in sorted(directory.glob("*.yaml"))
        if path.name != "about.yaml"
    )  # fmt: skip
    return {document["service"]: document["calls"] for document in documents}


def refused_by_product(service: str, call: Call) -> str:
    """Return why the product takes a recorded answer for none of AWS; empty when it takes it."""
    model = operation_model(service, call["operation"])
    if "error" in call:
        return error_problem(model, _error(call), b"")
    if call.get("not_valid"):
        return str(call["not_valid"])
    answer = _with_times(model.output_shape, call.get("answer", {}))
    request = _with_times(model.input_shape, call.get("request", {}))
    return answer_problem(model, request, {**answer, "ResponseMetadata": {"RequestId": "1"}}, b"")


def _error(call: Call) -> ClientError:
    recorded = call["error"]
    messages: Mapping[str, dict[str, Any]] = {
        "text": {"Message": "withheld"}, "null": {"Message": None}, "missing": {},
    }  # fmt: skip
    return ClientError(
        {
            "Error": {"Code": recorded["code"], **messages[recorded["message"]]},
            "ResponseMetadata": {"HTTPStatusCode": recorded["status"]},
        },
        call["operation"],
    )


def _with_times(shape: Any, value: Any) -> Any:
    """Return a recorded value with times in place of seconds."""
    match shape.type_name:
        case "structure":
            return {name: _with_times(shape.members[name], one) for name, one in value.items()}
        case "list":
            return [_with_times(shape.member, one) for one in value]
        case "timestamp":
            return _START + timedelta(seconds=value)
        case _:
            return value


class Outcome(Immutable):
    """What came of one write: the code of a refusal, or whether the revision is a new one."""

    operation: str
    code: str = ""
    new_revision: bool = False
    status: str = ""
    weights: int = 0


def outcomes(calls: Sequence[Call]) -> Iterator[Outcome]:
    """Yield what came of each write of a function or an alias, in order."""
    revision = ""
    for call in calls:
        answer = call.get("answer", {})
        if call["operation"].startswith("Update"):
            weights = answer.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
            yield Outcome(
                call["operation"],
                str(call.get("error", {}).get("code", "")),
                answer.get("RevisionId", revision) != revision,
                answer.get("LastUpdateStatus", ""),
                len(weights),
            )
        revision = answer.get("RevisionId", revision)


class WithModel:
    """The fake of a boto3 client, with the model that a recording reads from a real one."""

    def __init__(self, client: Any) -> None:
        self._client, self.meta = client, self

    @property
    def service_model(self) -> "WithModel":
        return self

    def operation_model(self, operation: str) -> Any:
        return operation_model("lambda", operation)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def calls_of_the_fakes() -> list[Call]:
    """Return the recorded writes of a function and of an alias that are simulated."""
    functions, aliases = empty_world(), World(target=ALIAS)
    aliases.interceptors.append(hold_to_model)
    functions.add_function("handler", {"RELEASE": "one"})
    recorder = Recorder(lambda service: WithModel(functions.client(service)), functions.clock)
    alias_recorder = Recorder(lambda service: WithModel(aliases.client(service)), aliases.clock)
    assert list(record_function_writes(recorder, "handler")) == [
        "handler: its variables as before, with a new RevisionId"
    ]
    assert list(record_alias_writes(alias_recorder, "handler", "live")) == [
        "handler:live: without weights as before, with a new RevisionId"
    ]
    return [one.document for one in (*recorder.calls, *alias_recorder.calls)]
