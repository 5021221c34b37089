"""The two variables of a weight, as one value: the percentage, and a boolean that is true at 100."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from controller.errors import WriteRefusedError

# Lambda's limit for all names and values together; it cannot be raised.
ENVIRONMENT_BYTES: Final = 4_096

_PERCENTAGE = re.compile(r"0|[1-9]\d?|100")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]+")


@dataclass(frozen=True, slots=True)
class Pair:
    """The names of the two variables; `boolean` is None where the application has only one."""

    percentage: str
    boolean: str | None

    def weight(self, variables: Mapping[str, str]) -> int | None:
        """Return the weight that `variables` mean together; None when they contradict each other.

        A missing percentage is 100 when the boolean is true, else 0. The boolean must be true
        exactly at 100.
        """
        flag = self._flag(variables)
        text = variables.get(self.percentage)
        if text is None:
            return 100 if flag else 0
        if _PERCENTAGE.fullmatch(text) is None:
            return None
        weight = int(text)
        agrees = self.boolean is None or flag == (weight == 100)
        return weight if agrees else None

    def shown(self, variables: Mapping[str, str]) -> str:
        """Return the variables of the pair as they stand, and no others."""
        names = [self.percentage] if self.boolean is None else [self.percentage, self.boolean]
        return ", ".join(
            f"{name}={variables[name]}" if name in variables else f"{name} is not set"
            for name in names
        )

    def _flag(self, variables: Mapping[str, str]) -> bool:
        return self.boolean is not None and variables.get(self.boolean, "").lower() == "true"


def variables_for(pair: Pair, variables: Mapping[str, str], weight: int) -> dict[str, str]:
    """Return `variables` with the pair set to `weight` and every other one as it was."""
    wanted = {**variables, pair.percentage: str(weight)}
    if pair.boolean is not None:
        wanted[pair.boolean] = "true" if weight == 100 else "false"
    return wanted


def fits(function: str, variables: Mapping[str, str]) -> None:
    """Raise WriteRefusedError when Lambda would not take `variables` as an environment."""
    size = sum(len(name.encode()) + len(value.encode()) for name, value in variables.items())
    if size > ENVIRONMENT_BYTES:
        raise WriteRefusedError(
            f"the environment of {function} would have {size} bytes, {ENVIRONMENT_BYTES} are "
            "allowed; nothing was written: make room for the two variables of the weight",
            size_bytes=size,
        )
    wrong = [name for name in variables if _NAME.fullmatch(name) is None]
    if wrong:
        raise WriteRefusedError(
            f"the environment of {function} has names that Lambda refuses: {', '.join(wrong)}; "
            "nothing was written",
        )
