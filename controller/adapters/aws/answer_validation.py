"""Validation of AWS answers: botocore's model, and the members that every answer has.

botocore validates requests and not answers: it accepts a number where the model says text, a null
in a list, or the page of a proxy as an answer without content. A problem is described by names of
the model; the answer is never quoted, because it may hold secrets.
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
# Milliseconds of a log event: until the year 2200, long before the last moment of `datetime`.
_TIMESTAMP_RANGE: Final = range(7_258_118_400_000)


def answer_problem(model: Any, request: Mapping[str, Any], answer: Any, content: bytes) -> str:
    """Return what is wrong with `answer`, in a few words; empty when nothing is.

    model: botocore's model of the operation. content: the raw body of `answer`; empty: unknown.
    """
    if not isinstance(answer, dict):
        return "it is no structure"
    metadata = answer.get("ResponseMetadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("RequestId"), str):
        return "it has no request id"
    json_body = model.service_model.resolved_protocol == "json" and content
    if len(answer) == 1 and json_body and not _is_json(content):
        return "it is no JSON"  # botocore reads that as an answer without content
    if problem := _misfit_of_members(model, answer):
        return problem
    missing = [name for name in _REQUIRED_MEMBERS.get(model.name, ()) if name not in answer]
    if missing:
        return f"it has no {missing[0]}"
    check = _CHECKS.get(model.name)
    return check(request, answer) if check else ""


def error_problem(model: Any, error: "ClientError", content: bytes) -> str:
    """Return what is wrong with an error answer; empty when it can be one of AWS.

    content: as in `answer_problem`.
    """
    details = error.response.get("Error", {})
    if not isinstance(details.get("Code", ""), str):
        return "its error has no code in text"
    if not isinstance(details.get("Message"), str | None):  # AWS sends a null at some refusals
        return "its error has no message in text"
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = details.get("Code", "")
    if 300 <= status < 400:
        return f"it redirects with status {status}"
    coded = code and not code.isdigit()  # botocore fills a missing code with the status
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
    """Return how `value`, the member called `place`, does not fit `shape`; empty when it fits."""
    kind = shape.type_name
    if kind == "structure":
        if getattr(shape, "is_document_type", False):
            return ""
        if not isinstance(value, dict):
            return f"{place} is no structure"
        return _first_problem(
            _misfit(member, value[name], f"{place}.{name}")
            for name, member in shape.members.items()
            if name in value
        )
    if kind == "list":
        if not isinstance(value, list):
            return f"{place} is no list"
        return _misfit_of_several(shape.member, value, place)
    if kind == "map":
        if not isinstance(value, dict) or not _have_types(value, (str,)):
            return f"{place} is no map of text"
        return _misfit_of_several(shape.value, value.values(), place)
    allowed = _SCALARS.get(kind, (object,))
    fits = type(value) in allowed or _have_types((value,), allowed)
    return "" if fits else f"{place} is no {kind}"


def _misfit_of_several(shape: Any, values: Collection[Any], place: str) -> str:
    """Check the values of a list or map; scalars only by type, because there may be thousands."""
    allowed = _SCALARS.get(shape.type_name)
    if allowed is None:
        return _first_problem(_misfit(shape, value, f"{place}[]") for value in values)
    return "" if _have_types(values, allowed) else f"{place} holds what is no {shape.type_name}"


def _have_types(values: Iterable[Any], allowed: tuple[type, ...]) -> bool:
    """Tell whether all values have one of these types; a bool does not count as a number."""
    kinds = set(map(type, values))
    return all(issubclass(kind, allowed) for kind in kinds) and (
        bool in allowed or bool not in kinds or object in allowed
    )


def _first_problem(problems: Iterable[str]) -> str:
    return next(filter(None, problems), "")


# --- required members ---------------------------------------------------------------------------

# An answer without them is a web page, or comes from another service that answers in JSON.
_REQUIRED_MEMBERS: Final[Mapping[str, tuple[str, ...]]] = {
    "CreateChangeSet": ("Id", "StackId"),
    "CreateHostedConfigurationVersion": ("VersionNumber",),
    "CreateTable": ("TableDescription",),
    "DescribeChangeSet": ("Status",),
    "DescribeContinuousBackups": ("ContinuousBackupsDescription",),
    "DescribeListeners": ("Listeners",),
    "DescribeRules": ("Rules",),
    "DescribeStacks": ("Stacks",),
    "DescribeTable": ("Table",),
    "DescribeTargetHealth": ("TargetHealthDescriptions",),
    "FilterLogEvents": ("events",),
    "GetCallerIdentity": ("Arn",),
    "GetDeployment": ("ConfigurationProfileId",),
    "GetDeploymentStrategy": ("Id", "DeploymentDurationInMinutes", "FinalBakeTimeInMinutes"),
    "GetEnvironment": ("Id",),
    "GetFunctionConfiguration": ("FunctionArn",),
    "GetHostedConfigurationVersion": ("VersionNumber", "Content"),
    "GetMetricData": ("MetricDataResults",),
    "GetSecretValue": ("ARN", "Name"),
    "GetTemplate": ("TemplateBody",),
    "ListAliases": ("Aliases",),
    "ListConfigurationProfiles": ("Items",),
    "ListDeploymentStrategies": ("Items",),
    "ListDeployments": ("Items",),
    "ListHostedConfigurationVersions": ("Items",),
    "ListMetrics": ("Metrics",),
    "ListProvisionedConcurrencyConfigs": ("ProvisionedConcurrencyConfigs",),
    "ListSubscriptionsByTopic": ("Subscriptions",),
    "ModifyListener": ("Listeners",),
    "ModifyRule": ("Rules",),
    "Publish": ("MessageId",),
    "PutEvents": ("FailedEntryCount",),
    "Query": ("Items",),
    "Scan": ("Items",),
    "SimulatePrincipalPolicy": ("EvaluationResults",),
    "StartDeployment": ("DeploymentNumber",),
    "UpdateFunctionConfiguration": ("FunctionArn",),
}


def _check_query_ids(request: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    ids = {one["Id"] for one in request["MetricDataQueries"]}
    unknown = any(one.get("Id") not in ids for one in answer["MetricDataResults"])
    return "it has results of other queries" if unknown else ""


def _check_timestamps(_request: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    valid = all(one.get("timestamp", -1) in _TIMESTAMP_RANGE for one in answer["events"])
    return "" if valid else "an event has no time"


def _entries_with(*lists: tuple[str, tuple[str, ...]]) -> Callable[[Any, Mapping[str, Any]], str]:
    """Return a check that each entry of the lists has these members."""

    def check(_request: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
        return _first_problem(
            f"an entry of {name} has no {member}"
            for name, members in lists
            for member in members
            if not all(member in one for one in answer.get(name, ()))
        )

    return check


def _check_attributes(request: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    requested = request.get("ReturnValues", "NONE") != "NONE"
    return "it has no Attributes" if requested and "Attributes" not in answer else ""


def _check_function(request: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    """Check that the answer is about the requested function, which a name or an ARN names."""
    requested = str(request["FunctionName"]).split(":")
    name = requested[0] if len(requested) < 3 else requested[requested.index("function") + 1]
    arn_parts = answer["FunctionArn"].split(":")
    return "" if name in arn_parts[6:7] else "it is of another function"


def _check_one_stack(_request: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    stacks = [one for one in answer["Stacks"] if one.get("StackId") and one.get("StackStatus")]
    return "" if len(stacks) == 1 else "it is not of one stack"


def _check_key(request: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    item, key = answer.get("Item"), request["Key"]
    same = item is None or all(item.get(name) == value for name, value in key.items())
    return "" if same else "it is another item"


def _check_keys(_request: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    """Check that every item has the keys of its table, which indexes project as well."""
    keyed = all("S" in one.get(name, ()) for one in answer["Items"] for name in ("pk", "sk"))
    return "" if keyed else "an item has no key"


_CHECKS: Final[Mapping[str, Callable[[Any, Mapping[str, Any]], str]]] = {
    "DescribeAlarms": _entries_with(
        ("MetricAlarms", ("AlarmName", "AlarmArn")), ("CompositeAlarms", ("AlarmName", "AlarmArn"))
    ),
    "DescribeStacks": _check_one_stack,
    "FilterLogEvents": _check_timestamps,
    "GetFunctionConfiguration": _check_function,
    "GetItem": _check_key,
    "GetMetricData": _check_query_ids,
    "ListAliases": _entries_with(("Aliases", ("Name",))),
    "ListDeployments": _entries_with(("Items", ("DeploymentNumber", "State"))),
    "ListHostedConfigurationVersions": _entries_with(("Items", ("VersionNumber",))),
    "ListMetrics": _entries_with(("Metrics", ("MetricName",))),
    "Query": _check_keys,
    "Scan": _check_keys,
    "SimulatePrincipalPolicy": _entries_with(
        ("EvaluationResults", ("EvalActionName", "EvalDecision"))
    ),
    "UpdateFunctionConfiguration": _check_function,
    "UpdateItem": _check_attributes,
}
