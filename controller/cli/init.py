"""The verb `init`: writes the first policy of a function."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from controller.bootstrap.init import bare_target, live_account
from controller.cli import completion, options
from controller.cli.ask import Asker
from controller.cli.call import Call
from controller.cli.result import Result
from controller.core.policy import Policy
from controller.core.policy.model import POLICY_NAME_PATTERN
from controller.errors import UsageError
from controller.operations.init.draft import Draft, with_steps
from controller.operations.init.drafting import (
    Drafted,
    Given,
    live_draft,
    offline_draft,
    policy_name,
)
from controller.operations.init.sources import SourceKind
from controller.policy_file.loader import loads
from controller.policy_file.shipped import named_copy
from controller.process import logging
from controller.render.draft import policy_text, yaml_text
from controller.render.init import Written, init_data, init_text

_KINDS: Final = [str(kind) for kind in SourceKind]
_NAMED: Final = (SourceKind.REST_API, SourceKind.HTTP_API, SourceKind.LOAD_BALANCER)
_ASK_BOOLEAN: Final = "variable that is true exactly at 100 (empty: none)"
_EXISTS: Final = "{} exists and was left as it is: --force replaces it, -o FILE writes another one"


@click.command()
@click.option("--function", metavar="NAME", help="The Lambda function. On a terminal: pick one.")
@click.option("--percentage", metavar="NAME", help="Its variable that holds the weight, 0 to 100.")
@click.option("--boolean", metavar="NAME", help="Its variable that is true exactly at 100.")
@click.option(
    "--metrics", "kind", type=click.Choice(_KINDS),
    help="Where requests are counted. Default: what had data, the flag before all else.",
)  # fmt: skip
@click.option(
    "--resource", metavar="NAME", default="",
    help="Which one: the name of a REST API, the id of an HTTP API, LOADBALANCER,TARGETGROUP, the "
    "name of the flag.",
)  # fmt: skip
@click.option(
    "--requests-per-minute", "per_minute", type=options.RequestRate(), metavar="N",
    help="The request rate, both paths together. Default: what was measured.",
)  # fmt: skip
@click.option("--offline", is_flag=True, help="Read no account: take options, or ask for them.")
@click.option(
    "--from", "shipped", metavar="NAME", shell_complete=completion.complete_shipped,
    help="Copy a shipped policy with these names in it: execution-api, gateway-metrics-only or "
    "quiet-service. Reads no account.",
)  # fmt: skip
@click.option("--name", metavar="NAME", help="Name of the policy. Default: from the function.")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="The file to write. Default: NAME.yaml.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@options.call_options("json")
def init(
    _call: Call,
    function: str | None,
    percentage: str | None,
    boolean: str | None,
    kind: str | None,
    resource: str,
    per_minute: float | None,
    offline: bool,
    shipped: str | None,
    name: str | None,
    output: Path | None,
    force: bool,
) -> Result:
    """Write a first policy, by what the account shows.

    It finds the variables of the weight, the metrics and whose requests they count, and steps that
    fit the traffic. The file has comments; it is valid, and `rehearse` plays it.
    """
    logging.configure()
    given = Given(
        function=function,
        percentage=percentage,
        boolean=boolean,
        kind=SourceKind(kind) if kind else None,
        resource=resource,
        per_minute=per_minute,
        name=name,
    )
    _check_names(given)
    if shipped is not None and (kind or per_minute):
        raise UsageError(
            "--from copies a policy as it is: --metrics and --requests-per-minute are for a new one"
        )
    if shipped is not None:
        return _copied(shipped, given, output, force=force)
    _check_free(given, output, force=force)
    asker = Asker()
    if offline:
        drafted = offline_draft(_asked(given, asker) if asker.interactive else given)
    else:
        drafted = live_draft(live_account(), given, asker)
    return _written(drafted, output, force=force)


# --- What is given --------------------------------------------------------------------------------


def _check_names(given: Given) -> None:
    """Raise UsageError for a name that no function, no variable and no policy can have."""
    names = {"function": given.function, "percentage": given.percentage, "boolean": given.boolean}
    known = {name: value for name, value in names.items() if value is not None}
    bare_target({"function": "function", "percentage": "PERCENTAGE"} | known)
    if given.name is not None and re.fullmatch(POLICY_NAME_PATTERN, given.name) is None:
        raise UsageError(
            f"--name: {given.name!r} is no name of a policy: a small letter, then small letters, "
            "digits, -; at most 63"
        )


def _asked(given: Given, asker: Asker) -> Given:
    """Return `given`, with what is missing from a person. Raises UsageError for a wrong name."""
    asked = replace(
        given,
        function=given.function or asker.text("Lambda function"),
        percentage=given.percentage or asker.text("variable of the weight (0 to 100)"),
        boolean=given.boolean or asker.text(_ASK_BOOLEAN, "") or None,
        kind=given.kind or SourceKind(asker.choose("source of metrics", "--metrics", _KINDS)),
    )
    _check_names(asked)
    if asked.kind in _NAMED and not asked.resource:
        question = f"which {asked.kind} (a name, an id, or LOADBALANCER,TARGETGROUP)"
        asked = replace(asked, resource=asker.text(question))
    return asked


# --- The file -------------------------------------------------------------------------------------


def _copied(shipped: str, given: Given, output: Path | None, *, force: bool) -> Result:
    """Write a copy of a shipped policy, and return what to do next."""
    copy = named_copy(shipped, _values(given), yaml_text(given.resource) if given.resource else "")
    policy = loads(copy.text, f"{copy.name}.yaml")
    path = _write(output or Path(f"{copy.name}.yaml"), copy.text, force=force)
    notes = [f"names of the example are left in it: {', '.join(copy.left)}"] if copy.left else []
    return _result(Written(path, policy, None, notes))


def _values(given: Given) -> dict[str, str]:
    """Return what replaces the values of a shipped policy, by path."""
    name = given.name or (policy_name(given.function) if given.function else None)
    values = {
        "name": name,
        "target.function": given.function and yaml_text(given.function),
        "target.percentage": given.percentage,
        "target.boolean": given.boolean,
    }
    return {path: value for path, value in values.items() if value}


def _written(drafted: Drafted, output: Path | None, *, force: bool) -> Result:
    draft = with_steps(drafted.draft, _policy_of)
    policy = _policy_of(draft)
    path = _write(output or Path(f"{draft.name}.yaml"), policy_text(draft), force=force)
    return _result(Written(path, policy, draft, drafted.notes))


def _result(written: Written) -> Result:
    return Result(
        "init",
        data=lambda: init_data(written),
        text=lambda: init_text(written),
        notes=[f"note: {one}" for one in written.notes],
    )


def _policy_of(draft: Draft) -> Policy:
    return loads(policy_text(draft), f"{draft.name}.yaml")


def _check_free(given: Given, output: Path | None, *, force: bool) -> None:
    """Raise UsageError where a file is in the way, before the account is read."""
    name = given.name or (policy_name(given.function) if given.function else "")
    path = output or (Path(f"{name}.yaml") if name else None)
    if path is not None and path.exists() and not force:
        raise UsageError(_EXISTS.format(path))


def _write(path: Path, text: str, *, force: bool) -> Path:
    """Write a new file, and return its path. Raises UsageError when it cannot be written."""
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError(_EXISTS.format(path)) from error
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    return path
