"""Builds plain data from the text of a YAML file, under limits; each part knows its position.

Strict on purpose. What two readers could understand in two ways is a mistake: a duplicate key, a
tag, a merge key, a second document. What could exhaust memory or time stops the reading at once:
depth, size, and aliases that multiply. Only plain data is ever constructed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import MappingProxyType, NoneType
from typing import Any, Final

from ruamel.yaml import YAML, events
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from controller.core.units import quote_value
from controller.immutable import Immutable
from controller.policy_file.mistake import Place


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the text; line and column begin at 1."""

    line: int
    column: int

    @classmethod
    def of(cls, mark: Any) -> "Position":
        """Return where the parser's `mark` is, as editors count."""
        return cls(mark.line + 1, mark.column + 1)

    @classmethod
    def after(cls, text: str) -> "Position":
        """Return where `text` ends."""
        return cls(text.count("\n") + 1, len(text) - (text.rfind("\n") + 1) + 1)


class YamlReadError(Exception):
    """Reading cannot go on: the text is no YAML, or a limit is exceeded."""

    def __init__(self, position: Position, message: str) -> None:
        super().__init__(message)
        self.position = position
        self.message = message


class DocumentLimits(Immutable):
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
    file: the template that it is from; empty: the document itself.
    """

    position: Position
    data: Any = None
    children: dict[str | int, "Node"] = field(default_factory=dict)
    keys: dict[str | int, Position] = field(default_factory=dict)
    nodes: int = 1
    depth: int = 1
    invalid: bool = False
    origin: "Node | None" = None
    file: str = ""


def build(text: str, limits: DocumentLimits) -> tuple[Node, list[Mistake]]:
    """Return the one document in `text`, and the mistakes in it.

    Raises YamlReadError when there is none, when it is no YAML, or when a limit is exceeded.
    """
    builder = _Builder(_events(text), limits)
    return builder.document(), builder.mistakes


class _Builder:
    """Builds nodes from parser events, and collects mistakes."""

    def __init__(self, stream: Iterator[Any], limits: DocumentLimits) -> None:
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
        if isinstance(start, events.StreamEndEvent):
            message = "nothing in here: the file is empty, or all comments"
            raise YamlReadError(Position(1, 1), message)
        if start.version not in (None, (1, 2)):
            raise YamlReadError(Position.of(start.start_mark), "only YAML 1.2 is read")
        root = self._node(next(self._events), (), 1)
        next(self._events)  # the end of the document
        following = next(self._events)
        if isinstance(following, events.DocumentStartEvent):
            message = "a second document begins here; a file holds one"
            self._mistake(Position.of(following.start_mark), (), message)
        return root

    def _mistake(self, position: Position, place: Place, message: str) -> None:
        self.mistakes.append(Mistake(position, place, message))

    def _node(self, event: events.NodeEvent, place: Place, depth: int) -> Node:
        position = Position.of(event.start_mark)
        if isinstance(event, events.AliasEvent):
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

    def _fill(self, event: events.NodeEvent, node: Node, place: Place, depth: int) -> Node:
        match event:
            case events.ScalarEvent():
                self._scalar(event, node, place)
                return node
            case events.SequenceStartEvent():
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

    def _scalar(self, event: events.ScalarEvent, node: Node, place: Place) -> None:
        tag = _tag(event)
        if tag is None:
            node.data = _resolve(event.value) if event.style is None else event.value
        elif tag == "!":
            node.data = event.value
        else:
            try:
                node.data = _resolve_tag(tag.removeprefix("!!"), event.value)
            except ValueError as error:
                self._discard(node, place, f"the tag {tag} is not allowed here: {error}")
        if half := _lone_surrogate(node.data):
            message = f"U+{ord(half):04X} is half of a character: write the whole one"
            self._discard(node, place, message)

    def _sequence(self, node: Node, place: Place, depth: int) -> None:
        node.data = []
        while not isinstance(event := next(self._events), events.SequenceEndEvent):
            index = len(node.data)
            child = self._node(event, (*place, index), depth + 1)
            node.data.append(child.data)
            self._attach(node, index, child)

    def _mapping(self, node: Node, place: Place, depth: int) -> None:
        node.data = {}
        while not isinstance(event := next(self._events), events.MappingEndEvent):
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
    return isinstance(event, events.ScalarEvent) and event.style is None and event.value == text


# --- The parser ---------------------------------------------------------------------------------


# What the parser fails with on some malformed text that it should refuse, like "\\UFFFFFFFF".
_CRASHES: Final = (ArithmeticError, AssertionError, LookupError, TypeError, ValueError)


def _events(text: str) -> Iterator[Any]:
    """Yield the events of the parser. Raises YamlReadError at the first syntax error."""
    position = Position(1, 1)
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            position = Position.of(event.start_mark)
            yield event
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = position if mark is None else Position.of(mark)
        end = Position.after(text.rstrip())
        if where.line > end.line:  # behind the last line with text
            where = end
        raise YamlReadError(where, _syntax_message(error)) from error
    except ReaderError as error:
        message = f"the character U+{ord(text[error.position]):04X} is not allowed in YAML"
        raise YamlReadError(Position.after(text[: error.position]), message) from error
    except (YAMLError, *_CRASHES) as error:
        raise YamlReadError(position, f"cannot be read as YAML: {_one_line(error)}") from error


def _syntax_message(error: MarkedYAMLError) -> str:
    problem = _one_line(error.problem or error.context)
    if "'\\t'" in problem:
        return "a tab cannot indent YAML: use spaces"
    if error.context is None or error.problem is None:
        return problem
    begin, end = error.context_mark, error.problem_mark
    elsewhere = begin is not None and end is not None and begin.line < end.line
    origin = f" that begins on line {begin.line + 1}" if begin and elsewhere else ""
    return f"{problem}, {_one_line(error.context)}{origin}"


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


# --- Scalars ------------------------------------------------------------------------------------
# Plain ones are resolved by the core schema of YAML 1.2 (10.3.2): `on` and dates are text.

_CORE_TAG_PREFIX = "tag:yaml.org,2002:"
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = MappingProxyType(
    {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
)
# A longer run of digits is a float: Python refuses to read 4,300 of them as an int.
_INT = re.compile(r"[-+]?[0-9]{1,400}")
_OCTAL = re.compile(r"0o[0-7]{1,400}")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,400}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

_TYPES: dict[str, type[Any]] = {"null": NoneType, "bool": bool, "int": int, "float": float}


def _resolve(text: str) -> object:
    """Return the value of the plain scalar `text`: None, a bool, an int, a float, or itself."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text) or _HEX.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _SPECIAL.fullmatch(text):
        return float(text.replace(".", "", 1))
    return text


def _resolve_tag(tag: str, text: str) -> object:
    """Return the value of `text` under an explicit core tag like `int`.

    Raises ValueError when the text has another type, or the tag is not of the core schema.
    """
    if tag == "str":
        return text
    if tag not in _TYPES:
        raise ValueError("only the core tags of YAML are read, like !!str")
    value = _resolve(text)
    if type(value) is not _TYPES[tag]:
        raise ValueError(f"{quote_value(text)} is no {tag}")
    return value
