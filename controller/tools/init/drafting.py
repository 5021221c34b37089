"""From an account, or from what a user says of one, to the draft of a policy without its steps.

What several candidates fit is asked, and never guessed.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Final, TypeAlias

from controller.bootstrap.account import real_account
from controller.core.policy import TargetSpec
from controller.core.policy.kind_registry import load
from controller.core.policy.metric import RequestSource
from controller.errors import MetricsError, UsageError
from controller.immutable import Immutable, field, replace
from controller.policy_file.named_target import named_target
from controller.ports.metrics import MetricDirectory, MetricSource
from controller.ports.target import Chooser, Finder, FoundTarget, drafted_kinds, one_of
from controller.tools.init.draft import Draft
from controller.tools.init.survey import (
    STEADY_HOURS,
    SourceKind,
    Survey,
    find_sources,
    function_source,
    measure,
    source_of,
    unmeasured,
)

_MAX_NAME: Final = 63
_OFFLINE: Final = "the account was not read"
_READS_NONE: Final = "--offline reads no account"


class Given(Immutable):
    """What the command line says; None: it does not.

    names: of the target, by option. per_minute: requests a minute on both paths.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    metrics: SourceKind | None = None
    resource: str = ""
    per_minute: float | None = None
    name: str | None = None


Find: TypeAlias = Callable[[type[TargetSpec], Mapping[str, str], Chooser], FoundTarget]
"""Finds a target of a kind in the account, by its names, as a `Finder` does."""


class AccountView(Immutable):
    """What is read of an account."""

    find: Find
    directory: MetricDirectory
    metrics: MetricSource
    now: datetime


def live_account() -> AccountView:
    """Return the view of the account of the AWS variables and the profile.

    Raises UsageError when there is no region, or no credentials.
    """
    account = real_account()

    def find(model: type[TargetSpec], names: Mapping[str, str], chooser: Chooser) -> FoundTarget:
        finder: Finder = load(model.drafted_by)
        return finder(account, names, chooser)

    return AccountView(find, account.metric_list(), account.metrics(), account.clock.now())


class Drafted(Immutable):
    """A draft, and what to know about it. live: the target with what a start would find."""

    draft: Draft
    live: TargetSpec
    notes: tuple[str, ...] = ()


# --- the kind of the target -----------------------------------------------------------------------


def kind_of(names: Collection[str]) -> type[TargetSpec]:
    """Return the kind whose targets these options name. Raises UsageError when they fit none."""
    kinds = drafted_kinds()
    for model in kinds.values():
        if set(names) <= model.init_options.keys():
            return model
    given = " and ".join(f"--{name}" for name in names)
    forms = (
        f"{kind} by {', '.join(f'--{name}' for name in model.init_options)}"
        for kind, model in kinds.items()
    )
    raise UsageError(f"no kind of target is named by {given}: {'; '.join(forms)}")


def policy_name(short_name: str) -> str:
    """Return the name of a policy for a target of this name, which may be an ARN."""
    bare = short_name.rpartition(":")[2]
    name = re.sub(r"[^a-z0-9]+", "-", bare.lower()).strip("-")
    name = name if name[:1].isalpha() else f"rollout-{name}".rstrip("-")
    return name[:_MAX_NAME].rstrip("-")


# --- without the account --------------------------------------------------------------------------


def offline_draft(given: Given) -> Drafted:
    """Return a draft by what is given alone. Raises UsageError with what is missing or wrong."""
    try:
        target = named_target(kind_of(given.names), given.names)
    except UsageError as error:
        raise UsageError(f"{_READS_NONE}: {error}") from error
    source = _known_source(given, target)
    if source is None and given.metrics is None:
        raise UsageError(
            f"{_READS_NONE}: give --metrics, and for steps that fit the traffic also "
            "--requests-per-minute"
        )
    source = source or _given_source(given, target)
    return _drafted(given, FoundTarget(target, None), source, unmeasured(source, _OFFLINE))


