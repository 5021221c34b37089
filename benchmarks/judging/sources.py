"""Equal traffic, judged by CloudWatch's minutes and by Prometheus' samples: the same endings?

Each trace is one simulated world. Its minutes are published as CloudWatch does, and exposed to a
scrape every 15 s at its own moment; the answers of the server go through the adapter, in the
form that a real one gives them (tests/adapters/contracts/test_sources.py).

    python -m benchmarks.judging.sources [TRACES]        endings, and how far minutes are apart
    python -m benchmarks.judging.sources --only 12 76    the same of some traces
    python -m benchmarks.judging.sources --day           queries and bytes of 26 hours, 10 criteria
"""

import dataclasses
import gzip
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from random import Random
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
from controller.tools.rehearse.compose import RehearsalSetup, rehearsal
from controller.tools.rehearse.rehearsal import rehearse
from controller.tools.simulation.histogram import Distribution, bin_of, count_above, value_at
from tests.support.accounts import OneClientAccount
from tests.support.prometheus_policies import SERVER, prometheus_policy

SCRAPE_S: Final = 15
_MINUTE_S: Final = 60
# Bins of 2% in a bucket of a native histogram: about the width of schema 3.
_BINS: Final = 4
_BOUNDS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, float("inf"))
_SELECTOR: Final = re.compile(r'(\w+)(=~|=)"((?:[^"\\]|\\.)*)"')
_SPEC: Final = PrometheusSource.model_validate(SERVER)


