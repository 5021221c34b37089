"""Whether a role may do what its job asks for, as far as that can be known without doing it."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from controller.core.checks import Check, fail, ok, warn

_SESSION: Final = re.compile(r"arn:([a-z-]+):sts::(\d{12}):assumed-role/([^/]+)/.+")
_ROOT: Final = re.compile(r"arn:[a-z-]+:iam::\d{12}:root")


def principal_of(caller: str) -> str:
    """Return the user or the role whose policies count for `caller`; empty for the root user.

    The ARN of a session does not have the path of its role: such a role has to be named.
    """
    if _ROOT.fullmatch(caller):
        return ""
    session = _SESSION.fullmatch(caller)
    return caller if session is None else f"arn:{session[1]}:iam::{session[2]}:role/{session[3]}"


def permissions_check(principal: str, decisions: Mapping[tuple[str, str], str]) -> Check:
    """Return whether `principal` may do everything.

    decisions: what IAM's simulator says of each action on each resource.
    """
    denied = sorted({action for (action, _), said in decisions.items() if said != "allowed"})
    asked = len({action for action, _ in decisions})
    if not denied:
        text = f"{principal} may do all {asked} actions of a tick, as IAM simulates it"
        return ok("permissions", text)
    return fail(
        "permissions",
        f"{principal} may not do {', '.join(denied)}",
        "grant it: rolloutctl iam POLICY --for tick prints the policy of that role",
    )


def undetermined_check(why: str, writes: Sequence[str]) -> Check:
    """Return that nobody can tell without writing; why: what kept IAM from being asked."""
    return warn(
        "permissions",
        f"whether {' and '.join(writes)} are allowed shows only when they are done: {why}",
        "compare the role with rolloutctl iam POLICY --for tick",
    )


def root_check() -> Check:
    """Return that nothing was found out: the root user of an account may do everything in it."""
    return warn(
        "permissions",
        "asked as the root user, who may do everything: the role of the schedule is another one",
        "name it: --role ARN",
    )
