"""Rollouts and history entries as JSON text, the same for every store.

The policy snapshot is text of its own: it never changes during a rollout, so a save need not write
it again and a load need not parse it again.
"""

import json
from dataclasses import fields
from datetime import datetime
from functools import lru_cache
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from controller.core.history import Entry
from controller.core.policy import Policy
from controller.core.rollout import SCHEMA, Rollout
from controller.errors import StoreError

# What was read cannot be trusted, so nothing is decided from it. A rollback by hand needs no store.
_NOW = (
    "traffic was not touched; restore the store from a backup, "
    "or roll back by function and variable names"
)


def dump(rollout: Rollout) -> str:
    """Return the state as JSON text, without the policy; its snapshot is kept beside it.

    Text is ASCII whatever bytes a person typed into a reason: a save must not fail on them.
    """
    (data,) = _ROLLOUT.dump_python((rollout,), mode="json", exclude={0: {"policy"}})
    return json.dumps(data)


def load(rollout_id: str, text: str, policy: str) -> Rollout:
    """Return the rollout that `dump` wrote, with the policy of the snapshot `policy`.

    Raises StoreError, naming the rollout, when either is damaged or was written by a newer version.
    """
    data = _parse(f"the state of {rollout_id}", text)
    _check_schema(rollout_id, data)
    data["schema"] = SCHEMA  # the fields that older versions did not know have defaults
    try:
        snapshot = _policy(policy)
    except ValidationError as error:
        raise _damaged(f"the policy snapshot of {rollout_id}", _first(error)) from error
    try:
        (rollout,) = _ROLLOUT.validate_python(({**data, "policy": snapshot},))
    except ValidationError as error:
        raise _damaged(f"the state of {rollout_id}", _first(error)) from error
    _check_sense(rollout_id, rollout)
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


def load_entry(rollout_id: str, text: str) -> Entry:
    """Return the entry that `dump_entry` wrote; whether the chain holds is for `broken_link`.

    Raises StoreError, naming the rollout, when the text is damaged.
    """
    what = f"an entry in the history of {rollout_id}"
    try:
        return _ENTRY.validate_python(_parse(what, text))
    except ValidationError as error:
        raise _damaged(what, _first(error)) from error


# A dataclass takes no config of its own here, but inherits that of what it stands in: a tuple.
# Unknown keys are refused: a save by this version would lose them.
# A model that is built is taken as it is; one that is not would be built here, and once more when a
# policy is read.
Policy.model_rebuild()
_ROLLOUT = TypeAdapter(tuple[Rollout], config=ConfigDict(extra="forbid"))
_ENTRY = TypeAdapter(Entry)
_MOMENTS = [one.name for one in fields(Rollout) if one.type in (datetime, datetime | None)]


@lru_cache(maxsize=64)
def _policy(snapshot: str) -> Policy:
    return Policy.model_validate_json(snapshot)


def _parse(what: str, text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise _damaged(what, str(error)) from error
    if not isinstance(data, dict):
        raise _damaged(what, f"expected an object, not {type(data).__name__}")
    return data


def _check_schema(rollout_id: str, data: dict[str, Any]) -> None:
    schema = data.get("schema")
    if not isinstance(schema, int) or schema < 1:
        raise _damaged(f"the state of {rollout_id}", f"no schema version, but {schema!r}")
    if schema > SCHEMA:
        raise StoreError(
            f"{rollout_id} was written by a newer rolloutctl "
            f"(schema {schema}, this one reads {SCHEMA}); upgrade",
            rollout=rollout_id,
            schema=schema,
        )


def _check_sense(rollout_id: str, rollout: Rollout) -> None:
    """Refuse what has the right types and would still lead a tick astray."""
    if rollout.id != rollout_id:
        raise _damaged(f"the state of {rollout_id}", f"it says that it is {rollout.id}")
    moments = {name: getattr(rollout, name) for name in _MOMENTS}
    moments["intent.asked"] = rollout.intent.asked
    for name, moment in moments.items():
        if moment is not None and moment.tzinfo is None:
            raise _damaged(f"the state of {rollout_id}", f"{name} has no time zone")


def _first(error: ValidationError) -> str:
    """Return the first problem without the value: what was stored is not for messages."""
    problem = error.errors()[0]
    path = ".".join(str(part) for part in problem["loc"]).removeprefix("0.")
    return f"{path}: {problem['msg']}"


def _damaged(what: str, why: str) -> StoreError:
    return StoreError(f"{what} is damaged ({why}); {_NOW}", damaged=what)
