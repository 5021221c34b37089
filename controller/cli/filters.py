"""Options that choose among the rollouts of a store: by name, phase and condition."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import wraps
from typing import Any, Final, Generic, TypeVar

import click

from controller.cli.call import policy_name
from controller.cli.options import Decorated
from controller.core.notice_rules import ConditionKind
from controller.core.rollout import Phase
from controller.operations.overview import RolloutFilter

_Word = TypeVar("_Word", bound=StrEnum)


class Words(click.ParamType[frozenset[_Word]], Generic[_Word]):
    """Some words of a list, with commas between them: paused,succeeded."""

    def __init__(self, known: type[_Word], noun: str) -> None:
        self._known, self._noun, self.name = known, noun, f"{noun}s"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> frozenset[_Word]:
        words = [one.strip() for one in value.split(",")]
        if unknown := [word for word in words if word not in list(self._known)]:
            known = ", ".join(self._known)
            self.fail(f"no {self._noun} is called {unknown[0]!r}; known: {known}", param, ctx)
        return frozenset(map(self._known, words))


PHASES: Final = Words(Phase, "phase")

_OPTIONS: Final = (
    click.option(
        "--name", "names", multiple=True, metavar="NAME,NAME",
        help="Only rollouts of these policies; * stands for any characters.",
    ),
    click.option("--phase", "phases", type=PHASES, metavar="PHASE,PHASE",
        help="Only rollouts in one of these phases.",
    ),
    click.option(
        "--condition", "conditions", type=Words(ConditionKind, "condition"),
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
