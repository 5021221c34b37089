"""The plan of a policy: steps, approvals, freezes, and criteria."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from controller.core.policy import Policy
from controller.core.units import clock_text
from controller.ports.json_view import document_text
from controller.render.page import PageTable, Tone, lines_page, plain_text
from controller.tools.plan.page import Plan, PlanAnswer, plan_data, plan_page
from tests.core.policy.test_policy import changed
from tests.support.cases import cases
from tests.support.parsed import parse

FREEZE = {
    "zone": "Europe/Berlin",
    "weekly": [{"from": "fri 16:00", "to": "mon 08:00"}],
    "dates": [{"from": "2026-12-23", "to": "2027-01-02"}],
}
WEDNESDAY = datetime(2026, 11, 25, 12, tzinfo=UTC)
SATURDAY = datetime(2026, 11, 28, 12, tzinfo=UTC)
ANSWER = PlanAnswer("sets 10%")
FRIDAY_16 = clock_text(datetime(2026, 11, 27, 15, tzinfo=UTC))  # in Berlin
MONDAY_8 = clock_text(datetime(2026, 11, 30, 7, tzinfo=UTC))


def lines(now: datetime = WEDNESDAY, **changes: Any) -> list[str]:
    return plain_text(plan_page(Plan(parse(changed(**changes)), now, ANSWER))).splitlines()


def steps_of(plan: list[str]) -> list[list[str]]:
    """Return the cells of each step."""
    rows = (re.split(r" {2,}", line.strip()) for line in plan)
    return [row for row in rows if row[0].endswith("%")]


@cases("answer, shown", {
    "refused": (
        PlanAnswer("would be refused", reasons=["it has 40%", "no metric"]),
        [("would be refused", Tone.BAD), ("it has 40%", Tone.BAD), ("no metric", Tone.BAD)],
    ),
    "accepted": (ANSWER, [("sets 10%", Tone.GOOD)]),
    "not checked": (PlanAnswer("sets 10%", checked=False), [("sets 10%", Tone.WAITING)]),
})  # fmt: skip
def test_the_answer_comes_first_and_a_refusal_is_red(
    answer: PlanAnswer, shown: list[tuple[str, Tone]]
) -> None:
    _, table, *_ = plan_page(Plan(parse(changed()), WEDNESDAY, answer, changes=["a bake of 2h"]))
    assert isinstance(table, PageTable)
    assert [cell for _, cell in table.rows] == shown


def test_without_the_account_times_count_from_the_start() -> None:
    plan = Plan(parse(changed()), WEDNESDAY, PlanAnswer("sets 10%", checked=False))
    text = plain_text(plan_page(plan)).splitlines()
    assert [row[1] for row in steps_of(text)] == ["0m", "1h 08m"]


def test_a_running_rollout_has_no_times_of_a_start() -> None:
    answer = PlanAnswer("a visit now would change nothing", starts=False)
    plan = plain_text(plan_page(Plan(parse(changed()), WEDNESDAY, answer))).splitlines()
    assert plan[1] == "  next      a visit now would change nothing"
    assert steps_of(plan) == [
        ["10%", "1h", "works, fast"], ["100%", "24h", "works, fast"],
    ]  # fmt: skip
    assert not [line for line in plan if "2026" in line]


@cases("changes, shown", {
    "something": (["a bake of 2h"], ["", "  advice: a bake of 2h", "  note: no data", ""]),
    "nothing": (
        [], ["", "  advice: none; each gate decides in its bake", "  note: no data", ""],
    ),
    "not known": (None, ["", "  note: no data", ""]),
})  # fmt: skip
def test_what_to_change_follows_what_the_gates_find(
    changes: list[str] | None, shown: list[str]
) -> None:
    found = lines_page(["  found"])
    plan = Plan(parse(changed()), WEDNESDAY, ANSWER, found, changes, ["no data"])
    text = plain_text(plan_page(plan)).splitlines()
    after = text.index("  found") + 1
    assert text[after : after + len(shown)] == shown


def test_what_has_no_estimate_decides_no_sooner_for_that() -> None:
    policy = parse(changed(criteria__signed={"kind": "attestation", "statement": "It was tried."}))
    text = plain_text(plan_page(Plan(policy, WEDNESDAY, ANSWER, changes=[])))
    assert "advice: none; each criterion with an estimate decides in its bake" in text


def test_a_refused_start_is_something_to_change() -> None:
    refused = PlanAnswer("would be refused", reasons=["it has 40%"])
    assert "advice: none" not in plain_text(
        plan_page(Plan(parse(changed()), WEDNESDAY, refused, changes=[]))
    )


def test_a_step_that_a_freeze_delays_is_due_at_its_end() -> None:
    friday = datetime(2026, 11, 27, 14, 30, tzinfo=UTC)  # half an hour before the freeze
    plan = Plan(parse(changed(freeze=FREEZE)), friday, ANSWER)
    first, second = steps_of(plain_text(plan_page(plan)).splitlines())
    assert (first[1], second[1]) == ("2026-11-27 14:30 UTC", MONDAY_8)


def test_a_step_that_needs_approval_says_so() -> None:
    first, second = steps_of(lines(steps__1__approval="required"))
    assert first == ["10%", "2026-11-25 12:00 UTC", "1h", "works, fast"]
    assert second == [
        "100%", "2026-11-25 13:08 UTC", "24h", "works, fast; needs approval",
    ]  # fmt: skip


@cases("changes, left_out", {
    "what delays any rollout": ({}, "gates on hold"),
    "a freeze": ({"freeze": FREEZE}, "gates on hold, freezes"),
    "an approval": ({"steps__1__approval": "required"}, "gates on hold, waits for approval"),
    "both": (
        {"freeze": FREEZE, "steps__1__approval": "required"},
        "gates on hold, waits for approval, freezes",
    ),
})  # fmt: skip
def test_the_shortest_time_says_what_it_leaves_out(changes: dict[str, Any], left_out: str) -> None:
    (text,) = (line for line in lines(**changes) if line.startswith("  done  "))
    assert text.split("  ")[-1].endswith(left_out)
    assert "2026-11-26 13:18 UTC" in text  # windows of five minutes end after the bakes


@cases("freeze, now, expected", {
    "the next one": (
        FREEZE, WEDNESDAY,
        [
            "  freeze    no step is started: fri 16:00 to mon 08:00; 2026-12-23 to 2027-01-02 "
            "(Europe/Berlin)",
            f"            next from {FRIDAY_16}: frozen until {MONDAY_8} "
            "(fri 16:00 to mon 08:00, Europe/Berlin)",
        ],
    ),
    "the one that is now": (
        FREEZE, SATURDAY,
        [
            "  freeze    no step is started: fri 16:00 to mon 08:00; 2026-12-23 to 2027-01-02 "
            "(Europe/Berlin)",
            f"            now frozen until {MONDAY_8} (fri 16:00 to mon 08:00, "
            "Europe/Berlin)",
        ],
    ),
})  # fmt: skip
def test_a_freeze_is_shown_with_the_stretch_that_matters(
    freeze: dict[str, Any], now: datetime, expected: list[str]
) -> None:
    text = lines(now, freeze=freeze)
    start = text.index(expected[0])
    *shown, after = text[start : start + len(expected) + 1]
    assert shown == expected
    assert after.startswith("  alerts ")


def plan_json(policy: Policy, now: datetime) -> Any:
    """Return the plan as a program reads it."""
    return json.loads(document_text("plan", plan_data(policy, now)))


def test_a_program_reads_the_freeze() -> None:
    assert plan_json(parse(changed(freeze=FREEZE)), SATURDAY)["freeze"] == {
        "zone": "Europe/Berlin",
        "windows": ["fri 16:00 to mon 08:00", "2026-12-23 to 2027-01-02"],
        "frozen_until": "2026-11-30T07:00:00+00:00",
        "next_begin": "2026-12-04T15:00:00+00:00",
        "next_until": "2026-12-07T07:00:00+00:00",
    }


def test_a_program_reads_which_steps_need_approval() -> None:
    data = plan_json(parse(changed(steps__1__approval="required")), WEDNESDAY)
    assert [step["needs_approval"] for step in data["steps"]] == [False, True]
    assert data["freeze"] is None


VERIFY = {"absent": '{ $.event = "gateway" }', "present": '{ $.event = "direct" }'}


def test_a_verified_rollback_names_its_patterns_and_log_group() -> None:
    plan = lines(verify_rollback=VERIFY)
    assert (
        '  rollback  verified in /aws/lambda/handler: { $.event = "direct" } is logged, '
        '{ $.event = "gateway" } is not'
    ) in plan
    data = plan_json(parse(changed(verify_rollback=VERIFY)), WEDNESDAY)
    assert data["verify_rollback"] == {"log_group": "/aws/lambda/handler", **VERIFY}
    assert plan_json(parse(changed()), WEDNESDAY)["verify_rollback"] is None


@cases("criterion, text", {
    "alarm": (
        {"kind": "alarm", "alarm": "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:red"},
        "alarm red is OK",
    ),
    "an event that must be absent": (
        {"kind": "log_events", "absent": "fallback", "control": "check"},
        "fallback is not logged in the step, in /aws/lambda/handler; check in the newest 15m "
        "shows that logs arrive",
    ),
    "an event that must be present": (
        {"kind": "log_events", "present": "gateway", "control": "check", "window": "1h"},
        "gateway is logged at least 1 time in the step, in /aws/lambda/handler; check in the "
        "newest 1h shows that logs arrive",
    ),
})  # fmt: skip
def test_a_plan_says_what_each_kind_demands(criterion: dict[str, Any], text: str) -> None:
    assert f"  c: {text}" in lines(criteria__c=criterion)


@pytest.mark.parametrize(
    "criterion",
    [
        {"kind": "success_rate", "total": "requests", "failures": ["errors"], "min": "99.9%"},
        {"kind": "latency_increase", "metric": "latency", "max_increase": "5%",
         "baseline": {"fixed": 300}},
        {"kind": "threshold", "metric": "latency", "max": 500},
        {"kind": "threshold", "metric": "errors", "max": 10},
    ],
    ids=["rate", "latency", "limit", "count"],
)  # fmt: skip
def test_a_plan_describes_the_judge_that_the_policy_names(criterion: dict[str, Any]) -> None:
    """Windows and rows of breaches are of the threshold judge alone; odds are for programs."""
    (by_evidence,) = [
        line
        for line in lines(criteria__c=criterion, false_rollback="5%")
        if line.startswith("  c: ")
    ]
    assert "likelihood" not in by_evidence
    data = plan_json(parse(changed(criteria__c=criterion)), WEDNESDAY)["criteria"]["c"]
    assert "fails at a likelihood ratio of " in data
    assert "windows" not in by_evidence
    (by_windows,) = [
        line
        for line in lines(criteria__c={**criterion, "judge": "threshold"})
        if line.startswith("  c: ")
    ]
    assert "likelihood" not in by_windows
    assert "windows" in by_windows


def test_a_plan_says_what_gates_a_step_and_what_only_reports() -> None:
    plan = lines(criteria__fast__gates=False)
    assert steps_of(plan)[0][-1] == "works; reports: fast"
    (fast,) = [one for one in plan if one.startswith("  fast: ")]
    assert fast.endswith("; reports only")
    data = plan_json(parse(changed(criteria__fast__gates=False)), WEDNESDAY)
    assert [one["reports"] for one in data["steps"]] == [["fast"], ["fast"]]


@cases("counts, said", {
    "of the canary": (None, ""),
    "of both paths": ("both", "requests, errors of both paths, diluted below 100%"),
    "of the stable path": ("stable", "requests, errors of the stable path"),
})  # fmt: skip
def test_a_criterion_says_whose_requests_it_judges(counts: str | None, said: str) -> None:
    data = changed(criteria__signed={"kind": "attestation", "statement": "The canary works."})
    for name in ("requests", "errors"):
        data["metrics"][name] |= {} if counts is None else {"counts": counts}
    text = plan_json(parse(data), WEDNESDAY)["criteria"]["works"]
    assert text.endswith(said)
    assert (" path" in text) is bool(said)
