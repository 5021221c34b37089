"""`MetricSource` on Prometheus: raw samples in, statistics of minutes out.

IAM: aps:QueryMetrics on the workspace of Amazon Managed Service for Prometheus that a policy names;
secretsmanager:GetSecretValue or ssm:GetParameter on the token of another server, and kms:Decrypt
on its key.

Rates and increases are not left to the server: it extrapolates them, and they change with the time
of the query. A minute is what the samples say, at each read the same.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import ceil, inf, isfinite
from typing import Final, TypeAlias

from controller.adapters.iam import (
    METRIC_JOBS,
    PARAMETERS_KEY,
    SECRETS_KEY,
    SOURCE_PARAMETERS,
    SOURCE_SECRETS,
    WORKSPACE,
    Permission,
)
from controller.adapters.metrics.prometheus.client import PrometheusClient, TooLongError
from controller.adapters.metrics.prometheus.periods import (
    NoBoundError,
    Readable,
    bound_near,
    no_bound_series,
)
from controller.adapters.metrics.prometheus.samples import (
    BUCKET,
    LOOK_BACK_S,
    SUM,
    RawSeries,
    SampledSeries,
    Scrapes,
    Target,
    first_samples,
    sampled_series,
    target_of,
)
from controller.core.observation import MetricQuery, QueryStatus, Series, Span
from controller.core.policy.sources.prometheus import PrometheusSource
from controller.core.units import MINUTE_S
from controller.errors import MetricsError, RolloutError
from controller.ports.account import Account
from controller.safe_text import printable

IAM: Final = (
    Permission("aps:QueryMetrics", WORKSPACE, METRIC_JOBS),
    Permission("secretsmanager:GetSecretValue", SOURCE_SECRETS, METRIC_JOBS),
    Permission("kms:Decrypt", SECRETS_KEY, METRIC_JOBS, via="secretsmanager"),
    Permission("ssm:GetParameter", SOURCE_PARAMETERS, METRIC_JOBS),
    Permission("kms:Decrypt", PARAMETERS_KEY, METRIC_JOBS, via="ssm"),
)

READ_S: Final = 20.0
_DAY_S: Final = 86_400
_AT_ONCE: Final = 4
# Samples of one query are of no more than this; of less where an answer is too long.
_LONGEST_S, _SHORTEST_S = 3_600, 300
_MOST_TARGETS: Final = 200
# A series of another target has these labels, too, but its name.
_SCRAPED: Final = "up"
_MOST_WARNINGS, _LONGEST_WARNING = 3, 200

_Dimensions: TypeAlias = tuple[tuple[str, str], ...]


def open_source(source: PrometheusSource, account: Account) -> "PrometheusMetrics":
    """Return the source of metrics of `account` at `source`."""
    return PrometheusMetrics(source, account)


class PrometheusMetrics:
    """`MetricSource` of one server."""

    def __init__(self, source: PrometheusSource, account: Account) -> None:
        self._source, self._account = source, account

    def read(self, queries: Iterable[MetricQuery], span: Span) -> Mapping[MetricQuery, Series]:
        """Return one series per query; of a metric that is not answered, each says why.

        Raises MetricsError where the token cannot be read.
        """
        by_metric: dict[tuple[str, _Dimensions], list[MetricQuery]] = {}
        for query in queries:
            by_metric.setdefault((query.name, query.dimensions), []).append(query)
        days = max(1, ceil((span.end - span.start) / _DAY_S))
        client = PrometheusClient(self._source, self._account, READ_S, days)

        def answer(own: Sequence[MetricQuery]) -> dict[MetricQuery, Series]:
            return self._answer(client, own, span)

        if len(by_metric) <= 1:
            answers = [answer(own) for own in by_metric.values()]
        else:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                answers = list(pool.map(answer, by_metric.values()))
        return {query: series for one in answers for query, series in one.items()}

    def _answer(
        self, client: PrometheusClient, queries: Sequence[MetricQuery], span: Span
    ) -> dict[MetricQuery, Series]:
        """Return the series of queries of one metric."""
        try:
            reading = _Reading(client, self._source, queries, span)
            return reading.series(self._account.clock.now().timestamp())
        except RolloutError as error:  # also of the credentials of AWS
            denied = isinstance(error, MetricsError) and error.denied
            status = QueryStatus.FORBIDDEN if denied else QueryStatus.ERROR
            message = f"{self._source.display_name}: {error}"
            return dict.fromkeys(queries, Series(status=status, message=message))


class _Reading:
    """One metric, read for queries of several statistics and periods."""

    def __init__(
        self,
        client: PrometheusClient,
        source: PrometheusSource,
        queries: Sequence[MetricQuery],
        span: Span,
    ) -> None:
        self._client, self._queries, self._span = client, queries, span
        self._name = queries[0].name
        self._kind = source.type_of(self._name)
        self._matchers = [_matcher(label, value) for label, value in queries[0].dimensions]
        self._warnings: list[str] = []

    def series(self, now: float) -> dict[MetricQuery, Series]:
        """Return one series per query. now: unix seconds. Raises MetricsError."""
        end = min(float(self._span.end + MINUTE_S), now)  # a scrape after a minute counts in it
        raw = self._samples(self._selector(), self._span.start - LOOK_BACK_S, end)
        series = sampled_series(raw, self._name)
        readable = Readable(self._kind, series, self._scrapes(series), self._span, now)
        return {query: self._series_of(query, readable) for query in self._queries}

    def _series_of(self, query: MetricQuery, readable: Readable) -> Series:
        limit = query.statistic.removeprefix("TC(").removesuffix(":)")
        try:
            if not readable.series and limit != query.statistic:
                self._check_bound(float(limit))
            points = readable.statistic(query.statistic, query.period_s)
        except NoBoundError as error:
            return no_bound_series(self._name, limit, error.bounds)
        except ValueError as error:
            return Series(status=QueryStatus.ERROR, message=str(error))
        if not all(map(isfinite, points.values())):
            message = "some of its values are no numbers"
            return Series(status=QueryStatus.ERROR, message=message)
        if self._warnings:
            warnings = list(dict.fromkeys(self._warnings))[:_MOST_WARNINGS]
            text = "; ".join(printable(one)[:_LONGEST_WARNING] for one in warnings)
            return Series(points, QueryStatus.PARTIAL, text)
        return Series(points)

    def _selector(self) -> str:
        names = [self._name]
        if self._kind == "histogram":
            names.append(self._name + BUCKET)
            if any(query.statistic == "Average" for query in self._queries):
                names.append(self._name + SUM)
        own = "~" + "|".join(map(re.escape, names)) if len(names) > 1 else self._name
        return f"{{{','.join([_matcher('__name__', own), *self._matchers])}}}"

    def _samples(self, selector: str, start: float, end: float) -> list[RawSeries]:
        """Return the raw samples from `start` to `end`, unix seconds."""
        raw: list[RawSeries] = []
        waiting = _parts(start, end)
        while waiting:
            begin, until = waiting.pop()
            try:
                raw += self._query(f"{selector}[{max(1, ceil(until - begin))}s]", until)
            except TooLongError:
                middle = (begin + until) / 2
                if middle - begin < _SHORTEST_S:
                    raise MetricsError(
                        f"the samples of {self._name} are too many: name more of its labels"
                    ) from None
                waiting += [(begin, middle), (middle, until)]
        return raw

    def _query(self, query: str, at: float) -> Sequence[RawSeries]:
        result = self._client.query(query, at)
        self._warnings += result.warnings
        return result.series

    def _scrapes(self, series: Sequence[SampledSeries]) -> Scrapes:
        """Return when the targets were scraped whose series begin in the span.

        For any other series no more than its own samples is needed.
        """
        firsts = {} if self._kind == "gauge" else self._first_samples(series)
        if not firsts:
            return {}
        seconds = [at for begins in firsts.values() for at in begins]
        jobs, instances = zip(*firsts, strict=True)
        matchers = [_matcher("__name__", _SCRAPED), _one_of("job", jobs)]
        if len(firsts) <= _MOST_TARGETS:
            matchers.append(_one_of("instance", instances))
        raw = self._samples(f"{{{','.join(matchers)}}}", min(seconds) - LOOK_BACK_S, max(seconds))
        return {
            frozenset(one.labels.items()): [at for at, is_up in one.numbers if is_up]
            for one in sampled_series(raw, _SCRAPED)
            if target_of(one) in firsts
        }

    def _first_samples(self, series: Sequence[SampledSeries]) -> dict[Target, list[float]]:
        firsts: dict[Target, list[float]] = {}
        for one in series:
            samples = one.numbers or one.histograms
            begins = [at for at in first_samples(samples) if at >= self._span.start]
            if begins and (target := target_of(one)) is not None:
                firsts.setdefault(target, []).extend(begins)
        return firsts

    def _check_bound(self, limit: float) -> None:
        """Raise NoBoundError where the metric has bounds under other labels, and none near."""
        names = "~" + "|".join(re.escape(self._name + part) for part in ("", BUCKET))
        selector = f"{{{_matcher('__name__', names)}}}"
        try:
            found = self._query(f"count by (le) (last_over_time({selector}[1h]))", self._span.end)
        except (TooLongError, MetricsError):
            return
        bounds = [one.metric.get("le") for one in found]
        if bounds and None not in bounds:  # a native histogram has no label for its bounds
            bound_near(limit, [(-inf, float(bound or inf)) for bound in bounds])


def _parts(start: float, end: float) -> list[tuple[float, float]]:
    """Return the time from `start` to `end` in parts, each of them for one query."""
    parts = []
    while start < end:
        parts.append((start, min(start + _LONGEST_S, end)))
        start += _LONGEST_S
    return parts


def _one_of(label: str, values: Iterable[str]) -> str:
    return _matcher(label, "~" + "|".join(re.escape(value) for value in dict.fromkeys(values)))


def _matcher(label: str, value: str) -> str:
    """Return the matcher of a label: `~5..` is a pattern, and `!` in front means any other."""
    negated = value.startswith("!")
    text = value[negated:]
    pattern = text.startswith("~")
    quoted = text[pattern:].replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    operator = {(0, 0): "=", (0, 1): "=~", (1, 0): "!=", (1, 1): "!~"}[negated, pattern]
    return f'{label}{operator}"{quoted}"'
