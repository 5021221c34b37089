"""One graph while it is drawn: each series once, however many criteria look at it."""

import re
from dataclasses import dataclass, field, replace

from controller.core.monitoring.parts import Bound, Line, Widget
from controller.core.observation import Query


@dataclass(slots=True)
class Panel:
    """A widget to be. Ids of lines are its own."""

    title: str
    left: str
    right: str = ""
    _lines: dict[Query | str, Line] = field(default_factory=dict)
    _bounds: dict[Bound, None] = field(default_factory=dict)

    def series(self, query: Query, label: str, *, shown: bool = True, right: bool = False) -> str:
        """Draw a metric, and return its id; what is only needed for others is not shown."""
        known = self._lines.get(query)
        if known is None:
            known = Line(f"m{len(self._lines) + 1}", label, query, shown=shown, right=right)
        elif shown and not known.shown:
            known = replace(known, label=label, shown=True, right=right)
        self._lines[query] = known
        return known.id

    def formula(self, expression: str, label: str, *, bound: bool = False) -> None:
        """Draw an expression over lines that are there."""
        if expression not in self._lines:
            identity = f"e{len(self._lines) + 1}"
            self._lines[expression] = Line(identity, label, expression=expression, bound=bound)

    def formula_of(self, lines: tuple[Line, ...], label: str) -> None:
        """Draw the last of `lines`, an expression over those before."""
        *parts, last = lines
        ids = {
            one.id: self.series(one.query, one.label, shown=False)
            for one in parts
            if one.query is not None
        }
        self.formula(_renamed(last.expression, ids), label)

    def bound(self, value: float, label: str, *, right: bool = False) -> None:
        """Draw a value across."""
        self._bounds[Bound(value, label, right)] = None

    def __bool__(self) -> bool:
        """Tell whether there is anything to see."""
        return any(line.shown for line in self._lines.values())

    def widget(self) -> Widget:
        """Return what was drawn."""
        lines = tuple(self._lines.values())
        right = self.right if any(one.right for one in lines) else ""
        return Widget(self.title, lines, tuple(self._bounds), self.left, right)


def _renamed(expression: str, ids: dict[str, str]) -> str:
    """Return `expression` with other ids, all at once: m1 may become m2, and m2 m1."""
    return re.sub(r"\bm\d+\b", lambda found: ids[found[0]], expression)
