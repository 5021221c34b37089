"""Rollouts and history entries as JSON text, the same for every store.

The policy snapshot is text of its own: it never changes during a rollout, so a save need not write
it again and a load need not parse it again.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache, reduce
from operator import getitem
from typing import Any, Final, TypeAlias

import msgspec
from msgspec.structs import asdict
from pydantic import ValidationError

from controller.core import stored_formats
from controller.core.history import Entry, SnapshotChangedError
from controller.core.judge.findings import Label
from controller.core.notice_rules import ConditionKind
from controller.core.policy import Policy
from controller.core.policy.criteria.traffic import BurnRate
from controller.core.policy.kind_registry import STORED
from controller.core.policy.model import digest_of
from controller.core.rollout import Pending, Phase, Progressing, Rollout
from controller.core.units import MAX_INTEGER, MAX_TIME, MIN_TIME, MINUTE_S
from controller.errors import StoreError
from controller.immutable import Immutable, convert, fields_of, plain_data

# --- Relations between fields ---------------------------------------------------------------------

_Rule: TypeAlias = tuple[str, Callable[[Rollout], bool]]


def first_contradiction(rollout: Rollout) -> str:
    """Return the first field that contradicts another one, and how; empty when none does."""
    problems = (text for text, holds in _RULES if not holds(rollout))
    return next(problems, "") or _first_wrong_time(rollout)


def _has_step(rollout: Rollout, step: int) -> bool:
    return step < len(rollout.policy.steps)


def _first_wrong_time(rollout: Rollout) -> str:
    """Return the first time that cannot be, and why; empty when there is none."""
    past = list(_past_times(rollout))
    others = [
        ("updated", rollout.updated),
        ("due", rollout.due),
        ("exposed_to", rollout.exposed_to),
        ("state.watch_until", rollout.watch_until),
        *((f"outbox.{number}.at", one.at) for number, one in enumerate(rollout.outbox)),
    ]
    for path, moment in (*past, *others):
        if moment is not None and not MIN_TIME <= moment <= MAX_TIME:
            return f"{path}: the year is not between {MIN_TIME.year} and {MAX_TIME.year}"
    for path, moment in past:
        if moment is not None and moment > rollout.updated:
            return f"{path}: it is after the newest time of the rollout (updated)"
        if moment is not None and moment < rollout.created:
            return f"{path}: it is before created"
    return ""


def _past_times(rollout: Rollout) -> Iterator[tuple[str, datetime | None]]:
    """Yield the place and value of each time that was recorded when it was over."""
    yield "created", rollout.created
    yield "state.since", rollout.since
    if isinstance(rollout.state, Progressing):
        yield "state.hold_from", rollout.state.hold_from
    if (use := rollout.stable_use) is not None:
        yield "state.stable_use.read", use.read
    position = rollout.position
    if isinstance(position, Pending):
        for name in ("decided", "first_look", "tried", "accepted"):
            yield f"state.position.{name}", getattr(position, name)
    if rollout.live is not None:
        place = "state.position.live" if rollout.pending else "state.position"
        yield f"{place}.since", rollout.live.since
    yield "evidence.checkpoint_at", rollout.evidence.checkpoint_at
    for kind, condition in rollout.conditions.items():
        yield f"conditions.{kind}.since", condition.since
        yield f"conditions.{kind}.announced", condition.announced


def _has_past_checkpoint(rollout: Rollout) -> bool:
    now = rollout.updated.timestamp()
    tallies = rollout.evidence.tallies.values()
    return rollout.evidence.fold.through <= now and all(tally.through <= now for tally in tallies)


def _intervals_are_ordered(rollout: Rollout) -> bool:
    """Tell whether no interval ends before it begins.

    An interval may be empty: then it begins with the minute after the one in which it ended.
    """
    return all(interval.end >= interval.begin - MINUTE_S for interval in rollout.evidence.intervals)


def _is_fix_of_policy(rollout: Rollout) -> bool:
    fix = rollout.evidence.fix
    return fix is None or fix.green.keys() <= fix.red.keys() <= rollout.policy.criteria.keys()


_RULES: Final[Sequence[_Rule]] = (
    ("state.step: the policy has no such step", lambda one: _has_step(one, one.step)),
    ("state.live: the policy has no such step", lambda one: _has_step(one, one.judged_step)),
    ("approved: the policy has no such step", lambda one: _has_step(one, one.approved)),
    (
        "evidence.intervals: the policy has no such step",
        lambda one: all(_has_step(one, interval.step) for interval in one.evidence.intervals),
    ),
    ("evidence.intervals: one ends before it begins", _intervals_are_ordered),
    ("updated: the checkpoint has minutes after it", _has_past_checkpoint),
    (
        "evidence.sign_offs: the policy has no such criterion",
        lambda one: one.evidence.sign_offs.keys() <= frozenset(one.policy.criteria),
    ),
    ("evidence.fix: the policy has no such criterion", _is_fix_of_policy),
    (
        "conditions: the phase is paused, and they do not say so",
        lambda one: one.phase is not Phase.PAUSED or ConditionKind.PAUSED in one.conditions,
    ),
    (
        "state.step: the phase is succeeded, and this is not the last step",
        lambda one: one.phase is not Phase.SUCCEEDED or one.is_last_step,
    ),
    ("evidence.label: it is unknown", lambda one: one.evidence.label in ("", *Label)),
)


# --- Reading and writing --------------------------------------------------------------------------

# No decision is made from a damaged record: it cannot be trusted. A rollback by function and
# variable names needs no store.
_ADVICE = (
    "traffic was not touched; restore the store from a backup, "
    "or roll back by function and variable names"
)


class TextLimits(Immutable):
    """What one stored text may have; it is looked at before it is parsed, and before it is written.

    size: bytes. objects, lists, values: how many; one that is parsed takes many times its
    characters, and a value of a policy that does not fit a kilobyte more.
    """

    size: int
    objects: int
    lists: int
    values: int

    def excess(self, text: str) -> str:
        """Return what `text` has too much of; empty when it fits."""
        size = len(text) if text.isascii() else len(text.encode())
        counts = (size, text.count("{"), text.count("["), text.count(","))
        for (name, most), number in zip(asdict(self).items(), counts, strict=True):
            if number > most:
                return f"{name}: {number:,}, and {most:,} is the limit"
        return ""


# A state of 250 criteria, and a policy of as many, have about half of this.
STATE_LIMITS: Final = TextLimits(1 << 20, objects=8_000, lists=48_000, values=200_000)
POLICY_LIMITS: Final = TextLimits(1 << 20, objects=10_000, lists=10_000, values=10_000)
# An entry has each datapoint since the one before it, in at most 22 bytes: of 20 metrics and three
# days without a tick, 2 MB. A tick reads the first entry of a rollout at most, which has none.
ENTRY_LIMITS: Final = TextLimits(16 << 20, objects=100_000, lists=800_000, values=2_000_000)
# What a state comes to for each criterion, and for each window that a burn rate looks back over.
_BYTES_OF_CRITERION: Final = 4_096
_BYTES_OF_WINDOW: Final = 24
_MAX_DEPTH: Final = 100  # lists and objects inside each other; this program writes ten at most
_NESTING: Final = (dict, list)
_MAX_INTEGER_LENGTH: Final = len(str(MAX_INTEGER)) + 1  # characters, with a sign
_MAX_MESSAGE_LENGTH: Final = 120  # characters; the damage may be in a name that the message quotes
_AT: Final = " - at `$."  # before the place of an error of msgspec


def dump(rollout: Rollout) -> str:
    """Return the state of `rollout` as JSON text; the snapshot of its policy is stored separately.

    The text is ASCII, whatever bytes a reason contains: a save must not fail on them. Raises
    StoreError for a text that `load` would refuse for its size, as the other two dumps do, and for
    a field that the format of the rollout does not have.
    """
    plain = _plain(rollout)
    if field := stored_formats.newer_state_field(plain, rollout.format):
        raise _format_error(rollout, field, stored_formats.STATE_FIELDS[field].since)
    return _writable(rollout.id, "state", _text(plain), STATE_LIMITS)


def _plain(rollout: Rollout) -> dict[str, Any]:
    fields = fields_of(rollout)
    del fields["policy"]
    plain: dict[str, Any] = plain_data({"schema": fields.pop("schema"), **fields})
    for path, added in stored_formats.STATE_FIELDS.items():
        *parents, name = path.split(".")
        parent = reduce(getitem, parents, plain)
        if parent[name] == added.default:
            del parent[name]
    return plain


def _text(plain: Mapping[str, Any]) -> str:
    # A value that contains itself cannot be here, and looking for one takes a third of the time.
    return json.dumps(plain, check_circular=False, separators=(",", ":"))


def dump_policy(rollout: Rollout) -> str:
    """Return the snapshot of the policy of a new rollout.

    Raises StoreError also for a policy whose state may grow too large in the end.
    """
    policy = rollout.policy
    snapshot = _writable(rollout.id, "policy", policy.snapshot(), POLICY_LIMITS)
    newer = stored_formats.newer_policy_fields(json.loads(snapshot), rollout.format)
    for path, since in newer.items():
        raise _format_error(rollout, path, since)
    burn_rates = [
        criterion for criterion in policy.criteria.values() if isinstance(criterion, BurnRate)
    ]
    windows = sum(max(pair.long for pair in rate.windows) // rate.window for rate in burn_rates)
    room = _BYTES_OF_CRITERION * len(policy.criteria) + _BYTES_OF_WINDOW * windows
    if room > STATE_LIMITS.size:
        raise _size_error(rollout.id, "state", f"its criteria may take {room:,} bytes")
    return snapshot


def load(rollout_id: str, text: object, policy: object) -> Rollout:
    """Return the rollout that `dump` wrote, with the policy of the snapshot `policy`.

    Raises StoreError, naming the rollout, when either is damaged or has a format that this version
    does not read; and SnapshotChangedError, which has the rollout, when the policy is not the one
    of the start.
    """
    record = f"the state of {rollout_id}"
    data = _parse(record, rollout_id, text, STATE_LIMITS)
    _check_format(rollout_id, data)
    if field := stored_formats.newer_state_field(data, data["schema"]):
        problem = f"{field}: format {data['schema']} does not have it"
        raise _damage_error(rollout_id, record, problem)
    snapshot, digest = _snapshot(rollout_id, policy)
    try:
        # The policy is as it was read from its own record.
        rollout = convert({**data, "policy": snapshot}, Rollout, dec_hook=lambda _, policy: policy)
    except msgspec.ValidationError as error:
        raise _damage_error(rollout_id, record, _struct_problem(error)) from error
    # A save writes every field of the first format. A default, or a value in another form, would be
    # a guess.
    if (written := _text(_plain(rollout))) != text and (
        place := _first_difference(data, json.loads(written))
    ):
        problem = f"{place}: it is missing, or not as it is written"
        raise _damage_error(rollout_id, record, problem)
    if rollout.id != rollout_id:
        raise _damage_error(rollout_id, record, "id: it is that of another rollout")
    if problem := first_contradiction(rollout):
        raise _damage_error(rollout_id, record, problem)
    if rollout.digest != digest:
        raise SnapshotChangedError(rollout, digest)
    if snapshot.name != rollout.name:
        raise _damage_error(rollout_id, record, "id: it has another name than the policy")
    return rollout


def dump_entry(rollout_id: str, entry: Entry) -> str:
    """Return the entry as JSON text; loading returns the same body, so the hash stays valid."""
    text = json.dumps(
        {
            "seq": entry.seq,
            "at": entry.at.isoformat(),
            "kind": entry.kind,
            "body": entry.body,
            "previous": entry.previous,
            "hash": entry.hash,
        },
        check_circular=False,
        separators=(",", ":"),
    )
    return _writable(rollout_id, f"entry {entry.seq}", text, ENTRY_LIMITS)


def load_entry(rollout_id: str, text: object) -> Entry:
    """Return the entry that `dump_entry` wrote; its hash is checked by `broken_link`, not here.

    Raises StoreError, naming the rollout, when the text is damaged.
    """
    record = f"an entry in the history of {rollout_id}"
    data = _parse(record, rollout_id, text, ENTRY_LIMITS, _parse_integer)
    try:
        entry = convert(data, Entry)
    except msgspec.ValidationError as error:
        raise _damage_error(rollout_id, record, _struct_problem(error)) from error
    if _is_too_deep(entry.body):
        raise _damage_error(rollout_id, record, "body: it is nested too deeply")
    return entry


def _first_difference(stored: Any, written: Any) -> str:
    """Return the path of the first value that differs, like `state.position.since`; or nothing.

    `stored` is what `written` was made from: it may lack keys, and that is all.
    """
    for key, value in written.items() if isinstance(written, dict) else enumerate(written):
        if isinstance(stored, dict) and key not in stored:
            return str(key)
        if stored[key] != value:
            nested = isinstance(value, dict | list)
            return f"{key}.{_first_difference(stored[key], value)}" if nested else str(key)
    return ""


def _snapshot(rollout_id: str, text: object) -> tuple[Policy, str]:
    """Return the policy that is written in `text`, and the digest of that text."""
    record = f"the policy snapshot of {rollout_id}"
    try:
        return _policy(readable(text, POLICY_LIMITS))
    except ValidationError as error:
        raise _damage_error(rollout_id, record, _first_problem(error)) from error
    except _READ_ERRORS as error:
        raise _damage_error(rollout_id, record, _error_text(error)) from error


@lru_cache(maxsize=64)
def _policy(snapshot: str) -> tuple[Policy, str]:
    return Policy.model_validate_json(snapshot, context=STORED), digest_of(snapshot)


# --- Damaged records ------------------------------------------------------------------------------

# Errors of parsing besides pydantic's ValidationError: a policy validator may meet any value.
_READ_ERRORS: Final = (ValueError, TypeError, ArithmeticError, LookupError, RecursionError)


def _parse(
    record: str,
    rollout_id: str,
    text: object,
    limits: TextLimits,
    integer: Callable[[str], int] | None = None,
) -> dict[str, Any]:
    """Return the JSON object in `text`. Raises StoreError for anything else.

    record: what `text` is, for messages. text: a store may return any type.
    integer: reads the integers; without it, their ranges are left to the schema.
    """
    try:
        data = json.loads(readable(text, limits), parse_int=integer)
    except (ValueError, RecursionError) as error:
        raise _damage_error(rollout_id, record, _error_text(error)) from error
    if not isinstance(data, dict):
        raise _damage_error(rollout_id, record, f"expected an object, not {type(data).__name__}")
    return data


def readable(text: object, limits: TextLimits) -> str:
    """Return `text`, which may be anything. Raises ValueError unless it is Unicode in `limits`."""
    if not isinstance(text, str):
        raise ValueError(f"expected text, not {type(text).__name__}")
    try:
        problem = limits.excess(text)
    except UnicodeEncodeError:
        raise ValueError("it is not UTF-8") from None
    if problem:
        raise ValueError(problem)
    return text


def _writable(rollout_id: str, part: str, text: str, limits: TextLimits) -> str:
    """Return `text`. Raises StoreError where `readable` would refuse it."""
    if problem := limits.excess(text):
        raise _size_error(rollout_id, part, problem)
    return text


def _parse_integer(text: str) -> int:
    """Return the integer. Raises ValueError beyond 2**53: no schema bounds the body of an entry."""
    if len(text) > _MAX_INTEGER_LENGTH:
        raise ValueError(f"an integer of {len(text):,} digits")
    if abs(number := int(text)) > MAX_INTEGER:
        raise ValueError("an integer beyond 2**53")
    return number


def _is_too_deep(body: Mapping[str, Any]) -> bool:
    layer: list[Any] = [body]  # what is this deep in it; most of an entry is lists of two numbers
    for _ in range(_MAX_DEPTH):
        inner = (one.values() if isinstance(one, dict) else one for one in layer)
        layer = [value for values in inner for value in values if isinstance(value, _NESTING)]
        if not layer:
            return False
    return True


def _error_text(error: Exception) -> str:
    """Return the text of `error` without the damaged value, which `str` of most errors repeats."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg}: line {error.lineno} column {error.colno}"
    return _shorten(str(error)) if type(error) is ValueError else type(error).__name__


