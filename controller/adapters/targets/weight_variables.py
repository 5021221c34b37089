"""The two environment variables of a weight: a percentage, and a boolean that is true at 100."""

import json
import re
from collections.abc import Mapping
from typing import Final

from controller.immutable import Immutable

# Lambda's limit for an environment as JSON, in bytes; a quota that AWS does not raise.
ENVIRONMENT_BYTES: Final = 4_096

_PERCENTAGE = re.compile(r"0|[1-9][0-9]?|100")
# Values that can be meant as a percentage or a boolean, so they are no secret.
_NUMBER = re.compile(r"\s*[+-]?[0-9]+([.,][0-9]*)?\s*%?\s*")
_FLAG = re.compile(r"\s*(true|false)\s*", re.I)
_SHOWN = re.compile(r"\s*([+-]?[0-9]{0,4}[.,]?[0-9]{0,4}\s*%?|true|false|yes|no|on|off)\s*", re.I)


class Pair(Immutable):
    """The names of the two variables; `boolean` is None when the application has no boolean."""

    percentage: str
    boolean: str | None

    def weight(self, variables: Mapping[str, str]) -> int | None:
        """Return the weight that both variables express; None when they contradict each other.

        A missing percentage is 100 when the boolean is true, else 0. The boolean must be true
        exactly at 100.
        """
        flag = self._flag(variables)
        text = variables.get(self.percentage)
        if flag is None:
            return None
        if text is None:
            return 100 if flag else 0
        if _PERCENTAGE.fullmatch(text) is None:
            return None
        weight = int(text)
        agrees = self.boolean is None or flag == (weight == 100)
        return weight if agrees else None

    def may_be_full(self, variables: Mapping[str, str]) -> bool:
        """Tell whether a contradictory pair has a boolean that an application may read as true."""
        return self.weight(variables) is None and self._flag(variables) is not False

    def merged(self, variables: Mapping[str, str], weight: int) -> dict[str, str]:
        """Return `variables` with the pair set to `weight` and every other one as it was."""
        merged = {**variables, self.percentage: str(weight)}
        if self.boolean is not None:
            merged[self.boolean] = "true" if weight == 100 else "false"
        return merged

    def shown(self, variables: Mapping[str, str]) -> str:
        """Return the current variables of the pair, and no others, as text.

        A value that is no percentage or boolean is masked, except for its length: the name may be
        mistaken, and the value a secret.
        """
        return ", ".join(
            f"{name}={_masked(variables[name])}" if name in variables else f"{name} is not set"
            for name in self._names()
        )

    def foreign_values(self, variables: Mapping[str, str]) -> list[str]:
        """Return the variables of the pair whose values are no percentage and no boolean."""
        return [name for name in self._names() if not _SHOWN.fullmatch(variables.get(name, ""))]

    def type_mismatches(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Return the set variables with a value of the wrong type, or outside of 0 to 100.

        By name, with the value (masked) and what is expected in words.
        """
        types = {self.percentage: (_NUMBER, "a number")}
        if self.boolean is not None:
            types[self.boolean] = (_FLAG, "a boolean")
        mismatches = {
            name: f"{_masked(variables[name]) or 'nothing'} where {kind} is expected"
            for name, (pattern, kind) in types.items()
            if name in variables and not pattern.fullmatch(variables[name])
        }
        number = _number(variables.get(self.percentage, ""))
        if number is not None and not 0 <= number <= 100:
            value = _masked(variables[self.percentage])
            mismatches[self.percentage] = f"{value} where a number from 0 to 100 is expected"
        return mismatches

    def contradiction(self, variables: Mapping[str, str]) -> str:
        """Return how two set variables contradict each other, in words; empty: they do not."""
        number, flag = _number(variables.get(self.percentage, "")), self._flag(variables)
        if number is None or self.boolean not in variables or flag in (None, number == 100):
            return ""
        return f"{self.boolean} is {str(flag).lower()} where {self.percentage} is {number:g}"

    def _names(self) -> list[str]:
        return [self.percentage] if self.boolean is None else [self.percentage, self.boolean]

    def _flag(self, variables: Mapping[str, str]) -> bool | None:
        """Return the boolean; None for a value that applications read differently."""
        text = "" if self.boolean is None else variables.get(self.boolean, "")
        if text == "true":
            return True
        return False if text.lower() in ("", "false") else None


def _number(text: str) -> float | None:
    """Return the number in `text`, however it is spelt; None where there is none."""
    if not _NUMBER.fullmatch(text):
        return None
    return float(text.strip().rstrip("%").replace(",", "."))


def _masked(value: str) -> str:
    return value if _SHOWN.fullmatch(value) else f"({len(value)} characters, not shown)"


def environment_bytes(variables: Mapping[str, str], *, escaped: bool = False) -> int:
    """Return the size of an environment as Lambda measures it: as JSON without spaces.

    escaped: characters outside ASCII as JSON may spell them. Which way Lambda does is not known.
    """
    text = json.dumps(variables, ensure_ascii=escaped, separators=(",", ":"))
    return len(text.encode())
