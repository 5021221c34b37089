"""A test message to each channel of a policy. It is about no rollout."""

from collections.abc import Iterator
from datetime import datetime

from controller.core.message import TEST, Message, Severity
from controller.core.policy import Channel, Policy
from controller.core.rollout import Pending, Progressing, Reason, Rollout
from controller.core.units import clock_text
from controller.operations.checks import Check, fail, ok, warn
from controller.ports.notify import ChannelNotifier

NO_ROLLOUT = "none"  # the phase that a test message names


def channel_tests(
    policy: Policy, severity: Severity, notifier: ChannelNotifier, now: datetime, by: str
) -> Iterator[Check]:
    """Send a test message to each channel of `policy` that takes `severity`.

    Yields a check for each channel. by: who sends it.
    """
    rollout, message = _no_rollout(policy, now), _test_message(policy, severity, now, by)
    for channel in policy.notify or ():
        yield _test(channel, rollout, message, notifier)
    if not policy.notify:
        yield fail("channels", "the policy has none: messages are only logged", "add `notify`")


def _test(channel: Channel, rollout: Rollout, message: Message, notifier: ChannelNotifier) -> Check:
    what, least = channel.display_name, channel.min_severity
    if not Channel.takes(channel, message.severity):  # an info that only resolves is none here
        worse = " only" if least == "critical" else " and worse"
        return warn(what, f"nothing was sent: it takes {least}{worse}", f"--test-message {least}")
    try:
        notifier.deliver(channel, rollout, message)
    except Exception as error:  # noqa: BLE001 - whatever a channel raises is its result
        return fail(what, str(error), "until it is repaired, no message arrives there")
    return ok(what, f"took the test message of {clock_text(message.at)}; see whether it arrived")


def _test_message(policy: Policy, severity: Severity, now: datetime, by: str) -> Message:
    return Message(
        key=f"{policy.name}:{TEST}:{now.isoformat()}",
        at=now,
        severity=severity,
        kind=TEST,
        text=f"TEST of the channels of {policy.name}: nothing happened, and nothing has to be "
        f"done. Sent by {by} with rolloutctl doctor.",
        phase=NO_ROLLOUT,
        weight=0,
        step=0,
        reason=TEST,
    )


def _no_rollout(policy: Policy, now: datetime) -> Rollout:
    """Return what channels take the name and the target of a message from: attempt 0 of none."""
    first = policy.steps[0].weight
    nothing = Pending(step=0, weight=first, previous=0, token="", decided=now)
    return Rollout(
        id=f"{policy.name}#0",
        revision="",
        policy=policy,
        digest="",
        target=policy.target.name,
        state=Progressing(since=now, reason=Reason.STARTED, sentence="", position=nothing),
        created=now,
        updated=now,
    )
