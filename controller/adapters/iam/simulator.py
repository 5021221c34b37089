"""The permissions of a role, as the simulator of IAM reports them.

IAM: iam:SimulatePrincipalPolicy (on every role, because the simulated role is not known
beforehand).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from controller.adapters.aws.clients import AWS_ERRORS, error_text
from controller.adapters.iam.permission import ANY, Job, Permission

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
    request: dict[str, Any] = {
        "PolicySourceArn": principal,
        "ActionNames": statement["Action"],
        "ResourceArns": statement["Resource"],
        "ContextEntries": list(_context(statement)),
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


def _context(statement: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the condition keys that the calls of the statement have; a pattern matches itself."""
    for name, values in statement.get("Condition", {}).get("ForAllValues:StringLike", {}).items():
        yield {"ContextKeyName": name, "ContextKeyType": "stringList", "ContextKeyValues": values}
