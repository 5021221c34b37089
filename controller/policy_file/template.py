"""The template that a policy extends: a shipped policy, or a file beside it. One level.

A field that the policy has is the policy's, as a whole; what it leaves out is the template's.
Metrics and criteria are taken by name. So each target, metric, criterion and list of steps is read
in one place, and each keeps the file and the line that it is from.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from controller.errors import Flaw, PolicyError
from controller.immutable import Immutable
from controller.policy_file import yaml_file
from controller.policy_file.mistake import Place, place_text, suggestion
from controller.policy_file.shipped import shipped_names, shipped_text
from controller.policy_file.strict_yaml import Node
from controller.policy_file.yaml_file import YamlSource

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