def _drafted(
    given: Given, found: FoundTarget, source: RequestSource, survey: Survey, *notes: str
) -> Drafted:
    target = found.target
    if given.per_minute is not None:
        survey = replace(survey, per_minute=given.per_minute)
    name = given.name or policy_name(target.short_name)
    draft = Draft(name, target, source, survey, found.weight)
    return Drafted(draft, found.live or target, (*found.notes, *filter(None, notes)))


# --- by the account -------------------------------------------------------------------------------


def live_draft(account: AccountView, given: Given, chooser: Chooser) -> Drafted:
    """Return a draft of the target that is given, by what the account shows.

    Raises TargetError when the target cannot be read, UsageError when there is a choice and no
    terminal to ask on, or no candidate. Metrics that cannot be read leave a draft without figures.
    """
    found = account.find(kind_of(given.names), given.names, chooser)
    source, problem = _source(account, given, found.target, chooser)
    try:
        # At an unclear weight, traffic at 0% is not concluded from anything.
        weight = 100 if found.weight is None else found.weight
        survey = measure(account.metrics, source, found.target, weight, account.now)
    except MetricsError as error:
        survey = unmeasured(source, str(error))
    shared = _shared(source, survey) if found.weight == 0 else ""
    return _drafted(given, found, source, survey, problem, survey.problem, shared)


def _source(
    account: AccountView, given: Given, target: TargetSpec, chooser: Chooser
) -> tuple[RequestSource, str]:
    """Return where requests are counted, and why the account does not tell; empty: it does."""
    if (known := _known_source(given, target)) is not None:
        return known, ""
    found = find_sources(account.directory, target.short_name)
    sources: Sequence[RequestSource]
    sources = [source for source in found.sources if _is_wanted(source, given, target.short_name)]
    if found.problem or not sources:
        if given.metrics is not None:
            return _given_source(given, target), found.problem
        if "function" not in target.init_options:
            raise UsageError(
                f"no metric is known to count the requests of {target.name}: name one with "
                "--metrics and --resource"
            )
        return function_source(target.short_name), found.problem
    # The flag tells most, then what counts the canary outside of it.
    flags = [source for source in sources if source.metrics.kind == SourceKind.FLAG]
    outside = [source for source in sources if not source.metrics.both]
    sources = flags or outside or sources
    titles = [source.title for source in sources]
    option = "--metrics KIND --resource NAME"
    chosen = one_of(chooser, "source of metrics", option, titles)
    return sources[titles.index(chosen)], ""


def _known_source(given: Given, target: TargetSpec) -> RequestSource | None:
    """Return where requests are counted, if that needs no search.

    Raises UsageError for an option that names another place, or a resource that does not fit.
    """
    source, kind = target.counted_by, given.metrics
    if source is not None and (kind is not None or given.resource):
        raise UsageError(
            f"a {target.kind} target has metrics of its own ({source.title}): leave --metrics and "
            "--resource out"
        )
    if kind is SourceKind.FUNCTION or (kind is not None and given.resource):
        return _given_source(given, target)
    return source


def _given_source(given: Given, target: TargetSpec) -> RequestSource:
    try:
        kind = given.metrics or SourceKind.FUNCTION
        return source_of(kind, given.resource, target.short_name)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _is_wanted(source: RequestSource, given: Given, function: str) -> bool:
    """Tell whether `source` may count the requests of `function`, and is of the kind that is given.

    A flag is named after the function it is in; one of another name has to be given by that name.
    """
    kind = source.metrics.kind
    if kind == SourceKind.FLAG and source.resource not in (function, policy_name(function)):
        return False
    return given.metrics in (None, kind)


def _shared(source: RequestSource, survey: Survey) -> str:
    """Return what it means that the canary of a target has steady traffic at 0%; empty: none."""
    if not source.stable or (survey.steady_hours or 0) < STEADY_HOURS:
        return ""
    return (
        f"the canary had requests in {survey.steady_hours} of the last 24 hours at 0%: its "
        "metrics count other callers too, and `start` refuses that"
    )
