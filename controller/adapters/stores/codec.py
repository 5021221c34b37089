"""Rollouts and history entries as JSON text, the same for every store.

The policy snapshot is text of its own: it never changes during a rollout, so a save need not write
it again and a load need not parse it again.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Final, TypeAlias

from pydantic import ConfigDict, GetCoreSchemaHandler, TypeAdapter, ValidationError
from pydantic_core import CoreSchema

from controller.core.conditions import ConditionKind
from controller.core.decision import Severity
from controller.core.history import Entry
from controller.core.judge.findings import Label
from controller.core.policy import Policy
from controller.core.policy.kinds import STORED
from controller.core.policy.model import digest_of
from controller.core.policy_snapshot import SnapshotChangedError
from controller.core.rollout import Phase, Progressing, Rollout
from controller.core.units import MINUTE_S
from controller.errors import StoreError

# The version of the stored form. A rollout that is stored with another one is refused.
SCHEMA: Final = 1

MIN_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)
MAX_TIME: Final = datetime(2200, 1, 1, tzinfo=UTC)
MAX_INTEGER: Final = 2**53  # no integer of a state is larger, and JSON of other programs ends here

# Constraints on every value of a type.
_TYPE_RULES: Final[Mapping[str, Mapping[str, Any]]] = {
    "int": {"strict": True, "ge": -MAX_INTEGER, "le": MAX_INTEGER},
    "float": {"strict": True, "allow_inf_nan": False},
    "bool": {"strict": True},
    "str": {"strict": True},
    "datetime": {"tz_constraint": "aware", "ge": MIN_TIME, "le": MAX_TIME},
}

_COUNT: Final = {"ge": 0}
_WEIGHT: Final = {"ge": 0, "le": 100}  # percent
_SOME_WEIGHT: Final = {"ge": 1, "le": 100}
_SECOND: Final = {"ge": 0, "le": int(MAX_TIME.timestamp())}  # unix seconds; 0: none

# Further constraints on the values of a field.
_FIELD_RULES: Final[Mapping[str, Mapping[str, Mapping[str, Any]]]] = {
    "Rollout": {
        "seen_weight": _WEIGHT,
        "approved": _COUNT,
        "entries": _COUNT,
        "version": _COUNT,
    },
    "RolloutEvidence": {"label": {"one of": ["", *map(str, Label)]}},
    "Live": {"step": _COUNT, "weight": _SOME_WEIGHT},
    "Pending": {"step": _COUNT, "weight": _SOME_WEIGHT, "previous": _WEIGHT},
    "RollingBack": {"step": _COUNT, "intended": _SOME_WEIGHT, "from_weight": _WEIGHT},
    "RolledBack": {"step": _COUNT, "intended": _SOME_WEIGHT, "from_weight": _WEIGHT},
    "StepInterval": {"step": _COUNT, "begin": _SECOND, "judged_from": _SECOND, "end": _SECOND},
    "SignOff": {"at": _SECOND},
    "BaselineMeasurement": {
        "samples": _COUNT,
        "start": _SECOND,
        "end": _SECOND,
        "share": {"ge": 0, "le": 1},
        "dispersion": _COUNT,
        "hung_share": {"ge": 0, "le": 1},
        "hours": {"ge": 0, "le": 1},
    },
    "BreachRun": {"length": _COUNT, "start": _SECOND, "end": _SECOND},
    "Tally": {
        "through": _SECOND,
        "windows": _COUNT,
        "empty": _COUNT,
        "inconsistent": _COUNT,
        "unanswered": _COUNT,
        "samples": _COUNT,
        "control_samples": _COUNT,
        "last_end": _SECOND,
        "spacing": _COUNT,
    },
    "Capital": {"bets": _COUNT, "unspent": {"ge": 0, "le": 1}, "minutes": _COUNT, "begun": _COUNT},
    "ControlState": {
        "requests": _COUNT,
        "slow": _COUNT,
        "bad": _COUNT,
        "good": _COUNT,
        "hung": _COUNT,
        "expected": _COUNT,
    },
    "Fold": {"version": _COUNT, "through": _SECOND},
    "Rejection": {"e_value": _COUNT, "limit": _COUNT, "at": _SECOND},
    "Finding": {"samples": _COUNT, "start": _SECOND, "end": _SECOND},
    "Message": {
        "weight": _WEIGHT,
        "step": _COUNT,
        "attempts": _COUNT,
        "severity": {"one of": [str(severity) for severity in Severity]},
    },
}


@dataclass(frozen=True, slots=True)
class WithRanges:
    """Marks a type for a `TypeAdapter`: its dataclasses need every field, with a value in range."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        schema = handler(source)
        _SchemaNarrower(handler).narrow(schema, {})
        return schema


