"""What a page of a rollout adds from its history: earlier steps, values over time, events."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from controller.cli.streams import with_local_times
from controller.core.units import clock_text
from controller.immutable import replace
from controller.operations.history import EVENTS, RecentHistory, recent_history
from controller.render.page import (
    Page,
    PageTable,
    Tone,
    layout,
    line_text,
    paragraph,
    plain_text,
)
from controller.render.rollout_page import rollout_page
from tests.support.cases import cases
from tests.support.core import Entry, Rollout
from tests.support.findings import a_finding
from tests.support.rollouts import LADDER, MINUTE, NOON, a_policy, a_rollout, a_state

BERLIN: Final = timezone(timedelta(hours=1), "CET")


def an_entry(kind: str, number: int = 1, **body: Any) -> Entry:
    facts = {"sentence": f"event {number}", "weight_from": 10, "weight_to": 10, "step": 0, **body}
    return Entry(number, NOON + number * MINUTE, kind, facts)


def a_stored_finding(**facts: Any) -> dict[str, Any]:
    finding = a_finding(**facts)
    return {
        "criterion": finding.criterion, "kind": finding.kind, "verdict": "pass",
        "label": "no regression detected", "reason": "told", "measured": finding.measured,
        "bound": finding.bound, "samples": finding.samples, "start": 0, "end": 300, "facts": {},
    }  # fmt: skip


def at_50(**facts: Any) -> Rollout:
    policy = a_policy()
    return a_rollout(state=a_state(policy=policy, step=1, applied=True), policy=policy, **facts)


def shown(rollout: Rollout, *entries: Entry, width: int | None = None) -> list[str]:
    page = rollout_page(rollout, NOON, recent=recent_history(rollout, entries))
    return [line_text(line) for line in layout(page, width)]


def test_a_step_that_was_passed_keeps_its_numbers() -> None:
    left = an_entry("advanced", step=1, findings=[a_stored_finding(samples=2_000)])
    rollout = at_50(findings=(a_finding(),))
    lines = shown(rollout, an_entry("started"), left)
    assert lines[lines.index("  earlier steps  10%") + 1] == "  works          pass 99.95% of 2,000"
    assert not any("earlier steps" in line for line in shown(rollout, an_entry("started")))


def test_the_newest_events_are_shown_without_what_every_hour_records() -> None:
    hours = [an_entry("evidence", 20 + number) for number in range(9)]
    entries = [an_entry("paused", number) for number in range(1, EVENTS + 3)]
    lines = shown(at_50(), *entries, *hours)
    begin = lines.index("  newest events (UTC)")
    assert [line.split()[-1] for line in lines[begin + 1 :]] == ["3", "4", "5", "6", "7"]
    assert lines[begin + 1].split()[:2] == [f"{NOON:%Y-%m-%d}", f"{NOON + 3 * MINUTE:%H:%M}"]


def test_an_entry_that_was_changed_in_the_store_hides_nothing() -> None:
    changed = Entry(1, NOON, "advanced", {"step": "one", "findings": [7]})
    assert "works" in "\n".join(shown(at_50(findings=(a_finding(),)), changed))


@cases("width, is_list", {"80": (80, False), "120": (120, False), "40": (40, True)})
def test_the_evidence_is_a_table_where_there_is_room_and_else_a_list(
    width: int, is_list: bool
) -> None:
    rollout = at_50(findings=(a_finding(),))
    lines = [line.strip() for line in shown(rollout, width=width)]
    assert ("towards a pass reached" in " ".join(lines)) is is_list
    assert any(line.startswith("criterion  towards FAIL") for line in lines) is not is_list
    assert max(map(len, shown(rollout, width=width))) <= width


def test_the_first_hour_says_from_when_on_likelihood_ratios_are_known() -> None:
    """They are stored once an hour, the first an hour after the step is judged from."""
    works = {**LADDER["criteria"]["works"], "judge": "sequential"}
    works.pop("failure_limit")
    policy = a_policy(criteria={"works": works})
    state = a_state(policy=policy, step=1, applied=True)
    rollout = a_rollout(state=state, policy=policy, findings=(a_finding(),), updated=NOON)
    assert "works      known from 13:00 UTC" in "\n".join(shown(rollout))
    later = replace(rollout, updated=NOON + timedelta(hours=2))
    assert "known from" not in "\n".join(shown(later)), "no tick stored it when it was due"


def test_the_step_says_what_has_elapsed_and_what_is_left() -> None:
    rollout = at_50()
    lines = plain_text(rollout_page(rollout, NOON + 3 * MINUTE)).splitlines()
    assert "  step      2 of 3, 3m elapsed, 9m left" in lines


# --- local time -----------------------------------------------------------------------------------

AT: Final = clock_text(NOON)


def local(text: str, zone: Any = BERLIN) -> str:
    page: Page = [paragraph(text, Tone.QUIET), PageTable([("because", text)])]
    return plain_text(with_local_times(page, lambda moment: moment.astimezone(zone)))


def test_a_terminal_has_the_local_time_beside_utc() -> None:
    assert local(f"baking until {AT}.").splitlines() == [
        f"baking until {AT} (13:00 CET).",
        f"because  baking until {AT} (13:00 CET).",
    ]


def test_the_local_day_is_said_where_it_is_another_one() -> None:
    tokyo = timezone(timedelta(hours=14), "LINT")
    later = datetime.fromisoformat("2026-11-24T12:00:00+14:00") + timedelta(days=1)
    assert f"{AT} ({later:%Y-%m-%d} 02:00 LINT)" in local(AT, tokyo)


def test_nothing_is_added_where_people_live_by_utc() -> None:
    assert local(AT, UTC).splitlines()[0] == AT


def test_a_history_that_cannot_be_read_leaves_the_rest() -> None:
    nothing: RecentHistory | None = None
    assert plain_text(rollout_page(at_50(), NOON, recent=nothing))
