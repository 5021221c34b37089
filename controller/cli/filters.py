"""Options that choose among the rollouts of a store: by name, phase and condition."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import wraps
from typing import Any, Final, TypeVar

import click

from controller.cli import options
from controller.cli.call import policy_name
from controller.core.notice_rules import ConditionKind
from controller.core.rollout import Phase
from controller.operations.overview import RolloutFilter

_Word = TypeVar("_Word", bound=StrEnum)


def words(known: type[_Word], noun: str) -> options.Parsed[frozenset[_Word]]:
    """Return the type of some words of a list, with commas between them: paused,succeeded."""

    def parse(text: str) -> frozenset[_Word]:
        given = [one.strip() for one in text.split(",")]
        if unknown := [word for word in given if word not in list(known)]:
            raise ValueError(f"no {noun} is called {unknown[0]!r}; known: {', '.join(known)}")
        return frozenset(map(known, given))

    return options.Parsed(f"{noun}s", parse)


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


def filter_options(command: options.Decorated) -> Callable[..., Any]:
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
