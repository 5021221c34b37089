"""Builds plain data from YAML parser events, under limits.

Strict on purpose. What two readers could understand in two ways is a mistake: a duplicate key, a
tag, a merge key, a second document. What could exhaust memory or time stops the reading at once:
depth, size, and aliases that multiply. Only plain data is ever constructed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from controller.immutable import Immutable
from controller.policy_file.check.problem import Place
from controller.policy_file.yaml.events import Position, YamlReadError, events, position_of
from controller.policy_file.yaml.scalars import resolve, resolve_tag

_CORE_TAG_PREFIX = "tag:yaml.org,2002:"


class Limits(Immutable):
    """Limits of a document's size; an alias counts as much as its anchor."""

    nodes: int = 20_000
    depth: int = 32


class Mistake(Immutable):
    """A refused part of the YAML after which reading goes on."""

    position: Position
    place: Place
    message: str


@dataclass(slots=True)
class Node:
    """A part of the document: its data, its position, and its child nodes.

    children, keys: nodes by key or index, and where each key is; an alias has neither.
    origin: what an alias stands for.
    nodes, depth: its size, itself included.
    invalid: a mistake removed the data or a part of it, so missing data here is not reported again.
    """

    position: Position
    data: Any = None
    children: dict[str | int, "Node"] = field(default_factory=dict)
    keys: dict[str | int, Position] = field(default_factory=dict)
    nodes: int = 1
    depth: int = 1
    invalid: bool = False
    origin: "Node | None" = None


def build(text: str, limits: Limits) -> tuple[Node, list[Mistake]]:
    """Return the one document in `text`, and the mistakes in it.

    Raises YamlReadError when there is none, when it is no YAML, or when a limit is exceeded.
    """
    builder = _Builder(events(text), limits)
    return builder.document(), builder.mistakes


