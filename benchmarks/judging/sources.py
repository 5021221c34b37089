"""Equal traffic, judged by CloudWatch's minutes and by Prometheus' samples: the same endings?

Each trace is one simulated world. Its minutes are published as CloudWatch does, and each of their
requests is exposed to a scrape every 15 s that begins at its own moment. The answers of the server
go through the adapter, in the form of a real one (tests/adapters/contracts/test_sources.py).

    python -m benchmarks.judging.sources [TRACES]        endings, and how far minutes are apart
    python -m benchmarks.judging.sources --first 200     the same of the 200 traces from 200 on
    python -m benchmarks.judging.sources --only 12 76    the same of some traces
    python -m benchmarks.judging.sources --day           queries and bytes of 26 hours, 10 criteria

Causes are switched off by --at-edges (scrapes at full minutes) and --schema 5 (buckets of 2%).
"""

import dataclasses
import gzip
import json
import re
from argparse import ArgumentParser
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from itertools import pairwise
from math import ceil, floor, log, log2
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple
from unittest.mock import patch
from weakref import WeakKeyDictionary

import msgspec

from controller.adapters.metrics.prometheus import source as prometheus
from controller.adapters.metrics.prometheus.client import Result
from controller.adapters.metrics.prometheus.samples import RawSeries
from controller.core.judge.criterion_judge import judge_of
from controller.core.judge.findings import Finding
from controller.core.judge.series import query
from controller.core.observation import MetricQuery, Series, Span
from controller.core.policy import Policy
from controller.core.policy.sources.prometheus import PrometheusSource
from controller.core.rollout import Rollout
from controller.immutable import replace
from controller.ports.metrics import MetricSource
from controller.process import logging
from controller.tools.rehearse.rehearsal import RehearsalSetup, rehearsal, rehearse
from controller.tools.simulation.histogram import STEP, Distribution
from controller.tools.simulation.request_draws import draw_latencies
from tests.support.accounts import OneClientAccount
from tests.support.prometheus_policies import SERVER, prometheus_policy

SCRAPE_S: Final = 15
_MINUTE_S: Final = 60
_SCHEMA: Final = 3  # of native histograms: bounds 9% apart
_BOUNDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, float("inf"))
# How long before a read the counters begin.
_BEFORE_S: Final = 900
_SELECTOR: Final = re.compile(r'(\w+)(=~|=)"((?:[^"\\]|\\.)*)"')
_SPEC: Final = PrometheusSource.model_validate(SERVER)


class Requests(NamedTuple):
    """The requests of a minute, and of each when it ended and what it adds.

    failed: the numbers of those that failed. places: how long they took, on the scale of bins.
    """

    ends: Sequence[float]
    failed: Sequence[int]
    places: Sequence[float]


@lru_cache(maxsize=64)
def requests_of(
    seed: str, parts: tuple[tuple[float, float, int, int], ...], latencies: Distribution
) -> Requests:
    """Return the requests of a minute, which are those that CloudWatch counts.

    parts: of the minute, each with one weight: begin, end, requests, failures. They end at random
    in it. Latencies are spread evenly in each bin, as CloudWatch takes them to be.
    """
    rng = Random(seed)
    places = [
        index + (number + 0.5) / count
        for index, count in latencies.bins.items()
        for number in range(count)
    ]
    if len(parts) > 1:
        rng.shuffle(places)
    ends, failed = list[float](), list[int]()
    for begin, end, count, failures in parts:
        failed += rng.sample(range(len(ends), len(ends) + count), failures)
        ends += [begin + rng.random() * (end - begin) for _ in range(count)]
    return Requests(ends, failed, places)


class Scraping(NamedTuple):
    """How often a server scrapes, whether at full minutes, and its native buckets."""

    every_s: int = SCRAPE_S
    at_edges: bool = False
    schema: int = _SCHEMA


USUAL: Final = Scraping()