def _check_format(rollout_id: str, data: Mapping[str, Any]) -> None:
    stored_format = data.get("schema")
    if type(stored_format) is not int:
        raise _damage_error(rollout_id, f"the state of {rollout_id}", "schema: it is no format")
    if problem := stored_formats.unreadable_text(stored_format):
        raise StoreError(
            f"{rollout_id} is {problem}; traffic was not touched; use a version that reads it, or "
            "roll back by function and variable names",
            rollout=rollout_id,
            format=stored_format,
        )


def _first_problem(error: ValidationError) -> str:
    """Return the first problem without the value: messages do not repeat stored data."""
    problem = error.errors(include_url=False, include_input=False)[0]
    path = ".".join(str(part) for part in problem["loc"])
    return f"{_shorten(path)}: {_shorten(problem['msg'])}"


def _struct_problem(error: msgspec.ValidationError) -> str:
    """Return the problem without the value: messages do not repeat stored data."""
    message, _, place = str(error).rpartition(_AT) if _AT in str(error) else (str(error), "", "")
    path = place.rstrip("`").replace("[...]", ".*").replace("[", ".").replace("]", "")
    if message.startswith(("Invalid value", "Invalid enum value")):  # it quotes the value
        message = "it has an unknown value"
    return f"{path}: {_shorten(message)}" if path else _shorten(message)


def _shorten(text: str) -> str:
    """Return `text` for one line of a message, whatever bytes a damaged name has."""
    plain = text if text.isascii() and text.isprintable() else ascii(text)[1:-1]
    return plain if len(plain) <= _MAX_MESSAGE_LENGTH else f"{plain[:_MAX_MESSAGE_LENGTH]}..."


def _format_error(rollout: Rollout, path: str, since: int) -> StoreError:
    return StoreError(
        f"{rollout.id} cannot be saved with `{path}`: that needs format {since} of the store, and "
        f"the rollout has format {rollout.format}; nothing was written: rolloutctl store upgrade",
        rollout=rollout.id,
    )


def _size_error(rollout_id: str, part: str, problem: str) -> StoreError:
    return StoreError(
        f"{rollout_id} is too large to be kept (its {part}: {problem}); nothing was written: ask "
        "for fewer metrics and criteria in the policy",
        rollout=rollout_id,
    )


def _damage_error(rollout_id: str, record: str, why: str) -> StoreError:
    return StoreError(f"{record} is damaged ({why}); {_ADVICE}", damaged=record, rollout=rollout_id)
