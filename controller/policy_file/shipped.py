"""The shipped policies: complete files, which `init --from` copies with names of one's own."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from controller.errors import UsageError
from controller.immutable import Immutable

_FOLDER: Final = Path(__file__).parent / "templates"  # in a checkout, a link to policies/

# Names of the shipped example outside of its target.
_API: Final = "{ApiName: Execution Layer API}"
_EXAMPLES: Final = (_API, "{FunctionName: BedrockProcessor}")
# Where a policy repeats its function and its alias.
_OF_TARGET: Final = (
    "Flag: {0}, ", 'FunctionName: {0}, Resource: "{0}:{1}"', "the alias {1} of {0} ",
)  # fmt: skip

# A key with its value, and a comment behind it.
_LINE = re.compile(r"^(?P<head> *[a-z]+: +)(?P<value>.*?)(?P<tail> +#.*|)$")


def shipped_names() -> list[str]:
    """Return the names of the shipped policies, in alphabetical order."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def shipped_text(name: str) -> str:
    """Return the text of the shipped policy `name`, one of `shipped_names`."""
    return (_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")


class NamedCopy(Immutable):
    """A copy of a shipped policy. left: values of the example that are still in it."""

    name: str
    text: str
    left: Sequence[str]


def named_copy(shipped: str, values: Mapping[str, str], api: str = "") -> NamedCopy:
    """Return a copy of the policy `shipped` with other values in it; its comments stay.

    values: by path, `name` or `target.function`, as YAML writes them. api: the name of the API
    Gateway, as YAML writes it; empty: as shipped.
    Raises UsageError when there is no such policy, or it has no such value.
    """
    if shipped not in shipped_names():
        raise UsageError(
            f"no shipped policy is called {shipped!r}; there are {', '.join(shipped_names())}"
        )
    text = shipped_text(shipped)
    name = values.get("name", shipped)
    # Commands in comments name the policy and its file.
    text = text.replace(f"attest {shipped} ", f"attest {name} ")
    text = text.replace(f"policies/{shipped}.yaml", f"{name}.yaml")
    if api and _API not in text:
        raise UsageError(f"{shipped} names no API Gateway: leave --resource out")
    if api:
        text = text.replace(_API, f"{{ApiName: {api}}}")
    lines = text.splitlines()
    before = dict(_target_values(lines))
    for path, value in values.items():
        number = _line_of(lines, path)
        if number is None:
            raise UsageError(f"{shipped} has no {path}: leave that option out")
        line = _LINE.fullmatch(lines[number])
        lines[number] = f"{line['head']}{value}{line['tail']}" if line else lines[number]
    text = _with_target("\n".join(lines) + "\n", before, dict(_target_values(lines)))
    return NamedCopy(name, text, list(_left(lines, values)))


def _with_target(text: str, before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Return `text` with another function and alias where it repeats those of its target."""
    if "function" not in before:
        return text
    old, new = (
        (one["function"].rpartition(":")[2], one.get("alias", "")) for one in (before, after)
    )
    for form in _OF_TARGET:
        text = text.replace(form.format(*old), form.format(*new))
    return text


def _target_values(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the fields of the target with their values, but for its kind."""
    inside = False
    for line in lines:
        if line[:1] not in ("", " ", "#"):
            inside = line.startswith("target:")
        field = _LINE.fullmatch(line) if inside else None
        if field is not None and field["head"].strip() != "kind:":
            yield field["head"].strip().rstrip(":"), field["value"].strip('"')


def _left(lines: Sequence[str], values: Mapping[str, str]) -> Iterator[str]:
    """Yield the values of the example that are in a copy: of its target, and other names."""
    for name, value in _target_values(lines):
        if f"target.{name}" not in values:
            yield f"{name}: {value}"
    yield from (example[1:-1] for example in _EXAMPLES if any(example in line for line in lines))


def _line_of(lines: Sequence[str], path: str) -> int | None:
    """Return the index of the line with the value at `path`; None without one."""
    block, _, key = path.rpartition(".")
    indent, inside = ("  ", False) if block else ("", True)
    for number, line in enumerate(lines):
        if block and line[:1] not in ("", " ", "#"):
            inside = line.startswith(f"{block}:")
        if inside and line.startswith(f"{indent}{key}: "):
            return number
    return None
