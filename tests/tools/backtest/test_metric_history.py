"""A history from CloudWatch: what it costs is said first, and no day is asked for twice."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.core.observation import MetricQuery, Span
from controller.errors import MetricsError, UsageError
from controller.tools.backtest.compose import (
    HistoryRequest,
    read_history,
)
from controller.tools.backtest.past_metrics import PastMetrics
from tests.support.backtests import shop
from tests.support.core import QueryStatus, Series

NOW = datetime(2026, 11, 20, 15, 7, tzinfo=UTC)
DAY_S = 86_400


@dataclass
class Source:
    """Answers each query with one datapoint an hour, and keeps what it was asked."""

    status: QueryStatus = QueryStatus.COMPLETE
    asked: list[tuple[int, Span]] = field(default_factory=list)

    def read(self, queries: Iterable[MetricQuery], span: Span) -> Mapping[MetricQuery, Series]:
        listed = list(queries)
        self.asked.append((len(listed), span))
        points = {at: float(at % 1_000) for at in range(span.start, span.end, 3_600)}
        return {one: Series(points, self.status, "throttled") for one in listed}


@dataclass
class Account:
    """Reads histories of the shop into one folder."""

    folder: Path
    source: Source = field(default_factory=Source)
    announced: list[str] = field(default_factory=list)

    def read(self, days: int = 10, now: datetime = NOW, account: str = "one") -> PastMetrics:
        request = HistoryRequest(days, 300, now, account, self.folder)

        def announce(text: str) -> None:
            assert len(self.source.asked) == self.calls, "the cost is said before anything is asked"
            self.announced.append(text)

        self.calls = len(self.source.asked)
        return read_history(self.source, shop(), request, announce)


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account(tmp_path / "cache")


def test_whole_days_are_read_with_the_percentiles_that_the_judge_needs(account: Account) -> None:
    history = account.read()
    midnight = int(NOW.replace(hour=0, minute=0).timestamp())
    assert (history.begin, history.end) == (midnight - 10 * DAY_S, midnight - 3_600 + 300)
    assert set(history.columns) == {
        ("requests", "Sum"), ("errors", "Sum"), ("latency", "SampleCount"),
        *(("latency", one) for one in ("p50", "p90", "p95", "p99")),
    }  # fmt: skip
    assert [count for count, _ in account.source.asked] == [7, 7]
    assert "14 metrics in 2 calls, about 0.01 USD" in account.announced[0]


def test_a_second_run_asks_nothing(account: Account) -> None:
    first = account.read()
    assert account.read().columns == first.columns
    assert (len(account.source.asked), len(account.announced)) == (2, 1)


def test_another_account_shares_no_day(account: Account) -> None:
    account.read()
    account.read(account="two")
    assert len(account.source.asked) == 4


def test_a_damaged_file_is_read_again(account: Account) -> None:
    first = account.read()
    for number, file in enumerate(sorted(account.folder.iterdir())):
        file.write_text(["", "[]", '{"2026-11-19": 3}', '{"2026-11-19": {"soon": 1}}'][number % 4])
    assert account.read().columns == first.columns


def test_an_answer_that_is_not_complete_is_no_history(account: Account) -> None:
    account.source.status = QueryStatus.PARTIAL
    with pytest.raises(MetricsError, match="not answered in full: throttled"):
        account.read()
    account.source.status = QueryStatus.COMPLETE
    account.read()
    assert len(account.source.asked) == 3, "nothing of the failed call was kept"


def test_a_history_is_no_longer_than_cloudwatch_keeps_it(account: Account) -> None:
    with pytest.raises(UsageError, match="1 to 63 days"):
        account.read(days=64)