class ScrapedWorld:
    """A Prometheus server that scrapes a simulated world. classic: the form of its histograms."""

    def __init__(
        self, setup: RehearsalSetup, seed: int, *, classic: bool, scraping: Scraping
    ) -> None:
        self._world, self._classic = setup.world, classic
        self._every_s, self._per_doubling = scraping.every_s, 2**scraping.schema
        drawn = Random(f"scrapes {seed}").random() * scraping.every_s
        self._offset = 0.0 if scraping.at_edges else drawn
        self._names = {
            (one.name, tuple(sorted(one.dimensions.items()))): one
            for one in setup.policy.metrics.values()
        }
        self._states = WeakKeyDictionary[Any, dict[Any, tuple[int, list[Counter[Any]]]]]()
        self._minutes = WeakKeyDictionary[Any, dict[Any, dict[int, Counter[Any]]]]()
        self._begin = 0
        self.queries = self.sent = self.unpacked = 0
        self.measured = False

    @property
    def cloudwatch(self) -> Any:
        return self._world._cloudwatch

    @property
    def clock(self) -> Any:
        return self.cloudwatch._clock

    def begin_before(self, second: int) -> None:
        """Let the counters begin some minutes before `second`, for the reads to come."""
        self._begin = second // _MINUTE_S * _MINUTE_S - _BEFORE_S

    def query(self, query: str, at: float) -> Result:
        """Answer as the server does, with samples of minutes that are over."""
        selector, _, length = query.rpartition("[")
        labels = {name: value for name, _, value in _SELECTOR.findall(selector)}
        found = {name: operator for name, operator, _ in _SELECTOR.findall(selector)}
        name = labels.pop("__name__")
        self.queries += 1
        stamps = self._stamps(at, float(length.rstrip("s]")))
        if name == "up":
            up = {"__name__": "up", "job": "checkout", "instance": "a:80"}
            return Result((RawSeries(up, [(self._at(stamp), "1") for stamp in stamps]),), ())
        base = name.split("|")[0].replace("\\", "")
        dimensions = tuple(
            sorted((label, ("~" if found[label] == "=~" else "") + value)
                   for label, value in labels.items())
        )  # fmt: skip
        metric = self._names[base, dimensions]
        series = tuple(self._series(metric, stamps))
        if self.measured:
            text = msgspec.json.encode({"status": "success", "data": {"result": series}})
            self.unpacked += len(text)
            self.sent += len(gzip.compress(text, 6))
        return Result(series, ())

    def _at(self, stamp: int) -> float:
        return round(self._offset + self._every_s * stamp, 3)

    def _stamps(self, at: float, length: float) -> Sequence[int]:
        """Return the numbers of the scrapes in a time, without those of the minute that runs."""
        over = self.clock.now().timestamp() // _MINUTE_S * _MINUTE_S
        first = floor((max(at - length, self._begin) - self._offset) / self._every_s) + 1
        last = floor((at - self._offset) / self._every_s)
        return [stamp for stamp in range(first, last + 1) if self._at(stamp) < over]

    def _series(self, metric: Any, stamps: Sequence[int]) -> Iterable[RawSeries]:
        labels = {**{name: "5xx" if value.startswith("~") else value
                     for name, value in metric.dimensions.items()}, "instance": "a:80"}  # fmt: skip
        states = [(self._at(stamp), self._state(metric, stamp)) for stamp in stamps]
        if metric.statistic == "Sum":
            values = [(at, str(one["n"])) for at, one in states]
            if "code" in labels:  # the counter of failures begins with the first one
                values = [one for one in values if one[1] != "0"]
            return [RawSeries({"__name__": metric.name, **labels}, values)] if values else []
        if self._classic:
            return [
                RawSeries(
                    {"__name__": f"{metric.name}_bucket", **labels, "le": str(bound)},
                    [(at, str(sum(n for key, n in one.items() if key <= bound)))
                     for at, one in states],
                )
                for bound in _BOUNDS
            ]  # fmt: skip
        raw = [
            (at, {"count": str(sum(one.values())), "sum": "0", "buckets": [
                (0, str(self._bound(index - 1)), str(self._bound(index)), str(count))
                for index, count in one.items()]})
            for at, one in states
        ]  # fmt: skip
        text = {"metric": {"__name__": metric.name, **labels}, "histograms": raw}
        return [msgspec.convert(text, RawSeries, strict=False)]

    def _bound(self, index: int) -> float:
        return float(2 ** (index / self._per_doubling))

    def _state(self, metric: Any, stamp: int) -> Mapping[Any, int]:
        """Return what has been counted up to a scrape, since the counters begin."""
        key = metric.name, str(metric.dimensions)
        begin, states = self._states.setdefault(self.cloudwatch, {}).get(key, (0, []))
        if begin != self._begin:
            begin, states = self._begin, [Counter[Any]()]
            self._states[self.cloudwatch][key] = begin, states
        first = floor((begin - self._offset) / self._every_s)
        while first + len(states) <= stamp:
            grown = self._grown(metric, first + len(states))
            states.append(states[-1] + grown if grown else states[-1])
        return states[stamp - first]

    def _grown(self, metric: Any, stamp: int) -> Counter[Any]:
        """Return what a scrape sees more than the one before it."""
        minutes = {floor(self._at(one) / _MINUTE_S) * _MINUTE_S for one in (stamp - 1, stamp)}
        grown = Counter[Any]()
        for minute in minutes:
            grown.update(self._minute(metric, minute).get(stamp, {}))
        return grown

    def _minute(self, metric: Any, minute: int) -> Mapping[int, Counter[Any]]:
        """Return what a minute that is over adds to each scrape."""
        known = self._minutes.setdefault(self.cloudwatch, {})
        key = metric.name, str(metric.dimensions), minute
        if key not in known:
            scrapes = dict[int, Counter[Any]]()
            ends, values = self._values(metric, minute)
            stamps = [ceil((end - self._offset) / self._every_s) for end in ends]
            for (stamp, value), count in Counter(zip(stamps, values, strict=True)).items():
                scrapes.setdefault(stamp, Counter())[value] = count
            known[key] = scrapes
        return known[key]

    def _values(self, metric: Any, minute: int) -> tuple[Sequence[float], Sequence[Any]]:
        """Return when requests of a minute ended, and the counter or bucket that each adds to."""
        dimensions = tuple(sorted(metric.dimensions.items()))
        feed = next(
            one
            for identity, one in self.cloudwatch._feeds.items()
            if (identity.name, identity.dimensions) == (metric.name, dimensions)
        )
        ends, failed, places = _requests(feed, minute)
        if "code" in metric.dimensions:
            return [ends[number] for number in failed], ["n"] * len(failed)
        if metric.statistic == "Sum":
            return ends, ["n"] * len(ends)
        if self._classic:
            bounds = [log(bound / feed.scale) / STEP for bound in _BOUNDS]
            return ends, [_BOUNDS[bisect_left(bounds, place)] for place in places]
        first, width = self._per_doubling * log2(feed.scale), self._per_doubling * STEP / log(2)
        return ends, [ceil(first + width * place) for place in places]


