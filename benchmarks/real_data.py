"""The latency judge on the measurements of a real shop: false rollbacks and faults found.

    python benchmarks/real_data.py FOLDER [--every N]

FOLDER has `petshop_healthy_low.csv` and `petshop_faults_config.csv`: periods of five minutes of
amazon-science/petshop-root-cause-analysis (CC-BY-4.0), which are not part of this repository. Every
period of the 49 healthy hours is a start: twelve hours before it are the baseline, then an hour at
10 %, one at 50 % and six at 100 %. A fault is spliced onto healthy starts of the same node, at the
beginning of the step of 50 % or of 100 %. The literal gate (mean p95 of a step at most 5 % above
the baseline) stands beside the judge. A share of the requests, and each minute of a period, has the
percentiles of all of them.

Ends with 1 when a bar is not met, and with 0 and a line where there is no such folder.
"""

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from controller.core.judge.evidence import BaselineMeasurement, StepInterval
from controller.core.judge.sequential_evidence import SequentialEvidence
from controller.core.judge.series import SAMPLE_COUNT, series_key
from controller.core.observation import Series, Span
from controller.core.policy import Policy
from controller.core.stats.combined_tests import Fold
from controller.core.units import MINUTE_S
from controller.operations.start.baselines import BaselineRequest, baseline_requests, frozen_value

PERIOD: Final = 300
PERCENTILES: Final = ("p50", "p90", "p95", "p99")
WEIGHTS: Final = (10, 50, 100)
STEP_PERIODS: Final = (12, 12, 72)
BASELINE_PERIODS: Final = 144
# A fault has three periods after its onset, and is to be found within them.
FOUND_IN: Final = 3
MAX_INCREASE: Final = 0.05
FEWEST_REQUESTS: Final = 50
BAR: Final = 90.0


def _metric(name: str) -> dict[str, str]:
    return {"namespace": "Shop", "name": name, "statistic": "p95"}


POLICY: Final = Policy.model_validate(
    {
        "version": 1,
        "name": "shop",
        "target": {"kind": "lambda-env", "function": "f", "percentage": "PERCENT"},
        "metrics": {"latency": _metric("New"), "direct": _metric("Old")},
        "criteria": {
            "SC-003": {
                "kind": "latency_increase",
                "metric": "latency",
                "max_increase": "5%",
                "baseline": {"frozen": "direct", "window": "12h"},
                "exceedance": "percentiles",
            }
        },
        "warmup": "0s",
        "steps": [
            {"weight": weight, "bake": f"{5 * periods}m"}
            for weight, periods in zip(WEIGHTS, STEP_PERIODS, strict=True)
        ],
    }
)


class Row(NamedTuple):
    """One period: its start in unix seconds, requests, and percentiles in ms."""

    at: int
    requests: float
    percentiles: Mapping[str, float]

    @property
    def p95(self) -> float:
        """The p95 of the period."""
        return self.percentiles["p95"]


@dataclass(frozen=True, slots=True)
class Start:
    """One rollout: its baseline and the rows of each step, at consecutive periods."""

    baseline: BaselineMeasurement
    steps: tuple[Sequence[Row], ...]

    def rolled_back(self) -> bool:
        """Tell whether the sequential judge rolls back."""
        series: dict[str, dict[int, float]] = defaultdict(dict)
        intervals, at = [], 0
        for number, (weight, rows) in enumerate(zip(WEIGHTS, self.steps, strict=False)):
            intervals.append(StepInterval(number, at, at, at + len(rows) * PERIOD))
            for row in rows:
                requests = row.requests * weight / 100 * MINUTE_S / PERIOD
                values = {**row.percentiles, SAMPLE_COUNT: requests}
                for name, value in values.items():
                    points = dict.fromkeys(range(at, at + PERIOD, MINUTE_S), value)
                    series[series_key("latency", name, MINUTE_S)] |= points
                at += PERIOD
        answers = {key: Series(points) for key, points in series.items()}
        evidence = SequentialEvidence(
            POLICY, Fold(), tuple(intervals), answers, {"SC-003": self.baseline}
        )
        return evidence.fold_until(at).rejects(POLICY.budget)

    def increases(self) -> list[float]:
        """Return the increase of the mean p95 in each step, weighted by requests."""
        means = [
            sum(row.p95 * row.requests for row in rows) / sum(row.requests for row in rows)
            for rows in self.steps
        ]
        return [mean / self.baseline.value - 1 for mean in means]


