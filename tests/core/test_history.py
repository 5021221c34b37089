"""The hash chain of a history: `broken_link` finds the place of every change."""

import json
from collections.abc import Callable, Sequence
from datetime import timedelta

from controller.adapters.stores import codec
from controller.core.history import finding_data, target_data
from controller.core.judge.stored_series import series_data
from controller.core.repeated_state import is_as_recorded, repeated_state
from controller.core.stats.counts import Counts
from controller.immutable import replace
from tests.support.cases import cases
from tests.support.core import (
    Entry,
    Observation,
    QueryStatus,
    Reason,
    Rollout,
    Series,
    Tally,
    append,
    broken_link,
    observation_data,
)
from tests.support.findings import a_finding
from tests.support.rollouts import (
    MINUTE,
    NOON,
    a_reading,
    a_record,
    a_rollout,
    a_state,
    with_entry,
    with_facts,
)


def four_entries() -> tuple[Rollout, list[Entry]]:
    """Return a rollout with a history of four entries, a minute apart."""
    rollout, entries = a_rollout(), []
    for minute in range(4):
        rollout, entry = with_entry(rollout, at=NOON + minute * MINUTE)
        entries.append(entry)
    return rollout, entries


def change_second(entries: Sequence[Entry], **changes: object) -> list[Entry]:
    """Return `entries` with the second one changed."""
    return [entries[0], replace(entries[1], **changes), *entries[2:]]  # type: ignore[arg-type]


@cases("tamper, broken", {
    "the first entry removed": (lambda e: e[1:], 1),
    "an entry removed": (lambda e: [e[0], *e[2:]], 2),
    "the last entry removed": (lambda e: e[:3], 4),
    "all entries removed": (lambda e: [], 1),
    "two entries swapped": (lambda e: [e[0], e[2], e[1], e[3]], 2),
    "all entries reversed": (lambda e: e[::-1], 1),
    "an entry doubled": (lambda e: [e[0], e[0], *e[1:]], 2),
    "the last entry doubled": (lambda e: [*e, e[3]], 5),
    "body changed": (lambda e: change_second(e, body={**e[1].body, "by": "no one"}), 2),
    "time changed": (lambda e: change_second(e, at=e[1].at + MINUTE), 2),
    "kind changed": (lambda e: change_second(e, kind="evidence"), 2),
    "number changed": (lambda e: change_second(e, seq=7), 2),
    "hash changed": (lambda e: change_second(e, hash="0" * 64), 2),
    "link changed": (lambda e: change_second(e, previous=""), 2),
})  # fmt: skip
def test_a_touched_history_breaks_at_the_place(
    tamper: Callable[[list[Entry]], list[Entry]], broken: int
) -> None:
    rollout, entries = four_entries()
    assert broken_link(tamper(entries), rollout.chain) == broken


def test_an_entry_put_in_with_a_hash_of_its_own_breaks_the_next_one() -> None:
    rollout, entries = four_entries()
    start = replace(a_rollout(), entries=1, chain=entries[0].hash)
    _, forged = with_entry(start, at=NOON + timedelta(seconds=30))
    assert broken_link([entries[0], forged, *entries[2:]], rollout.chain) == 3


def test_a_cut_off_end_is_invisible_without_what_the_rollout_recorded() -> None:
    _, entries = four_entries()
    assert broken_link(entries[:3]) is None


def test_an_entry_holds_what_json_gives_back() -> None:
    """With tuples or numbers as keys it would not fit its hash after a round through a store."""
    observation = {"points": ((1, 2.5),), "by_second": {10: 1.0, 9: 2.0}}
    _, entry = append(a_rollout(), a_record(a_rollout()), by="tester", observation=observation)
    stored = replace(entry, body=json.loads(json.dumps(entry.body)))
    assert (stored, broken_link([stored])) == (entry, None)


def test_an_entry_says_who_when_from_where_to_where_and_why() -> None:
    finding = a_finding("SC-004", measured=0.9995, samples=4_000, start=60, end=120)
    series = {
        "errors": Series({120: 1.0, 60: 2.0}, QueryStatus.PARTIAL, "throttled"),
        "none": Series(),
    }

    _, entry = append(
        a_rollout(),
        a_record(a_rollout(), findings=(finding,)),
        by="tester",
        observation=series_data(series),
    )

    assert (entry.seq, entry.at, entry.kind, entry.previous) == (1, NOON, "transition", "")
    assert entry.body == {
        "by": "tester",
        "phase_from": "progressing",
        "phase_to": "progressing",
        "weight_from": 0,
        "weight_to": 10,
        "step": 0,
        "reason": "started",
        "sentence": "Started at 10%.",
        "findings": [finding_data(finding)],
        "state": repeated_state(a_rollout()),
        "observation": {
            "errors": {
                "runs": [[60, 2, 1]],
                "status": "partial",
                "message": "throttled",
            },
            "none": {},
        },
    }


def test_an_entry_keeps_what_its_decision_was_made_from() -> None:
    before = a_rollout(state=a_state(hold_from=NOON, block=Reason.FROZEN), seen_weight=10)
    observation = Observation(a_reading(None, may_be_full=True), owns_target=False)
    assert observation_data(before, observation, {"none": Series()}) == {
        "target": target_data(before, observation.target),
        "series": {"none": {}},
        "memory": {"hold_from": NOON.isoformat(), "block": "frozen", "seen_weight": 10},
        "owns_target": False,
    }
    assert target_data(before, observation.target)["may_be_full"] is True


def test_a_state_that_was_saved_and_loaded_is_the_one_that_was_recorded() -> None:
    """A kind of another package may count in whole numbers; a store reads them as floats."""
    counted = {"works": Tally(int(NOON.timestamp()), 5, counts=Counts(samples=10, amount=3))}
    saved, _ = with_entry(with_facts(a_rollout(), tallies=counted))
    loaded = codec.load(saved.id, codec.dump(saved), codec.dump_policy(saved))
    assert is_as_recorded(loaded)
