"""Decisions of IAM's simulator about a role."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from controller.adapters.iam.simulator import NotSimulatedError, decisions
from tests.e2e.role import make_role, of
from tests.support.emulator import Emulator

ROLE = "arn:aws:iam::123456789012:role/tick"
STATEMENT = {"Action": ["lambda:A", "lambda:B"], "Resource": ["f"]}


class Simulator:
    """A client that answers in pages of one; or refuses."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def simulate_principal_policy(self, **request: Any) -> dict[str, Any]:
        if self._error is not None:
            raise self._error
        number = int(request.get("Marker", 0))
        action, more = request["ActionNames"][number], number == 0
        one = {"EvalActionName": action, "EvalResourceName": "f", "EvalDecision": "allowed"}
        marker = {"Marker": "1"} if more else {}
        return {"EvaluationResults": [one], "IsTruncated": more, **marker}


def test_every_page_of_decisions_is_read() -> None:
    result = decisions(Simulator(), ROLE, [STATEMENT])
    assert result == {("lambda:A", "f"): "allowed", ("lambda:B", "f"): "allowed"}


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
