"""The history that `backtest` reads from CloudWatch: whole days, each read once and kept."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from controller.adapters.iam import caller_identity
from controller.bootstrap.account import AwsAccount, real_account
from controller.core.judge.latency_tail import percentiles_of
from controller.core.judge.series import SAMPLE_COUNT, query
from controller.core.observation import MetricQuery, QueryStatus, Span
from controller.core.policy import Policy
from controller.core.units import floor_to, from_unix
from controller.errors import MetricsError, UsageError
from controller.operations.checks import CheckLevel
from controller.operations.live_checks import LiveChecks
from controller.ports.metrics import MetricSource
from controller.tools.backtest.past_metrics import ColumnKey, PastMetrics, Points

DAY_S: Final = 86_400
# How long CloudWatch keeps periods of a length, in days.
RETENTION_DAYS: Final[Mapping[int, int]] = {60: 15, 300: 63}
# One call reads so many days: its answer is one page for 50 queries at five minutes.
_DAYS_PER_CALL: Final = 7
# USD for each metric that a call of GetMetricData asks for (the price list, November 2026).
_PRICE_PER_METRIC: Final = 0.01 / 1_000

Announce = Callable[[str], object]
# The points of each day.
_Days: TypeAlias = dict[str, dict[int, float]]


def account_history(policy: Policy, days: int, period_s: int, announce: Announce) -> PastMetrics:
    """Return the last `days` of the metrics of `policy`, of which kept days are not asked again.

    Raises UsageError without a region or credentials, when STS does not name the caller, or with
    each check of a metric that would refuse a start; MetricsError when the metrics cannot be read.
    """
    account = real_account()
    _check_metrics(policy, account, announce)
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    request = HistoryRequest(
        days,
        period_s,
        account.clock.now(),
        _account_key(account),
        folder / "rolloutctl" / "metrics",
    )
    return read_history(account.metrics(), policy, request, announce)


def _account_key(account: AwsAccount) -> str:
    """Return the account id and the region. No profile or variable tells accounts apart for sure.

    Raises UsageError when STS does not name the caller.
    """
    caller = caller_identity(account.clients)
    number = "".join(caller.arn.split(":")[4:5])
    if not number:
        raise UsageError(
            f"AWS does not say whose metrics these are ({caller.problem or 'no account'}), so they "
            "cannot be kept apart from those of another account; run again, or give --csv"
        )
    return f"{number} {account.client('cloudwatch').meta.region_name}"


def _check_metrics(policy: Policy, account: AwsAccount, announce: Announce) -> None:
    """Announce each warning about metrics. Raises UsageError where one fails a check."""
    live = LiveChecks(
        policy=policy,
        target=account.open(policy.target),
        metrics=account.metrics(),
        exposures=None,
        catalogue=account.metric_list(),
        alarms=account.alarms(),
        logs=account.log_counts(),
    )
    checks = list(live.metric_checks(None, account.clock.now()))
    for check in checks:
        if check.level is CheckLevel.WARN:
            announce(f"warning: {check.text}")
    failed = [f"  {check.text}" for check in checks if check.level is CheckLevel.FAIL]
    if failed:
        raise UsageError(
            f"{policy.name} was not backtested: a start would be refused, too:", *failed
        )


# --- Days -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """The last `days` whole days before `now`, UTC, in periods of `period_s`.

    account: names the account and its region in the file names, so that no two share a day.
    folder: where days are kept.
    """

    days: int
    period_s: int
    now: datetime
    account: str
    folder: Path

    def __post_init__(self) -> None:
        most = RETENTION_DAYS[self.period_s]
        if not 1 <= self.days <= most:
            minutes = self.period_s // 60
            raise UsageError(
                f"--days: CloudWatch keeps periods of {minutes} minutes for {most} days, so the "
                f"history can be 1 to {most} days long"
            )

    @property
    def span(self) -> Span:
        """The time that is read."""
        end = floor_to(self.now, DAY_S)
        return Span(end - self.days * DAY_S, end)


def read_history(
    source: MetricSource, policy: Policy, request: HistoryRequest, announce: Announce
) -> PastMetrics:
    """Return the history of the metrics of `policy`.

    announce: is given what will be asked and what that costs, before it is asked.
    Raises MetricsError when CloudWatch does not answer in full, UsageError when a day cannot be
    kept.
    """
    columns = _columns(policy, request.period_s)
    cache = _Cache(request)
    days = list(range(request.span.start, request.span.end, DAY_S))
    missing = {one: cache.missing(one, days) for one in dict.fromkeys(columns.values())}
    calls = list(_calls(missing))
    if calls:
        asked = sum(len(queries) for queries, _ in calls)
        announce(
            f"reading {request.days} days from CloudWatch: {asked} metrics in {len(calls)} calls, "
            f"about {max(0.01, asked * _PRICE_PER_METRIC):.2f} USD; kept in {request.folder}"
        )
    for queries, span in calls:
        for one, series in source.read(queries, span).items():
            if series.status is not QueryStatus.COMPLETE:
                name = f"{one.place} {one.name} ({one.statistic})"
                why = series.message or series.status
                raise MetricsError(f"{name} was not answered in full: {why}")
            cache.keep(one, series.points, span)
    points = {one: cache.points(one, days) for one in missing}
    return PastMetrics(request.period_s, {key: points[column] for key, column in columns.items()})


def _columns(policy: Policy, period_s: int) -> dict[ColumnKey, MetricQuery]:
    """Return the query of every column that the criteria of `policy` may read."""
    columns: dict[ColumnKey, MetricQuery] = {}
    used = (name for criterion in policy.criteria.values() for name in criterion.metric_names)
    for name in dict.fromkeys(used):
        metric = policy.metrics[name]
        statistics = [metric.statistic]
        if not metric.is_count:
            statistics.append(SAMPLE_COUNT)
        if metric.percentile is not None:
            statistics += percentiles_of(metric)
        columns |= {
            (name, statistic): query(metric, statistic, period_s) for statistic in statistics
        }
    return columns


def _calls(missing: Mapping[MetricQuery, list[int]]) -> Iterator[tuple[list[MetricQuery], Span]]:
    """Yield which queries are asked together for which days in a row."""
    by_days: dict[tuple[int, ...], list[MetricQuery]] = {}
    for one, days in missing.items():
        for run in _runs(days):
            by_days.setdefault(tuple(run), []).append(one)
    for together, queries in by_days.items():
        yield queries, Span(together[0], together[-1] + DAY_S)


def _runs(days: Iterable[int]) -> Iterator[list[int]]:
    """Yield days in a row, at most as many as one call reads."""
    run: list[int] = []
    for day in days:
        if run and (day != run[-1] + DAY_S or len(run) == _DAYS_PER_CALL):
            yield run
            run = []
        run.append(day)
    if run:
        yield run


class _Cache:
    """The days that were read: a file for each query, which has its points by day."""

    def __init__(self, request: HistoryRequest) -> None:
        self._request = request
        self._days: dict[MetricQuery, _Days] = {}

    def missing(self, one: MetricQuery, days: Iterable[int]) -> list[int]:
        """Return the days of `one` that are not kept."""
        kept = self._load(one)
        return [day for day in days if _day_key(day) not in kept]

    def keep(self, one: MetricQuery, points: Points, span: Span) -> None:
        """Keep what `one` showed in the whole days of `span`, also those without a datapoint."""
        kept = self._load(one)
        for day in range(span.start, span.end, DAY_S):
            inside = {at: value for at, value in points.items() if day <= at < day + DAY_S}
            kept[_day_key(day)] = inside
        file = self._file(one)
        scratch = file.with_suffix(f".{os.getpid()}")
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            scratch.write_text(json.dumps(kept))
            scratch.replace(file)
        except OSError as error:
            raise UsageError(f"{file.parent}: no day can be kept: {error.strerror}") from error

    def points(self, one: MetricQuery, days: Iterable[int]) -> dict[int, float]:
        """Return the datapoints of `one` in these days."""
        kept = self._load(one)
        return {at: value for day in days for at, value in kept[_day_key(day)].items()}

    def _file(self, one: MetricQuery) -> Path:
        parts = one.place, one.name, one.statistic, one.period_s, *one.dimensions
        text = json.dumps([self._request.account, *map(str, parts)])
        return self._request.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"

    def _load(self, one: MetricQuery) -> _Days:
        if one not in self._days:
            try:
                self._days[one] = msgspec.json.decode(self._file(one).read_bytes(), type=_Days)
            except (OSError, msgspec.DecodeError):  # nothing is kept, or it is damaged: read again
                self._days[one] = {}
        return self._days[one]


def _day_key(day: int) -> str:
    return from_unix(day).date().isoformat()