class ScrapedWorld:
    """A Prometheus server that scrapes a simulated world. classic: the form of its histograms."""

    def __init__(self, setup: RehearsalSetup, seed: int, *, classic: bool) -> None:
        self._world, self._classic = setup.world, classic
        self._offset = Random(f"scrapes {seed}").random() * SCRAPE_S
        self._names = {
            (one.name, tuple(sorted(one.dimensions.items()))): one
            for one in setup.policy.metrics.values()
        }
        self._sums = WeakKeyDictionary[Any, dict[tuple[str, str], list[Any]]]()
        self._states = WeakKeyDictionary[Any, dict[tuple[str, str, float], dict[Any, float]]]()
        self.queries = self.sent = self.unpacked = 0
        self.measured = False

    @property
    def cloudwatch(self) -> Any:
        return self._world._cloudwatch

    @property
    def clock(self) -> Any:
        return self.cloudwatch._clock

    def query(self, query: str, at: float) -> Result:
        """Answer as the server does, with samples of minutes that are over."""
        selector, _, length = query.rpartition("[")
        labels = {name: value for name, _, value in _SELECTOR.findall(selector)}
        found = {name: operator for name, operator, _ in _SELECTOR.findall(selector)}
        name = labels.pop("__name__")
        self.queries += 1
        if name == "up":
            return Result(tuple(self._up(at, length)), ())
        base = name.split("|")[0].replace("\\", "")
        dimensions = tuple(
            sorted((label, ("~" if found[label] == "=~" else "") + value)
                   for label, value in labels.items())
        )  # fmt: skip
        metric = self._names[base, dimensions]
        series = tuple(self._series(metric, at, float(length.rstrip("s]"))))
        if self.measured:
            text = msgspec.json.encode({"status": "success", "data": {"result": series}})
            self.unpacked += len(text)
            self.sent += len(gzip.compress(text, 6))
        return Result(series, ())

    def _up(self, at: float, length: str) -> Iterable[RawSeries]:
        stamps = self._stamps(at, float(length.rstrip("s]")))
        labels = {"__name__": "up", "job": "checkout", "instance": "a:80"}
        return [RawSeries(labels, [(stamp, "1") for stamp in stamps])]

    def _stamps(self, at: float, length: float) -> list[float]:
        over = self.clock.now().timestamp() // _MINUTE_S * _MINUTE_S
        first = (at - length - self._offset) // SCRAPE_S + 1
        stamps = (
            self._offset + SCRAPE_S * (first + index)
            for index in range(int(length) // SCRAPE_S + 1)
        )
        return [stamp for stamp in stamps if stamp < min(at, over)]

    def _series(self, metric: Any, at: float, length: float) -> Iterable[RawSeries]:
        stamps = self._stamps(at, length)
        labels = {**{name: "5xx" if value.startswith("~") else value
                     for name, value in metric.dimensions.items()}, "instance": "a:80"}  # fmt: skip
        states = [self._state(metric, stamp) for stamp in stamps]
        if metric.statistic == "Sum":
            values = [
                (stamp, str(int(one["n"]))) for stamp, one in zip(stamps, states, strict=True)
            ]
            if "code" in labels:  # the counter of failures begins with the first one
                values = [one for one in values if one[1] != "0"]
            return [RawSeries({"__name__": metric.name, **labels}, values)] if values else []
        if self._classic:
            return [
                RawSeries(
                    {"__name__": f"{metric.name}_bucket", **labels, "le": str(bound)},
                    [(stamp, str(int(one.get(bound, 0)))) for stamp, one in
                     zip(stamps, states, strict=True)],
                )
                for bound in _BOUNDS
            ]  # fmt: skip
        raw = [
            (stamp, {"count": str(int(sum(one.values()))), "sum": "0", "buckets": [
                (0, str(value_at(_BINS * index)), str(value_at(_BINS * index + _BINS)),
                 str(int(count))) for index, count in one.items()]})
            for stamp, one in zip(stamps, states, strict=True)
        ]  # fmt: skip
        text = {"metric": {"__name__": metric.name, **labels}, "histograms": raw}
        return [msgspec.convert(text, RawSeries, strict=False)]

    def _state(self, metric: Any, stamp: float) -> dict[Any, float]:
        """Return what has been counted up to `stamp`: requests come evenly in a minute."""
        known = self._states.setdefault(self.cloudwatch, {})
        key = metric.name, str(metric.dimensions), stamp
        if key not in known:
            known[key] = self._new_state(metric, stamp)
        return known[key]

    def _new_state(self, metric: Any, stamp: float) -> dict[Any, float]:
        minute, inside = divmod(stamp, _MINUTE_S)
        before, during = self._sum(metric, int(minute)), self._parts(metric, int(minute))
        return {
            key: before.get(key, 0) + int(during.get(key, 0) * inside / _MINUTE_S)
            for key in {**before, **during}
        }

    def _parts(self, metric: Any, minute: int) -> dict[Any, float]:
        dimensions = tuple(sorted(metric.dimensions.items()))
        feed = next(
            one
            for identity, one in self.cloudwatch._feeds.items()
            if (identity.name, identity.dimensions) == (metric.name, dimensions)
        )
        if metric.statistic == "Sum":
            return {"n": round(feed.minute(minute * _MINUTE_S).total)}
        values: Distribution = feed.minute(minute * _MINUTE_S)
        if self._classic:
            return {bound: round(values.count - (count_above(values, bound / feed.scale)
                    if bound < 10**9 and values.count else 0)) for bound in _BOUNDS}  # fmt: skip
        buckets: dict[int, int] = {}
        shift = bin_of(feed.scale)
        for index, count in values.bins.items():
            key = (index + shift) // _BINS
            buckets[key] = buckets.get(key, 0) + count
        return dict(buckets)

    def _sum(self, metric: Any, minute: int) -> dict[Any, float]:
        """Return all that was counted in minutes before `minute`, from a day before the start."""
        own = self._sums.setdefault(self.cloudwatch, {})
        key = metric.name, str(metric.dimensions)
        sums = own.setdefault(key, [minute - 1_500, [{}]])
        first, states = sums
        if minute < first:
            return {}
        while first + len(states) <= minute:
            parts = self._parts(metric, first + len(states) - 1)
            last = states[-1]
            states.append({one: last.get(one, 0) + parts.get(one, 0) for one in {**last, **parts}})
        found: dict[Any, float] = states[minute - first]
        return found


class ViaPrometheus:
    """A `MetricSource` that answers queries of CloudWatch from Prometheus."""

    def __init__(self, server: ScrapedWorld, cloudwatch: MetricSource) -> None:
        self._server, self._cloudwatch = server, cloudwatch

    def read(self, queries: Iterable[MetricQuery], span: Span) -> Mapping[MetricQuery, Series]:
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
def played(number: int, policy: Policy, scenario: str, *, scraped: bool) -> Any:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "trace.yaml"
        file.write_text(scenario)
        with rehearsal(policy, str(file), number) as setup:
            server = ScrapedWorld(setup, number, classic=bool(number % 2))
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


def ending(number: int, *, scraped: bool) -> Ending:
    """Play a trace to its end."""
    with played(number, policy_of(number), trace(number), scraped=scraped) as (setup, server):
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


def compare(traces: Sequence[int]) -> None:
    """Print each trace as it ends, and the figures of all."""
    endings, minutes, seconds = Counter[tuple[str, str]](), list[float](), list[float]()
    for number in traces:
        first, second = (ending(number, scraped=scraped) for scraped in (False, True))
        endings[first.phase, second.phase] += 1
        minutes.append(second.minutes - first.minutes)
        seconds.append(first.apart_s)
        print(number, *first[:2], *second[:2], f"{first.apart_s:.1f} s", flush=True)
        for one in (first, second) if first.phase != second.phase else ():
            print("   ", one.rollout.sentence)
            for finding in one.rollout.evidence.findings:
                odds = odds_text(one.rollout, finding)
                print("      ", finding.criterion, finding.verdict, odds, dict(finding.facts))
    alike = sum(count for (one, other), count in endings.items() if one == other)
    print(f"{alike} of {len(minutes)} end alike: {dict(endings)}")
    print(f"minutes that Prometheus ends later: {sorted(Counter(map(round, minutes)).items())}")
    print(f"seconds apart: at most {max(seconds):.1f}, of {SCRAPE_S} s between scrapes")


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


if __name__ == "__main__":
    logging.disable()
    if sys.argv[1:] == ["--day"]:
        day()
    elif sys.argv[1:2] == ["--only"]:
        compare([*map(int, sys.argv[2:])])
    else:
        compare(range(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
