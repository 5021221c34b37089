"""Which values a stored rollout must have: each field of its dataclasses, its type and its range.

pydantic checks all of it in one pass, in compiled code, so a load costs no more for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema

from controller.core.effects import Severity
from controller.core.findings import Label

EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
MOST: Final = 2**53  # no integer of a state is larger, and JSON of other programs ends here

# What every value of a type must be.
_TYPES: Final[Mapping[str, Mapping[str, Any]]] = {
    "int": {"strict": True, "ge": -MOST, "le": MOST},
    "float": {"strict": True, "allow_inf_nan": False},
    "bool": {"strict": True},
    "str": {"strict": True},
    "datetime": {"tz_constraint": "aware", "ge": EARLIEST, "le": LATEST},
}

_COUNT: Final = {"ge": 0}
_WEIGHT: Final = {"ge": 0, "le": 100}  # percent
_SECOND: Final = {"ge": 0, "le": int(LATEST.timestamp())}  # unix seconds; 0: none

# What the values of a field must be as well.
_FIELDS: Final[Mapping[str, Mapping[str, Mapping[str, Any]]]] = {
    "Rollout": {
        "attempt": {"ge": 1},
        "step": _COUNT,
        "seen_weight": _WEIGHT,
        "peak": _WEIGHT,
        "approved": _COUNT,
        "entries": _COUNT,
        "version": _COUNT,
        "label": {"one of": ["", *map(str, Label)]},
    },
    "Intent": {"weight": _WEIGHT, "previous": _WEIGHT},
    "Stretch": {"step": _COUNT, "begin": _SECOND, "judged_from": _SECOND, "end": _SECOND},
    "Signature": {"at": _SECOND},
    "FrozenValue": {
        "samples": _COUNT,
        "start": _SECOND,
        "end": _SECOND,
        "share": {"ge": 0, "le": 1},
        "dispersion": _COUNT,
    },
    "Run": {"length": _COUNT, "start": _SECOND, "end": _SECOND},
    "Tally": {
        "through": _SECOND,
        "windows": _COUNT,
        "empty": _COUNT,
        "unknown": _COUNT,
        "lost": _COUNT,
        "samples": _COUNT,
        "control_samples": _COUNT,
        "last_end": _SECOND,
    },
    "Capital": {"bets": _COUNT, "unspent": {"ge": 0, "le": 1}, "minutes": _COUNT, "begun": _COUNT},
    "Control": {"requests": _COUNT, "slow": _COUNT, "bad": _COUNT, "good": _COUNT},
    "Fold": {"version": _COUNT, "through": _SECOND, "peak": _COUNT, "peak_at": _SECOND},
    "Finding": {"samples": _COUNT, "start": _SECOND, "end": _SECOND},
    "Message": {
        "weight": _WEIGHT,
        "step": _COUNT,
        "tries": _COUNT,
        "severity": {"one of": [str(one) for one in Severity]},
    },
}


@dataclass(frozen=True, slots=True)
class Ranged:
    """Marks a type for a `TypeAdapter`: its dataclasses need every field, with a value in range."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        schema = handler(source)
        _Narrowing(handler).narrow(schema, {})
        return schema


class _Narrowing:
    """Narrows a schema in place; a dataclass that is used more than once is narrowed once."""

    def __init__(self, handler: GetCoreSchemaHandler) -> None:
        self._handler = handler
        self._done: set[str] = set()

    def narrow(self, schema: Any, rule: Mapping[str, Any]) -> None:
        kind = schema["type"]
        if kind == "definition-ref":
            self._narrow_once(schema)
        elif kind == "dataclass":
            rules = _FIELDS.get(schema["cls"].__name__, {})
            for field in schema["schema"]["fields"]:
                if field["schema"]["type"] == "default":  # a save writes every field
                    field["schema"] = field["schema"]["schema"]
                self.narrow(field["schema"], rules.get(field["name"], {}))
        elif kind != "model":  # the policy has rules of its own
            self._narrow_value(schema, rule)

    def _narrow_once(self, schema: Any) -> None:
        if schema["schema_ref"] not in self._done:
            self._done.add(schema["schema_ref"])
            self.narrow(self._handler.resolve_ref_schema(schema), {})

    def _narrow_value(self, schema: Any, rule: Mapping[str, Any]) -> None:
        if "one of" in rule and schema["type"] == "str":
            schema.update(type="literal", expected=rule["one of"])
        elif schema["type"] in _TYPES:
            schema.update({**_TYPES[schema["type"]], **rule})
        for name in ("schema", "items_schema", "keys_schema", "values_schema"):
            inner = schema.get(name)
            for one in inner if isinstance(inner, list) else [inner] if inner else []:
                self.narrow(one, {} if name == "keys_schema" else rule)
