"""What an account has before there is a policy: functions, and variables that may hold a weight."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from controller.immutable import Immutable


class FunctionList(Immutable):
    """The names of the functions of an account, in one region, in alphabetical order.

    complete: False when the account has more functions than were read.
    """

    names: Sequence[str]
    complete: bool = True


class FunctionVariables(Immutable):
    """The environment variables of a function, without a value that may be a secret.

    percentages, booleans: the variables with a whole number from 0 to 100, and with true or false,
    and their values. names: of all variables.
    """

    percentages: Mapping[str, str]
    booleans: Mapping[str, str]
    names: Sequence[str]


class Inventory(Protocol):
    """Lists what an account has."""

    def functions(self) -> FunctionList:
        """Return the functions. Raises TargetError when Lambda does not list them."""
        ...

    def variables(self, function: str) -> FunctionVariables:
        """Return the variables of a function.

        Raises TargetError when there is no such function, or its environment cannot be read.
        """
        ...
