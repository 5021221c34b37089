"""Values of monitoring that cross the border to the account."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeAlias

Template: TypeAlias = Mapping[str, Any]


NO_TEMPLATE: Final[Template] = MappingProxyType({})


# On the stack, whose name alone proves nothing: the name of its policy.
TAG: Final = "rolloutctl:policy"


def name_of(policy: str, criterion: str = "") -> str:
    """Return what the stack, the dashboard and the topic of a policy are called, or an alarm."""
    return "-".join(filter(None, ("rolloutctl", policy, criterion)))


@dataclass(frozen=True, slots=True)
class Change:
    """What a change set would do to one resource of the stack.

    action: add, modify, replace or remove. id: its logical id. kind: like AWS::CloudWatch::Alarm.
    """

    action: str
    id: str
    kind: str


@dataclass(frozen=True, slots=True)
class Deployed:
    """The stack of a policy, beside what `monitoring deploy` would make now.

    differing: the logical ids of the resources that differ. topic: the ARN of its topic; empty
    where it has none.
    """

    status: str
    differing: tuple[str, ...]
    topic: str

    @property
    def sound(self) -> bool:
        """Whether the last operation on the stack went well."""
        return self.status in ("CREATE_COMPLETE", "UPDATE_COMPLETE")


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription of a topic. address: an e-mail address, or the protocol."""

    address: str
    confirmed: bool
