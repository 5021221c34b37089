"""What may keep a change of a Lambda environment from having its effect.

Obstacles are its size limit, and callers that do not see it. Warnings are about names that are
probably mistaken: a write to a variable that is never read has no effect. They quote names of
variables, never a secret value.

IAM: lambda:GetFunctionConfiguration, lambda:ListAliases and
lambda:ListProvisionedConcurrencyConfigs; a denied call is reported as a check that was not made.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final, TypeAlias

from controller.adapters.aws.clients import AWS_ERRORS, MARKERS, code_of, error_text, pages
from controller.adapters.iam import FUNCTION, Job, Permission
from controller.adapters.targets.weight_variables import ENVIRONMENT_BYTES, Pair, environment_bytes
from controller.ports.target import NameWarning, Obstacle

IAM: Final = tuple(
    Permission(action, FUNCTION, {Job.START, Job.INVESTIGATE, Job.DOCTOR})
    for action in (
        "lambda:GetFunctionConfiguration",
        "lambda:ListAliases",
        "lambda:ListProvisionedConcurrencyConfigs",
    )
)

# How some endpoints list no configuration.
_NO_PROVISIONED_CONCURRENCY: Final = "ProvisionedConcurrencyConfigNotFoundException"
_USE_LATEST: Final = "the weight has no effect on these callers; let them use $LATEST"
NAMES_SHOWN: Final = 5
PAGES_READ: Final = 20


def obstacles(client: Any, function: str, pair: Pair) -> list[Obstacle]:
    """Return why callers of `function` may not see a change of `pair` in $LATEST.

    Fatal obstacles come first: callers of a published version never see a change.
    """
    result: list[Obstacle] = []
    for what, action, check in _CHECKS:
        try:
            result.extend(check(client, function, pair))
        except AWS_ERRORS as error:
            if code_of(error) == _NO_PROVISIONED_CONCURRENCY:
                continue
            problem = error_text(f"{what} of {function} could not be checked ({action})", error)
            missing = code_of(error).endswith("NotFoundException")
            result.append(Obstacle(fatal=False, text=problem, unread=not missing))
    return sorted(result, key=lambda obstacle: not obstacle.fatal)


def _configuration(client: Any, function: str, pair: Pair) -> Iterator[Obstacle]:
    answer = client.get_function_configuration(FunctionName=function)
    if (answer.get("SnapStart") or {}).get("ApplyOn") == "PublishedVersions":
        text = f"{function} has SnapStart: callers use a published version, whose environment stays"
        yield Obstacle(fatal=True, text=text, remedy=_USE_LATEST)
    if answer.get("CapacityProviderConfig"):
        text = f"{function} runs on managed instances: callers get $LATEST.PUBLISHED, not $LATEST"
        yield Obstacle(fatal=True, text=text, remedy=_USE_LATEST)
    variables = (answer.get("Environment") or {}).get("Variables") or {}
    least, most = (
        max(environment_bytes(pair.merged(variables, weight), escaped=one) for weight in (99, 100))
        for one in (False, True)
    )
    if most > ENVIRONMENT_BYTES:
        fatal = least > ENVIRONMENT_BYTES
        count = str(least) if fatal else f"up to {most}"
        text = (
            f"the environment of {function} would have {count} bytes as JSON with the weight in "
            f"it, and Lambda takes {ENVIRONMENT_BYTES}: make room"
        )
        yield Obstacle(fatal=fatal, text=text)


def _provisioned(client: Any, function: str, _pair: Pair) -> Iterator[Obstacle]:
    call = client.list_provisioned_concurrency_configs
    listed = pages(call, PAGES_READ, MARKERS, FunctionName=function)
    if any(page.get("ProvisionedConcurrencyConfigs") for page in listed):
        text = f"{function} has provisioned concurrency: callers use a published version"
        yield Obstacle(fatal=True, text=text, remedy=_USE_LATEST)


def _aliases(client: Any, function: str, _pair: Pair) -> Iterator[Obstacle]:
    listed = pages(client.list_aliases, PAGES_READ, MARKERS, FunctionName=function)
    names = [alias.get("Name", "") for page in listed for alias in page.get("Aliases", ())]
    if names:
        more = ", ..." if len(names) > NAMES_SHOWN else ""
        text = (
            f"{function} has aliases ({', '.join(names[:NAMES_SHOWN])}{more}): a caller of one "
            "gets a published version and does not see a change of $LATEST"
        )
        yield Obstacle(fatal=False, text=text)


_Check: TypeAlias = Callable[[Any, str, Pair], Iterator[Obstacle]]
_CHECKS: Final[tuple[tuple[str, str, _Check], ...]] = (
    ("the configuration", "lambda:GetFunctionConfiguration", _configuration),
    ("provisioned concurrency", "lambda:ListProvisionedConcurrencyConfigs", _provisioned),
    ("aliases", "lambda:ListAliases", _aliases),
)


def name_warnings(function: str, pair: Pair, variables: Mapping[str, str]) -> list[NameWarning]:
    """Return why 0% in `pair` may not be 0% of traffic.

    A missing percentage is not mistaken while the boolean is on: together they mean 100%.
    """
    warnings: list[NameWarning] = []
    if pair.percentage not in variables:
        unset = pair.weight(variables) == 0
        text = f"{pair.percentage} is not set on {function}"
        if unset and pair.boolean is not None:
            text += f", and {pair.boolean} does not contradict that"
        warnings.append(
            NameWarning(f"{text}; {_similar_names(pair.percentage, variables)}", unset, unset)
        )
    if pair.boolean is not None and pair.boolean not in variables:
        text = f"{pair.boolean} is not set on {function}; {_similar_names(pair.boolean, variables)}"
        warnings.append(
            NameWarning(f"{text} (leave --boolean out where there is none)", mistaken=True)
        )
    for name, mismatch in pair.type_mismatches(variables).items():
        text = f"{name} of {function} has {mismatch}, which would be lost"
        foreign = name in pair.foreign_values(variables)
        warnings.append(NameWarning(f"{text}; if it is the right one: --force", True, foreign))
    contradiction = pair.contradiction(variables)
    if contradiction and pair.boolean not in _left_on(pair.percentage, variables):
        text = f"on {function}, {contradiction}, so one of them belongs to something else"
        warnings.append(NameWarning(f"{text}; if both are right: --force", mistaken=True))
    if pair.boolean not in variables:
        warnings += (
            NameWarning(
                f"{name} is on, seems to belong to {pair.percentage}, and is left as it is",
                left_on=name,
            )
            for name in _related_flags(pair.percentage, variables)
        )
    return warnings


def _similar_names(name: str, names: Iterable[str]) -> str:
    alike = get_close_matches(name, names, n=3)
    return f"was {' or '.join(alike)} meant?" if alike else "no variable there has a similar name"


# Words in names of weights and switches that say nothing of their subject.
_COMMON_WORDS: Final = frozenset(
    {"PERCENTAGE", "PERCENT", "PCT", "WEIGHT", "SHARE", "USE", "ENABLE", "ENABLED", "IS", "ON"}
)


def _left_on(percentage: str, variables: Mapping[str, str]) -> list[str]:
    """Return the booleans that a rollback of `percentage` alone has left on, and names itself."""
    at_zero = variables.get(percentage) == "0"
    return [*_related_flags(percentage, variables)] if at_zero else []


def _related_flags(percentage: str, variables: Mapping[str, str]) -> Iterator[str]:
    """Yield the variables that are true and share the subject of `percentage`."""
    subject = _words(percentage) - _COMMON_WORDS
    for name, value in variables.items():
        if subject and name != percentage and value.lower() == "true" and subject <= _words(name):
            yield name


def _words(name: str) -> set[str]:
    return set(name.upper().split("_"))