def _requests(feed: Any, minute: int) -> Requests:
    """Return the requests of a minute whose metric is `feed`."""
    traffic, (path,) = feed._traffic, feed._paths
    segments = traffic.counts(path, minute)
    weights = traffic._weights.segments(minute, minute + _MINUTE_S)
    parts = tuple(
        (begin, end, one.requests, sum(count for _, count in one.ended))
        for (begin, end, *_), one in zip(weights, segments, strict=True)
    )
    latencies = draw_latencies(traffic._seed, path, minute, segments)
    return requests_of(f"{traffic._seed}:ends:{path}:{minute}", parts, latencies)


class ViaPrometheus:
    """A `MetricSource` that answers queries of CloudWatch from Prometheus."""

    def __init__(self, server: ScrapedWorld, cloudwatch: MetricSource) -> None:
        self._server, self._cloudwatch = server, cloudwatch

    def read(self, queries: Iterable[MetricQuery], span: Span) -> Mapping[MetricQuery, Series]:
        self._server.begin_before(span.start)
        own = dict[MetricQuery, MetricQuery]()
        others = list[MetricQuery]()
        for one in queries:
            if one.namespace.startswith("prometheus"):
                own[one] = replace(one, namespace="", source=_SPEC)
            else:
                others.append(one)
        account = OneClientAccount(clock=self._server.clock)
        with patch.object(prometheus, "PrometheusClient", lambda *_: self._server):
            answers = prometheus.PrometheusMetrics(_SPEC, account).read(own.values(), span)
        known = self._cloudwatch.read(others, span) if others else {}
        return {**known, **{one: answers[other] for one, other in own.items()}}


# --- Traces ---------------------------------------------------------------------------------------

_FAILURES: Final = (0.0, 0.0, 0.0, 0.05, 0.15, 0.2, 0.3, 0.5, 1.0, 5.0)
_SLOWER: Final = (1.0, 1.0, 1.3, 1.7, 2.0, 2.5, 4.0)
_RATES: Final = (60, 300, 3_000)


