"""The verb `init`: writes the first policy of a target.

What is missing is asked on a terminal; elsewhere it is an error that names the option.
"""

import json
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from click.shell_completion import CompletionItem

from controller.cli import options
from controller.cli.call import CommandContext, Result
from controller.core.policy.model import POLICY_NAME_PATTERN
from controller.errors import RolloutError, UsageError
from controller.immutable import replace
from controller.policy_file.loader import loads
from controller.policy_file.named_target import check_names, named_target
from controller.policy_file.schema import MODELINE, SCHEMA_FILE, policy_schema
from controller.policy_file.template import named_copy, shipped_names
from controller.ports.target import drafted_kinds
from controller.process import logging
from controller.safe_text import printable
from controller.tools.init.draft import (
    Written,
    init_data,
    init_page,
    policy_of,
    policy_text,
    with_steps,
    yaml_text,
)
from controller.tools.init.drafting import (
    Drafted,
    Given,
    kind_of,
    live_account,
    live_draft,
    offline_draft,
    policy_name,
)
from controller.tools.init.survey import SourceKind
from controller.tools.plan.verb import start_answer

_KINDS: Final = [str(kind) for kind in SourceKind]
_NAMED: Final = (SourceKind.REST_API, SourceKind.HTTP_API, SourceKind.LOAD_BALANCER)
_EXISTS: Final = "{} exists and was left as it is: --force replaces it, -o FILE writes another one"

Decorated = TypeVar("Decorated", bound=Callable[..., object])


# --- Questions ------------------------------------------------------------------------------------

_MAX_SHOWN: Final = 20


class TerminalChooser:
    """`Chooser` on this process's terminal. Questions go to stderr, stdout has the result alone."""

    @property
    def interactive(self) -> bool:
        """Whether stdin and stderr are a terminal."""
        return sys.stdin.isatty() and sys.stderr.isatty()

    def choose(self, what: str, option: str, choices: Sequence[str]) -> str:
        """Return one of `choices`, by its number or a part of its name.

        Raises UsageError, which lists them, where there is no terminal to ask on.
        """
        if not self.interactive:
            raise UsageError(
                f"{len(choices)} candidates fit; name the {what} with {option}:", *_listed(choices)
            )
        shown = list(choices)
        while len(shown) > 1:
            click.echo(f"Which {what}?", err=True)
            for number, line in enumerate(_listed(shown), start=1):
                click.echo(f"{number if number <= _MAX_SHOWN else '':>4}{line}", err=True)
            shown = _narrowed(shown, click.prompt("number, or a part of the name", err=True))
        return shown[0]

    def text(self, question: str, default: str | None = None) -> str:
        """Return what a person types; `default` for an empty line."""
        answer: str = click.prompt(question, default=default, show_default=bool(default), err=True)
        return answer.strip()


def _listed(choices: Sequence[str]) -> list[str]:
    more = len(choices) - _MAX_SHOWN
    lines = [f"  {printable(choice)}" for choice in choices[:_MAX_SHOWN]]
    return [*lines, f"  and {more} more"] if more > 0 else lines


def _narrowed(choices: list[str], answer: str) -> list[str]:
    """Return the choices that `answer` leaves; all of them where it fits none."""
    answer = answer.strip()
    if answer in choices:
        return [answer]
    if answer.isdecimal() and 1 <= int(answer) <= min(len(choices), _MAX_SHOWN):
        return [choices[int(answer) - 1]]
    return [choice for choice in choices if answer.lower() in choice.lower()] or choices


# --- The verb ------------------------------------------------------------------------------------


def _target_options(verb: Decorated) -> Decorated:
    """Add the options that name a target, of every kind that `init` drafts a policy for."""
    helps: dict[str, str] = {}
    for model in drafted_kinds().values():
        helps = {**model.init_options, **helps}
    for name, text in helps.items():
        verb = click.option(f"--{name}", metavar="NAME", help=text)(verb)
    return verb


