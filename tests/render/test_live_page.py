"""The live page of a rollout: its text at any width."""

from datetime import timedelta
from typing import Any

import pytest

from controller.core.units import clock_text
from controller.immutable import replace
from controller.render.page import layout, line_text
from controller.render.rollout_page import live_page
from tests.support.cases import cases
from tests.support.core import Label, Phase, Policy, Reason, Rollout, Verdict
from tests.support.findings import a_finding
from tests.support.rollouts import (
    LADDER,
    MINUTE,
    NOON,
    a_policy,
    a_rollout,
    a_state,
    with_facts,
    with_state,
)

HOUR = timedelta(hours=1)
NEWEST = int((NOON + MINUTE).timestamp())  # end of the newest minute that was judged


@pytest.fixture
def baking() -> Rollout:
    """A rollout that bakes at 10% since noon; its step is judged from 12:02 on."""
    return a_rollout(
        state=a_state(applied=True, reason=Reason.BAKING, sentence="baking at 10%"),
        policy=a_policy(), seen_weight=10, findings=(a_finding(start=NEWEST - 300, end=NEWEST),),
    )  # fmt: skip


def lines(rollout: Rollout, now: Any = NOON, width: int = 80) -> list[str]:
    """Return the lines of the page on a terminal."""
    return [line_text(line) for line in layout(live_page(rollout, now), width)]


def fact(rollout: Rollout, name: str, now: Any = NOON) -> str | None:
    """Return the text of the fact `name`; None when it is not shown."""
    rows = [line.strip() for line in lines(rollout, now, width=120)]
    found = [row for row in rows if row.startswith(f"{name} ")]
    return found[0].removeprefix(name).strip() if found else None


def step(rollout: Rollout, weight: str, now: Any = NOON) -> str:
    """Return the row of the step with `weight`."""
    (row,) = [line for line in lines(rollout, now) if line[3:].lstrip().startswith(weight)]
    return row.strip()


def test_a_view_is_one_screen_that_says_everything(baking: Rollout) -> None:
    day = f"{NOON:%Y-%m-%d}"
    assert lines(baking, NOON + 3 * MINUTE) == [
        "checkout#1  progressing  10%",
        "",
        f"  ▶   10%  10m  {'█' * 6:░<24} 3m elapsed, 9m left",
        "  ·   50%  10m",
        "  ·  100%  30m",
        "",
        "  because   baking at 10%",
        "  next      50% if every criterion of this step passes, at the first tick from",
        f"            {clock_text(NOON + 15 * MINUTE)} on (in 12m)",
        "  waiting   for the bake, then 3m until its data are final",
        f"  updated   {clock_text(NOON)}, 3m ago",
        "",
        "        criterion  target   measured  samples  evidence",
        "  pass  works      ≥ 99.9%    99.95%    2,000  no regression detected",
        f"  measured over all judged minutes of a step, from {day} 11:56 to",
        "    12:01 UTC; the newest is 2m old",
        "",
        "  criterion  towards FAIL                  towards a pass",
        "  works      0%, breaches in a row 0 of 2  reached",
    ]


@cases("minutes, left", {
    "it has just begun": (0, "12m left"),
    "it goes on": (9, "3m left"),
    "its data are not settled": (13, "baked; waits for final data"),
    "it is over": (15, "baked"),
    "a clock that is behind": (-5, "17m left"),
})  # fmt: skip
def test_the_current_step_says_how_much_of_its_bake_is_left(
    baking: Rollout, minutes: int, left: str
) -> None:
    row = step(baking, "10%", NOON + minutes * MINUTE)
    assert row.startswith("▶   10%  10m")
    assert row.endswith(f" {left}")


def test_a_weight_that_is_not_in_force_yet_has_no_bake(baking: Rollout) -> None:
    moving = replace(baking, state=a_state(), seen_weight=None)
    assert step(moving, "10%") == "▶   10%  10m  waits until the weight is applied"


@pytest.mark.parametrize(
    ("phase", "rows"),
    [
        (Phase.PROGRESSING, ["✓", "▶", "·"]),
        (Phase.PAUSED, ["✓", "▶", "·"]),
        (Phase.ROLLING_BACK, ["✓", "✗", "·"]),
        (Phase.ROLLED_BACK, ["✓", "✗", "·"]),
    ],
)
def test_the_steps_are_marked_done_current_or_ahead(
    baking: Rollout, phase: Phase, rows: list[str]
) -> None:
    at_50 = replace(baking, state=a_state(phase, baking.policy, step=1))
    assert [step(at_50, weight)[0] for weight in ("10%", "50%", "100%")] == rows


