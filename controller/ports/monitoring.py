"""The CloudFormation stack of a monitored policy, and what AWS reports about it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from controller.immutable import Immutable, field

Template: TypeAlias = Mapping[str, Any]

NO_TEMPLATE: Final[Template] = MappingProxyType({})
# The tag with the name of the policy: the name of a stack alone does not prove whose it is.
TAG: Final = "rolloutctl:policy"


def resource_name(policy: str, criterion: str = "") -> str:
    """Return the name of the stack, dashboard and topic of a policy, or of a criterion's alarm."""
    return "-".join(filter(None, ("rolloutctl", policy, criterion)))


class Change(Immutable):
    """The change of one resource of a stack."""

    action: str
    """What is done: add, modify, replace or remove."""
    id: str
    """Logical id of the resource."""
    kind: str = field(name="type")
    """Type of the resource, such as AWS::CloudWatch::Alarm."""


class Deployed(Immutable):
    """The deployed stack of a policy, compared with what `monitoring deploy` would create now.

    status: of CloudFormation. differing_resources: their logical ids.
    topic: the ARN of the stack's topic; empty where it has none.
    """

    status: str
    differing_resources: tuple[str, ...]
    topic: str

    @property
    def sound(self) -> bool:
        """Whether the last operation on the stack succeeded."""
        return self.status in ("CREATE_COMPLETE", "UPDATE_COMPLETE")


class Subscription(Immutable):
    """A subscription to a topic. address: an e-mail address, or the protocol of any other kind."""

    address: str
    confirmed: bool
