"""The tables of docs/decision-quality.md, made from the stored figures of the comparison."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from benchmarks.peer_models.figures import FAULTS, HEALTHY, MATCHED, RATES, Cell
from benchmarks.peer_models.world import KINDS

ROOT: Final = Path(__file__).resolve().parents[2]
FILE: Final = Path(__file__).with_name("figures.json")
PAGE: Final = ROOT / "docs" / "decision-quality.md"
OURS: Final = "rolloutctl"
_MARK: Final = "<!-- {}: python benchmarks/peers.py --write -->"
_END: Final = "<!-- end -->"


def stored() -> list[Cell]:
    """Return the stored cells."""
    return [Cell(**one) for one in json.loads(FILE.read_text())["cells"]]


def write_tables() -> None:
    """Write every table of the page anew."""
    PAGE.write_text(with_tables(PAGE.read_text(), stored()))


def with_tables(text: str, cells: list[Cell]) -> str:
    """Return the page `text` with its tables made from `cells`."""
    tables: dict[str, Callable[[list[Cell]], Iterator[str]]] = {
        "false rollbacks": _false_rollbacks,
        "bad requests": _bad_requests,
        "minutes": _minutes,
        "where a peer wins": _losses,
    }
    for name, table in tables.items():
        mark = _MARK.format(name)
        before, _, rest = text.partition(f"{mark}\n")
        _, _, after = rest.partition(_END)
        text = f"{before}{mark}\n" + "\n".join(table(cells)) + f"\n{_END}{after}"
    return text


def _rows(cells: list[Cell]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((one.peer, one.setting) for one in cells))


def _found(cells: list[Cell], row: tuple[str, str], kind: str, rpm: int, errors: float) -> Cell:
    return next(
        one for one in cells
        if (one.peer, one.setting, one.kind, one.rpm, one.errors) == (*row, kind, rpm, errors)
    )  # fmt: skip


def _label(row: tuple[str, str]) -> str:
    peer, setting = row
    return f"**{peer}**" if peer == OURS else f"{peer}, {setting}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 or not share else f"{100 * share:.1f} %"


def _false_rollbacks(cells: list[Cell]) -> Iterator[str]:
    columns = [(kind, rpm) for kind in KINDS for rpm in RATES]
    yield "| | " + " | ".join(f"{kind}, {rpm:,}" for kind, rpm in columns) + " |"
    yield "|---|" + "---|" * len(columns)
    for row in _rows(cells):
        values = (_found(cells, row, kind, rpm, HEALTHY).rolled_back for kind, rpm in columns)
        yield f"| {_label(row)} | " + " | ".join(map(_percent, values)) + " |"


def _bad_requests(cells: list[Cell]) -> Iterator[str]:
    yield from _steady(cells, lambda one: "–" if one.failed is None else f"{one.failed:,.0f}")


def _minutes(cells: list[Cell]) -> Iterator[str]:
    yield from _steady(cells, lambda one: "–" if one.minutes is None else f"{one.minutes:,.0f}")


def _steady(cells: list[Cell], text: Callable[[Cell], str]) -> Iterator[str]:
    """Yield a table of the steady world, of the judges with few enough false rollbacks."""
    columns = [(rpm, errors) for rpm in RATES for errors in FAULTS]
    yield "| | " + " | ".join(f"{rpm:,}: {100 * errors:g} %" for rpm, errors in columns) + " |"
    yield "|---|" + "---|" * len(columns)
    for row in _rows(cells):
        if row[0] != OURS and row[1] != "tuned":
            continue
        values = (_found(cells, row, "steady", *column) for column in columns)
        yield f"| {_label(row)} | " + " | ".join(map(_shown(text), values)) + " |"


def _shown(text: Callable[[Cell], str]) -> Callable[[Cell], str]:
    """Return `text` with the share of runs that were found, where that is not all of them."""
    return lambda one: text(one) if one.rolled_back > 0.995 else (
        f"{text(one)} ({_percent(one.rolled_back)})"
    )  # fmt: skip


def losses(cells: list[Cell]) -> Iterator[tuple[Cell, Cell]]:
    """Yield each cell in which a tuned peer serves fewer bad requests, and ours beside it.

    Only peers with few enough false rollbacks in the same world count, and what they find as
    surely.
    """
    for one in cells:
        if one.setting != "tuned" or one.errors == HEALTHY or one.failed is None:
            continue
        own = _found(cells, (OURS, "default"), one.kind, one.rpm, one.errors)
        healthy = _found(cells, (one.peer, one.setting), one.kind, one.rpm, HEALTHY)
        sure = one.rolled_back >= own.rolled_back - 0.01
        if healthy.rolled_back <= 2 * MATCHED and sure and one.failed < (own.failed or 0):
            yield one, own


def _losses(cells: list[Cell]) -> Iterator[str]:
    yield (
        "| world | requests a minute | errors | tuned | bad requests | rolloutctl | minutes | "
        "rolloutctl | its false rollbacks at this rate |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for one, own in losses(cells):
        yield (
            f"| {one.kind} | {one.rpm:,} | {100 * one.errors:g} % | {one.peer} ({one.knob:g}) | "
            f"{one.failed:,.0f} | {own.failed:,.0f} | {one.minutes:,.0f} | {own.minutes:,.0f} | "
            f"{_percent(_worst(cells, one))} |"
        )


def _worst(cells: list[Cell], peer: Cell) -> float:
    """Return the largest share of false rollbacks of `peer` in any world at its rate."""
    row = peer.peer, peer.setting
    return max(_found(cells, row, kind, peer.rpm, HEALTHY).rolled_back for kind in KINDS)