def trace(number: int) -> str:
    """Return the scenario of a trace: so much traffic, and a canary that is so sick or well."""
    rng = Random(f"trace {number}")
    failed, slower = rng.choice(_FAILURES), rng.choice(_SLOWER)
    if rng.random() < 0.5:
        failed, slower = (failed, 1.0) if rng.random() < 0.5 else (0.0, slower)
    path = {"median_ms": 150, "sigma": 0.3, "server_errors": "0.006%"}
    data = {
        "name": f"trace-{number}",
        "summary": "A canary that is sick or well.",
        "traffic": {
            "requests_per_minute": rng.choice(_RATES), "daily_swing": "20%", "busiest_hour": 14,
        },
        "stable": path,
        "canary": {**path, "median_ms": 150 * slower, "server_errors": f"{failed}%"},
    }  # fmt: skip
    return json.dumps(data)


def policy_of(number: int) -> Policy:
    """Return the policy of a trace; one of classic histograms has a limit at a bucket."""
    data = prometheus_policy()
    data["steps"] = [
        {"weight": 10, "bake": "20m"},
        {"weight": 100, "bake": "20m", "criteria": ["success", "fast"]},
    ]
    if number % 2:
        del data["criteria"]["no_slower"], data["metrics"]["usual"]
        for step in data["steps"]:
            step.pop("criteria", None)
    return Policy.model_validate(data)


@contextmanager
def played(
    number: int, policy: Policy, scenario: str, *, scraped: bool, scraping: Scraping = USUAL
) -> Any:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "trace.yaml"
        file.write_text(scenario)
        with rehearsal(policy, str(file), number) as setup:
            classic = bool(number % 2)
            server = ScrapedWorld(setup, number, classic=classic, scraping=scraping)
            if scraped:
                plain = setup.runner.observer
                observer = replace(plain, metrics=ViaPrometheus(server, plain.metrics))
                setup = replace(setup, runner=dataclasses.replace(setup.runner, observer=observer))
            yield setup, server


class Ending(NamedTuple):
    """How a trace ends, after how many minutes, and with which rollout.

    apart_s: of the requests of any minute, by how many seconds the two sources differ at most.
    """

    phase: str
    minutes: float
    rollout: Rollout
    apart_s: float


def ending(number: int, scraping: Scraping, *, scraped: bool) -> Ending:
    """Play a trace to its end."""
    policy, scenario = policy_of(number), trace(number)
    with played(number, policy, scenario, scraped=scraped, scraping=scraping) as (setup, server):
        begin = setup.runner.clock.now()
        outcome = rehearse(
            setup.runner, setup.world, setup.policy, every=timedelta(minutes=1),
            on_tick=lambda _: None,
        )  # fmt: skip
        rollout, history = outcome.rollout, setup.runner.store.history(outcome.rollout.id)
        last = [one.at for one in history if str(one.kind) in ("rolled_back", "succeeded")]
        end = last[0] if last else rollout.updated
        minutes = (end - begin).total_seconds() / 60
        return Ending(outcome.status, minutes, rollout, 0.0 if scraped else apart(setup, server))


def apart(setup: RehearsalSetup, server: ScrapedWorld) -> float:
    """Return by how many seconds of requests the sums of the two sources differ at most."""
    end = int(setup.runner.clock.now().timestamp()) // 300 * 300 - 600
    span = Span(end - 1_800, end)
    one = query(setup.policy.metrics["requests"], "Sum", _MINUTE_S)
    metrics = setup.runner.observer.metrics
    sources = (metrics, ViaPrometheus(server, metrics))
    counted, scraped = (source.read([one], span)[one].points for source in sources)
    most = difference = 0.0
    for at in range(span.start, span.end, _MINUTE_S):
        difference += counted.get(at, 0.0) - scraped.get(at, 0.0)
        near = (at - _MINUTE_S, at, at + _MINUTE_S)  # the weight may change within a minute
        rate = max(points.get(one, 0.0) for points in (counted, scraped) for one in near)
        if abs(difference) > 1:  # a scrape sees whole requests
            most = max(most, abs(difference) * _MINUTE_S / rate)
    return most


def odds_text(rollout: Rollout, finding: Finding) -> str:
    """Return the likelihood ratio of a finding, and at which one it fails; empty without one."""
    policy, evidence = rollout.policy, rollout.evidence
    name = finding.criterion
    judge = judge_of(name, policy.criteria[name], policy, evidence.baselines.get(name))
    found = judge.progress(finding, evidence.fold).fail
    return "" if found is None else f"likelihood ratio {found.amount:.3g} of {found.needed:g}"


