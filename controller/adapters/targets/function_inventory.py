"""The functions of an account, and the variables of one that may hold a weight.

IAM: lambda:ListFunctions (on every resource: it supports no narrower one), and as in
lambda_environment.py.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from controller.adapters.aws.clients import AWS_ERRORS, code_of, error_text
from controller.adapters.iam.permission import ANY, Job, Permission
from controller.adapters.targets.lambda_environment import LambdaFunction
from controller.adapters.targets.weight_variables import Pair
from controller.errors import TargetError
from controller.ports.inventory import FunctionList, FunctionVariables

IAM: Final = (Permission("lambda:ListFunctions", ANY, {Job.INIT}),)

PAGES: Final = 20  # of 50 functions each

# Values of these forms are no secret.
_PERCENTAGE = re.compile(r"0|[1-9][0-9]?|100")
_BOOLEAN = re.compile(r"true|false", re.I)


class FunctionInventory:
    """The functions behind a boto3 Lambda client."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def functions(self) -> FunctionList:
        """Return the names of the functions, from at most `PAGES` pages. Raises TargetError."""
        names: list[str] = []
        request: dict[str, str] = {}
        try:
            for _ in range(PAGES):
                page = self._client.list_functions(**request)
                names += (one["FunctionName"] for one in page.get("Functions", ()))
                if not page.get("NextMarker"):
                    return FunctionList(sorted(names))
                request = {"Marker": page["NextMarker"]}
        except AWS_ERRORS as error:
            text = error_text("the functions could not be listed (lambda:ListFunctions)", error)
            raise TargetError(text, code=code_of(error)) from error
        return FunctionList(sorted(names), complete=False)

    def variables(self, function: str) -> FunctionVariables:
        """Return the variables of `function`. Raises TargetError."""
        found = LambdaFunction(self._client, function, Pair("", None)).read().variables
        return FunctionVariables(
            percentages=_matching(found, _PERCENTAGE),
            booleans=_matching(found, _BOOLEAN),
            names=sorted(found),
        )


def _matching(variables: Mapping[str, str], pattern: re.Pattern[str]) -> dict[str, str]:
    return {name: text for name, text in sorted(variables.items()) if pattern.fullmatch(text)}
