"""The formats of stored rollouts: which ones this version reads, and what each has added.

A new format only adds fields, each with a default that means what a rollout without it did. At that
default a field is left out, so a rollout that uses nothing new looks the same in both formats.

A rollout keeps the format in which it was started, and has no field of a later one: versions that
read it can take turns. `store upgrade` changes the format of the store, for new rollouts, and of
the active rollouts in it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from controller.immutable import Immutable

OLDEST: Final = 1
NEWEST = 2  # not Final: tests lower it, to run as the version before


class AddedField(Immutable):
    """A field that may be missing from the stored state.

    since: the format that added it. default: what it is when it is missing, as JSON.
    """

    since: int
    default: object = None


# By path. Fields of the first format are here for the room that they take in every save.
STATE_FIELDS: Final[Mapping[str, AddedField]] = {
    "due": AddedField(1),
    "evidence.fix": AddedField(1),
    "threads": AddedField(2, {}),
    "code": AddedField(2, ""),
}
# What a policy may have since a later format than the first. `*` is any key or item, and the last
# part of a path may be a value: `notify.*.kind.pagerduty`.
POLICY_FIELDS: Final[Mapping[str, int]] = {
    "notify.*.kind.slack-bot": 2,
    "notify.*.kind.pagerduty": 2,
    "notify.*.*.parameter": 2,
    "hooks.*.*.secret.parameter": 2,
    "metrics.*.source.*.parameter": 2,
}


def written_format(stored_format: int) -> int:
    """Return the format of new rollouts in a store that has `stored_format`.

    That is the one before the newest at least, which the version before this one also writes.
    """
    return max(stored_format, NEWEST - 1, OLDEST)


def unreadable_text(stored_format: int) -> str:
    """Return why this version does not read `stored_format`, after "it is"; empty: it does."""
    if OLDEST <= stored_format <= NEWEST:
        return ""
    whose = "a newer" if stored_format > NEWEST else "an older"
    numbers = " and ".join(str(number) for number in range(OLDEST, NEWEST + 1))
    return (
        f"stored by {whose} version of rolloutctl (format {stored_format}); this version reads "
        f"{numbers}"
    )


def fields_since(stored_format: int) -> list[str]:
    """Return the names of what a rollout and a policy may have since `stored_format`."""
    state = [path for path, added in STATE_FIELDS.items() if added.since == stored_format]
    policy = [path for path, since in POLICY_FIELDS.items() if since == stored_format]
    return list(dict.fromkeys(path.rpartition(".")[2] for path in state + policy))


def may_have(stored_format: int, field: str) -> bool:
    """Tell whether a rollout of `stored_format` can store `field`, a path in `STATE_FIELDS`."""
    return STATE_FIELDS[field].since <= stored_format


def newer_state_field(state: Mapping[str, Any], stored_format: int) -> str:
    """Return the first field in `state` that its format does not have yet; empty: it has all."""
    newer = (
        path
        for path, added in STATE_FIELDS.items()
        if added.since > stored_format and _has(state, path.split("."))
    )
    return next(newer, "")


def newer_policy_fields(policy: Mapping[str, Any], stored_format: int) -> dict[str, int]:
    """Return what `policy` has that `stored_format` does not: the format of each, by its path."""
    return {
        path: since
        for path, since in POLICY_FIELDS.items()
        if since > stored_format and _has(policy, path.split("."))
    }


def _has(data: Any, path: Sequence[str]) -> bool:
    """Tell whether `data` has anything at `path`."""
    if not path:
        return True
    name, *rest = path
    if isinstance(data, list):
        data = dict(enumerate(data))
    if isinstance(data, Mapping):
        parts = data.values() if name == "*" else [data[name]] if name in data else []
        return any(_has(part, rest) for part in parts)
    return not rest and data == name
