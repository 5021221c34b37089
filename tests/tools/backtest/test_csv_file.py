"""A history from a CSV file: what it may look like, and every mistake in one line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.errors import PolicyError, UsageError
from controller.tools.backtest.csv_file import read_csv
from controller.tools.backtest.prepare import prepare
from tests.support.backtests import BEGIN, rows_of, shop, subject_of
from tests.support.cases import cases

HEAD = "timestamp,requests,errors\n"


def written(folder: Path, text: str) -> Path:
    file = folder / "h.csv"
    file.write_text(text)
    return file


def rows(*times: object) -> str:
    return HEAD + "".join(f"{at},10,0\n" for at in times)


@cases("text, place, says", {
    "empty file": ("", "1:1", "is empty"),
    "no rows": (HEAD, "1:1", "fewer than two rows"),
    "no times": ("requests\n1\n", "1:1", "no column timestamp"),
    "unknown column": ("timestamp,visits\n0,1\n", "1:2", "names no metric"),
    "unknown statistic": ("timestamp,latency.max\n0,1\n", "1:2", "percentile"),
    "column twice": ("timestamp,errors,errors\n", "1:3", "is there twice"),
    "duplicate": (rows(0, 300, 300), "4:1", "is there twice"),
    "disorder": (rows(0, 600, 300), "4:1", "is before the row above"),
    "mixed periods": (rows(0, 300, 660), "4:1", "is 6m after the row above"),
    "unknown period": (rows(0, 120, 240), "3:1", "has to be 1m or 5m"),
    "no time": (rows("monday", 300), "2:1", "unix seconds"),
    "no zone": (rows("2026-11-20T00:00:00", 300), "2:1", "no time zone"),
    "no number": (HEAD + "0,many,0\n", "2:2", "expected a number"),
    "below zero": (HEAD + "0,-1,0\n", "2:2", "at least 0"),
    "nan": (HEAD + "0,nan,0\n", "2:2", "expected a number"),
    "short row": (HEAD + "0,1\n", "2:1", "has 2 cells"),
})  # fmt: skip
def test_a_mistake_is_one_located_line(text: str, place: str, says: str, tmp_path: Path) -> None:
    file = written(tmp_path, text)
    with pytest.raises(PolicyError) as caught:
        read_csv(file, shop())
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(f"{file}:{place}: ")
    assert says in lines[0]


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(PolicyError) as caught:
        read_csv(written(tmp_path, HEAD + "0,many,0\nsoon,1,0\n300,1,few\n"), shop())
    assert len(caught.value.flaws) == 3


def test_a_gap_is_told_and_has_no_data(tmp_path: Path) -> None:
    file = written(tmp_path, rows(0, 300, 1_200))
    history = read_csv(file, shop())
    assert history.notes == (f"{file}:4:1: a gap: 2 periods are missing before this row",)
    assert list(history.columns["requests", "Sum"]) == [0, 300, 1_200]


def test_times_may_be_iso_and_empty_cells_are_no_datapoints(tmp_path: Path) -> None:
    text = HEAD + "2026-11-20T00:00:00Z,10,\n2026-11-20T01:05:00+01:00,,2\n"
    history = read_csv(written(tmp_path, text), shop())
    first = 1_795_132_800
    assert history.period_s == 300
    assert history.columns["requests", "Sum"] == {first: 10}
    assert history.columns["errors", "Sum"] == {first + 300: 2}


def test_periods_beside_the_clock_are_moved_to_it(tmp_path: Path) -> None:
    history = read_csv(written(tmp_path, rows(120, 420)), shop())
    assert history.begin == 0
    assert "120 s after" in history.notes[0]


# --- what fits ------------------------------------------------------------------------------------


def test_a_criterion_without_a_column_is_named(tmp_path: Path) -> None:
    policy = shop()
    history = read_csv(written(tmp_path, rows(BEGIN, BEGIN + 300)), policy)
    with pytest.raises(UsageError) as caught:
        prepare(policy, history)
    assert "latency.p95, which fast reads" in str(caught.value)


def test_one_percentile_is_not_enough_to_interpolate(tmp_path: Path) -> None:
    listed = [{k: v for k, v in row.items() if "." not in k} for row in rows_of(3)]
    with pytest.raises(UsageError, match="the history does not fit"):
        subject_of(shop(), tmp_path, listed)


def test_a_canary_without_data_is_read_from_the_stable_path(tmp_path: Path) -> None:
    metrics = {
        **shop().model_dump(mode="json", exclude_none=True)["metrics"],
        "direct": {"namespace": "Shop", "name": "Direct", "statistic": "Sum"},
        "failed": {"namespace": "Shop", "name": "Failed", "statistic": "Sum"},
    }
    works = {
        "kind": "success_rate", "total": "requests", "failures": ["errors"], "min": "99%",
        "control": {"total": "direct", "failures": ["failed"]},
    }  # fmt: skip
    listed = [
        {"timestamp": row["timestamp"], "direct": row["requests"], "failed": row["errors"]}
        for row in rows_of(3)
    ]
    subject = subject_of(shop(metrics=metrics, criteria={"works": works}), tmp_path, listed)
    assert subject.history.filled == {"requests": "direct", "errors": "failed"}


_CELLS = st.sampled_from(
    [
        "",
        "0",
        "60",
        "300",
        "1e400",
        "-1",
        "nan",
        "2026-11-20T00:00:00Z",
        '"',
        '"a',
        "\x00",
        "\ufeff",
    ]
)
_ROWS = st.lists(st.lists(_CELLS, max_size=4).map(",".join), max_size=6).map("\n".join)
_HEADS = st.sampled_from(
    ["timestamp,requests,errors", "timestamp", "requests,timestamp", "", "timestamp,latency.p95"]
)


@given(_HEADS, _ROWS)
def test_any_csv_is_a_history_or_names_its_lines(
    tmp_path_factory: pytest.TempPathFactory, head: str, rows: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "history.csv"
    file.write_text(f"{head}\n{rows}\n", encoding="utf-8")
    message = ""
    try:
        read_csv(file, shop())
    except (PolicyError, UsageError) as error:
        message = str(error)
    assert all(line.startswith((f"{file}:", "and ")) for line in message.splitlines())