def compare(traces: Sequence[int], scraping: Scraping) -> None:
    """Print each trace as it ends, and the figures of all."""
    endings, minutes, seconds = Counter[tuple[str, str]](), list[float](), list[float]()
    for number in traces:
        first, second = (ending(number, scraping, scraped=scraped) for scraped in (False, True))
        endings[first.phase, second.phase] += 1
        if first.phase == second.phase:
            minutes.append(second.minutes - first.minutes)
        seconds.append(first.apart_s)
        print(number, *first[:2], *second[:2], f"{first.apart_s:.1f} s", flush=True)
        for one in (first, second) if first.phase != second.phase else ():
            print("   ", one.rollout.sentence)
            for finding in one.rollout.evidence.findings:
                odds = odds_text(one.rollout, finding)
                print("      ", finding.criterion, finding.verdict, odds, dict(finding.facts))
    alike = sum(count for (one, other), count in endings.items() if one == other)
    print(f"{alike} of {len(traces)} end alike: {dict(endings)}")
    print(f"minutes that Prometheus ends later: {sorted(Counter(map(round, minutes)).items())}")
    middle, most = median(seconds), max(seconds)
    print(f"seconds apart: median {middle:.1f}, at most {most:.1f}, of {scraping.every_s} s")


# --- Load -----------------------------------------------------------------------------------------

_STEPS: Final = ((10, "1h"), (50, "1h"), (100, "24h"))


def day_policy() -> Policy:
    """Return a policy of 26 hours with ten criteria on 15 metrics."""
    data = prometheus_policy()
    metrics, criteria = data["metrics"], data["criteria"]
    plain, data["metrics"], data["criteria"] = dict(metrics), {}, {}
    for number in range(5):
        for name in ("requests", "failures"):
            own = plain[name]
            data["metrics"][f"{name}{number}"] = {**own, "name": f"part{number}_{own['name']}"}
        data["criteria"][f"success{number}"] = {
            **criteria["success"], "total": f"requests{number}", "failures": [f"failures{number}"],
        }  # fmt: skip
    for number in range(4):
        own = plain["latency"]
        data["metrics"][f"latency{number}"] = {**own, "name": f"part{number}_{own['name']}"}
        fast = {**criteria["fast"], "metric": f"latency{number}"}
        data["criteria"][f"fast{number}"] = fast
    data["metrics"]["usual"] = {**plain["usual"], "name": data["metrics"]["latency0"]["name"]}
    data["criteria"]["no_slower"] = {**criteria["no_slower"], "metric": "latency0"}
    absolute = [name for name in data["criteria"] if name != "no_slower"]
    data["steps"] = [{"weight": weight, "bake": bake} for weight, bake in _STEPS]
    data["steps"][-1]["criteria"] = absolute
    return Policy.model_validate(data)


def day() -> None:
    """Print the queries and bytes of 26 hours with a tick a minute, and those of the largest."""
    ticks = list[tuple[int, int, int]]()
    world = json.loads(trace(0))
    world["canary"] = world["stable"]
    with played(0, day_policy(), json.dumps(world), scraped=True) as (setup, server):
        server.measured = True

        def note(_rollout: Rollout) -> None:
            sums = server.queries, server.sent, server.unpacked
            ticks.append(sums)

        outcome = rehearse(
            setup.runner, setup.world, setup.policy, every=timedelta(minutes=1), on_tick=note,
            all_ticks=True,
        )  # fmt: skip
    each = [
        tuple(after - before for after, before in zip(one, other, strict=True))
        for other, one in pairwise(ticks)
    ]
    print(outcome.status, len(ticks), "ticks")
    for name, total, own in zip(
        ("queries", "bytes as sent", "bytes unpacked"), ticks[-1], zip(*each, strict=True),
        strict=True,
    ):  # fmt: skip
        print(f"{name}: {total:,} in all, {sum(own) / len(own):,.0f} a tick, {max(own):,} at most")


def main() -> None:
    parser = ArgumentParser()
    parser.add_argument("traces", type=int, nargs="?", default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", type=int, nargs="+")
    parser.add_argument("--every", type=int, default=SCRAPE_S)
    parser.add_argument("--at-edges", action="store_true")
    parser.add_argument("--schema", type=int, default=_SCHEMA)
    parser.add_argument("--day", action="store_true")
    chosen = parser.parse_args()
    if chosen.day:
        day()
        return
    numbers = chosen.only or range(chosen.first, chosen.first + chosen.traces)
    compare(numbers, Scraping(chosen.every, chosen.at_edges, chosen.schema))


if __name__ == "__main__":
    logging.disable()
    main()