class _SchemaNarrower:
    """Narrows a schema in place; a dataclass that is used more than once is narrowed once."""

    def __init__(self, handler: GetCoreSchemaHandler) -> None:
        self._handler = handler
        self._narrowed_refs: set[str] = set()

    def narrow(self, schema: Any, rule: Mapping[str, Any]) -> None:
        kind = schema["type"]
        if kind == "definition-ref":
            self._narrow_once(schema)
        elif kind == "dataclass":
            rules = _FIELD_RULES.get(schema["cls"].__name__, {})
            for field in schema["schema"]["fields"]:
                if field["schema"]["type"] == "default":  # a save writes every field
                    field["schema"] = field["schema"]["schema"]
                self.narrow(field["schema"], rules.get(field["name"], {}))
        elif kind != "model":  # the policy has rules of its own
            self._narrow_value(schema, rule)

    def _narrow_once(self, schema: Any) -> None:
        if schema["schema_ref"] not in self._narrowed_refs:
            self._narrowed_refs.add(schema["schema_ref"])
            self.narrow(self._handler.resolve_ref_schema(schema), {})

    def _narrow_value(self, schema: Any, rule: Mapping[str, Any]) -> None:
        if "one of" in rule and schema["type"] == "str":
            schema.update(type="literal", expected=rule["one of"])
        elif schema["type"] in _TYPE_RULES:
            schema.update({**_TYPE_RULES[schema["type"]], **rule})
        for name in ("schema", "items_schema", "keys_schema", "values_schema", "choices"):
            for part in _parts(schema.get(name)):
                self.narrow(part, {} if name == "keys_schema" else rule)


def _parts(inner: Any) -> Iterable[Any]:
    """Return the schemas in `inner`, which is one schema, or a list or a table of choices."""
    if isinstance(inner, list):
        return inner
    if not inner:
        return ()
    return (inner,) if "type" in inner else inner.values()


# --- Relations between fields ---------------------------------------------------------------------

_Rule: TypeAlias = tuple[str, Callable[[Rollout], bool]]


def first_contradiction(rollout: Rollout) -> str:
    """Return the first field that contradicts another one, and how; empty when none does."""
    return next((text for text, holds in _RULES if not holds(rollout)), "")


def _has_step(rollout: Rollout, step: int) -> bool:
    return step < len(rollout.policy.steps)


def _recorded_times(rollout: Rollout) -> Iterator[datetime | None]:
    live, pending, state = rollout.live, rollout.pending, rollout.state
    yield rollout.created
    yield state.since
    yield state.hold_from if isinstance(state, Progressing) else None
    yield None if live is None else live.since
    if pending is not None:
        yield from (pending.decided, pending.first_look, pending.tried, pending.accepted)
    yield rollout.evidence.sealed_at
    for condition in rollout.conditions.values():
        yield from (condition.since, condition.announced)


def _has_no_future_time(rollout: Rollout) -> bool:
    now = rollout.updated
    return all(moment is None or moment <= now for moment in _recorded_times(rollout))


def _is_sealed_in_the_past(rollout: Rollout) -> bool:
    now = rollout.updated.timestamp()
    tallies = rollout.evidence.tallies.values()
    return rollout.evidence.fold.through <= now and all(tally.through <= now for tally in tallies)


def _intervals_are_ordered(rollout: Rollout) -> bool:
    """Tell whether no interval ends before it begins.

    An interval may be empty: then it begins with the minute after the one in which it ended.
    """
    return all(one.end >= one.begin - MINUTE_S for one in rollout.evidence.intervals)


