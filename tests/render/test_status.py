"""The status of a rollout as text and as data."""

import json
from datetime import timedelta
from typing import Any

import pytest

from controller.core.units import clock_text
from controller.engine.execute import TickOutcome
from controller.engine.lease import SkippedRollout
from controller.errors import StoreError
from controller.immutable import fields_of, replace
from controller.ports.json_view import document_text
from controller.render.overview import overview_page
from controller.render.page import plain_text
from controller.render.rollout_data import rollout_data, skip_data, visit_data
from controller.render.rollout_page import rollout_page
from controller.render.rollout_texts import rollout_line, skip_line, visit_line, weight_text
from tests.support.cases import cases
from tests.support.core import (
    Condition,
    ConditionKind,
    Label,
    Phase,
    Reason,
    Rollout,
    State,
    Verdict,
)
from tests.support.findings import a_finding
from tests.support.rollouts import MINUTE, NOON, a_rollout, a_state, with_facts

FINDING = a_finding(
    "works",
    "works fails: success was 95%.",
    verdict=Verdict.FAIL,
    label=Label.REGRESSION,
    measured=0.95,
)
LEAK_CHECK = a_finding(
    "leak_check",
    "leak check failed: 3 requests.",
    verdict=Verdict.FAIL,
    label=Label.LEAK_CHECK_FAILED,
)


BAKING = a_state(applied=True, reason=Reason.BAKING, sentence="baking at 10%")


@pytest.fixture
def rollout() -> Rollout:
    return a_rollout(state=BAKING, findings=(FINDING,))


@cases(
    "visit, front",
    {
        "lost to another run": (
            TickOutcome(a_rollout(), busy=True),
            "skipped, lock held or write conflict (safe to retry): ",
        ),
        "not saved": (
            TickOutcome(a_rollout(), problem="the disk is full", saved=False),
            "not saved: the disk is full: ",
        ),
        "not seen": (TickOutcome(a_rollout(), problem="AccessDenied"), "problem: AccessDenied: "),
    },
)
def test_what_went_wrong_stands_in_front(visit: TickOutcome, front: str) -> None:
    assert visit_line(visit) == front + rollout_line(visit.rollout)


def test_a_rollout_that_was_missed_is_a_line_and_data_with_its_id_and_why() -> None:
    missed = SkippedRollout("checkout#1", StoreError("the state of checkout#1 is damaged"))
    assert (
        skip_line(missed) == "checkout#1  skipped by this tick: the state of checkout#1 is damaged"
    )
    data = json.loads(document_text("skip", skip_data(missed)))
    assert (data["id"], data["phase"]) == ("checkout#1", None)
    assert data["problem"] == "the state of checkout#1 is damaged"
    assert data.keys() - {"schema"} <= fields_of(visit_data(TickOutcome(a_rollout()))).keys()


def test_a_page_has_each_finding_and_ends_with_how_far_it_is(rollout: Rollout) -> None:
    lines = plain_text(rollout_page(rollout)).splitlines()
    assert "  FAIL  works fails: success was 95%." in lines
    assert lines[-1].startswith("  works      100%, breaches in a row")
    assert "  waiting   for the bake, then 3m until its data are final" in lines
    assert not any(line.startswith("  evidence") for line in lines)
    passing = replace(rollout, evidence=a_rollout(findings=(a_finding("works"),)).evidence)
    labels = ["  evidence  weakest of the earlier steps: no regression detected"]
    for one, shown in ((passing, labels), (rollout, [])):
        labelled = plain_text(
            rollout_page(with_facts(one, label="no regression detected"))
        ).splitlines()
        assert [line for line in labelled if line.startswith("  evidence")] == shown


GOING_BACK, BACK = a_state(Phase.ROLLING_BACK), a_state(Phase.ROLLED_BACK)


@pytest.mark.parametrize(
    ("state", "seen", "text"),
    [
        (a_state(), 10, "10%"),
        (a_state(), None, "10%"),
        (a_state(applied=True), 30, "30% live, expected 10%"),
        (a_state(), 0, "0% live, going to 10%"),
        (GOING_BACK, 10, "10% live, going to 0%"),
        (GOING_BACK, None, "unknown weight, going to 0%"),
        (GOING_BACK, 0, "0% written, not applied yet"),
        (BACK, 0, "0%"),
        (BACK, 75, "75% live, expected 0%"),
    ],
)
def test_the_headline_says_the_weight_that_is_live(
    state: State, seen: int | None, text: str
) -> None:
    rollout = a_rollout(state=state, seen_weight=seen)
    assert weight_text(rollout) == text
    assert plain_text(rollout_page(rollout)).splitlines()[0].endswith(f"  {text}")
    assert f"  {text}  " in rollout_line(rollout)
    assert rollout_data(rollout).seen_weight == seen


