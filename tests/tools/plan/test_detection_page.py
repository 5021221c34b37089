"""Gate power as a page and as JSON data."""

import json
import re
from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Any

from controller.policy_file import yaml_file
from controller.policy_file.loader import load
from controller.ports.json_view import document_text
from controller.render.page import plain_text
from controller.testing import installed
from controller.tools.plan.detection_page import power_changes, power_data, power_page
from controller.tools.plan.power import (
    Detection,
    Power,
    ShortfallData,
    ShortfallKind,
    StepPower,
    power_of,
)
from tests.core.policy.test_policy import changed
from tests.support.cases import cases
from tests.support.core import Policy
from tests.support.parsed import parse

POLICY = parse(
    changed(
        criteria={
            "works": {
                "kind": "success_rate", "judge": "sequential", "total": "requests",
                "failures": ["errors"], "min": "99.9%",
            },
            "fast": {
                "kind": "latency_increase", "judge": "sequential", "metric": "latency",
                "max_increase": "5%", "baseline": {"frozen": "direct", "window": "24h"},
            },
            "count": {
                "kind": "threshold", "judge": "sequential", "metric": "errors", "max": 10,
            },
            "literal": {
                "kind": "success_rate", "judge": "threshold", "total": "requests",
                "failures": ["errors"], "min": "99%",
            },
        }
    )
)  # fmt: skip
ERRORS = (Detection(0.01, None), Detection(0.05, 80), Detection(0.2, 7))
LITERAL = Power("literal", 360.0, 300, inf, window=30.0, min_window_requests=100.0)


def page(*criteria: Power) -> list[str]:
    """Return the page about one step, and what to change."""
    steps = [StepPower(0, 360.0, 3_240.0, criteria, {})]
    shown = plain_text(power_page(POLICY, 60.0, "given", steps)).splitlines()
    return [*shown, *power_changes(POLICY, steps)]


def power_with_shortfall(kind: ShortfallKind, needed: float, **helps: Any) -> Power:
    """Return the power of a criterion that cannot decide."""
    defaults = {"bake": None, "per_minute": None, "probes": None, "decides_in_hold": False, **helps}
    criterion, detections = ("works", ERRORS) if kind is not ShortfallKind.FAULTS else ("fast", ())
    return Power(
        criterion,
        120.7,
        300,
        inf,
        detections,
        shortfalls=(ShortfallData(kind, needed, **defaults),),
    )


@cases("power, line", {
    "windows in which one failure decides":
        (LITERAL, "literal at 10%: 30 requests in a window of 5m; below 100, one failure is a "
                  "breach"),
    "a fault that is found while the gate holds": (
        power_with_shortfall(
            ShortfallKind.FAULTS, 0.5, bake=95, decides_in_hold=True, per_minute=121.3
        ),
        "10%: criterion fast cannot fail by the end of the bake: it does not detect +50% "
        "until then; use a bake of 1h 35m, or 122 requests a minute",
    ),
    "samples": (
        power_with_shortfall(ShortfallKind.SAMPLES, 300, bake=150, per_minute=50.2, probes=0.4321),
        "10%: criterion works cannot pass in this step: it has 120 of 300 samples at the "
        "end of the bake "
        "and 3,258 at that of `max_hold` and `max_wait`; use a bake of 2h 30m, or "
        "51 requests a minute, or 0.44 probes a minute on the canary, or a smaller `min_samples`",
    ),
    "a proof": (
        power_with_shortfall(ShortfallKind.PROOF, 3_807, bake=635, decides_in_hold=True),
        "10%: criterion works cannot pass by the end of the bake: it has 120 of 3,807 "
        "requests needed to confirm the objective then; use a bake of 10h 35m, or "
        "`assurance: no_regression`",
    ),
})  # fmt: skip
def test_it_says_what_a_gate_cannot_do(power: Power, line: str) -> None:
    assert line in [one.strip() for one in page(power)]


def test_the_last_lines_say_why_a_latency_is_detected_no_sooner() -> None:
    def last_line(per_minute: float) -> str:
        steps = [StepPower(0, per_minute * 60, 0.0, (Power("fast", 0.0, 0, 0.0, ()),), {})]
        return " ".join(plain_text(power_page(POLICY, per_minute, "given", steps)).split())

    assert "a minute counts as at most 300 requests" in last_line(301)
    assert "a minute counts as at most 300 requests" not in last_line(299)
    assert "the baseline mixes the hours of a day" in last_line(299)


KINDS = {
    "retried": "tests.support.retried:Retried",
    "retried_by_evidence": "tests.support.retried:RetriedByEvidence",
}


def test_what_is_no_failure_is_not_called_one() -> None:
    retries = {"namespace": "Shop", "name": "Retries", "statistic": "Sum"}
    share = {"kind": "retried_by_evidence", "metric": "retries", "per": "requests", "max": "1%"}
    both = {"retries": share, "literal": {**share, "judge": "threshold"}}
    with installed("rolloutctl.criteria", KINDS):
        policy = Policy.model_validate(changed(criteria=both, metrics__retries=retries))
        steps = [StepPower(0, 360.0, 3_240.0, (Power("retries", 0.0, 0, 0.0, ERRORS), LITERAL), {})]
        shown = plain_text(power_page(policy, 60.0, "given", steps))
    assert "5%: the share of requests that fail (retries: that retries counts);" in shown
    assert "below 100, one event is a breach" in shown
    assert "one failure" not in shown