_RULES: Final[Sequence[_Rule]] = (
    ("state.step: the policy has no such step", lambda one: _has_step(one, one.step)),
    ("state.live: the policy has no such step", lambda one: _has_step(one, one.judged_step)),
    ("approved: the policy has no such step", lambda one: _has_step(one, one.approved)),
    (
        "evidence.intervals: the policy has no such step",
        lambda one: all(_has_step(one, interval.step) for interval in one.evidence.intervals),
    ),
    ("evidence.intervals: one ends before it begins", _intervals_are_ordered),
    ("state.since: it is before created", lambda one: one.created <= one.since),
    ("updated: it is before another moment of the rollout", _has_no_future_time),
    ("updated: evidence is sealed beyond it", _is_sealed_in_the_past),
    (
        "evidence.sign_offs: the policy has no such criterion",
        lambda one: one.evidence.sign_offs.keys() <= _criteria(one),
    ),
    (
        "conditions: the phase is paused, and they do not say so",
        lambda one: one.phase is not Phase.PAUSED or ConditionKind.PAUSED in one.conditions,
    ),
    (
        "state.step: the phase is succeeded, and this is not the last step",
        lambda one: one.phase is not Phase.SUCCEEDED or one.is_last_step,
    ),
)


def _criteria(rollout: Rollout) -> frozenset[str]:
    return frozenset(rollout.policy.criteria)


# --- Reading and writing --------------------------------------------------------------------------

# No decision is made from a damaged record: it cannot be trusted. A rollback by function and
# variable names needs no store.
_ADVICE = (
    "traffic was not touched; restore the store from a backup, "
    "or roll back by function and variable names"
)
_MAX_DEPTH: Final = 100  # lists and objects inside each other; this program writes ten at most
_MAX_INTEGER_LENGTH: Final = len(str(MAX_INTEGER)) + 1  # characters, with a sign
_MAX_MESSAGE_LENGTH: Final = 120  # characters; the damage may be in a name that the message quotes


def dump(rollout: Rollout) -> str:
    """Return the state of `rollout` as JSON text; the snapshot of its policy is stored separately.

    The text is ASCII, whatever bytes a reason contains: a save must not fail on them.
    """
    (data,) = _ROLLOUT.dump_python((rollout,), mode="json", exclude={0: {"policy"}})
    # A value that contains itself cannot be here, and looking for one takes a third of the time.
    return json.dumps({"schema": SCHEMA, **data}, check_circular=False)


def load(rollout_id: str, text: object, policy: object) -> Rollout:
    """Return the rollout that `dump` wrote, with the policy of the snapshot `policy`.

    Raises StoreError, naming the rollout, when either is damaged or has another schema; and
    SnapshotChangedError, which has the rollout, when the policy is not the one of the start.
    """
    record = f"the state of {rollout_id}"
    data = _parse(record, rollout_id, text)
    _check_schema(rollout_id, data)
    snapshot, digest = _snapshot(rollout_id, policy)
    try:
        (rollout,) = _ROLLOUT.validate_python(({**data, "policy": snapshot},))
    except ValidationError as error:
        raise _damage_error(rollout_id, record, _first_problem(error)) from error
    if rollout.id != rollout_id:
        raise _damage_error(rollout_id, record, "id: it is that of another rollout")
    if problem := first_contradiction(rollout):
        raise _damage_error(rollout_id, record, problem)
    if rollout.digest != digest:
        raise SnapshotChangedError(rollout, digest)
    return rollout


def dump_entry(entry: Entry) -> str:
    """Return the entry as JSON text; loading returns the same body, so the hash stays valid."""
    return json.dumps(
        {
            "seq": entry.seq,
            "at": entry.at.isoformat(),
            "kind": entry.kind,
            "body": entry.body,
            "previous": entry.previous,
            "hash": entry.hash,
        },
        check_circular=False,
    )


def load_entry(rollout_id: str, text: object) -> Entry:
    """Return the entry that `dump_entry` wrote; its hash is checked by `broken_link`, not here.

    Raises StoreError, naming the rollout, when the text is damaged.
    """
    record = f"an entry in the history of {rollout_id}"
    data = _parse(record, rollout_id, text, _parse_integer)
    try:
        entry = _ENTRY.validate_python((data,))[0]
    except ValidationError as error:
        raise _damage_error(rollout_id, record, _first_problem(error)) from error
    if _is_too_deep(entry.body):
        raise _damage_error(rollout_id, record, "body: it is nested too deeply")
    return entry


