"""Histories as lines, timelines and data."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from controller.core.history import Digests, finding_data
from controller.operations.recorded.exposure import Exposure
from controller.render.history import history_blocks, history_data, timeline, weight_change_text
from controller.render.page import plain_text
from tests.support.cases import cases
from tests.support.core import Entry, Verb
from tests.support.findings import a_finding
from tests.support.rollouts import MINUTE, NOON

ARN = "arn:aws:sts::123456789012:assumed-role/Admin/jo"
FINDINGS = [finding_data(a_finding(one, f"{one} has no data.")) for one in ("works", "fast")]


def entry(kind: str, sentence: str, weight: int = 10, **facts: Any) -> Entry:
    """Return an entry as the history has it, changed by `facts`."""
    body = {
        "by": "me",
        "weight_to": weight,
        "reason": "baking",
        "sentence": sentence,
        "findings": FINDINGS,
        **facts,
    }
    return Entry(1, NOON + MINUTE, kind, body, "before", "after")


def lines_of(entries: list[Entry], form: Any = history_blocks) -> list[str]:
    """Return the lines of a history, or of a timeline, in a pipe."""
    return plain_text(list(form(entries))).split("\n")


@cases("facts, who", {
    "AWS was not asked: as it was claimed": ({}, "me"),
    "AWS says who that is": ({"caller": ARN}, f"me (identity from AWS: {ARN})"),
    "what was claimed is what AWS says": ({"by": ARN, "caller": ARN}, ARN),
    "AWS was asked and did not say": ({"caller": ""}, "me (identity unverified)"),
})  # fmt: skip
def test_who_did_it_is_what_was_claimed_and_what_aws_says(facts: Any, who: str) -> None:
    (line,) = lines_of([entry("applied", "10% is applied", **facts)])
    assert line.endswith(f" 10% is applied  (tick, run by {who})")


def command(verb: str, kind: str, **facts: Any) -> Entry:
    """Return the entry that a command of a person made in the run `theirs`."""
    body = {"cause": {"verb": verb}, "caller": ARN, "run": "theirs", **facts}
    return entry(kind, "done", **body)


STARTED, LOWERED = command("start", "started"), command(Verb.ROLLBACK, "rolling_back")
THEIRS: Any = {"caller": ARN, "run": "theirs"}


@cases("entries, ticks", {
    "start": ([STARTED, entry("applied", "a", **THEIRS)], [False, False]),
    "rollback": ([LOWERED, entry("rolled_back", "b", **THEIRS)], [False, False]),
    "a tick": ([command(Verb.PAUSE, "paused"), entry("reminded", "c")], [False, True]),
    "a rollback that a tick confirms":
        ([LOWERED, entry("rolled_back", "d", run="other")], [False, True]),
    "the ticks of `run`": (
        [STARTED, *(entry(one, one, **THEIRS) for one in ("applied", "advanced", "applied"))],
        [False, False, True, True],
    ),
    "a rollback after another run saved":
        ([command("lost_race", "rolling_back", reason="rollback_requested")], [False]),
    "a gate": ([entry("rolling_back", "e", reason="gate_failed")], [True]),
})  # fmt: skip
def test_a_tick_is_told_from_a_person(entries: list[Entry], ticks: list[bool]) -> None:
    assert ["(tick, run by " in line for line in lines_of(entries) if "2026" in line] == ticks


def test_a_timeline_has_transitions_only_and_no_names() -> None:
    entries = [
        entry("started", "going to 10%"),
        entry("write_retried", "writing it again"),
        entry("evidence", "baking"),
        entry("applied", "10% is applied"),
    ]
    assert lines_of(entries, timeline) == [
        "2026-11-24 12:01        10%  started       going to 10%",
        "2026-11-24 12:01        10%  applied       10% is applied",
    ]
    assert len(lines_of(entries)) == 4


@pytest.mark.parametrize(
    ("kind", "reason", "below"),
    [
        ("advanced", "gate_passed", True),
        ("advanced", "advanced_unproven", True),
        ("succeeded", "completed", True),
        ("paused", "inconclusive", True),
        ("rolling_back", "inconclusive", True),
        ("paused", "drifted", False),
        ("rolling_back", "gate_failed", False),
        ("rolled_back", "inconclusive", False),
        ("applied", "applied", False),
    ],
)
def test_findings_are_below_what_they_decided_unless_its_sentence_has_them(
    kind: str, reason: str, below: bool
) -> None:
    lines = lines_of([entry(kind, "so it is", reason=reason)], timeline)
    shown = [line.strip() for line in lines[1:]]
    assert shown == (["works has no data.", "fast has no data."] if below else [])


@cases("kind, facts, shown", {
    "a start writes": ("started", {"weight_from": 0}, "0 → 10%"),
    "an advance writes": ("advanced", {"weight_from": 5}, "5 → 10%"),
    "an adoption writes nothing": ("started", {"weight_from": 10}, "10%"),
    "from an unknown weight": ("rolling_back", {"weight_from": None}, "10%"),
    "drift, at the live weight": ("paused", {"weight_from": 20}, "20%"),
    "set-weight": (
        "paused", {"weight_from": 10, "cause": {"verb": Verb.SET_WEIGHT, "weight": 30}},
        "10 → 30%",
    ),
})  # fmt: skip
def test_the_weight_is_that_after_the_entry(kind: str, facts: Any, shown: str) -> None:
    assert weight_change_text(entry(kind, "so it is", **facts)) == shown


def test_a_document_takes_the_entries_one_by_one() -> None:
    """A history of 100,000 entries is never held at once."""
    taken = []

    def entries() -> Iterator[Entry]:
        for text in ("a", "b"):
            taken.append(text)
            yield entry("applied", text)

    digests, cost = Digests("d", "d", "d"), Exposure(timedelta())
    document = history_data("checkout#1", entries(), digests, cost, intact=True)
    assert next(iter(document.entries)).sentence == "a"
    assert taken == ["a"]
