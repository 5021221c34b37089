"""The identity behind the AWS credentials of this process, and what the simulator of IAM allows it.

IAM: iam:SimulatePrincipalPolicy (on every role, because the simulated role is not known
beforehand); STS needs no permission.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from controller.adapters.aws.clients import AWS_ERRORS, ClientSource, error_text
from controller.adapters.iam.permission import ANY, Job, Permission
from controller.errors import UsageError
from controller.immutable import Immutable
from controller.process import logging

log = logging.logger()


class CallerIdentity(Immutable):
    """The caller of AWS, as STS answers.

    arn: of the caller. at: AWS's time of the answer; None without a date.
    problem: why the caller is unknown; the other fields are empty then.
    """

    arn: str = ""
    at: datetime | None = None
    problem: str = ""


def caller_identity(clients: ClientSource) -> CallerIdentity:
    """Return the caller, by one call of STS. Raises UsageError without region or credentials."""
    try:
        answer = clients.get("sts").get_caller_identity()
    except AWS_ERRORS as error:
        return CallerIdentity(problem=error_text("sts:GetCallerIdentity", error))
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return CallerIdentity(str(answer.get("Arn", "")), _date(headers.get("date", "")))


def caller_arn(clients: ClientSource) -> str:
    """Return the ARN of the caller; empty without credentials, or when STS does not answer.

    Every failure is logged and none is raised: the ARN is only a name for the history, and by then
    a rollback may have been written, which must be recorded.
    """
    try:
        caller = caller_identity(clients)
    except UsageError:  # no region or no credentials: there is no caller
        return ""
    except Exception as error:  # noqa: BLE001 - as above
        caller = CallerIdentity(problem=f"sts:GetCallerIdentity: unexpected {type(error).__name__}")
    if caller.problem:
        log.warning("caller_unknown", problem=caller.problem)
    return caller.arn


def _date(header: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(header)
    except (ValueError, TypeError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)  # "-0000" is UTC too


# --- The simulator --------------------------------------------------------------------------------

IAM: Final = (Permission("iam:SimulatePrincipalPolicy", ANY, {Job.DOCTOR}),)

PAGES: Final = 10


class NotSimulatedError(Exception):
    """IAM did not simulate the role; the message says why."""


def decisions(
    client: Any, principal: str, statements: Iterable[Mapping[str, Any]]
) -> dict[tuple[str, str], str]:
    """Return the decision for each (action, resource). Raises NotSimulatedError.

    Of several statements about the same two, a decision against one of them.
    """
    found = dict[tuple[str, str], str]()
    for statement in statements:
        for result in _simulate(client, principal, statement):
            for resource, decision in _by_resource(result):
                key = result["EvalActionName"], resource
                if found.get(key, "allowed") == "allowed":
                    found[key] = decision
    return found


def _by_resource(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the decision about each resource.

    IAM answers one result for an action with several resources. Its own decision is about a
    pattern of ARNs then, and says nothing of any of them.
    """
    for one in result.get("ResourceSpecificResults", ()):
        yield one["EvalResourceName"], one["EvalResourceDecision"]
    if not result.get("ResourceSpecificResults"):
        yield result.get("EvalResourceName", "*"), result["EvalDecision"]


def _simulate(
    client: Any, principal: str, statement: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    keys = statement.get("Condition", {}).get("ForAllValues:StringLike", {})
    request: dict[str, Any] = {
        "PolicySourceArn": principal,
        "ActionNames": statement["Action"],
        "ResourceArns": statement["Resource"],
        # The condition keys that the calls of the statement have; a pattern matches itself.
        "ContextEntries": [
            {"ContextKeyName": name, "ContextKeyType": "stringList", "ContextKeyValues": values}
            for name, values in keys.items()
        ],
    }
    for _ in range(PAGES):
        try:
            page = client.simulate_principal_policy(**request)
        except AWS_ERRORS as error:
            what = f"{principal} could not be simulated (iam:SimulatePrincipalPolicy)"
            raise NotSimulatedError(error_text(what, error)) from error
        yield from page.get("EvaluationResults", ())
        if not (page.get("IsTruncated") and page.get("Marker")):
            return
        request["Marker"] = page["Marker"]
