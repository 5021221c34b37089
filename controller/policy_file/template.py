"""The shipped policies, which `init --from` copies, and the template that a policy extends.

A template is a shipped policy, or a file beside the policy. One level.

A field that the policy has is the policy's, as a whole; what it leaves out is the template's.
Metrics and criteria are taken by name. So each target, metric, criterion and list of steps is read
in one place, and each keeps the file and the line that it is from.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from controller.errors import Flaw, PolicyError, UsageError
from controller.immutable import Immutable
from controller.policy_file import yaml_file
from controller.policy_file.mistake import Place, place_text, suggestion
from controller.policy_file.strict_yaml import Node
from controller.policy_file.yaml_file import YamlSource

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


# --- The template of a policy ---------------------------------------------------------------------

EXTENDS: Final = "extends"
_BY_NAME: Final = ("metrics", "criteria")


class Inherited(Immutable):
    """A part of a policy that its template has, and the policy has not."""

    path: str
    """Path of the part in the policy, such as criteria.success."""
    file: str
    """The template."""
    line: int
    """The line of the template, from 1."""


def read_policy(path: Path) -> YamlSource:
    """Return the policy file at `path`, with what its template adds.

    Raises PolicyError for a file that cannot be read, and for a template that cannot be found or
    read, or that extends another one.
    """
    source = yaml_file.read(path)
    own = source.root
    if not isinstance(own.data, dict) or EXTENDS not in own.data:
        return source
    named = own.children[EXTENDS]

    def refusal(problem: str) -> PolicyError:
        position = named.position
        return PolicyError.of(Flaw(source.name, problem, position.line, position.column, EXTENDS))

    if not isinstance(named.data, str):
        raise refusal("expected a shipped policy or a file, such as checkout or base.yaml")
    try:
        template = _template(named.data, path.parent)
    except LookupError as error:
        raise refusal(str(error)) from None
    if template.mistakes:
        raise PolicyError.of(*template.flaws())
    if not isinstance(template.root.data, dict):
        raise refusal(f"{named.data} is no policy")
    if EXTENDS in template.root.data:
        raise refusal(f"{named.data} extends another template; one level is read")
    return YamlSource(source.name, _merged(own, template), source.mistakes)


def inherited(source: YamlSource) -> Iterator[Inherited]:
    """Yield each part that is the template's as a whole, in the order of the policy."""

    def walk(node: Node, place: Place) -> Iterator[Inherited]:
        if node.file:
            yield Inherited(place_text(place), node.file, node.position.line)
            return
        for key, child in node.children.items():
            yield from walk(child, (*place, key))

    return walk(source.root, ())


def _template(name: str, folder: Path) -> YamlSource:
    """Return a template. Raises LookupError, which says why there is none, and PolicyError."""
    if not name.endswith((".yaml", ".yml")):
        if name not in (shipped := shipped_names()):
            raise LookupError(f"no shipped policy is called {name!r}; {suggestion(name, shipped)}")
        return yaml_file.parse(shipped_text(name), f"shipped/{name}.yaml")
    file = folder / name
    # A policy is read where strangers may propose one: it opens nothing outside its own folder.
    try:
        is_inside = file.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # a link to itself, or no name of a file
        is_inside = False
    if not is_inside:
        raise LookupError("a template is in the folder of the policy, or in one below it")
    return yaml_file.read(file)


def _merged(own: Node, template: YamlSource) -> Node:
    """Return the policy `own` with the parts of `template` that it lacks."""
    parts = {name: one for name, one in own.children.items() if name != EXTENDS}
    template.root.children.pop("name", None)  # two policies of one name would be one rollout
    whole = _together(own, parts, template.root, template.name)
    for name in _BY_NAME:
        mine, other = own.children.get(name), template.root.children.get(name)
        if mine and other and isinstance(mine.data, dict) and isinstance(other.data, dict):
            children = (mine.origin or mine).children  # an alias has none
            others = other.origin or other
            whole.children[name] = _together(mine, children, others, template.name)
            whole.data[name] = whole.children[name].data
    return whole


def _together(own: Node, parts: Mapping[str | int, Node], template: Node, file: str) -> Node:
    """Return the mapping `own` with its `parts`, and below them those of `template` alone."""
    others = {name: one for name, one in template.children.items() if name not in parts}
    children = {**parts, **{name: _marked(one, file) for name, one in others.items()}}
    data = {name: child.data for name, child in children.items()}
    keys = {**template.keys, **own.keys}
    return Node(own.position, data, children, keys, invalid=own.invalid)


def _marked(node: Node, file: str) -> Node:
    """Return `node`, which now says that it is from `file`."""
    node.file = file
    for child in node.children.values():
        _marked(child, file)
    return node
