"""Decisions of IAM's simulator about a role."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from controller.adapters.iam import Job, NotSimulatedError, decisions
from tests.e2e.role import make_role, of
from tests.support.emulator import Emulator
from tests.support.iam_evaluator import LEADING_KEYS, AccessRequest, allows
from tests.support.stage import short_policy
from tests.support.tenants import iam_document

ROLE = "arn:aws:iam::123456789012:role/tick"
STATEMENT = {"Action": ["lambda:A", "lambda:B"], "Resource": ["f"]}
BOUND = iam_document(Job.TICK, short_policy())


class Simulator:
    """A client that answers in pages of one; or refuses."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error
        self.requests: list[dict[str, Any]] = []

    def simulate_principal_policy(self, **request: Any) -> dict[str, Any]:
        if self._error is not None:
            raise self._error
        self.requests.append(request)
        number = int(request.get("Marker", 0))
        action, more = request["ActionNames"][number], number == 0
        one = {"EvalActionName": action, "EvalResourceName": "f", "EvalDecision": "allowed"}
        marker = {"Marker": "1"} if more else {}
        return {"EvaluationResults": [one], "IsTruncated": more, **marker}


def test_every_page_of_decisions_is_read() -> None:
    result = decisions(Simulator(), ROLE, [STATEMENT])
    assert result == {("lambda:A", "f"): "allowed", ("lambda:B", "f"): "allowed"}


@pytest.mark.parametrize("denied", [0, 1])
def test_of_two_statements_about_the_same_action_a_denial_counts(denied: int) -> None:
    """A bound role reads its own items by one statement, and the list of recipients by another."""

    class Denying(Simulator):
        def simulate_principal_policy(self, **request: Any) -> dict[str, Any]:
            answer = super().simulate_principal_policy(**request)
            if request["ContextEntries"][0]["ContextKeyValues"] == [str(denied)]:
                answer["EvaluationResults"][0]["EvalDecision"] = "implicitDeny"
            return answer

    bound = [
        {**STATEMENT, "Condition": {"ForAllValues:StringLike": {LEADING_KEYS: [key]}}}
        for key in ("0", "1")
    ]
    assert set(decisions(Denying(), ROLE, bound).values()) == {"implicitDeny"}


def test_the_simulated_calls_have_the_keys_that_their_statement_is_bound_to() -> None:
    client = Simulator()
    (bound,) = [one for one in BOUND["Statement"] if one["Sid"] == "TableOwn"]
    decisions(client, ROLE, [bound])
    decisions(client, ROLE, [STATEMENT])
    own = {LEADING_KEYS: bound["Condition"]["ForAllValues:StringLike"][LEADING_KEYS]}
    keys = {
        "ContextKeyName": LEADING_KEYS,
        "ContextKeyType": "stringList",
        "ContextKeyValues": own[LEADING_KEYS],
    }
    assert [request["ContextEntries"] for request in client.requests] == [[keys]] * 2 + [[]] * 2
    asked = [AccessRequest(one, on, own) for one in bound["Action"] for on in bound["Resource"]]
    assert allows(BOUND, asked)


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchEntity"])
def test_a_role_that_cannot_be_simulated_says_why(code: str) -> None:
    error = ClientError({"Error": {"Code": code, "Message": "no"}}, "SimulatePrincipalPolicy")
    with pytest.raises(NotSimulatedError, match=rf"\(iam:SimulatePrincipalPolicy\): {code}: no; "):
        decisions(Simulator(error), ROLE, [STATEMENT])


def test_on_ministack_a_role_may_do_what_its_policy_says(ministack: Emulator, account: str) -> None:
    client = ministack.client("iam", account)
    arn = make_role(client, "tick", {"AWS": "*"})
    allowed = json.dumps(of([("lambda:GetFunction", "*")]))
    client.put_role_policy(RoleName="tick", PolicyName="p", PolicyDocument=allowed)
    statements = [{"Action": ["lambda:GetFunction", "sns:Publish"], "Resource": ["*"]}]
    result = {
        action: decision for (action, _), decision in decisions(client, arn, statements).items()
    }
    assert result["lambda:GetFunction"] == "allowed"
    assert result["sns:Publish"] != "allowed"


def test_on_ministack_a_bound_role_may_do_nothing_on_the_table_without_a_key(
    ministack: Emulator, account: str
) -> None:
    """It takes no keys into a simulation, so each request is one without."""
    client = ministack.client("iam", account)
    arn = make_role(client, "bound", {"AWS": "*"})
    client.put_role_policy(RoleName="bound", PolicyName="p", PolicyDocument=json.dumps(BOUND))
    result = decisions(client, arn, BOUND["Statement"])
    allowed = {action for (action, _), decision in result.items() if decision == "allowed"}
    asked = {action for action, _ in result}
    assert asked - allowed == {one for one in asked if one.startswith("dynamodb:")} != set()
