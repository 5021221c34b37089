"""Calls AWS and keeps what may be recorded of each request and its answer."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from botocore import xform_name
from botocore.exceptions import ClientError

from controller.adapters.aws.clients import AWS_ERRORS, StrangeAnswerError, code_of
from controller.adapters.recorder.fields import Writer
from controller.immutable import Immutable, field, fields_of
from controller.ports.clock import Clock

Answer = Mapping[str, Any]
_NOTHING: Final[Answer] = {}


class RecordedCall(Immutable):
    """One call of a recording, without anything that is not in `fields.FIELDS`.

    after_s: seconds from the start of the recording to the answer.
    error: status, code and the form of the message of a refusal; empty where AWS answered.
    not_valid: why rolloutctl takes the answer for none of AWS; empty for one that it takes.
    """

    service: str
    operation: str
    after_s: int
    request: dict[str, Any]
    answer: dict[str, Any] = field(default_factory=dict)
    error: dict[str, int | str] = field(default_factory=dict)
    not_valid: str = ""

    @property
    def document(self) -> dict[str, Any]:
        """What a file says of the call, without the service that the file is about."""
        fields = {name: value for name, value in fields_of(self).items() if name != "service"}
        return {name: value for name, value in fields.items() if value != "" and value != {}}


class Recorder:
    """Records calls. open_client: returns the client of a service."""

    def __init__(self, open_client: Callable[[str], Any], clock: Clock) -> None:
        self.calls: list[RecordedCall] = []
        self.clock = clock
        self._open_client = open_client
        self._writer = Writer(clock.now())

    def call(self, service: str, operation: str, **request: Any) -> Answer:
        """Make one call, record it, and return the answer; empty when there is none."""
        model = self._open_client(service).meta.service_model.operation_model(operation)
        recorded: dict[str, Any] = {}
        answer = _NOTHING
        try:
            answer = self.answer_of(service, operation, **request)
            recorded["answer"] = self._writer.fields(operation, model.output_shape, answer)
        except StrangeAnswerError as error:
            recorded["not_valid"] = error.problem
        except AWS_ERRORS as error:
            recorded["error"] = _refusal(error)
        self.calls.append(
            RecordedCall(
                service,
                operation,
                self._writer.seconds(self.clock.now()),
                self._writer.fields(operation, model.input_shape, request),
                **recorded,
            )
        )
        return answer

    def answer_of(self, service: str, operation: str, **request: Any) -> Answer:
        """Return the answer to a call that is not recorded. Raises what boto3 raises."""
        answer: Answer = getattr(self._open_client(service), xform_name(operation))(**request)
        return answer


def _refusal(error: Exception) -> dict[str, int | str]:
    """Return status and code of an error, and whether its message is a text, null or missing."""
    if not isinstance(error, ClientError):
        return {"code": code_of(error)}
    details: Mapping[str, object] = error.response.get("Error", {})
    message = details.get("Message", "missing")
    form = "null" if message is None else "missing" if message == "missing" else "text"
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return {"status": status, "code": code_of(error), "message": form}
