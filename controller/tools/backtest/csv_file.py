"""A history from a CSV file: a column of times, and one for each metric of a policy.

`timestamp` has unix seconds or ISO 8601, the start of a period of one or five minutes. Further
columns: `NAME` for the statistic of that metric in the policy, `NAME.p95` for a percentile of it,
and `NAME.samples` for the number of samples behind them. An empty cell has no datapoint.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import Final

from controller.core.judge.series import SAMPLE_COUNT
from controller.core.policy import Policy
from controller.core.units import clock_text, duration_text, from_unix, quote_value
from controller.errors import Flaw, PolicyError, UsageError
from controller.tools.backtest.past_metrics import ColumnKey, PastMetrics

TIME_COLUMN: Final = "timestamp"
PERIODS_S: Final = (60, 300)
# A file with more mistakes than this has one cause for most of them.
_MAX_FLAWS: Final = 20
_MAX_GAPS_SHOWN: Final = 3
# 63 days at one minute are 91,000 lines, some ten megabytes.
_MAX_BYTES: Final = 100_000_000
_STATISTIC: Final = re.compile(r"^(p[0-9]{1,2}(\.[0-9]{1,2})?)$")


def read_csv(path: Path, policy: Policy) -> PastMetrics:
    """Return the history in the file at `path`.

    Raises PolicyError with a line for each mistake in it, UsageError when it cannot be read.
    """
    reading = _Reading(str(path), policy)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UsageError(f"{path}: larger than 100 MB; give fewer days or fewer columns")
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reading.read(lines)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PolicyError.of(Flaw(str(path), f"is not UTF-8 text: {error.reason}")) from error
    return reading.history()


@dataclass(slots=True)
class _Reading:
    """One pass over a file.

    columns: the key of each column, None for the times. rows: start and line of each row.
    """

    file: str
    policy: Policy
    flaws: list[Flaw] = field(default_factory=list)
    columns: list[ColumnKey | None] = field(default_factory=list)
    points: dict[ColumnKey, dict[int, float]] = field(default_factory=dict)
    rows: list[tuple[int, int]] = field(default_factory=list)

    def read(self, lines: Iterable[str]) -> None:
        """Read the header and every row after it."""
        rows, number = csv.reader(lines, strict=True), 1
        try:
            for row in rows:
                number = rows.line_num
                if not self.columns:
                    self._read_header(row)
                elif row:
                    self._read_row(row, number)
                if len(self.flaws) >= _MAX_FLAWS:
                    break
        except csv.Error as error:
            self._flaw(number, f"is not CSV: {error}")

    def history(self) -> PastMetrics:
        """Return what was read. Raises PolicyError with every mistake."""
        if not self.columns:
            self._flaw(1, f"is empty: the first line names the columns, {TIME_COLUMN} first")
        elif not self.flaws and len(self.rows) < 2:
            self._flaw(1, "has fewer than two rows of data")
        if self.flaws:
            raise PolicyError.of(*self.flaws)
        period_s = self._period()
        shift = self.rows[0][0] % period_s  # times are moved back to multiples of the period
        if self.flaws:
            raise PolicyError.of(*self.flaws[:_MAX_FLAWS])
        columns = {
            key: {at - shift: value for at, value in points.items()}
            for key, points in self.points.items()
        }
        return PastMetrics(period_s, columns, tuple(self._notes(period_s, shift)))

    def _flaw(self, line: int, message: str, column: int = 1) -> None:
        self.flaws.append(Flaw(self.file, message, line, column))

    # --- header -----------------------------------------------------------------------------------

    def _read_header(self, row: Sequence[str]) -> None:
        names = [name.strip() for name in row]
        if TIME_COLUMN not in names:
            self._flaw(1, f"has no column {TIME_COLUMN}: the start of each period")
        for index, name in enumerate(names):
            key = None if name == TIME_COLUMN else self._column(name, index + 1)
            if key in self.points or (key is None and name in names[:index]):
                self._flaw(1, f"the column {quote_value(name)} is there twice", index + 1)
            self.columns.append(key)
            if key is not None:
                self.points[key] = {}
        if names == [TIME_COLUMN]:
            self._flaw(1, f"has no column besides {TIME_COLUMN}")

    def _column(self, name: str, position: int) -> ColumnKey:
        metric, _, suffix = name.partition(".")
        if metric not in self.policy.metrics:
            known = ", ".join(self.policy.metrics)
            message = f"the column {quote_value(name)} names no metric of the policy: {known}"
            self._flaw(1, message, position)
        elif suffix == "samples":
            return metric, SAMPLE_COUNT
        elif not suffix:
            return metric, self.policy.metrics[metric].statistic
        elif not _STATISTIC.match(suffix):
            message = f"the column {quote_value(name)} ends neither in a percentile nor in .samples"
            self._flaw(1, message, position)
        return metric, suffix

    # --- rows -------------------------------------------------------------------------------------

    def _read_row(self, row: Sequence[str], line: int) -> None:
        if len(row) != len(self.columns):
            self._flaw(line, f"has {len(row)} cells, and the header has {len(self.columns)}")
            return
        at = self._time_of(row, line)
        if at is None:
            return
        self.rows.append((at, line))
        for index, (key, cell) in enumerate(zip(self.columns, row, strict=True)):
            if key is not None and cell.strip():
                value = _number(cell)
                if value is None:
                    message = f"expected a number of at least 0, not {quote_value(cell)}"
                    self._flaw(line, message, index + 1)
                else:
                    self.points[key][at] = value

    def _time_of(self, row: Sequence[str], line: int) -> int | None:
        """Return the time of a row; None for one that is wrong, or not later than the last."""
        column = next((index for index, key in enumerate(self.columns) if key is None), None)
        if column is None:
            return None
        at, problem = _moment(row[column].strip())
        before = self.rows[-1][0] if self.rows else None
        if at is None:
            self._flaw(line, problem, column + 1)
        elif before is None or at > before:
            return at
        elif at == before:
            self._flaw(line, f"{clock_text(from_unix(at))} is there twice", column + 1)
        else:
            above = clock_text(from_unix(before))
            message = f"{clock_text(from_unix(at))} is before the row above ({above})"
            self._flaw(line, message, column + 1)
        return None

    # --- periods ----------------------------------------------------------------------------------

    def _period(self) -> int:
        """Return the length of the periods: the smallest distance of two rows."""
        distances = self._distances()
        shortest, line = min(distances)
        if shortest not in PERIODS_S:
            length = duration_text(from_unix(shortest) - from_unix(0))
            self._flaw(line, f"the period is {length}; it has to be 1m or 5m")
            return PERIODS_S[0]
        for distance, number in distances:
            if distance % shortest:
                length = duration_text(from_unix(distance) - from_unix(0))
                message = f"is {length} after the row above, in a file with periods of {shortest} s"
                self._flaw(number, message)
        return shortest

    def _distances(self) -> list[tuple[int, int]]:
        return [(later - earlier, line) for (earlier, _), (later, line) in pairwise(self.rows)]

    def _notes(self, period_s: int, shift: int) -> Iterator[str]:
        if shift:
            yield (
                f"{self.file}: its periods begin {shift} s after a multiple of {period_s} s, and "
                "are read as if they began there"
            )
        gaps = [(distance, line) for distance, line in self._distances() if distance > period_s]
        for distance, line in gaps[:_MAX_GAPS_SHOWN]:
            missing = distance // period_s - 1
            yield f"{self.file}:{line}:1: a gap: {missing} periods are missing before this row"
        if len(gaps) > _MAX_GAPS_SHOWN:
            yield f"{self.file}: {len(gaps) - _MAX_GAPS_SHOWN} more gaps"


def _moment(text: str) -> tuple[int | None, str]:
    """Return the unix second of `text`, or what is wrong with it."""
    if text.isascii() and text.isdigit() and len(text) < 12:
        return int(text), ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        expected = "unix seconds, or ISO 8601 like 2026-11-20T00:00:00Z"
        return None, f"expected {expected}, not {quote_value(text)}"
    if moment.tzinfo is None:
        return None, f"{quote_value(text)} has no time zone: write it like 2026-11-20T00:00:00Z"
    return int(moment.timestamp()), ""


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if isfinite(value) and value >= 0 else None


def columns_text(keys: Iterable[ColumnKey]) -> str:
    """Return columns as a header has them, for a message."""
    names = {SAMPLE_COUNT: "samples"}
    return ", ".join(f"{metric}.{names.get(one, one)}" for metric, one in keys)
