"""Messages that a rollout sends, and the list of recipients: who may get them, and be called.

The list says which resources each policy name may use to send and to call hooks.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Final

from controller.core.policy.field_types import AwsLocation
from controller.core.policy.notify import MissingChannel, Recipient
from controller.core.policy.sources import SourceSpec
from controller.core.units import AwareTime, Count, Weight
from controller.immutable import Immutable

# How long the delivery of a message is retried, tick by tick; after that it is given up.
DELIVERY_TIMEOUT: Final = timedelta(hours=1)
# The kind of a message that tries a channel: it is about no rollout.
TEST: Final = "test"


class Severity(StrEnum):
    """The urgency of a notice: critical pages the on-call engineer."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Message(Immutable):
    """One notice in delivery. The state keeps it until every recipient has it.

    key: the same each time the message is sent, so that a receiver can detect a duplicate.
    kind, phase and reason: as words. kind: the event, mostly the kind of the history
    entry. weight: the weight asked for at that moment; during a rollback, the weight still live.
    recipients: addresses that have not received it yet. attempts: the ticks that tried.
    run: the run of the program that decided it; its log and its history entry have that id, too.
    """

    key: str
    at: AwareTime
    severity: Severity
    kind: str
    text: str
    phase: str
    weight: Weight
    step: Count
    reason: str
    recipients: tuple[str, ...] = ()
    attempts: Count = 0
    run: str = ""


# --- Recipients -----------------------------------------------------------------------------------

# The key of the resources that every policy may use; no policy has this name.
ANY_POLICY: Final = "*"

# An ARN of it has no partition, account and region: the policy names the resource without them.
_HERE: Final = AwsLocation("", "", "")
_HERE_PREFIX: Final = "arn::"


class RecipientList(Immutable):
    """The resources that policies may use. allowed: by the name of the policy, or `ANY_POLICY`."""

    allowed: Mapping[str, tuple[str, ...]]

    def withheld(self, name: str, resources: Iterable[str]) -> list[str]:
        """Return those of `resources` that the policy called `name` may not use."""
        allowed = {*self.allowed.get(name, ()), *self.allowed.get(ANY_POLICY, ())}
        return [resource for resource in resources if resource not in allowed]


def resources_of(recipient: Recipient | SourceSpec) -> tuple[str, ...]:
    """Return the resources that a channel, a hook or a source of metrics uses, as the list spells.

    A source that sends no secret uses none; one that does also uses its host, like
    `prometheus:metrics.example.com`, because the host gets the secret.
    These are the ARNs that its kind declares, its secret, and a destination that neither names. An
    ARN is spelt as in the policy; of a resource that the policy names without an ARN it is the
    service and the resource, like `lambda:function:gate`. A kind that declares none of this is
    listed by its name, like `kind:pager`.
    Nothing for a kind that is not installed: it cannot be used.
    """
    if isinstance(recipient, MissingChannel):
        return ()
    if isinstance(recipient, SourceSpec) and recipient.secret_reference is None:
        return ()
    arns = [arn for arns in recipient.arns(_HERE).values() for arn in arns]
    reference = recipient.secret_reference
    if reference is not None and reference.secret is not None:
        arns.append(_HERE.full_arn(reference.secret, "secretsmanager", "secret:{}"))
    elif reference is not None and reference.parameter is not None:
        arns.append(reference.parameter_arn(_HERE))
    elif reference is not None:
        arns.append(f"environment:{reference.environment}")
    if isinstance(recipient, SourceSpec):
        arns.append(f"{recipient.kind}:{recipient.host}")
    elif recipient.destination:
        arns.append(recipient.destination)
    return tuple(dict.fromkeys(map(_spelling, arns))) or (f"kind:{recipient.kind}",)


def _spelling(arn: str) -> str:
    parts = arn.split(":", 5)
    is_here = arn.startswith(_HERE_PREFIX) and len(parts) == 6
    return f"{parts[2]}:{parts[5]}" if is_here else arn