def _complete_shipped(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the shipped policies that begin like `incomplete`."""
    return [CompletionItem(name) for name in shipped_names() if name.startswith(incomplete)]


@click.command()
@_target_options
@click.option(
    "--metrics", "kind", type=click.Choice(_KINDS),
    help="Where requests are counted. Default: what had data, the flag before all else.",
)  # fmt: skip
@click.option(
    "--resource", metavar="NAME", default="",
    help="Which one: the name of a REST API, the id of an HTTP API, LOADBALANCER,TARGETGROUP, the "
    "name of the flag (of the function, by default).",
)  # fmt: skip
@click.option(
    "--requests-per-minute", "per_minute", type=options.RequestRate(), metavar="N",
    help="The request rate, both paths together. Default: what was measured.",
)  # fmt: skip
@click.option("--offline", is_flag=True, help="Read no account: take options, or ask for them.")
@click.option(
    "--from", "shipped", metavar="NAME", shell_complete=_complete_shipped,
    help=f"Copy a shipped policy with these names in it: {', '.join(shipped_names())}. Reads no "
    "account.",
)  # fmt: skip
@click.option("--name", metavar="NAME", help="Name of the policy. Default: from the target.")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="The file to write. Default: NAME.yaml.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@options.call_options("json")
def init(
    call: CommandContext,
    kind: str | None,
    resource: str,
    per_minute: float | None,
    offline: bool,
    shipped: str | None,
    name: str | None,
    output: Path | None,
    force: bool,
    **names: str | None,
) -> Result:
    """Write a first policy, by what the account shows.

    --function F: a percentage in the environment of a function. --function F --alias A: the
    versions of an alias. --rule R: two target groups of a load balancer. It finds what holds the
    weight, the metrics and whose requests they count, and steps that fit the traffic. The file has
    comments; it is valid, and `rehearse` plays it.
    """
    logging.configure()
    given = Given(
        names={name: value for name, value in names.items() if value is not None},
        metrics=SourceKind(kind) if kind else None,
        resource=resource,
        per_minute=per_minute,
        name=name,
    )
    _check_names(given)
    short_name = name or _name_of(given)
    if shipped is not None and (kind or per_minute):
        raise UsageError(
            "--from copies a policy as it is: --metrics and --requests-per-minute are for a new one"
        )
    if shipped is not None:
        values = {"name": short_name} if short_name else {}
        values |= {f"target.{key}": yaml_text(value) for key, value in given.names.items()}
        copy = named_copy(shipped, values, yaml_text(resource) if resource else "")
        policy = loads(copy.text, f"{copy.name}.yaml")
        path = _write(output or Path(f"{copy.name}.yaml"), copy.text, force=force)
        left = ", ".join(copy.left)
        notes = [f"names of the example are left in it: {left}"] if left else []
        return _result(Written(path, policy, None, notes))
    file = output or (Path(f"{short_name}.yaml") if short_name else None)
    if file is not None and file.exists() and not force:  # before the account is read
        raise UsageError(_EXISTS.format(file))
    terminal = TerminalChooser()
    if offline:
        drafted = offline_draft(_with_answers(given, terminal) if terminal.interactive else given)
    else:
        drafted = live_draft(live_account(), given, terminal)
    return _written(None if offline else call, drafted, output, force=force)


# --- What is given --------------------------------------------------------------------------------


def _check_names(given: Given) -> None:
    """Raise UsageError for a name that no target and no policy can have."""
    check_names(kind_of(given.names), given.names)
    if given.name is not None and re.fullmatch(POLICY_NAME_PATTERN, given.name) is None:
        raise UsageError(
            f"--name: {given.name!r} is no name of a policy: a small letter, then small letters, "
            "digits, -; at most 63"
        )


def _with_answers(given: Given, terminal: TerminalChooser) -> Given:
    """Return `given`, with what is missing from a person. Raises UsageError for a wrong name."""
    model, names = kind_of(given.names), dict(given.names)
    for name, text in model.init_options.items():
        field = model.model_fields.get(name)
        needed = field is not None and field.is_required()
        if name in names:
            continue
        question = text.partition(".")[0] + ("" if needed else " (may be empty)")
        if answer := terminal.text(question, None if needed else ""):
            names[name] = answer
    asked = replace(given, names=names)
    _check_names(asked)
    if named_target(model, names).counted_by is not None:
        return asked
    kind = given.metrics or SourceKind(terminal.choose("source of metrics", "--metrics", _KINDS))
    if kind not in _NAMED or asked.resource:
        return replace(asked, metrics=kind)
    question = f"which {kind} (a name, an id, or LOADBALANCER,TARGETGROUP)"
    return replace(asked, metrics=kind, resource=terminal.text(question))


# --- The file -------------------------------------------------------------------------------------


def _name_of(given: Given) -> str:
    """Return what a policy is called after the names that are given; empty: they do not tell."""
    model = kind_of(given.names)
    resource, *_ = model.init_options
    if resource not in given.names:
        return ""
    names: dict[str, Any] = {**dict.fromkeys(model.init_options, ""), **given.names}
    return policy_name(model.model_construct(**names).short_name)


def _written(
    call: CommandContext | None, drafted: Drafted, output: Path | None, *, force: bool
) -> Result:
    """Write a draft, and return it. call: asks the account whether it would start; None: not."""
    draft = with_steps(drafted.draft)
    policy = policy_of(draft)
    path = _write(output or Path(f"{draft.name}.yaml"), policy_text(draft), force=force)
    written = Written(path, policy, draft, drafted.notes, drafted.live)
    if call is not None:
        with suppress(RolloutError):  # `plan --live` says why that is not known
            answer = start_answer(call, policy, adopt=written.adopts)
            written = replace(written, answer=answer)
    return _result(written)


def _result(written: Written) -> Result:
    return Result(
        "init",
        data=lambda: init_data(written),
        page=lambda: init_page(written),
        notes=[f"note: {note}" for note in written.notes],
    )


def _write(path: Path, text: str, *, force: bool) -> Path:
    """Write a policy, and beside it the schema that its first line names; return its path.

    Raises UsageError when it cannot be written.
    """
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(f"{MODELINE}\n{text}")
        schema = json.dumps(policy_schema(), indent=2, ensure_ascii=False)
        (path.parent / SCHEMA_FILE).write_text(f"{schema}\n", encoding="utf-8")
    except FileExistsError as error:
        raise UsageError(_EXISTS.format(path)) from error
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
    return path