def main() -> int:
    """Print both tables; return 1 when a bar is not met."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take one of so many starts")
    options = parser.parse_args()
    healthy = options.folder / "petshop_healthy_low.csv"
    if not healthy.exists():
        print(f"no data in {options.folder}: nothing to measure")
        return 0
    nodes = _rows_by(healthy, "node")
    starts = {node: list(_starts(rows, options.every)) for node, rows in nodes.items()}
    met = _print_healthy(starts)
    cases = _rows_by(options.folder / "petshop_faults_config.csv", "case_id", "node")
    return 0 if _print_faults(starts, cases) and met else 1


def _print_healthy(starts: Mapping[str, Sequence[Start]]) -> bool:
    print("| node | starts | rolled back | those that keep +5 %, rolled back | literal gate |")
    print("|---|---|---|---|---|")
    false_rollbacks = 0
    for node, ours in starts.items():
        ends = [(one.rolled_back(), max(one.increases()) <= MAX_INCREASE) for one in ours]
        sound = [rolled_back for rolled_back, kept in ends if kept]
        false_rollbacks += sum(sound)
        literal = _percent(not kept for _, kept in ends)
        rolled = _percent(rolled_back for rolled_back, _ in ends)
        print(f"| {node} | {len(ours)} | {rolled} | {sum(sound)} of {len(sound)} | {literal} |")
    print(f"\nhealthy starts that keep the objective, rolled back: {false_rollbacks} (bar: 0)\n")
    return not false_rollbacks


def _print_faults(
    starts: Mapping[str, Sequence[Start]], cases: Mapping[str, Sequence[Row]]
) -> bool:
    found: dict[tuple[int, str], list[bool]] = defaultdict(list)
    for case, rows in cases.items():
        for begun in starts.get(case.rpartition("/")[2], [])[::4]:
            for step in (1, 2):
                spliced = replace(begun, steps=(*begun.steps[:step], rows[:FOUND_IN]))
                requests = min(row.requests for row in rows) * WEIGHTS[step] / 100
                increase = spliced.increases()[-1]
                if requests < FEWEST_REQUESTS or increase <= 0.25:
                    continue
                if replace(begun, steps=begun.steps[:step]).rolled_back():
                    continue  # it is rolled back before the fault begins
                size = "x 2 and more" if increase >= 1 else f"+{25 if increase < 0.5 else 50} %"
                found[WEIGHTS[step], size].append(spliced.rolled_back())
    print("| step | p95 | spliced faults | found within 15 minutes |")
    print("|---|---|---|---|")
    for (weight, size), hits in sorted(found.items()):
        print(f"| {weight} % | {size} | {len(hits)} | {_percent(hits)} |")
    return all(
        100 * sum(hits) / len(hits) >= BAR for (_, size), hits in found.items() if size[0] == "x"
    )


def _percent(hits: Iterator[bool] | Sequence[bool]) -> str:
    values = list(hits)
    return f"{100 * sum(values) / len(values):.1f} %" if values else "–"


def _rows_by(path: Path, *fields: str) -> dict[str, list[Row]]:
    """Return the rows of a file by some of its fields; of a fault those after its onset."""
    groups: dict[str, list[Row]] = defaultdict(list)
    with path.open(encoding="utf-8") as file:
        for one in csv.DictReader(file):
            values = [one["requests"], *(one[f"lat_{name}_ms"] for name in PERCENTILES)]
            if one.get("phase", "after") != "after" or not all(values):
                continue
            requests, *latencies = map(float, values)
            row = Row(int(one["ts"]), requests, dict(zip(PERCENTILES, latencies, strict=True)))
            groups["/".join(one[field] for field in fields)].append(row)
    return groups


def _starts(rows: Sequence[Row], every: int) -> Iterator[Start]:
    length = BASELINE_PERIODS + sum(STEP_PERIODS)
    for first in range(0, len(rows) - length + 1, every):
        before, rest = rows[first : first + BASELINE_PERIODS], first + BASELINE_PERIODS
        baseline = _baseline(before)
        if baseline is None:
            continue
        steps = []
        for periods in STEP_PERIODS:
            steps.append(rows[rest : rest + periods])
            rest += periods
        yield Start(baseline, tuple(steps))


def _request() -> BaselineRequest:
    (request,) = baseline_requests(POLICY, datetime(2026, 1, 2, tzinfo=UTC))
    return replace(request, span=Span(0, BASELINE_PERIODS * PERIOD))


REQUEST: Final = _request()


def _baseline(rows: Sequence[Row]) -> BaselineMeasurement | None:
    """Return the baseline of those periods, as `start` reads it."""
    times = range(0, len(rows) * PERIOD, PERIOD)
    series = {
        query: Series(
            dict(zip(times, (row.percentiles[query.statistic] for row in rows), strict=True))
        )
        for query in REQUEST.percentiles
    }
    series[REQUEST.samples] = Series(dict(zip(times, (row.requests for row in rows), strict=True)))
    return frozen_value(REQUEST, series)


if __name__ == "__main__":
    sys.exit(main())