# A TypeAdapter takes no config for a dataclass itself, but a dataclass inherits the config of the
# type around it: hence the tuples.
# Unknown keys are refused: a save by this version would lose them.
# The policy model is built first: a TypeAdapter takes a built model as it is, and would build an
# unbuilt one here and again when a policy is read.
Policy.model_rebuild()
_ROLLOUT = TypeAdapter(Annotated[tuple[Rollout], WithRanges()], config=ConfigDict(extra="forbid"))
# A tick reads no entry of a history.
_ENTRY = TypeAdapter(Annotated[tuple[Entry], WithRanges()], config=ConfigDict(defer_build=True))


def _snapshot(rollout_id: str, text: object) -> tuple[Policy, str]:
    """Return the policy that is written in `text`, and the digest of that text."""
    record = f"the policy snapshot of {rollout_id}"
    try:
        return _policy(_require_unicode(text))
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
    record: str, rollout_id: str, text: object, integer: Callable[[str], int] | None = None
) -> dict[str, Any]:
    """Return the JSON object in `text`. Raises StoreError for anything else.

    record: what `text` is, for messages. text: a store may return any type.
    integer: reads the integers; without it, their ranges are left to the schema.
    """
    try:
        data = json.loads(_require_unicode(text), parse_int=integer)
    except (ValueError, RecursionError) as error:
        raise _damage_error(rollout_id, record, _error_text(error)) from error
    if not isinstance(data, dict):
        raise _damage_error(rollout_id, record, f"expected an object, not {type(data).__name__}")
    return data


def _require_unicode(text: object) -> str:
    """Return `text`. Raises ValueError unless it is Unicode: a store may hold any bytes."""
    if not isinstance(text, str):
        raise ValueError(f"expected text, not {type(text).__name__}")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("it is not UTF-8") from None
    return text


def _parse_integer(text: str) -> int:
    """Return the integer. Raises ValueError beyond 2**53: no schema bounds the body of an entry."""
    if len(text) > _MAX_INTEGER_LENGTH:
        raise ValueError(f"an integer of {len(text):,} digits")
    if abs(number := int(text)) > MAX_INTEGER:
        raise ValueError("an integer beyond 2**53")
    return number


def _is_too_deep(value: object) -> bool:
    layer = [value]
    for _ in range(_MAX_DEPTH):
        layer = [child for parent in layer for child in _children(parent)]
        if not layer:
            return False
    return True


def _children(value: object) -> list[object]:
    """Return the lists and objects directly inside `value`."""
    inner = value.values() if isinstance(value, dict) else value
    return (
        [child for child in inner if isinstance(child, dict | list)]
        if isinstance(inner, Iterable)
        else []
    )


def _error_text(error: Exception) -> str:
    """Return the text of `error` without the damaged value, which `str` of most errors repeats."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg}: line {error.lineno} column {error.colno}"
    return _shorten(str(error)) if type(error) is ValueError else type(error).__name__


def _check_schema(rollout_id: str, data: dict[str, Any]) -> None:
    schema = data.pop("schema", None)
    if type(schema) is not int:
        raise _damage_error(rollout_id, f"the state of {rollout_id}", "schema: it is no version")
    if schema != SCHEMA:
        raise StoreError(
            f"{rollout_id} is stored with schema {schema}, and this version of rolloutctl reads "
            f"schema {SCHEMA}; traffic was not touched; use the version that wrote it, or roll "
            "back by function and variable names",
            rollout=rollout_id,
            schema=schema,
        )


def _first_problem(error: ValidationError) -> str:
    """Return the first problem without the value: messages do not repeat stored data."""
    problem = error.errors(include_url=False, include_input=False)[0]
    path = ".".join(str(part) for part in problem["loc"]).removeprefix("0.")
    message = problem["msg"]
    if problem["type"] in ("union_tag_invalid", "union_tag_not_found"):  # it quotes the tag
        path += f".{problem['ctx']['discriminator']}".replace("'", "")
        message = "it is missing or unknown"
    return f"{_shorten(path)}: {_shorten(message)}"


def _shorten(text: str) -> str:
    """Return `text` for one line of a message, whatever bytes a damaged name has."""
    plain = text if text.isascii() and text.isprintable() else ascii(text)[1:-1]
    return plain if len(plain) <= _MAX_MESSAGE_LENGTH else f"{plain[:_MAX_MESSAGE_LENGTH]}..."


def _damage_error(rollout_id: str, record: str, why: str) -> StoreError:
    return StoreError(f"{record} is damaged ({why}); {_ADVICE}", damaged=record, rollout=rollout_id)
