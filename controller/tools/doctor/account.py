"""Doctor checks of the account: the local clock, and the IAM permissions of a role."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from controller.operations.checks import Check, fail, ok, warn

# --- Clock ----------------------------------------------------------------------------------------

# The Date header has whole seconds, and a response takes some time.
CLOCK_TOLERANCE: Final = timedelta(seconds=5)
# At 30 s, half of each evaluated minute belongs to another minute.
CLOCK_SKEW_LIMIT: Final = timedelta(seconds=30)


def clock_check(local: datetime, aws: datetime | None) -> Check:
    """Return the check of the local clock against that of AWS.

    aws: time of a response; None when no response had a Date header.
    """
    if aws is None:
        return warn("clock", "not checked: no answer of AWS had a date", "run again")
    skew = local - aws
    seconds = abs(skew).total_seconds()
    side = "ahead of" if skew > timedelta() else "behind"
    if abs(skew) <= CLOCK_TOLERANCE:
        return ok("clock", "agrees with the clock of AWS")
    text = f"{seconds:.0f} s {side} that of AWS"
    remedy = "let the time service of this machine run (chrony, NTP), and run again"
    return (
        warn("clock", text, remedy)
        if abs(skew) <= CLOCK_SKEW_LIMIT
        else fail("clock", text, remedy)
    )


# --- Permissions, by IAM's policy simulator -------------------------------------------------------

_SESSION: Final = re.compile(r"arn:([a-z-]+):sts::(\d{12}):assumed-role/([^/]+)/.+")
_ROOT: Final = re.compile(r"arn:[a-z-]+:iam::\d{12}:root")


def principal_of(caller: str) -> str:
    """Return the ARN of the user or role whose policies apply to `caller`; empty: the root user.

    The ARN of a session lacks the path of its role: a role with a path has to be named.
    """
    if _ROOT.fullmatch(caller):
        return ""
    session = _SESSION.fullmatch(caller)
    return caller if session is None else f"arn:{session[1]}:iam::{session[2]}:role/{session[3]}"


def permissions_check(principal: str, decisions: Mapping[tuple[str, str], str]) -> Check:
    """Return the check that `principal` may do every action.

    decisions: the decision of IAM's simulator for each action and resource.
    """
    denied = sorted(
        {action for (action, _), decision in decisions.items() if decision != "allowed"}
    )
    action_count = len({action for action, _ in decisions})
    if not denied:
        text = f"{principal} may do all {action_count} actions of a tick, as IAM simulates it"
        return ok("permissions", text)
    return fail(
        "permissions",
        f"{principal} may not do {', '.join(denied)}",
        "grant it: rolloutctl iam POLICY --for tick prints the policy of that role",
    )


def undetermined_check(reason: str, writes: Sequence[str]) -> Check:
    """Return a warning that permissions are unknown until used.

    reason: why IAM could not simulate them. writes: the actions that are only tried by writing.
    """
    return warn(
        "permissions",
        f"not checked ({reason}): whether {' and '.join(writes)} are allowed shows only when they "
        "are used",
        "compare the role with rolloutctl iam POLICY --for tick",
    )


def root_check() -> Check:
    """Return a warning that permissions were not checked: the root user may do everything."""
    return warn(
        "permissions",
        "not checked: these are credentials of the root user, not of the schedule's role",
        "name the role: --role ARN",
    )
