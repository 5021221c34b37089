"""The answers of IAM's simulator about one and about several resources."""

from collections.abc import Mapping
from typing import Any, Final

import pytest

from controller.adapters.iam import decisions
from controller.operations.checks import CheckLevel
from controller.tools.doctor.verb import permissions_check
from tests.aws_facts.published import facts

ROLE: Final = "arn:aws:iam::123456789012:role/tick"
ANSWERS: Final = facts("iam")["simulator"]


class Simulator:
    """A client that gives one answer."""

    def __init__(self, results: list[Mapping[str, Any]]) -> None:
        self._results = results

    def simulate_principal_policy(self, **request: Any) -> dict[str, Any]:
        assert request["ActionNames"] == [result["EvalActionName"] for result in self._results]
        return {"EvaluationResults": self._results, "IsTruncated": False}


@pytest.mark.parametrize("fact", ANSWERS, ids=lambda one: f"{one['decisions'].values()}")
def test_each_resource_has_the_decision_about_it(fact: Mapping[str, Any]) -> None:
    action = fact["answer"][0]["EvalActionName"]
    statement = {"Action": [action], "Resource": fact["resources"]}
    found = decisions(Simulator(fact["answer"]), ROLE, [statement])
    assert found == {(action, arn): decision for arn, decision in fact["decisions"].items()}
    may = set(fact["decisions"].values()) == {"allowed"}
    assert permissions_check(ROLE, found).level is (CheckLevel.OK if may else CheckLevel.FAIL)
