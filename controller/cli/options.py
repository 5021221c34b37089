"""Options that verbs share, the types of their values, and those that choose among rollouts."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from enum import StrEnum
from functools import wraps
from math import isnan
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import click
from msgspec.structs import fields

from controller.cli.call import CommandContext, Result, policy_name, report
from controller.core.notice_rules import ConditionKind
from controller.core.rollout import Phase
from controller.core.units import format_duration, parse_duration
from controller.errors import UsageError
from controller.operations.overview import RolloutFilter
from controller.process import settings

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
Value = TypeVar("Value")

# Enough for a written reason, and short enough for a history entry and a terminal.
MAX_CHARACTERS: Final = 500
# Longer than any rollout, and far from what a date can hold.
_LONGEST: Final = timedelta(days=365)


class Parsed(click.ParamType[Value], Generic[Value]):
    """What `parse` makes of a text; its ValueError or UsageError says what is wrong with the text.

    name: what the value is called where it has no metavar.
    """

    def __init__(self, name: str, parse: Callable[[str], Value]) -> None:
        self.name, self._parse = name, parse

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Value:
        try:
            return self._parse(value)
        except (ValueError, UsageError) as error:
            self.fail(str(error), param, ctx)


def _duration(text: str) -> timedelta:
    """Return a length of time as policies write it: 90s, 10m, 1h."""
    length = parse_duration(text)
    if length <= timedelta():
        raise ValueError("must be longer than nothing")
    if length > _LONGEST:
        raise ValueError(f"must be at most {format_duration(_LONGEST)}, not {text}")
    return length


def _reports_place(text: str) -> str:
    """Return the folder of reports that a page links: a URL, or a path relative to the page."""
    place = settings.one_line(text)
    if not place.startswith("https://") and (not place or ":" in place or place.startswith("/")):
        raise ValueError(f"expected an https:// URL or a path relative to the page, not {place!r}")
    return place


def _one_line_text(text: str) -> str:
    """Return free text of an operator as one printable line, safe in histories and on terminals.

    Line breaks become spaces, unprintable characters become visible escapes, and blank text becomes
    empty.
    """
    line = settings.one_line(text)
    if len(line) > MAX_CHARACTERS:
        raise ValueError(f"has {len(line)} characters; at most {MAX_CHARACTERS} fit")
    return line


def _exact_text(text: str) -> str:
    """Return text that programs compare: never changed, and refused unless it is one such line."""
    if text != _one_line_text(text):
        raise ValueError("must be one printable line, without spaces around it")
    return text


DURATION: Final = Parsed("duration", _duration)
PAGE_PLACE: Final = Parsed("place", settings.parse_page_place)  # a file, or an object in S3
REPORTS_PLACE: Final = Parsed("reports", _reports_place)
ONE_LINE_TEXT: Final = Parsed("text", _one_line_text)
EXACT_TEXT: Final = Parsed("text", _exact_text)


class Weight(click.ParamType[int]):
    """A whole percent of requests, from 0 to 100; with or without its sign."""

    name = "weight"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        digits = str(value).removesuffix("%").rstrip()
        if not (digits.isascii() and digits.isdecimal() and int(digits[:4]) <= 100):
            raise UsageError(f"weight: expected a whole percent from 1 to 100, not {value!r}")
        return int(digits)


class RequestRate(click.FloatRange):
    """A number of requests a minute: above 0, at most 1e9."""

    name = "number"

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True, max=1e9)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        rate: float = super().convert(value, param, ctx)
        if isnan(rate):
            self.fail("must be a number", param, ctx)
        return rate


CANARY_VERSION: Final = click.option(
    "--version",
    type=EXACT_TEXT,
    help="Of a target with versions: the one that is the canary; default: the newest published.",
)

DESPITE: Final = click.option(
    "--despite", metavar="CHECK", type=ONE_LINE_TEXT, multiple=True,
    help="Start although this check fails. Needs --reason; may be given more than once.",
)  # fmt: skip
FIX: Final = click.option(
    "--fix", is_flag=True,
    help="Start the fix of an incident: what is red already does not gate until it has been green "
    "once.",
)  # fmt: skip
START_REASON: Final = click.option(
    "--reason", type=ONE_LINE_TEXT, default="",
    help="Why --despite passes the check, or why it is a --fix; recorded in the history.",
)  # fmt: skip

# The options of `CommandContext`, by the name that a verb takes them by.
SHARED: Final[dict[str, Callable[[Any], Any]]] = {
    "by": click.option(
        "--by", type=ONE_LINE_TEXT, metavar="NAME",
        help="Who runs this, for the history. Default: ROLLOUTCTL_BY, who started the CI job, the "
        "AWS caller, or the user.",
    ),
    "store": click.option(
        "--store", "store_url", metavar="URL",
        help="Where rollouts are kept: sqlite:///FILE or dynamodb://TABLE. Default: "
        "ROLLOUTCTL_STORE, or a file under the user's state directory.",
    ),
    "dry-run": click.option(
        "--dry-run", is_flag=True, help="Read everything, write nothing, show what would be done."
    ),
    "markdown": click.option(
        "--markdown", is_flag=True, help="Print Markdown: for the summary of a CI job."
    ),
    "junit": click.option(
        "--junit", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
        help="Write the gates to FILE, too: a suite for each step, a case for each criterion.",
    ),
    "json": click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
    "verbose": click.option(
        "-v", "--verbose", is_flag=True,
        help="On a terminal, show every log line, not only warnings and errors.",
    ),
}  # fmt: skip
_OF_CALL: Final = frozenset(field.name for field in fields(CommandContext))


def call_options(*names: str) -> Callable[[Callable[..., Result]], Callable[..., int]]:
    """Return a decorator that adds these options and --verbose to a verb, and prints its result.

    The verb gets its `CommandContext` as the first argument.
    """

    def decorate(verb: Callable[..., Result]) -> Callable[..., int]:
        @wraps(verb)
        def invoke(**given: Any) -> int:
            call = CommandContext(**{name: given.pop(name) for name in _OF_CALL & given.keys()})
            return report(verb(call, **given), call)

        for name in reversed([*names, "verbose"]):
            invoke = SHARED[name](invoke)
        return invoke

    return decorate


tick_interval = click.option(
    "--interval", type=DURATION, default="1m", show_default=True, help="Time between ticks."
)


def report_option(subject: str) -> Callable[[Decorated], Decorated]:
    """Return the option `--report` of a verb that can write a page about `subject`."""
    return click.option(
        "--report", "report_place", type=PAGE_PLACE, metavar="FILE",
        help=f"Write the report of the {subject} to FILE, too: one HTML page.",
    )  # fmt: skip


# --- Which rollouts -------------------------------------------------------------------------------

_Word = TypeVar("_Word", bound=StrEnum)


def words(known: type[_Word], noun: str) -> Parsed[frozenset[_Word]]:
    """Return the type of some words of a list, with commas between them: paused,succeeded."""

    def parse(text: str) -> frozenset[_Word]:
        given = [one.strip() for one in text.split(",")]
        if unknown := [word for word in given if word not in list(known)]:
            raise ValueError(f"no {noun} is called {unknown[0]!r}; known: {', '.join(known)}")
        return frozenset(map(known, given))

    return Parsed(f"{noun}s", parse)


PHASES: Final = words(Phase, "phase")

_OPTIONS: Final = (
    click.option(
        "--name", "names", multiple=True, metavar="NAME,NAME",
        help="Only rollouts of these policies; * stands for any characters.",
    ),
    click.option("--phase", "phases", type=PHASES, metavar="PHASE,PHASE",
        help="Only rollouts in one of these phases.",
    ),
    click.option(
        "--condition", "conditions", type=words(ConditionKind, "condition"),
        metavar="KIND,KIND",
        help=f"Only rollouts with one of these conditions: {', '.join(ConditionKind)}.",
    ),
)  # fmt: skip


def filter_options(command: Decorated) -> Callable[..., Any]:
    """Add --name, --phase and --condition; the command gets them as `wanted`."""

    @wraps(command)
    def invoke(
        *values: Any,
        names: Sequence[str],
        phases: frozenset[Phase] | None,
        conditions: frozenset[ConditionKind] | None,
        **named: Any,
    ) -> Any:
        patterns = [one.strip() for value in names for one in value.split(",")]
        wanted = RolloutFilter(
            tuple(policy_name(one) for one in patterns if one),
            phases or frozenset(),
            conditions or frozenset(),
        )
        return command(*values, wanted=wanted, **named)

    decorated: Callable[..., Any] = invoke
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated
