"""Rollouts and history entries as JSON text, the same for every store.

The policy snapshot is text of its own: it never changes during a rollout, so a save need not write
it again and a load need not parse it again.
"""

import json
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Annotated, Any, Final

from pydantic import ConfigDict, TypeAdapter, ValidationError

from controller.core.history import Entry
from controller.core.policy import Policy
from controller.core.rollout import SCHEMA, Rollout
from controller.core.snapshot import SnapshotChangedError, digest_of
from controller.core.state_relations import problem_of
from controller.core.state_schema import MOST, Ranged
from controller.errors import StoreError

# What was read cannot be trusted, so nothing is decided from it. A rollback by hand needs no store.
_NOW = (
    "traffic was not touched; restore the store from a backup, "
    "or roll back by function and variable names"
)
_DEEPEST: Final = 100  # lists and objects inside each other; this program writes ten at most
_LONGEST_INTEGER: Final = len(str(MOST)) + 1  # characters, with a sign
_LONGEST_PATH: Final = 120  # characters of a message: a name in it may be what was damaged


def dump(rollout: Rollout) -> str:
    """Return the state as JSON text, without the policy; its snapshot is kept beside it.

    Text is ASCII whatever bytes a person typed into a reason: a save must not fail on them.
    """
    (data,) = _ROLLOUT.dump_python((rollout,), mode="json", exclude={0: {"policy"}})
    return json.dumps(data)


def load(rollout_id: str, text: object, policy: object) -> Rollout:
    """Return the rollout that `dump` wrote, with the policy of the snapshot `policy`.

    Raises StoreError, naming the rollout, when either is damaged or has another schema; and
    SnapshotChangedError, which has the rollout, when the policy is not the one of the start.
    """
    what = f"the state of {rollout_id}"
    data = _parse(what, rollout_id, text)
    _check_schema(rollout_id, data)
    snapshot, digest = _snapshot(rollout_id, policy)
    try:
        (rollout,) = _ROLLOUT.validate_python(({**data, "policy": snapshot},))
    except ValidationError as error:
        raise _damaged(rollout_id, what, _first(error)) from error
    if rollout.id != rollout_id:
        raise _damaged(rollout_id, what, "id: it is that of another rollout")
    if problem := problem_of(rollout):
        raise _damaged(rollout_id, what, problem)
    if rollout.digest != digest:
        raise SnapshotChangedError(rollout, digest)
    return rollout


def dump_entry(entry: Entry) -> str:
    """Return the entry as JSON text; its body comes back exactly, so its hash still fits."""
    return json.dumps(
        {
            "seq": entry.seq,
            "at": entry.at.isoformat(),
            "kind": entry.kind,
            "body": entry.body,
            "previous": entry.previous,
            "hash": entry.hash,
        }
    )


def load_entry(rollout_id: str, text: object) -> Entry:
    """Return the entry that `dump_entry` wrote; whether the chain holds is for `broken_link`.

    Raises StoreError, naming the rollout, when the text is damaged.
    """
    what = f"an entry in the history of {rollout_id}"
    data = _parse(what, rollout_id, text, _integer)
    try:
        entry = _ENTRY.validate_python((data,))[0]
    except ValidationError as error:
        raise _damaged(rollout_id, what, _first(error)) from error
    if _is_deep(entry.body):
        raise _damaged(rollout_id, what, "body: it is nested too deeply")
    return entry


# A dataclass takes no config of its own here, but inherits that of what it stands in: a tuple.
# Unknown keys are refused: a save by this version would lose them.
# A model that is built is taken as it is; one that is not would be built here, and once more when a
# policy is read.
Policy.model_rebuild()
_ROLLOUT = TypeAdapter(Annotated[tuple[Rollout], Ranged()], config=ConfigDict(extra="forbid"))
_ENTRY = TypeAdapter(Annotated[tuple[Entry], Ranged()])


