"""Which function of an account, and which of its variables, hold the weight of a rollout.

IAM: lambda:ListFunctions (on every resource: it supports no narrower one), and as in
lambda_env.py.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

from controller.adapters.aws.clients import AWS_ERRORS, MARKERS, code_of, error_text, pages
from controller.adapters.iam import ANY, Job, Permission
from controller.adapters.targets.lambda_env import LambdaFunction, open_target
from controller.adapters.targets.weight_variables import Pair
from controller.core.observation import TargetReading
from controller.core.policy.targets.lambda_env import LambdaEnv
from controller.errors import TargetError, UsageError
from controller.immutable import Immutable
from controller.policy_file.named_target import named_target
from controller.ports.account import Account
from controller.ports.target import Chooser, FoundTarget, one_of

IAM: Final = (Permission("lambda:ListFunctions", ANY, {Job.INIT}),)

PAGES: Final = 20  # of 50 functions each

# Values of these forms are no secret.
_PERCENTAGE = re.compile(r"0|[1-9][0-9]?|100")
_BOOLEAN = re.compile(r"true|false", re.I)


class FunctionList(Immutable):
    """The names of the functions of an account, in one region, in alphabetical order.

    complete: False when the account has more functions than were read.
    """

    names: Sequence[str]
    complete: bool = True


class FunctionVariables(Immutable):
    """The environment variables of a function, without a value that may be a secret.

    percentages, booleans: the variables with a whole number from 0 to 100, and with true or false,
    and their values. names: of all variables.
    """

    percentages: Mapping[str, str]
    booleans: Mapping[str, str]
    names: Sequence[str]


class Inventory(Protocol):
    """Lists what an account has."""

    def functions(self) -> FunctionList:
        """Return the functions. Raises TargetError when Lambda does not list them."""

    def variables(self, function: str) -> FunctionVariables:
        """Return the variables of a function.

        Raises TargetError when there is no such function, or its environment cannot be read.
        """


class FunctionInventory:
    """`Inventory` behind a boto3 Lambda client."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def functions(self) -> FunctionList:
        try:
            listed = list(pages(self._client.list_functions, PAGES, MARKERS))
        except AWS_ERRORS as error:
            text = error_text("the functions could not be listed (lambda:ListFunctions)", error)
            raise TargetError(text, code=code_of(error)) from error
        names = sorted(one["FunctionName"] for page in listed for one in page.get("Functions", ()))
        return FunctionList(names, complete=not listed[-1].get("NextMarker"))

    def variables(self, function: str) -> FunctionVariables:
        found = LambdaFunction(self._client, function, Pair("", None)).read().variables
        return FunctionVariables(
            percentages=_matching(found, _PERCENTAGE),
            booleans=_matching(found, _BOOLEAN),
            names=sorted(found),
        )


def _matching(variables: Mapping[str, str], pattern: re.Pattern[str]) -> dict[str, str]:
    return {name: text for name, text in sorted(variables.items()) if pattern.fullmatch(text)}


# Words that a percentage of traffic is called by.
_WEIGHT_WORDS: Final = frozenset(
    {"PERCENTAGE", "PERCENT", "PCT", "WEIGHT", "SHARE", "CANARY", "ROLLOUT"}
)
_MAX_LISTED: Final = 10

Read: TypeAlias = Callable[[LambdaEnv], TargetReading]


def find_target(account: Account, names: Mapping[str, str], chooser: Chooser) -> FoundTarget:
    """Find the function and its variables, as a `Finder` does."""
    inventory = FunctionInventory(account.client("lambda"))
    return find_variables(
        inventory, lambda target: open_target(target, account).read(), names, chooser
    )


def find_variables(
    inventory: Inventory, read: Read, names: Mapping[str, str], chooser: Chooser
) -> FoundTarget:
    """As `find_target`; read: returns the reading of a target."""
    function = names.get("function") or _choose_function(inventory, chooser)
    variables = inventory.variables(function)
    percentage = names.get("percentage") or _percentage(function, variables, chooser)
    boolean, notes = names.get("boolean"), list[str]()
    if boolean is None:
        boolean, notes = _boolean(percentage, variables, chooser)
    found = {"function": function, "percentage": percentage}
    target = named_target(LambdaEnv, found | ({"boolean": boolean} if boolean else {}))
    return FoundTarget(target, read(target).weight, notes=notes)


def _choose_function(inventory: Inventory, chooser: Chooser) -> str:
    listed = inventory.functions()
    if not listed.names:
        raise UsageError("the account has no function in this region; name one with --function")
    what = "function" if listed.complete else "function, of the first that Lambda lists"
    return one_of(chooser, what, "--function NAME", listed.names)


def _percentage(function: str, variables: FunctionVariables, chooser: Chooser) -> str:
    if candidates := [name for name in variables.percentages if _words(name) & _WEIGHT_WORDS]:
        return one_of(chooser, "variable of the weight", "--percentage NAME", candidates)
    names = ", ".join(variables.names[:_MAX_LISTED]) or "none"
    more = ", ..." if len(variables.names) > _MAX_LISTED else ""
    raise UsageError(
        f"no variable of {function} looks like a percentage of traffic (a number from 0 to 100, "
        f"and PERCENTAGE, PERCENT, PCT, WEIGHT, SHARE, CANARY or ROLLOUT in its name); it has "
        f"{names}{more}. Name one with --percentage (one that is not set counts as 0), or an alias "
        "of the function with --alias"
    )


def _boolean(
    percentage: str, variables: FunctionVariables, chooser: Chooser
) -> tuple[str | None, list[str]]:
    """Return the boolean of `percentage`, None where there is none, and what to know about it.

    It has the very words of the percentage's subject, as USE_API of USE_API_PERCENTAGE, and a value
    that fits: without a percentage, true means 100%. Of the others, like USE_API_CACHE, a person is
    asked to decide: an on/off switch that is no part of the weight must not be written.
    """
    subject = _words(percentage) - _WEIGHT_WORDS
    related = [name for name in variables.booleans if subject and subject <= _words(name)]
    weight = variables.percentages.get(percentage)
    fitting = [
        name
        for name in related
        if _words(name) == subject
        and (weight is None or (variables.booleans[name] == "true") == (weight == "100"))
    ]
    if fitting:
        return one_of(chooser, f"boolean of {percentage}", "--boolean NAME", fitting), []
    return None, [
        f"{name} is {variables.booleans[name]} and left alone; if it is true exactly at 100% of "
        f"{percentage}, name it: --boolean {name}"
        for name in related
    ]


def _words(name: str) -> set[str]:
    return set(name.upper().split("_")) - {""}
