"""Doctor check of the list of recipients: whether a forged record could use this policy's."""

from collections.abc import Iterator

from controller.core.policy import Policy
from controller.core.policy.notify import Recipient
from controller.core.recipients import RecipientList, resources_of
from controller.operations.checks import Check, fail, ok, warn


def recipients_check(policy: Policy, listed: RecipientList | None) -> Check | None:
    """Return the check of what `policy` sends to; None where it sends nothing."""
    used = list(dict.fromkeys(one for each in _recipients(policy) for one in resources_of(each)))
    if not used:
        return None
    if listed is None:
        return warn(
            "recipients",
            "the store has no list of them: a role that may write one record can make a tick send "
            f"wherever the tick may, also to {', '.join(used)}",
            f"list what each policy may use, here {policy.name}: [{', '.join(used)}]; then "
            "rolloutctl store recipients --set FILE",
        )
    if withheld := listed.withheld(policy.name, used):
        return fail(
            "recipients",
            f"the list in the store does not give {policy.name} {', '.join(withheld)}: nothing is "
            "sent there",
            "add it to the list: rolloutctl store recipients --set FILE",
        )
    return ok("recipients", f"the list in the store gives {policy.name} all that it uses")


def _recipients(policy: Policy) -> Iterator[Recipient]:
    yield from policy.notify or ()
    if policy.hooks is not None:
        yield from (hook for _, hook in policy.hooks.all())
