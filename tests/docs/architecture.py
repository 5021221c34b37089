"""Draws architecture.svg from the imports of `controller`: python -m tests.docs.architecture.

A box is a room: a package or a module directly under `controller`, in its layer of the import
contract. An arrow is an import. One that follows from two others is left out.
"""

import ast
import sys
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final, TypeAlias

ROOT: Final = Path(__file__).parents[2]
PICTURE: Final = ROOT / "docs" / "contributors" / "architecture.svg"

Corner: TypeAlias = tuple[int, int]  # left and upper

BOX: Final = (150, 44)  # width and height
GAP: Final = (190, 46)  # between boxes of a layer, and between layers
MARGIN: Final = 20
WIDTH: Final = 640

# What each room is for, in a few words.
PURPOSE: Final[Mapping[str, str]] = {
    "__main__": "the process",
    "function": "the Lambda function",
    "testing": "what people test with",
    "tools": "verbs no rollout needs",
    "cli": "verbs that steer or look",
    "bootstrap": "wires adapters",
    "render": "text, JSON, Markdown",
    "operations": "what verbs do",
    "engine": "the tick",
    "adapters": "AWS, SQLite, HTTP",
    "policy_file": "YAML to policy",
    "process": "signals, logs, settings",
    "ports": "protocols",
    "core": "decides; pure",
    "errors": "exit statuses",
    "flag": "the flag in your app",
    "safe_text": "printable text",
    "immutable": "values that nothing changes",
}


def layers() -> Sequence[Sequence[str]]:
    """Return the rooms of each layer, top first, as the import contract has them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (contract,) = (one for one in contracts if one["id"] == "layers")
    return [[room.strip() for room in layer.split("|")] for layer in contract["layers"]]


def imports() -> Mapping[str, frozenset[str]]:
    """Return the rooms that each room imports, for checking types or in a function as well."""
    found: dict[str, set[str]] = {room: set() for layer in layers() for room in layer}
    for path in sorted((ROOT / "controller").rglob("*.py")):
        room = path.relative_to(ROOT / "controller").parts[0].removesuffix(".py")
        if room in found:
            found[room] |= set(_rooms_in(path)) - {room}
    return {room: frozenset(others) & found.keys() for room, others in found.items()}


def _rooms_in(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == "controller" and rest:
                yield rest.partition(".")[0]


def arrows(graph: Mapping[str, frozenset[str]]) -> list[tuple[str, str]]:
    """Return the imports that do not follow from two others, sorted."""

    def reached(room: str) -> frozenset[str]:
        return graph[room].union(*(reached(one) for one in graph[room]))

    return sorted(
        (room, other)
        for room, others in graph.items()
        for other in others
        if not any(other in reached(between) for between in others - {other})
    )


def picture() -> str:
    """Return the picture as SVG."""
    places = dict(_places())
    height = 2 * MARGIN + len(layers()) * (BOX[1] + GAP[1]) - GAP[1]
    lines = [
        _arrow(places[room], places[other], places.values()) for room, other in arrows(imports())
    ]
    boxes = [_box(room, *place) for room, place in places.items()]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="13">',
        "<title>The rooms of rolloutctl and what imports what</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#667"/></marker></defs>',
    )
    return "\n".join([*head, *lines, *boxes, "</svg>", ""])


def _places() -> Iterator[tuple[str, Corner]]:
    """Yield each room with the left upper corner of its box."""
    for row, layer in enumerate(layers()):
        width = len(layer) * (BOX[0] + GAP[0]) - GAP[0]
        left = (WIDTH - width) // 2
        for column, room in enumerate(layer):
            yield room, (left + column * (BOX[0] + GAP[0]), MARGIN + row * (BOX[1] + GAP[1]))


def _box(room: str, x: int, y: int) -> str:
    middle = x + BOX[0] // 2
    return (
        f'<rect x="{x}" y="{y}" width="{BOX[0]}" height="{BOX[1]}" rx="6" fill="#eef3fb" '
        'stroke="#446"/>'
        f'<text x="{middle}" y="{y + 18}" text-anchor="middle" font-weight="bold">{room}</text>'
        f'<text x="{middle}" y="{y + 35}" text-anchor="middle" font-size="11" fill="#445">'
        f"{escape(PURPOSE[room])}</text>"
    )


def _arrow(start: Corner, end: Corner, boxes: Collection[Corner]) -> str:
    """Return an arrow from the lower side of one box to the upper side of another.

    Where it passes layers it goes down in a lane that no box is in.
    """
    x1, y1 = start[0] + BOX[0] // 2, start[1] + BOX[1]
    x2, y2 = end[0] + BOX[0] // 2, end[1]
    passed = [x for x, y in boxes if start[1] < y < end[1]]
    half = GAP[1] // 2
    if not passed:
        way = f"C{x1} {y1 + half} {x2} {y2 - half} {x2} {y2}"
    else:
        lanes = (x2, x1, WIDTH // 2 + 20, WIDTH - MARGIN // 2)
        lane = next(one for one in lanes if not any(x <= one <= x + BOX[0] for x in passed))
        way = f"V{y1 + half}H{lane}V{y2 - half}H{x2}V{y2}"
    return f'<path d="M{x1} {y1}{way}" fill="none" stroke="#667" marker-end="url(#tip)"/>'


def main() -> int:
    """Write the picture."""
    PICTURE.write_text(picture(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