@pytest.mark.parametrize(
    ("state", "minutes", "said"),
    [
        pytest.param(BAKING, 4, True, id="due in four minutes"),
        pytest.param(BAKING, 1, False, id="due at the next tick"),
        pytest.param(BAKING, 60, False, id="so far ahead that it counts as now"),
        pytest.param(a_state(Phase.PAUSED), 4, False, id="a pause, which each tick visits"),
    ],
)
def test_a_page_says_until_when_ticks_leave_a_rollout_alone(
    state: State, minutes: int, said: bool
) -> None:
    rollout = a_rollout(state=state, due=NOON + minutes * MINUTE)
    text = f"not due before {clock_text(NOON + minutes * MINUTE)}"
    assert (text in plain_text(rollout_page(rollout, NOON))) is said


def test_why_the_last_write_failed_is_part_of_the_page() -> None:
    rollout = a_rollout(state=GOING_BACK, seen_weight=10, write_error="AccessDenied: grant it")
    assert "AccessDenied: grant it" in plain_text(rollout_page(rollout))
    assert rollout_data(rollout).write_error == "AccessDenied: grant it"


# --- overview -------------------------------------------------------------------------------------

LATER = NOON + timedelta(hours=2)
FAR = NOON + timedelta(days=7)


def rollout_of(name: str, state: State, **facts: Any) -> Rollout:
    """Return a rollout that was just ticked, changed by `facts`."""
    state = replace(state, sentence=f"{name} says why")
    return a_rollout(f"{name}#1", state, **{"updated": LATER, **facts})


PAUSED = a_state(Phase.PAUSED)
IN_FORCE_BY = f"next: rolls back unless 10% is applied by {clock_text(NOON + 10 * MINUTE)}"
NOT_AT_ZERO = {ConditionKind.UNCONFIRMED: Condition(NOON, "it is NOT rolled back.", critical=True)}
ROWS = [
    pytest.param(
        rollout_of("a", GOING_BACK, seen_weight=10, conditions=NOT_AT_ZERO),
        "!  a#1  rolling_back  10% live, going to 0%  it is NOT rolled back. a says why",
        id="not at zero",
    ),
    pytest.param(
        rollout_of("b", a_state(Phase.ROLLED_BACK, leak_check=LEAK_CHECK, watch_until=FAR)),
        "!  b#1  rolled_back  0%  leak check failed: 3 requests.", id="requests still arrive",
    ),
    pytest.param(
        rollout_of("c", GOING_BACK, seen_weight=10),
        "!  c#1  rolling_back  10% live, going to 0%  c says why", id="on its way back",
    ),
    pytest.param(
        rollout_of("d", PAUSED), "!  d#1  paused  10%  d says why", id="paused"
    ),
    pytest.param(
        rollout_of("e", a_state(), updated=NOON),
        f"!  e#1  progressing  10%  no tick for 2h 00m: is the schedule running? {IN_FORCE_BY}",
        id="not ticked",
    ),
    pytest.param(
        rollout_of("f", a_state()), f"   f#1  progressing  10%  {IN_FORCE_BY}",
        id="on its way",
    ),
    pytest.param(
        rollout_of("g", a_state(Phase.ROLLED_BACK, leak_check=LEAK_CHECK, watch_until=NOON)),
        "   g#1  rolled_back  0%  g says why", id="rolled back long ago",
    ),
    pytest.param(
        rollout_of("h", a_state(Phase.SUCCEEDED), updated=NOON),
        "   h#1  succeeded  100%  h says why", id="complete",
    ),
]  # fmt: skip


def overview(rollouts: Any) -> list[str]:
    """Return the lines of many rollouts in a pipe."""
    return plain_text(overview_page(rollouts, LATER)).split("\n")


@pytest.mark.parametrize(("rollout", "line"), ROWS)
def test_of_many_each_is_a_line_that_says_whether_it_needs_an_operator(
    rollout: Rollout, line: str
) -> None:
    assert overview([rollout]) == [line]


def test_a_terminal_gets_the_most_urgent_and_how_many_others_there_are() -> None:
    rollouts: Any = [row.values[0] for row in ROWS] * 200
    lines = plain_text(overview_page(rollouts, LATER, 50)).split("\n")
    assert (len(lines), {line[0] for line in lines[:50]}) == (51, {"!"})
    assert lines[50].startswith("1,550 less urgent rollouts left out (350 rolled_back, ")
    assert lines[50].endswith("read all of them: rolloutctl status | less")
    assert len(plain_text(overview_page(rollouts[:50], LATER, 50)).split("\n")) == 50


def test_of_many_in_progress_one_with_a_condition_comes_first() -> None:
    blind = {ConditionKind.BLIND: Condition(NOON, "no metric can be read")}
    quiet = rollout_of("q", a_state(applied=True), updated=LATER)
    known = replace(quiet, id="k#1", conditions=blind)
    assert [line[3] for line in overview([quiet, known])] == ["k", "q"]


def test_of_many_the_most_urgent_comes_first_and_the_oldest_of_equals() -> None:
    rollouts = [row.values[0] for row in ROWS]
    assert [line[3] for line in overview(rollouts[::-1])] == list("bacdefgh")
