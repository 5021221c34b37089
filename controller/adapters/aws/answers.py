"""Whether an answer is one that AWS may give: by botocore's model, and by what always is in one.

botocore checks what is sent, and believes what comes back: a number where the model says text, a
null in a list, the page of a proxy as an answer without content. What is wrong is told by the
names of the model; nothing of the answer is quoted, for it may hold secrets.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

_SCALARS: Final[Mapping[str, tuple[type, ...]]] = {
    "blob": (bytes,),
    "boolean": (bool,),
    "character": (str,),
    "double": (int, float),
    "float": (int, float),
    "integer": (int,),
    "long": (int,),
    "string": (str,),
    "timestamp": (datetime,),
}
# Milliseconds of a log event: until the year 2200, far from the last moment that Python knows.
_TIMESTAMP_RANGE: Final = range(7_258_118_400_000)


def answer_problem(model: Any, request: Mapping[str, Any], answer: Any, content: bytes) -> str:
    """Return what is wrong with `answer`, in a few words; empty when nothing is.

    model: botocore's of the operation. content: what `answer` was read from; empty: unknown.
    """
    if not isinstance(answer, dict):
        return "it is no structure"
    metadata = answer.get("ResponseMetadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("RequestId"), str):
        return "it has no request id"
    spoken = model.service_model.resolved_protocol == "json" and content
    if len(answer) == 1 and spoken and not _is_json(content):
        return "it is no JSON"  # which botocore takes for an answer without content
    if problem := _misfit_of_members(model, answer):
        return problem
    missing = [name for name in _REQUIRED_MEMBERS.get(model.name, ()) if name not in answer]
    if missing:
        return f"it has no {missing[0]}"
    check = _CHECKS.get(model.name)
    return check(request, answer) if check else ""


def error_problem(model: Any, error: "ClientError", content: bytes) -> str:
    """Return what is wrong with an error that was answered; empty when AWS may have said it.

    content: as of `problem_of`.
    """
    told = error.response.get("Error", {})
    if not all(isinstance(told.get(name, ""), str) for name in ("Code", "Message")):
        return "its error has no code in text"
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = told.get("Code", "")
    if 300 <= status < 400:
        return f"it redirects with status {status}"
    coded = code and not code.isdigit()  # botocore puts the status where there is no code
    if status < 500 and content and not coded and not _is_json(content):
        return f"it is no error of AWS, with status {status}"
    shape = model.service_model.shape_for_error_code(code)
    return "" if shape is None else _misfit(shape, error.response, "its error")


def _is_json(content: bytes) -> bool:
    try:
        return isinstance(json.loads(content), dict)
    except (ValueError, RecursionError):
        return False


def _misfit_of_members(model: Any, answer: Mapping[str, Any]) -> str:
    shape = model.output_shape
    if shape is None:
        return ""
    streamed = shape.serialization.get("payload") if model.has_streaming_output else None
    return _first_problem(
        _misfit(member, answer[name], name)
        for name, member in shape.members.items()
        if name in answer and name != streamed
    )


def _misfit(shape: Any, value: Any, place: str) -> str:
    """Return what about `value`, which stands at `place`, does not fit `shape`."""
    kind = shape.type_name
    if kind == "structure":
        return _misfit_of_structure(shape, value, place)
    if kind == "list":
        if not isinstance(value, list):
            return f"{place} is no list"
        return _misfit_of_several(shape.member, value, place)
    if kind == "map":
        if not isinstance(value, dict) or not _have_types(value, (str,)):
            return f"{place} is no map of text"
        return _misfit_of_several(shape.value, value.values(), place)
    return "" if _have_types((value,), _SCALARS.get(kind, (object,))) else f"{place} is no {kind}"


def _misfit_of_structure(shape: Any, value: Any, place: str) -> str:
    if getattr(shape, "is_document_type", False):
        return ""
    if not isinstance(value, dict):
        return f"{place} is no structure"
    return _first_problem(
        _misfit(member, value[name], f"{place}.{name}")
        for name, member in shape.members.items()
        if name in value
    )


def _misfit_of_several(shape: Any, values: Collection[Any], place: str) -> str:
    """Check what a list or a map holds; scalars by their types, for there may be thousands."""
    allowed = _SCALARS.get(shape.type_name)
    if allowed is None:
        return _first_problem(_misfit(shape, one, f"{place}[]") for one in values)
    return "" if _have_types(values, allowed) else f"{place} holds what is no {shape.type_name}"


def _have_types(values: Iterable[Any], allowed: tuple[type, ...]) -> bool:
    """Tell whether all are of these types; of these, no number is true or false."""
    kinds = set(map(type, values))
    return all(issubclass(kind, allowed) for kind in kinds) and (
        bool in allowed or bool not in kinds or object in allowed
    )


def _first_problem(problems: Iterable[str]) -> str:
    return next(filter(None, problems), "")


# --- what is always there -----------------------------------------------------------------------

# An answer without it is a page, or was made by something else that speaks JSON.
_REQUIRED_MEMBERS: Final[Mapping[str, tuple[str, ...]]] = {
    "CreateChangeSet": ("Id", "StackId"),
    "CreateTable": ("TableDescription",),
    "DescribeChangeSet": ("Status",),
    "DescribeContinuousBackups": ("ContinuousBackupsDescription",),
    "DescribeStacks": ("Stacks",),
    "DescribeTable": ("Table",),
    "FilterLogEvents": ("events",),
    "GetCallerIdentity": ("Arn",),
    "GetFunctionConfiguration": ("FunctionArn",),
    "GetMetricData": ("MetricDataResults",),
    "GetSecretValue": ("ARN", "Name"),
    "GetTemplate": ("TemplateBody",),
    "ListAliases": ("Aliases",),
    "ListMetrics": ("Metrics",),
    "ListProvisionedConcurrencyConfigs": ("ProvisionedConcurrencyConfigs",),
    "ListSubscriptionsByTopic": ("Subscriptions",),
    "Publish": ("MessageId",),
    "PutEvents": ("FailedEntryCount",),
    "Query": ("Items",),
    "Scan": ("Items",),
    "SimulatePrincipalPolicy": ("EvaluationResults",),
    "UpdateFunctionConfiguration": ("FunctionArn",),
}


def _check_query_ids(request: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    asked = {one["Id"] for one in request["MetricDataQueries"]}
    strange = any(one.get("Id") not in asked for one in answer["MetricDataResults"])
    return "it has results of queries that were not asked" if strange else ""


def _check_timestamps(_request: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    stamped = all(one.get("timestamp", -1) in _TIMESTAMP_RANGE for one in answer["events"])
    return "" if stamped else "an event has no time"


def _entries_with(*ways: tuple[str, tuple[str, ...]]) -> Callable[[Any, Mapping[str, Any]], str]:
    """Return a check that each entry of the lists has these members."""

    def check(_request: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
        return _first_problem(
            f"an entry of {name} has no {member}"
            for name, members in ways
            for member in members
            if not all(member in one for one in answer.get(name, ()))
        )

    return check


def _check_attributes(request: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    wanted = request.get("ReturnValues", "NONE") != "NONE"
    return "it has no Attributes" if wanted and "Attributes" not in answer else ""


def _check_function(request: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    """Check that the function is the one that was asked for, by its name or by an ARN."""
    asked = str(request["FunctionName"]).split(":")
    name = asked[0] if len(asked) < 3 else asked[asked.index("function") + 1]
    answered = answer["FunctionArn"].split(":")
    return "" if name in answered[6:7] else "it is of another function"


def _of_one_stack(_request: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    found = [one for one in answer["Stacks"] if one.get("StackId") and one.get("StackStatus")]
    return "" if len(found) == 1 else "it is not of one stack"


def _check_key(request: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    item, key = answer.get("Item"), request["Key"]
    same = item is None or all(item.get(name) == value for name, value in key.items())
    return "" if same else "it is another item"


def _check_keys(_request: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    """Check that every item has the keys of its table, which an index shows, too."""
    keyed = all("S" in one.get(name, ()) for one in answer["Items"] for name in ("pk", "sk"))
    return "" if keyed else "an item has no key"


_CHECKS: Final[Mapping[str, Callable[[Any, Mapping[str, Any]], str]]] = {
    "DescribeAlarms": _entries_with(
        ("MetricAlarms", ("AlarmName", "AlarmArn")), ("CompositeAlarms", ("AlarmName", "AlarmArn"))
    ),
    "DescribeStacks": _of_one_stack,
    "FilterLogEvents": _check_timestamps,
    "GetFunctionConfiguration": _check_function,
    "GetItem": _check_key,
    "GetMetricData": _check_query_ids,
    "ListAliases": _entries_with(("Aliases", ("Name",))),
    "ListMetrics": _entries_with(("Metrics", ("MetricName",))),
    "Query": _check_keys,
    "Scan": _check_keys,
    "SimulatePrincipalPolicy": _entries_with(
        ("EvaluationResults", ("EvalActionName", "EvalDecision"))
    ),
    "UpdateFunctionConfiguration": _check_function,
    "UpdateItem": _check_attributes,
}