def test_a_paused_rollout_has_nothing_left_to_wait_for(baking: Rollout) -> None:
    paused = replace(baking, state=a_state(Phase.PAUSED, applied=True))
    assert step(paused, "10%", NOON + 3 * MINUTE) == "▶   10%  10m  paused"


def test_the_next_action_has_a_countdown_unless_it_waits_for_an_operator(baking: Rollout) -> None:
    next_ = (
        "50% if every criterion of this step passes, at the first tick from "
        f"{clock_text(NOON + 15 * MINUTE)} on"
    )
    assert fact(baking, "next", NOON + 5 * MINUTE) == f"{next_} (in 10m)"
    assert fact(baking, "next", NOON + 20 * MINUTE) == next_
    paused = lines(replace(baking, state=a_state(Phase.PAUSED, applied=True)))
    assert any("waits for an operator" in line for line in paused)
    assert not any("(in " in line for line in paused)


def test_the_live_view_warns_when_no_tick_runs(baking: Rollout) -> None:
    assert fact(baking, "updated", NOON) == clock_text(NOON)
    assert fact(baking, "updated", NOON + 20 * MINUTE) == f"{clock_text(NOON)}, 20m ago"
    late = f"{clock_text(NOON)}, no tick for 21m: is the schedule running?"
    assert fact(baking, "updated", NOON + 21 * MINUTE) == late


def test_the_leak_check_and_the_label_are_shown_once_they_are_known(baking: Rollout) -> None:
    assert fact(baking, "leak check") is None
    assert fact(baking, "evidence") is None
    leak_check = a_finding(
        "leak_check", verdict=Verdict.FAIL, sentence="leak check failed: 3 requests."
    )
    known = replace(baking, state=a_state(Phase.ROLLED_BACK, leak_check=leak_check))
    assert fact(known, "leak check") == "failed: 3 requests."
    labelled = with_facts(baking, label="no regression detected")
    assert fact(labelled, "evidence") == "weakest of the earlier steps: no regression detected"
    skipped = with_facts(baking, label="not judged")
    assert fact(skipped, "evidence") == "at least one step was left before its gate was judged"


@pytest.mark.parametrize(
    ("verdict", "label", "is_shown"),
    [
        (Verdict.PASS, Label.NO_REGRESSION, False),
        (Verdict.INCONCLUSIVE, Label.NOT_JUDGED, False),
        (Verdict.INCONCLUSIVE, Label.TOO_FEW, True),
        (Verdict.INCONCLUSIVE, Label.QUERY_FAILED, True),
        (Verdict.FAIL, Label.REGRESSION, True),
    ],
)
def test_a_sentence_is_below_the_table_where_a_criterion_needs_attention(
    baking: Rollout, verdict: Verdict, label: Label, is_shown: bool
) -> None:
    one = with_facts(baking, findings=(a_finding(verdict=verdict, label=label),))
    mark = {Verdict.PASS: "pass", Verdict.FAIL: "FAIL", Verdict.INCONCLUSIVE: "open"}[verdict]
    row = f"  {mark}  works was judged."
    assert (row in lines(one)) is is_shown
    assert row not in lines(with_state(one, sentence="works was judged. And more."))


NAMES = [f"a-criterion-with-a-very-long-name-{number}" for number in range(6)]
MANY = Policy.model_validate(
    {
        **LADDER,
        "name": "a-checkout-service-with-quite-a-long-name",
        "criteria": {
            **LADDER["criteria"],
            **{name: {**LADDER["criteria"]["works"]} for name in NAMES},
        },
    }
)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_nothing_is_cut_off_however_long_the_names_and_narrow_the_terminal(width: int) -> None:
    findings = tuple(a_finding(name) for name in ("works", *NAMES))
    rollout = a_rollout(f"{MANY.name}#12", a_state(applied=True), policy=MANY, findings=findings)
    shown = lines(rollout, width=width)
    text = "\n".join(shown)
    assert all(name in text for name in (rollout.id, *NAMES))
    assert text.count("99.95%") == text.count("≥ 99.9%") == text.count("detected") == 7
    assert max(map(len, shown)) <= width
    assert "…" not in text
