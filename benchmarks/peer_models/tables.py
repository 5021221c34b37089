"""The tables of decision-quality.md, made from the stored figures of the comparison."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.peer_models.figures import (
    CONTESTS,
    ERRORS,
    FAULTS,
    LATENCY,
    MATCHED,
    RATES,
    Cell,
)
from benchmarks.peer_models.models import FLAGGER_BY_BOUND, OURS

ROOT: Final = Path(__file__).resolve().parents[2]
FILE: Final = Path(__file__).with_name("figures.json")
PAGE: Final = ROOT / "docs" / "contributors" / "decision-quality.md"
_OUR_ROW: Final = (OURS, "default")
# The judges that can wait longer than a bake, and have few enough false rollbacks.
HOLDERS: Final = (_OUR_ROW, ("Flagger", "tuned"), (FLAGGER_BY_BOUND, "tuned"))
_MARK: Final = "<!-- {}: python benchmarks/peers.py --write -->"
_END: Final = "<!-- end -->"


class Place(NamedTuple):
    """A world and a release in it: its fault, or 0 for a healthy one."""

    measure: str
    kind: str
    rpm: int
    fault: float


def stored() -> list[Cell]:
    """Return the stored cells."""
    return [Cell(*one) for one in json.loads(FILE.read_text())]


def figures_text(cells: Iterable[Cell]) -> str:
    """Return `cells` as a JSON list, with a line for each of them."""
    lines = ",\n".join(json.dumps(one) for one in cells)
    return f"[\n{lines}\n]\n"


def write_figures(cells: Iterable[Cell]) -> None:
    """Store `cells`, from which the tables are made."""
    FILE.write_text(figures_text(cells))


def write_tables() -> None:
    """Write every table of the page anew."""
    PAGE.write_text(with_tables(PAGE.read_text(), stored()))


def with_tables(text: str, cells: list[Cell]) -> str:
    """Return the page `text` with its tables made from `cells`."""
    tables: dict[str, Callable[[list[Cell]], Iterator[str]]] = {
        "where a peer wins": _losses,
        "false rollbacks": partial(_false_rollbacks, ERRORS),
        "bad requests": partial(_found, ERRORS, _bad_text),
        "minutes": partial(_found, ERRORS, _minutes_text),
        "false rollbacks of a latency": partial(_false_rollbacks, LATENCY),
        "bad requests of a latency": partial(_found, LATENCY, _bad_text),
        "minutes of a latency": partial(_found, LATENCY, _minutes_text),
        "held": _held,
        "runs": _runs,
    }
    for name, table in tables.items():
        mark = _MARK.format(name)
        before, _, rest = text.partition(f"{mark}\n")
        _, _, after = rest.partition(_END)
        text = f"{before}{mark}\n" + "\n".join(table(cells)) + f"\n{_END}{after}"
    return text


def _rows(cells: list[Cell], measure: str) -> list[tuple[str, str]]:
    """Return peer and setting of each row of a measure."""
    return list(dict.fromkeys((one.peer, one.setting) for one in cells if one.measure == measure))


def cell_of(cells: list[Cell], place: Place, row: tuple[str, str]) -> Cell:
    """Return the cell of a peer and its setting at one place."""
    return next(
        one for one in cells
        if (one.measure, one.kind, one.rpm, one.fault, one.peer, one.setting) == (*place, *row)
    )  # fmt: skip


def _table(corner: Iterable[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    titles = ["", *corner]
    yield f"| {' | '.join(titles)} |".replace("|  |", "| |")
    yield "|" + "---|" * len(titles)
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _label(row: tuple[str, str]) -> str:
    peer, setting = row
    return f"**{peer}**" if peer == OURS else f"{peer}, {setting}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%" if share >= 0.1 or not share else f"{100 * share:.1f}%"


def fault_text(measure: str, fault: float) -> str:
    """Return a fault for people."""
    return f"{100 * fault:g}%" if measure == ERRORS else f"+{100 * fault:g}%"


def _false_rollbacks(measure: str, cells: list[Cell]) -> Iterator[str]:
    columns = [(kind, rpm) for kind in CONTESTS[measure].kinds for rpm in RATES]
    rows = (
        [
            _label(row),
            *(
                _healthy_text(cell_of(cells, Place(measure, kind, rpm, 0.0), row))
                for kind, rpm in columns
            ),
        ]
        for row in _rows(cells, measure)
    )
    yield from _table((f"{kind}, {rpm:,}" for kind, rpm in columns), rows)


def _healthy_text(one: Cell) -> str:
    """Return the share that is rolled back; and of the others what is held, and what is paused."""
    waits = [f"{_percent(one.late)} held"] if one.late else []
    waits += [f"{_percent(one.paused)} paused"] if one.paused else []
    return (
        f"{_percent(one.rolled_back)} ({', '.join(waits)})" if waits else _percent(one.rolled_back)
    )


def _found(measure: str, text: Callable[[Cell], str], cells: list[Cell]) -> Iterator[str]:
    """Yield a table of the steady world, of the judges with few enough false rollbacks.

    In brackets: the share of runs that were found, where that is not all of them.
    """
    columns = [(rpm, fault) for rpm in RATES for fault in FAULTS[measure]]

    def shown(one: Cell) -> str:
        all_found = one.rolled_back > 0.995
        return text(one) if all_found else f"{text(one)} ({_percent(one.rolled_back)})"

    rows = (
        [
            _label(row),
            *(
                shown(cell_of(cells, Place(measure, "steady", rpm, fault), row))
                for rpm, fault in columns
            ),
        ]
        for row in _rows(cells, measure)
        if row[0] == OURS or row[1] == "tuned"
    )
    yield from _table((f"{rpm:,}: {fault_text(measure, one)}" for rpm, one in columns), rows)


def _bad_text(one: Cell) -> str:
    return "–" if one.bad is None else f"{one.bad:,.0f}"


def _minutes_text(one: Cell) -> str:
    return "–" if one.minutes is None else f"{one.minutes:,.0f}"


# --- Held time ------------------------------------------------------------------------------------


def _held(cells: list[Cell]) -> Iterator[str]:
    columns = [(row, rpm) for row in HOLDERS for rpm in RATES]
    rows = (
        [
            f"{measure}, {kind}",
            *(
                _held_text(cell_of(cells, Place(measure, kind, rpm, 0.0), row))
                for row, rpm in columns
            ),
        ]
        for measure in FAULTS
        for kind in CONTESTS[measure].kinds
    )
    yield from _table((f"{_label(row)}, {rpm:,}" for row, rpm in columns), rows)


def _held_text(one: Cell) -> str:
    if one.held is None or one.paused is None:
        return "–"
    text = f"{one.held:.0f}"
    if 0 < one.held < 1:
        text = f"{one.held:.1f}" if one.held >= 0.1 else "< 0.1"
    return f"{text} ({_percent(one.paused)} paused)" if one.paused else text


def _runs(cells: list[Cell]) -> Iterator[str]:
    errors, latency = (
        next(one.runs for one in cells if one.measure == measure) for measure in FAULTS
    )
    yield (
        f"A cell of errors is from {errors} releases, one of a latency from {latency}; a knob from "
        f"twice as many others, and held minutes from half of them. A share of 1% of {errors} may "
        f"as well be 0.1 or 3.6%."
    )


# --- Where a peer wins ----------------------------------------------------------------------------


def losses(cells: list[Cell]) -> Iterator[tuple[Cell, Cell]]:
    """Yield each cell in which a tuned peer serves fewer bad requests, and ours beside it.

    Only peers with few enough false rollbacks in the same world count, and what they find as
    surely.
    """
    for one in cells:
        if one.setting != "tuned" or not one.fault or one.bad is None:
            continue
        own = cell_of(cells, Place(one.measure, one.kind, one.rpm, one.fault), _OUR_ROW)
        healthy = cell_of(
            cells, Place(one.measure, one.kind, one.rpm, 0.0), (one.peer, one.setting)
        )
        sure = one.rolled_back >= own.rolled_back - 0.01
        fewer = own.bad is None or one.bad < own.bad
        if healthy.rolled_back <= 2 * MATCHED and sure and fewer:
            yield one, own


def _losses(cells: list[Cell]) -> Iterator[str]:
    yield (
        "| world | requests a minute | fault | tuned | bad requests | rolloutctl | minutes | "
        "rolloutctl | its false rollbacks at this rate |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for one, own in losses(cells):
        yield (
            f"{loss_start(one)}{one.knob:g}) | {_bad_text(one)} | {_bad_text(own)} | "
            f"{_minutes_text(one)} | {_minutes_text(own)} | {_percent(_worst(cells, one))} |"
        )


def loss_start(one: Cell) -> str:
    """Return the begin of the row of a cell that a peer wins."""
    fault = f"{fault_text(one.measure, one.fault)} {one.measure}"
    return f"| {one.kind} | {one.rpm:,} | {fault} | {one.peer} ("


def _worst(cells: list[Cell], peer: Cell) -> float:
    """Return the largest share of false rollbacks of `peer` in any world at its rate."""
    row, kinds = (peer.peer, peer.setting), CONTESTS[peer.measure].kinds
    places = (Place(peer.measure, kind, peer.rpm, 0.0) for kind in kinds)
    return max(cell_of(cells, place, row).rolled_back for place in places)