class _Builder:
    """Builds nodes from parser events, and collects mistakes."""

    def __init__(self, stream: Iterator[Any], limits: Limits) -> None:
        self.mistakes: list[Mistake] = []
        self._events = stream
        self._limits = limits
        self._nodes = 0
        # None: the node of the anchor is not complete yet.
        self._anchors: dict[str, Node | None] = {}

    def document(self) -> Node:
        """Return the root of the first document; a second one is a mistake."""
        next(self._events)  # the start of the stream
        start = next(self._events)
        if isinstance(start, StreamEndEvent):
            message = "nothing in here: the file is empty, or all comments"
            raise YamlReadError(Position(1, 1), message)
        if start.version not in (None, (1, 2)):
            raise YamlReadError(position_of(start.start_mark), "only YAML 1.2 is read")
        root = self._node(next(self._events), (), 1)
        next(self._events)  # the end of the document
        following = next(self._events)
        if isinstance(following, DocumentStartEvent):
            message = "a second document begins here; a file holds one"
            self._mistake(position_of(following.start_mark), (), message)
        return root

    def _mistake(self, position: Position, place: Place, message: str) -> None:
        self.mistakes.append(Mistake(position, place, message))

    def _node(self, event: NodeEvent, place: Place, depth: int) -> Node:
        position = position_of(event.start_mark)
        if isinstance(event, AliasEvent):
            return self._alias(event.anchor, position, depth)
        self._count(position, 1, depth)
        if event.anchor is not None:
            if event.anchor in self._anchors:
                self._mistake(position, place, f"the anchor &{event.anchor} is used twice")
            self._anchors[event.anchor] = None
        node = self._fill(event, Node(position), place, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _fill(self, event: NodeEvent, node: Node, place: Place, depth: int) -> Node:
        match event:
            case ScalarEvent():
                self._scalar(event, node, place)
                return node
            case SequenceStartEvent():
                self._sequence(node, place, depth)
                kind = "seq"
            case _:
                self._mapping(node, place, depth)
                kind = "map"
        tag = _tag(event)
        if tag not in (None, "!", f"!!{kind}"):
            self._discard(node, place, f"the tag {tag} is not allowed: only plain data is read")
        return node

    def _discard(self, node: Node, place: Place, message: str) -> None:
        self._mistake(node.position, place, message)
        node.data, node.children, node.keys, node.invalid = None, {}, {}, True

    def _scalar(self, event: ScalarEvent, node: Node, place: Place) -> None:
        tag = _tag(event)
        if tag is None:
            node.data = resolve(event.value) if event.style is None else event.value
        elif tag == "!":
            node.data = event.value
        else:
            try:
                node.data = resolve_tag(tag.removeprefix("!!"), event.value)
            except ValueError as error:
                self._discard(node, place, f"the tag {tag} is not allowed here: {error}")
        if half := _lone_surrogate(node.data):
            message = f"U+{ord(half):04X} is half of a character: write the whole one"
            self._discard(node, place, message)

    def _sequence(self, node: Node, place: Place, depth: int) -> None:
        node.data = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            index = len(node.data)
            child = self._node(event, (*place, index), depth + 1)
            node.data.append(child.data)
            self._attach(node, index, child)

    def _mapping(self, node: Node, place: Place, depth: int) -> None:
        node.data = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            key = self._node(event, place, depth + 1)
            name = key.data if isinstance(key.data, str) else "?"
            value_event = next(self._events)
            child = self._node(value_event, (*place, name), depth + 1)
            if _is_plain(value_event, ""):
                child.position = key.position  # the parser reports an empty value at the next token
            if key.invalid:
                node.invalid = True
            elif not isinstance(key.data, str):
                self._mistake(key.position, place, "a key must be text: put it in quotes")
            elif _is_plain(event, "<<"):
                node.invalid = True
                message = "merge keys are not part of YAML 1.2: write the keys out"
                self._mistake(key.position, place, message)
            elif name in node.keys:
                message = f"duplicate key, first on line {node.keys[name].line}"
                self._mistake(key.position, (*place, name), message)
            else:
                node.data[name] = child.data
                node.keys[name] = key.position
                self._attach(node, name, child)

    @staticmethod
    def _attach(node: Node, part: str | int, child: Node) -> None:
        node.children[part] = child
        node.nodes += child.nodes
        node.depth = max(node.depth, child.depth + 1)

    def _alias(self, anchor: str, position: Position, depth: int) -> Node:
        if anchor not in self._anchors:
            raise YamlReadError(position, f"no anchor &{anchor} before this alias")
        origin = self._anchors[anchor]
        if origin is None:
            raise YamlReadError(position, f"the alias *{anchor} stands inside what it stands for")
        self._count(position, origin.nodes, depth + origin.depth - 1)
        return Node(
            position,
            origin.data,
            nodes=origin.nodes,
            depth=origin.depth,
            invalid=origin.invalid,
            origin=origin,
        )

    def _count(self, position: Position, nodes: int, depth: int) -> None:
        """Count `nodes` more. Raises YamlReadError over a limit."""
        self._nodes += nodes
        if self._nodes > self._limits.nodes:
            message = f"more than {self._limits.nodes:,} values, counting what aliases stand for"
            raise YamlReadError(position, message)
        if depth > self._limits.depth:
            raise YamlReadError(position, f"nested more than {self._limits.depth} levels deep")


def _tag(event: Any) -> str | None:
    """Return the explicit tag as people write it: `!include`, `!!python/object:x`."""
    if event.ctag is None:
        return None
    text = str(event.ctag)
    return f"!!{text.removeprefix(_CORE_TAG_PREFIX)}" if text.startswith(_CORE_TAG_PREFIX) else text


def _lone_surrogate(data: object) -> str:
    """Return the first lone surrogate in `data`, which no encoding can write; empty: none."""
    try:
        str(data).encode()
    except UnicodeEncodeError as error:
        return str(data)[error.start]
    return ""


def _is_plain(event: Any, text: str) -> bool:
    return isinstance(event, ScalarEvent) and event.style is None and event.value == text