def test_a_program_reads_the_same() -> None:
    few = ShortfallData(
        ShortfallKind.SAMPLES, 300, bake=150, per_minute=50.2, probes=0.4321, decides_in_hold=True
    )
    power = Power("works", 360.04, 300, 49.2, ERRORS, 0.0551, 3_807, 634.5, shortfalls=(few,))
    steps = [StepPower(0, 360.0, 3_240.0, (power,), {})]
    data = json.loads(document_text("power", power_data(POLICY, 60.0, "given", steps)))
    assert (data["requests_per_minute"], data["source"]) == (60.0, "given")
    (step,) = data["steps"]
    criteria = step["criteria"]
    alone = {name: step[name] for name in ("step", "weight", "requests", "control_requests")}
    assert alone == {"step": 0, "weight": 10, "requests": 360.0, "control_requests": 3_240.0}
    assert criteria["works"] == {
        "samples": 360.0,
        "min_samples": 300,
        "min_samples_after_minutes": 50,
        "finds": [
            {"effect": 0.01, "minutes": None},
            {"effect": 0.05, "minutes": 80},
            {"effect": 0.2, "minutes": 7},
        ],
        "smallest": 0.056,
        "requests_to_prove": 3_807,
        "proven_from_requests_per_minute": 635,
        "window_samples": None,
        "one_failure_breaches_below": None,
        "canary_share": 1,
        "cannot_decide": [
            {
                "lacks": "samples",
                "needed": 300,
                "decides_after_the_bake": True,
                "bake_minutes": 150,
                "requests_per_minute": 51.0,
                "probes_per_minute": 0.44,
            }
        ],
    }  # fmt: skip


def test_the_table_in_the_documentation_is_the_one_that_is_printed() -> None:
    """Of the whole policy of docs/policy.md, with the criteria of contributors/judging.md in it."""
    docs = Path(__file__).parents[3] / "docs"
    text = "".join(
        (docs / name).read_text(encoding="utf-8")
        for name in ("policy.md", "contributors/judging.md")
    )
    bodies = re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    policy = next(body for body in bodies if body.startswith("version:"))
    part = next(body for body in bodies if "calls-succeed:" in body)
    data: Any = yaml_file.parse(policy, "docs/policy.md").data
    changes: Any = yaml_file.parse(part, "docs/contributors/judging.md").data
    policy = parse({**data, **changes})
    steps = power_of(policy, 60.0)
    assert plain_text(power_page(policy, 60.0, "given", steps)) in text


# --- a long step beside the stable path -----------------------------------------------------------


@cases("changes, per_minute, proposed", {
    "a day at 100%": ({}, 600, True),
    "too few requests would be left": ({}, 400, False),
    "a short last step": ({2: {"bake": "1h"}}, 600, False),
    "a step beside it already": ({1: {"weight": 98}}, 600, False),
})  # fmt: skip
def test_a_long_last_step_is_better_beside_the_stable_path(
    changes: Mapping[int, Mapping[str, Any]], per_minute: float, proposed: bool
) -> None:
    shipped = load(Path("policies/execution-api.yaml"))
    data = shipped.model_dump(mode="json", exclude_unset=True)
    for step, change in changes.items():
        data["steps"][step] |= change
    policy = Policy.model_validate(data)
    lines = power_changes(policy, power_of(policy, per_minute, {}))
    assert any("a step `{weight: 98, bake: 24h}`" in line for line in lines) is proposed


@cases(
    "by_hour, hours",
    {
        "no traffic at night": ([0] * 6 + [8] * 18, "00:00 to 06:00"),
        "no traffic around midnight": ([0] * 3 + [8] * 19 + [0] * 2, "22:00 to 03:00"),
        "two quiet hours": ([8] * 4 + [1] + [8] * 9 + [1] + [8] * 9, "04:00 to 05:00, 14:00"),
        "as much at any hour": ([6] * 24, ""),
    },
)
def test_hours_are_named_at_which_a_bake_ends_with_too_few_samples(
    by_hour: list[float], hours: str
) -> None:
    """360 samples in an hour, on average over the day, and 300 that a pass needs."""
    steps = [StepPower(0, 360.0, 3_240.0, (Power("works", 360.0, 300, 50.0),), {})]
    changes = power_changes(POLICY, steps, by_hour)
    assert len(changes) == bool(hours)
    assert not hours or f"a bake that ends from {hours}" in changes[0]


def test_no_hour_is_named_of_a_bake_of_a_day() -> None:
    power = Power("works", 360.0, 300, 50.0)
    day = [StepPower(len(POLICY.steps) - 1, 360.0, 0.0, (power,), {})]
    assert not power_changes(POLICY, day, [0] * 12 + [12] * 12)