def _snapshot(rollout_id: str, text: object) -> tuple[Policy, str]:
    """Return the policy that is written in `text`, and the digest of that text."""
    what = f"the policy snapshot of {rollout_id}"
    try:
        return _policy(_checked(text))
    except ValidationError as error:
        raise _damaged(rollout_id, what, _first(error)) from error
    except _UNFIT as error:
        raise _damaged(rollout_id, what, _why(error)) from error


@lru_cache(maxsize=64)
def _policy(snapshot: str) -> tuple[Policy, str]:
    return Policy.model_validate_json(snapshot), digest_of(snapshot)


# --- text that is no JSON of ours ----------------------------------------------------------------

# What reading text may raise besides pydantic's own; a validator of a policy meets strange values.
_UNFIT: Final = (ValueError, TypeError, ArithmeticError, LookupError, RecursionError)


def _parse(
    what: str, rollout_id: str, text: object, integer: Callable[[str], int] | None = None
) -> dict[str, Any]:
    """Return the object that is written in `text`, which a store may have as another type.

    integer: reads the integers; without it, their ranges are left to the schema.
    """
    try:
        data = json.loads(_checked(text), parse_int=integer)
    except (ValueError, RecursionError) as error:
        raise _damaged(rollout_id, what, _why(error)) from error
    if not isinstance(data, dict):
        raise _damaged(rollout_id, what, f"expected an object, not {type(data).__name__}")
    return data


def _checked(text: object) -> str:
    """Return `text`. Raises ValueError unless it is Unicode: a store may hold any bytes."""
    if not isinstance(text, str):
        raise ValueError(f"expected text, not {type(text).__name__}")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("it is not UTF-8") from None
    return text


def _integer(text: str) -> int:
    """Return the integer. The body of an entry is any JSON: no schema bounds what is in it."""
    if len(text) > _LONGEST_INTEGER:
        raise ValueError(f"an integer of {len(text):,} digits")
    if abs(number := int(text)) > MOST:
        raise ValueError("an integer beyond 2**53")
    return number


def _is_deep(value: object) -> bool:
    layer = [value]
    for _ in range(_DEEPEST):
        layer = [inner for one in layer for inner in _inside(one)]
        if not layer:
            return False
    return True


def _inside(value: object) -> list[object]:
    """Return the lists and objects directly inside `value`."""
    inner = value.values() if isinstance(value, dict) else value
    return (
        [one for one in inner if isinstance(one, dict | list)]
        if isinstance(inner, Iterable)
        else []
    )


def _why(error: Exception) -> str:
    """Return what is wrong without the value: `str` of most errors repeats it."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg}: line {error.lineno} column {error.colno}"
    return _short(str(error)) if type(error) is ValueError else type(error).__name__


def _check_schema(rollout_id: str, data: dict[str, Any]) -> None:
    schema = data.get("schema")
    if type(schema) is not int:
        raise _damaged(rollout_id, f"the state of {rollout_id}", "schema: it is no version")
    if schema != SCHEMA:
        raise StoreError(
            f"{rollout_id} is stored with schema {schema}, and this version of rolloutctl reads "
            f"schema {SCHEMA}; traffic was not touched; use the version that wrote it, or roll "
            "back by function and variable names",
            rollout=rollout_id,
            schema=schema,
        )


def _first(error: ValidationError) -> str:
    """Return the first problem without the value: what was stored is not for messages."""
    problem = error.errors(include_url=False, include_input=False)[0]
    path = ".".join(str(part) for part in problem["loc"]).removeprefix("0.")
    return f"{_short(path)}: {_short(problem['msg'])}"


def _short(text: str) -> str:
    """Return `text` for one line of a message, whatever bytes a damaged name has."""
    plain = text if text.isascii() and text.isprintable() else ascii(text)[1:-1]
    return plain if len(plain) <= _LONGEST_PATH else f"{plain[:_LONGEST_PATH]}..."


def _damaged(rollout_id: str, what: str, why: str) -> StoreError:
    return StoreError(f"{what} is damaged ({why}); {_NOW}", damaged=what, rollout=rollout_id)
