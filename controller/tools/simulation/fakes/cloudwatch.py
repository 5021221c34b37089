"""Fake of CloudWatch: its metrics, and the states of its alarms.

Metrics are published late, reduced to bins, and have no datapoint without values.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final, Protocol

from controller.core.policy import alarm_name
from controller.core.units import MINUTE_S, from_unix
from controller.tools.simulation.clock import VirtualClock
from controller.tools.simulation.fakes.errors import client_error, validation_error
from controller.tools.simulation.fakes.metric_request import (
    MetricRequest,
    RequestedMetric,
    next_token,
    read_request,
)
from controller.tools.simulation.histogram import (
    Distribution,
    count_above,
    merge,
    percentile,
    thin,
)
from controller.tools.simulation.scenario.metric_roles import Identity
from controller.tools.simulation.scenario.scenario import Publication
from controller.tools.simulation.scenario.timeline import Script

# How long datapoints of a period are kept; a longer period is kept longer.
_RETENTION = (
    (3_600, timedelta(days=455)),
    (300, timedelta(days=63)),
    (MINUTE_S, timedelta(days=15)),
)


class MetricFeed(Protocol):
    """The source of one metric's values.

    unit: as CloudWatch spells it. scale: factor of every value.
    """

    unit: str
    scale: float

    def minute(self, second: int) -> Distribution:
        """Return the values of the minute that begins at `second`; that minute is over."""

    def count(self, second: int) -> int:
        """Return how many values that minute has; cheaper than the values."""


class PutMetricFeed:
    """The values of a metric that were stored by PutMetricData."""

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.scale = 1.0
        self._minutes: dict[int, Distribution] = {}

    def add(self, second: int, values: Distribution) -> None:
        """Add `values` to the minute that begins at `second`."""
        self._minutes[second] = merge((self.minute(second), values))

    def minute(self, second: int) -> Distribution:
        return self._minutes.get(second, Distribution())

    def count(self, second: int) -> int:
        return self.minute(second).count


@dataclass(slots=True)
class Datapoints:
    """The datapoints of a series, oldest first: the begin of each period, and its value."""

    moments: list[datetime] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, moment: datetime, value: float) -> None:
        """Add the datapoint of the period that begins at `moment`."""
        self.moments.append(moment)
        self.values.append(value)

    def between(self, begin: int, end: int) -> "Datapoints":
        """Return the datapoints of the periods that begin from `begin` on and before `end`."""
        part = slice(
            bisect_left(self.moments, from_unix(begin)), bisect_left(self.moments, from_unix(end))
        )
        return Datapoints(self.moments[part], self.values[part])


@dataclass(slots=True)
class FinalPeriods:
    """The periods from `begin` to `end`, unix seconds, whose datapoints can no longer change."""

    period_s: int
    begin: int
    end: int
    datapoints: Datapoints = field(default_factory=Datapoints)

    def end_at(self, moment: int) -> int:
        """Return the end of the last of these periods that is over at `moment`."""
        end = max(self.begin, min(self.end, moment))
        return end - (end - self.begin) % self.period_s

    def until(self, moment: int) -> "FinalPeriods":
        """Return a copy without the periods that end after `moment`."""
        end = self.end_at(moment)
        points = self.datapoints.between(self.begin, end)
        return FinalPeriods(self.period_s, self.begin, end, points)


class FakeCloudWatch:
    """Fake CloudWatch API: answers GetMetricData from feeds.

    Periods begin at the requested start, and the requested end cuts off the last one, as in moto;
    CloudWatch documents neither. A request for whole periods sees no difference.
    """

    def __init__(self, clock: VirtualClock, publication: Publication) -> None:
        self._clock = clock
        self._publication = publication
        self._feeds: dict[Identity, MetricFeed] = {}
        # What can no longer change, by metric, statistic and period.
        self._final: dict[tuple[Identity, str, int], FinalPeriods] = {}

    def publish(self, identity: Identity, feed: MetricFeed) -> None:
        """Make `feed` readable as the metric `identity`."""
        self._feeds[identity] = feed

    @contextmanager
    def ahead(self, moment: datetime) -> Iterator[None]:
        """Answer as at `moment`."""
        clock, self._clock = self._clock, VirtualClock(moment)
        try:
            yield
        finally:
            self._clock = clock

    def forget_from(self, moment: int) -> None:
        """Forget what was answered of periods that end after `moment`: their values change."""
        self._final = {key: known.until(moment) for key, known in self._final.items()}

    def get_metric_data(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer GetMetricData."""
        metric_request = read_request(request)
        series = [(query, self._points(query, metric_request)) for query in metric_request.queries]
        return _page(metric_request, series)

    def list_metrics(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer ListMetrics, in one page: each metric of the world, also one without a value yet.

        Dimensions of a request are not simulated.
        """
        wanted = request.get("Namespace"), request.get("MetricName")
        listed = [
            {
                "Namespace": feed.namespace,
                "MetricName": feed.name,
                "Dimensions": [{"Name": name, "Value": value} for name, value in feed.dimensions],
            }
            for feed in self._feeds
            if all(
                want in (None, has)
                for want, has in zip(wanted, (feed.namespace, feed.name), strict=True)
            )
        ]
        return {"Metrics": listed}

    def put_metric_data(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer PutMetricData; statistic sets are not simulated."""
        for datum in request["MetricData"]:
            identity = Identity.of_request(request["Namespace"], datum)
            feed = self._feeds.setdefault(identity, PutMetricFeed(datum.get("Unit", "None")))
            if not isinstance(feed, PutMetricFeed):
                raise NotImplementedError(f"{identity.name} is simulated already")
            moment = datum.get("Timestamp", self._clock.now())
            if moment.tzinfo is None:
                raise validation_error("Timestamp has no time zone")
            feed.add(int(moment.timestamp()) // MINUTE_S * MINUTE_S, _values(datum))
            # Late values have arrived: the final datapoints are forgotten.
            for key in [one for one in self._final if one[0] == identity]:
                del self._final[key]
        return {}

    def _points(self, query: RequestedMetric, request: MetricRequest) -> Datapoints:
        feed = self._feeds.get(query.identity)
        period_s = query.period_s
        # An unknown metric, a wrong unit and an unpublished resolution have no data, as in AWS.
        if feed is None or query.unit not in (None, feed.unit) or period_s % MINUTE_S:
            return Datapoints()
        now_s = self._clock.now().timestamp()
        retention = next(length for multiple, length in _RETENTION if period_s % multiple == 0)
        oldest = now_s - retention.total_seconds()
        begin = int(request.start_s) // MINUTE_S * MINUTE_S
        first = begin + max(0, int(oldest) - begin) // period_s * period_s
        last_end = ceil(request.end_s)
        # Most reads are of final periods; the requested end may cut one of them off, and what was
        # read ahead is not final yet.
        known = self._final_periods(query, first)
        final_s = int(now_s - self._publication.final_after_s)
        final_end = max(first, known.end_at(min(last_end, final_s)))
        points = known.datapoints.between(first, final_end)
        # Nothing is visible yet of a period whose first minute ended less than the delay ago.
        visible_until = int(now_s - self._publication.delay.total_seconds()) - MINUTE_S + 1
        for start in range(final_end, min(last_end, visible_until), period_s):
            end = min(start + period_s, last_end)
            value, final = self._value(feed, query, range(start, end, MINUTE_S), now_s)
            stays = final and start == known.end and end == start + period_s
            if stays:
                known.end = end
            if value is None:
                continue  # a period without values has no datapoint
            moment = from_unix(start)
            points.add(moment, value)
            if stays:
                known.datapoints.add(moment, value)
        if request.descending:
            points.moments.reverse()
            points.values.reverse()
        return points

    def _final_periods(self, query: RequestedMetric, first: int) -> FinalPeriods:
        """Return the final periods from `first` on, as far as they are known."""
        key = query.identity, query.statistic, query.period_s
        known = self._final.get(key)
        if (
            known is None
            or not known.begin <= first <= known.end
            or (first - known.begin) % query.period_s
        ):
            known = self._final[key] = FinalPeriods(query.period_s, first, first)
        return known

    def _value(
        self, feed: MetricFeed, query: RequestedMetric, minutes: range, now_s: float
    ) -> tuple[float | None, bool]:
        """Return the current value of a datapoint of `minutes`, and whether it is final."""
        parts = []
        visible = 1.0
        for minute in minutes:
            visible = self._publication.visible(now_s - minute - MINUTE_S)
            if not visible:
                break
            whole_count = visible == 1.0 and query.statistic == "SampleCount"
            values = Distribution(feed.count(minute)) if whole_count else feed.minute(minute)
            if values.count:
                parts.append(values if visible == 1.0 else thin(values, visible))
        value = _statistic(query.statistic, parts, feed.scale)
        return value, visible == 1.0


def _statistic(name: str, parts: list[Distribution], scale: float) -> float | None:
    count = sum([part.count for part in parts])
    if not count:
        return None
    match name:
        case "SampleCount":
            return float(count)
        case "Sum":
            return scale * sum([part.total for part in parts])
        case "Average":
            return scale * sum(part.total for part in parts) / count
        case "Minimum":
            return scale * min(part.low for part in parts if part.count)
        case "Maximum":
            return scale * max(part.high for part in parts if part.count)
        case _ if name.startswith("TC("):
            # Part by part, so that a count that was read does not change with later minutes.
            limit = float(name.removeprefix("TC(").removesuffix(":)")) / scale
            return sum([count_above(part, limit) for part in parts])
        case _:
            return scale * percentile(merge(parts), float(name.removeprefix("p")))


def _page(
    request: MetricRequest, series: list[tuple[RequestedMetric, Datapoints]]
) -> dict[str, Any]:
    """Return the page that begins at the request's offset; a series may span pages."""
    results = []
    skip, room = request.offset, request.max_datapoints
    more = False
    for query, points in series:
        count = len(points.values)
        if skip >= count and (count or request.offset):
            skip -= count  # was on an earlier page
            continue
        part = slice(skip, skip + room)
        values = points.values[part]
        complete = skip + len(values) == count
        skip, room = 0, room - len(values)
        more = more or not complete
        if values or complete:
            results.append(
                {
                    "Id": query.id,
                    "Label": query.label,
                    "Timestamps": points.moments[part],
                    "Values": values,
                    "StatusCode": "Complete" if complete else "PartialData",
                }
            )
    answer: dict[str, Any] = {"MetricDataResults": results, "Messages": []}
    if more:
        answer["NextToken"] = next_token(request.offset + request.max_datapoints)
    return answer


def _values(datum: Mapping[str, Any]) -> Distribution:
    if "Value" in datum:
        return Distribution.of({float(datum["Value"]): 1})
    if "Values" not in datum:
        raise NotImplementedError("no statistic sets in a simulated CloudWatch")
    counts = datum.get("Counts", [1.0] * len(datum["Values"]))
    frequencies = Counter[float]()
    for value, count in zip(datum["Values"], counts, strict=True):
        frequencies[float(value)] += int(count)
    return Distribution.of(frequencies)


# --- Alarms ---------------------------------------------------------------------------------------

MAX_NAMES: Final = 100
# How long an alarm has been OK at the start.
_OK_FOR: Final = timedelta(days=1)
_ARN: Final = "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:"


class FakeAlarms:
    """Fake DescribeAlarms for metric alarms; a scenario sets states other than OK."""

    def __init__(self, clock: VirtualClock, script: Script) -> None:
        self._clock, self._script = clock, script
        self._ok_since = int((clock.now() - _OK_FOR).timestamp())
        self._alarms: dict[str, str] = {}

    def add(self, alarm: str) -> None:
        """Add the alarm of this name or ARN."""
        name = alarm_name(alarm)
        self._alarms[name] = alarm if alarm != name else f"{_ARN}{name}"

    def describe_alarms(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer DescribeAlarms for alarms by name, page by page."""
        names = request.get("AlarmNames", sorted(self._alarms))
        if len(names) > MAX_NAMES:
            message = f"The collection AlarmNames must not have a size greater than {MAX_NAMES}"
            raise client_error("DescribeAlarms", "ValidationError", message)
        now_s = self._clock.now().timestamp()
        records = [self._alarm_record(name, now_s) for name in names if name in self._alarms]
        limit, offset = request.get("MaxRecords", 50), int(request.get("NextToken", "0"))
        alarms = [record for record in records if record is not None]
        more = {"NextToken": str(offset + limit)} if len(alarms) > offset + limit else {}
        return {"MetricAlarms": alarms[offset : offset + limit], "CompositeAlarms": [], **more}

    def _alarm_record(self, name: str, now_s: float) -> dict[str, Any] | None:
        state, since = self._script.alarm(name, now_s, self._ok_since)
        if state == "missing":
            return None
        return {
            "AlarmName": name,
            "AlarmArn": self._alarms[name],
            "StateValue": state.upper(),
            "StateReason": f"the scenario says that it is {state.upper()}",
            "StateUpdatedTimestamp": from_unix(since),
            "StateTransitionedTimestamp": from_unix(since),
        }
