"""From an account, or from what a user says of one, to the draft of a policy without its steps.

What several candidates fit is asked, and never guessed.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from controller.core.observation import TargetReading
from controller.errors import MetricsError, UsageError
from controller.operations.init.draft import Draft
from controller.operations.init.sources import Source, SourceKind, find_sources, source_of
from controller.operations.init.survey import Survey, measure, unmeasured
from controller.operations.init.variables import (
    booleans_of,
    percentage_candidates,
)
from controller.ports.inventory import FunctionVariables, Inventory
from controller.ports.metrics import MetricDirectory, MetricSource

_MAX_NAME: Final = 63
_MAX_LISTED: Final = 10
_OFFLINE: Final = "the account was not read"


class Chooser(Protocol):
    """Asks a person to choose."""

    def choose(self, what: str, option: str, choices: Sequence[str]) -> str:
        """Return one of `choices`, which are more than one.

        option: gives the answer on the command line. Raises UsageError without a terminal.
        """
        ...


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line says; None: it does not.

    function: a name or an ARN. per_minute: requests a minute on both paths.
    """

    function: str | None = None
    percentage: str | None = None
    boolean: str | None = None
    kind: SourceKind | None = None
    resource: str = ""
    per_minute: float | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class AccountView:
    """What is read of an account. read_weight: of a function and its two variables."""

    inventory: Inventory
    directory: MetricDirectory
    metrics: MetricSource
    read_weight: Callable[[str, str, str | None], TargetReading]
    now: datetime


@dataclass(frozen=True, slots=True)
class Drafted:
    """A draft, and what to know about it."""

    draft: Draft
    notes: tuple[str, ...] = ()


def policy_name(function: str) -> str:
    """Return the name of a policy for `function`, a name or an ARN."""
    bare = bare_name(function)
    name = re.sub(r"[^a-z0-9]+", "-", bare.lower()).strip("-")
    name = name if name[:1].isalpha() else f"rollout-{name}".rstrip("-")
    return name[:_MAX_NAME].rstrip("-")


def bare_name(function: str) -> str:
    """Return the name of a function that is given by its name or ARN."""
    return function.rpartition(":")[2]


# --- without the account --------------------------------------------------------------------------


def offline_draft(given: Given) -> Drafted:
    """Return a draft by what is given alone; at least the function, its percentage and a kind."""
    function, percentage, kind = given.function, given.percentage, given.kind
    if function is None or percentage is None or kind is None:
        raise UsageError(
            "--offline reads no account: give --function, --percentage and --metrics, and where "
            "there is one --boolean; for steps that fit the traffic also --requests-per-minute"
        )
    source = _given_source(kind, given.resource, function)
    survey = unmeasured(source, _OFFLINE, given.per_minute)
    name = given.name or policy_name(function)
    return Drafted(Draft(name, function, percentage, given.boolean, source, survey))


def _given_source(kind: SourceKind, resource: str, function: str) -> Source:
    try:
        return source_of(kind, resource, bare_name(function))
    except ValueError as error:
        raise UsageError(str(error)) from error


# --- by the account -------------------------------------------------------------------------------


def choose_function(inventory: Inventory, chooser: Chooser) -> str:
    """Return a function of the account. Raises UsageError, TargetError."""
    listed = inventory.functions()
    if not listed.names:
        raise UsageError("the account has no function in this region; name one with --function")
    what = "function" if listed.complete else "function, of the first that Lambda lists"
    return _one_of(chooser, what, "--function NAME", listed.names)


def live_draft(account: AccountView, given: Given, chooser: Chooser) -> Drafted:
    """Return a draft of the function that is given, by what the account shows.

    Raises TargetError when the function cannot be read, UsageError when there is a choice and no
    terminal to ask on, or no candidate. Metrics that cannot be read leave a draft without figures.
    """
    function = given.function or choose_function(account.inventory, chooser)
    variables = account.inventory.variables(function)
    percentage = given.percentage or _percentage(function, variables, chooser)
    boolean, notes = given.boolean, list[str]()
    if boolean is None:
        boolean, notes = _boolean(percentage, variables, chooser)
    weight = account.read_weight(function, percentage, boolean).weight
    source, problem = _source(account, given, function, chooser)
    survey = _survey(account, source, function, weight)
    if given.per_minute is not None:
        survey = survey.at(given.per_minute)
    notes += filter(None, (problem, survey.problem))
    draft = Draft(
        name=given.name or policy_name(function),
        function=function,
        percentage=percentage,
        boolean=boolean,
        source=source,
        survey=survey,
        weight=weight,
    )
    return Drafted(draft, tuple(notes))


def _percentage(function: str, variables: FunctionVariables, chooser: Chooser) -> str:
    candidates = percentage_candidates(variables)
    if candidates:
        return _one_of(chooser, "variable of the weight", "--percentage NAME", candidates)
    names = ", ".join(variables.names[:_MAX_LISTED]) or "none"
    more = ", ..." if len(variables.names) > _MAX_LISTED else ""
    raise UsageError(
        f"no variable of {function} looks like a percentage of traffic (a number from 0 to 100, "
        f"and PERCENTAGE, PERCENT, PCT, WEIGHT, SHARE, CANARY or ROLLOUT in its name); it has "
        f"{names}{more}. Name one with --percentage; one that is not set counts as 0"
    )


def _boolean(
    percentage: str, variables: FunctionVariables, chooser: Chooser
) -> tuple[str | None, list[str]]:
    """Return the boolean of `percentage`, None where there is none, and what to know about it."""
    found = booleans_of(percentage, variables)
    if found.fitting:
        return _one_of(chooser, f"boolean of {percentage}", "--boolean NAME", found.fitting), []
    return None, [
        f"{name} is {variables.booleans[name]} and left alone; if it is true exactly at 100 % of "
        f"{percentage}, name it: --boolean {name}"
        for name in found.doubtful
    ]


def _source(
    account: AccountView, given: Given, function: str, chooser: Chooser
) -> tuple[Source, str]:
    """Return where requests are counted, and why the account does not tell; empty: it does."""
    own = SourceKind.FUNCTION
    if given.kind is own or (given.kind is not None and given.resource):
        return _given_source(given.kind, given.resource, function), ""
    found = find_sources(account.directory, bare_name(function))
    sources: Sequence[Source]
    sources = [one for one in found.sources if given.kind in (None, one.kind)]
    if found.problem or not sources:
        if given.kind is not None:
            return _given_source(given.kind, given.resource, function), found.problem
        return _given_source(own, "", function), found.problem
    sources = _best(sources, bare_name(function))
    titles = [one.title for one in sources]
    option = "--metrics KIND --resource NAME"
    chosen = _one_of(chooser, "source of metrics", option, titles)
    return sources[titles.index(chosen)], ""


def _best(sources: Sequence[Source], function: str) -> Sequence[Source]:
    """Return the sources that tell most: the flag, of this function if it is named after it."""
    flags = [one for one in sources if one.kind is SourceKind.FLAG]
    named = [one for one in flags if one.resource in (function, policy_name(function))]
    outside = [one for one in sources if not one.is_function]
    return named or flags or outside or sources


def _survey(account: AccountView, source: Source, function: str, weight: int | None) -> Survey:
    try:
        # A contradictory pair has some weight: traffic at 0 % is not concluded from it.
        live = 100 if weight is None else weight
        return measure(account.metrics, source, bare_name(function), live, account.now)
    except MetricsError as error:
        return unmeasured(source, str(error))


def _one_of(chooser: Chooser, what: str, option: str, choices: Sequence[str]) -> str:
    return choices[0] if len(choices) == 1 else chooser.choose(what, option, choices)
