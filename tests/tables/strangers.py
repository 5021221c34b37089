"""The rows of `strangers_policies.yaml`: policies as other people write them."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

_TABLE: Final = YAML(typ="safe").load(Path(__file__).with_name("strangers_policies.yaml"))
ACCOUNTS: Final[Mapping[str, Any]] = _TABLE["accounts"]
WRONG: Final[Sequence[Mapping[str, Any]]] = _TABLE["wrong"]
RIGHT: Final[Sequence[Mapping[str, Any]]] = _TABLE["right"]


def row_id(row: Mapping[str, Any]) -> str:
    """Return the claim of a row."""
    return str(row["id"])


def document(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the policy of a row: its base with each change at its place."""
    policy: dict[str, Any] = deepcopy(_TABLE["bases"][row["base"]])
    for path, value in row["change"].items():
        *way, last = (int(one) if one.isdigit() else one for one in path.split("."))
        inside: Any = policy
        for one in way:
            inside = inside.setdefault(one, {}) if isinstance(inside, dict) else inside[one]
        if value is None:
            del inside[last]
        else:
            inside[last] = value
    return policy
