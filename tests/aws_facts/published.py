"""What AWS publishes or was seen to answer: one YAML file a service.

Each file has `pages`, its sources by a short name; every fact names one of them as `source`.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

SERVICES: Final = tuple(sorted(path.stem for path in Path(__file__).parent.glob("*.yaml")))

# What a refusal may mean that another attempt can mend.
WORTH_ANOTHER_ATTEMPT: Final = ("conflict", "throttled", "passing")


@cache
def facts(service: str) -> Mapping[str, Any]:
    """Return the facts about a service."""
    loaded: Mapping[str, Any] = YAML(typ="safe").load(
        Path(__file__).with_name(f"{service}.yaml").read_text(encoding="utf-8")
    )
    return loaded


def variables(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment of a row, in which a number stands for so many letters."""
    named: Mapping[str, str | int] = row["variables"]
    return {name: "x" * one if isinstance(one, int) else one for name, one in named.items()}


def sourced(node: Any) -> Iterator[Mapping[str, Any]]:
    """Yield each fact under `node`: what names its source."""
    if isinstance(node, Mapping):
        if "source" in node:
            yield node
        for value in node.values():
            yield from sourced(value)
    elif isinstance(node, list):
        for value in node:
            yield from sourced(value)
