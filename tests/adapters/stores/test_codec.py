"""A loaded record equals the stored one, and a damaged one is refused in one line."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import reduce
from math import inf, nan
from operator import getitem
from types import MappingProxyType
from typing import Any

import pytest
from msgspec import UNSET, Struct
from msgspec.structs import asdict

from controller.core import stored_formats
from controller.core.history import SnapshotChangedError
from controller.core.judge.evidence import BreachRun
from controller.core.stats.combined_tests import ControlState, Rejection
from controller.core.stats.counts import Counts
from controller.core.stats.eprocess import EProcessState
from controller.errors import is_record_error
from controller.immutable import fields_of, plain_data, replace
from tests.support.cases import cases
from tests.support.core import (
    BaselineMeasurement,
    Condition,
    ConditionKind,
    Entry,
    Label,
    Live,
    Message,
    Pending,
    Phase,
    Reason,
    Record,
    Rollout,
    SequentialState,
    Severity,
    SignOff,
    State,
    StepInterval,
    StoreError,
    Tally,
    append,
    broken_link,
    codec,
)
from tests.support.findings import a_finding
from tests.support.rollouts import MINUTE, NOON, POLICY, a_rollout, a_state, with_entry, with_facts

SNAPSHOT = POLICY.snapshot()


def round_trip(rollout: Rollout) -> Rollout:
    """Return `rollout` after a round through its stored form."""
    return codec.load(rollout.id, codec.dump(rollout), rollout.policy.snapshot())


def stored(**changes: object) -> str:
    """Return the stored state of `checkout#1` with changed keys."""
    return json.dumps({**json.loads(codec.dump(a_rollout())), **changes})


# --- Round trips ----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["95% ≤ 5 ms – “ok”", "not UTF-8: \udcff", "two\nlines\0"])
def test_any_text_of_a_reason_can_be_saved(text: str) -> None:
    _, entry = with_entry(a_rollout(), sentence=text)
    assert round_trip(a_rollout(state=a_state(sentence=text))).sentence == text
    assert (
        broken_link([codec.load_entry("checkout#1", codec.dump_entry("checkout#1", entry))]) is None
    )
    assert codec.dump(a_rollout(state=a_state(sentence=text))).isascii()
    assert codec.dump_entry("checkout#1", entry).isascii()


class Text(str):
    """A text of a package's own."""


class Number(float):
    """A number of a package's own, as numpy's are."""


class Whole(int):
    """A whole number of a package's own."""


class Moment(datetime):
    """A time of a package's own."""


def test_values_of_a_packages_own_kinds_are_saved_as_plain_ones() -> None:
    finding = a_finding("fast", measured=Number(0.5), facts=MappingProxyType({"a": Text("b")}))
    tally = Tally(END, Whole(5), counts=Counts(samples=Number(10)))
    own = with_facts(
        a_rollout(updated=Moment.fromtimestamp(END, UTC)), findings=(finding,), tallies={"f": tally}
    )
    loaded = round_trip(own)
    assert loaded.evidence.findings == (replace(finding, facts={"a": "b"}),)
    assert loaded.evidence.tallies == own.evidence.tallies
    assert loaded.updated == own.updated
    record = Record.of("evidence", own, own, 10, NOON)
    _, entry = append(own, replace(record, tallies={"f": tally}), by="tick", observation={})
    assert entry.body["tallies"]["f"]["counts"]["samples"] == 10


# --- Damaged records ------------------------------------------------------------------------------


def refusal(load: Callable[[], object]) -> StoreError:
    """Return the error of a damaged record: one short line, about the record of one rollout."""
    with pytest.raises(StoreError) as raised:
        load()
    error, message = raised.value, str(raised.value)
    assert is_record_error(error)
    assert error.context["rollout"] == "checkout#1"
    assert "checkout#1" in message
    assert message.isascii()
    assert "\n" not in message
    assert len(message) < 500
    return error


def entry_refusal(text: object) -> StoreError:
    """Return the error with which a stored entry is refused."""
    return refusal(lambda: codec.load_entry("checkout#1", text))


def state_refusal(text: object, snapshot: object = SNAPSHOT) -> StoreError:
    """Return the error with which a stored state is refused."""
    return refusal(lambda: codec.load("checkout#1", text, snapshot))


def test_half_a_character_in_place_of_a_state_is_a_damaged_record() -> None:
    assert "not UTF-8" in str(state_refusal(stored(state="\ud800")))


# --- Formats --------------------------------------------------------------------------------------

OLDEST, NEWEST = stored_formats.OLDEST, stored_formats.NEWEST
THREADS = {"slack C0123456789": "1764000000.000100"}


@cases("stored_format, age", {
    "an older one": (OLDEST - 1, "an older"),
    "a newer one": (NEWEST + 1, "a newer"),
})  # fmt: skip
def test_a_rollout_of_a_format_that_is_not_read_is_refused_by_its_number(
    stored_format: int, age: str
) -> None:
    error = state_refusal(stored(schema=stored_format, unknown_to_this_version=True))
    assert str(error) == (
        f"checkout#1 is stored by {age} version of rolloutctl (format {stored_format}); this "
        "version reads 1 and 2; traffic was not touched; use a version that reads it, or roll back "
        "by function and variable names"
    )


@pytest.mark.parametrize("stored_format", range(OLDEST, NEWEST + 1))
def test_a_rollout_is_saved_in_the_format_in_which_it_was_stored(stored_format: int) -> None:
    loaded = round_trip(a_rollout(format=stored_format))
    assert json.loads(codec.dump(loaded))["schema"] == stored_format


def test_a_rollout_without_new_fields_is_the_same_in_every_format_but_for_its_number() -> None:
    older, newer = (json.loads(codec.dump(a_rollout(format=one))) for one in (OLDEST, NEWEST))
    assert {**older, "schema": NEWEST} == newer
    assert "threads" not in newer


def test_the_default_of_an_added_field_is_that_of_a_rollout() -> None:
    rollout = a_rollout()
    plain = plain_data({name: part for name, part in asdict(rollout).items() if name != "policy"})
    for path, added in stored_formats.STATE_FIELDS.items():
        assert reduce(getitem, path.split("."), plain) == added.default


def test_a_new_field_in_a_record_of_an_older_format_is_refused_and_not_dropped() -> None:
    error = state_refusal(stored(schema=1, threads=THREADS))
    assert "(threads: format 1 does not have it)" in str(error)


def test_a_new_field_is_not_saved_in_an_older_format() -> None:
    with pytest.raises(StoreError, match=r"`threads`: that needs format 2 of the store.*upgrade$"):
        codec.dump(a_rollout(format=1, threads=THREADS))


def test_a_policy_with_a_new_field_is_not_stored_in_an_older_format(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stored_formats, "POLICY_FIELDS", {"criteria.*.kind.success_rate": 2})
    older = a_rollout(format=1)
    codec.dump_policy(replace(older, format=2))
    with pytest.raises(
        StoreError, match=r"`criteria\.\*\.kind\.success_rate`: that needs format 2"
    ):
        codec.dump_policy(older)


def stored_with(path: str, value: object) -> str:
    """Return a stored state that has a `path` like `state.position.since`, with `value` there."""
    *parents, last = (int(one) if one.isdecimal() else one for one in path.split("."))
    for rollout in EVERYTHING:
        data = json.loads(codec.dump(rollout))
        with suppress(KeyError, TypeError):  # the state of another phase
            parent = reduce(getitem, parents, data)
            assert parent[last] != value
            parent[last] = value
            return json.dumps(data)
    raise LookupError(path)


def without_names(text: str) -> str:
    """Return `text` with `*` for the names in a place; not every place says them."""
    return re.sub(r"\.(fast|t|paused)\b", ".*", text)


START, END = int(NOON.timestamp()), int((NOON + 5 * MINUTE).timestamp())
LATER = NOON + 61 * MINUTE
# One of each thing that the stored state of any phase may hold, and of each phase.
PARTS: Mapping[str, Any] = {
    "updated": NOON + 60 * MINUTE,
    "intervals": (StepInterval(0, START, START + 60, END),),
    "baselines": {"fast": BaselineMeasurement(0.2, 100.0, START, END, 0.05)},
    "tallies": {"fast": Tally(END, 5, counts=Counts(10.0), run=BreachRun(1, START, END, 0.5))},
    "fold": SequentialState(
        through=END,
        capitals={"t": EProcessState((1.0,))},
        controls={"fast": ControlState(1.0)},
        rejections={"t": Rejection(200.0, 150.0, END)},
    ),
    "findings": (a_finding("fast", label=Label.PROVEN, start=START, end=END),),
    "sign_offs": {"fast": SignOff("ann", START, "fine")},
    "outbox": (Message("k", NOON, Severity.INFO, "x", "text", "paused", 10, 0, "started"),),
    "conditions": {ConditionKind.PAUSED: Condition(NOON, "text", NOON)},
    "threads": THREADS,
}
RAISE = Pending(1, 100, 10, "token-1", NOON, NOON, NOON, NOON, Live(0, 10, NOON))
LEAK_CHECK = a_finding("leak_check", label=Label.CONFIRMED, start=START, end=END)
EVERYTHING = [
    a_rollout(state=state, **PARTS)
    for state in (
        a_state(position=RAISE, hold_from=NOON, block=Reason.FROZEN),
        a_state(Phase.PAUSED, applied=True),
        a_state(Phase.ROLLING_BACK, void="token-1"),
        a_state(Phase.ROLLED_BACK, leak_check=LEAK_CHECK),
        a_state(Phase.SUCCEEDED),
    )
]


def _field_paths(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the JSON path of each field of each struct inside `value`."""
    parts: Mapping[Any, object] = {}
    if isinstance(value, Mapping):
        parts = value
    elif isinstance(value, tuple):
        parts = dict(enumerate(value))
    elif isinstance(value, Struct):
        parts = {name: one for name, one in fields_of(value).items() if one is not UNSET}
        yield from ((*path, name) for name in parts)
        if tag := value.__struct_config__.tag_field:
            yield (*path, tag)
    for name, part in parts.items():
        yield from _field_paths(part, (*path, name))


def test_a_state_that_lacks_a_field_of_anything_in_it_is_refused() -> None:
    paths = [
        (rollout, path)
        for rollout in EVERYTHING
        for path in _field_paths(rollout)
        if path != ("policy",) and ".".join(map(str, path)) not in stored_formats.STATE_FIELDS
    ]
    assert (EVERYTHING[0], ("state", "position", "live", "since")) in paths
    for rollout, (*parents, name) in paths:
        data = json.loads(codec.dump(rollout))
        parent = data
        for key in parents:
            parent = parent[key]
        del parent[name]
        message = without_names(str(state_refusal(json.dumps(data))))
        assert without_names(".".join(map(str, parents))) in message
        assert name in message


NAIVE = "2026-11-24T12:00:00"
_SOME_PERCENTS = ("state.position.weight", "state.position.live.weight", "state.intended")
_PERCENTS = ("state.position.previous", "state.from_weight", "seen_weight", "outbox.0.weight")
_PAST = (
    *("created", "updated", "state.since", "state.position.since", "state.position.decided"),
    *("state.watch_until", "outbox.0.at", "conditions.paused.since"),
)
_UNIX = (
    *(
        "evidence.intervals.0.begin",
        "evidence.intervals.0.judged_from",
        "evidence.intervals.0.end",
        "evidence.baselines.fast.start",
    ),
    *(
        "evidence.tallies.fast.through",
        "evidence.tallies.fast.run.end",
        "evidence.fold.through",
        "evidence.fold.rejections.t.at",
    ),
    *("evidence.sign_offs.fast.at", "evidence.findings.0.start", "state.leak_check.end"),
)
_EVIDENCE = (
    "evidence.tallies.fast.counts.samples",
    "evidence.fold.rejections.t.e_value",
    "evidence.fold.capitals.t.bets.0",
)
_NUMBERS = (
    "evidence.tallies.fast.windows",
    "evidence.tallies.fast.run.length",
    "evidence.findings.0.samples",
)
# Paths of values, and values there with which a state is refused.
OUT_OF_RANGE: Sequence[tuple[Sequence[str], Sequence[object]]] = [
    (_PAST, (NAIVE, None, "1999-12-31T00:00:00Z", "2300-01-01T00:00:00Z", 10**15, "noon", [])),
    (
        (
            *("state.position.first_look", "state.position.tried", "state.hold_from"),
            "conditions.paused.announced",
            "exposed_to",
        ),
        (NAIVE, "", "1970-01-01T00:00:00Z"),
    ),
    (_SOME_PERCENTS, (0,)),
    ((*_SOME_PERCENTS, *_PERCENTS), (-1, 101, 2**63, 10**400, nan, inf, 10.5, "10", True)),
    (("version", "entries", "outbox.0.step"), (-1, 2**53 + 1, 0.5)),
    (
        (
            "state.position.step",
            "state.position.live.step",
            "approved",
            "evidence.intervals.0.step",
        ),
        (-1, 2**64),
    ),
    (_UNIX, (-1, 10**12, 2**70, nan, None)),
    (_NUMBERS, (-1, 0.5, "many", nan)),
    (_EVIDENCE, (-1.0, nan, inf, -inf, 10**400)),
    (
        (
            "evidence.tallies.fast.counts.amount",
            "evidence.baselines.fast.value",
            "state.leak_check.measured",
        ),
        (nan, inf),
    ),
    (("evidence.baselines.fast.share",), (-0.1, 1.1)),
    (("state.phase", "state.position.kind", "state.reason"), ("finished", "", None, 1)),
    (
        (
            "evidence.label",
            "evidence.findings.0.verdict",
            "evidence.findings.0.label",
            "outbox.0.severity",
        ),
        ("splendid", 1),
    ),
    (("evidence.findings",), ({}, None, "none")),
    (("evidence.findings.0.facts",), ({"a": nan}, {"a": inf}, {"a": []}, None)),
    (("id",), ("other#1", "checkout#2", None)),
]
OUT_OF_RANGE_ROWS = [
    pytest.param(path, value, id=f"{path}: {json.dumps(value):.24}")
    for paths, values in OUT_OF_RANGE
    for path in paths
    for value in values
]


def test_one_of_everything_is_loaded() -> None:
    assert [round_trip(one) for one in EVERYTHING] == EVERYTHING


@pytest.mark.parametrize(("path", "value"), OUT_OF_RANGE_ROWS)
def test_a_value_out_of_its_range_is_refused_at_its_place(path: str, value: object) -> None:
    error = state_refusal(stored_with(path, value))
    assert without_names(path) in without_names(str(error))


def raising(**facts: Any) -> dict[str, State]:
    """Return the state of a raise that is changed by `facts`."""
    return {"state": a_state(position=replace(RAISE, **facts))}


# Values in their range that contradict another value.
CONTRADICTIONS: Mapping[str, Mapping[str, Any]] = {
    "created after it was updated": {"created": LATER, "state": a_state(since=LATER)},
    "a phase that was entered later": {"state": a_state(since=LATER)},
    "a phase that was entered before the start": {"state": a_state(since=NOON - MINUTE)},
    "a step that the policy lacks": raising(step=2),
    "a live step that the policy lacks": raising(live=Live(2, 10, NOON)),
    "an approval of a step that the policy lacks": {"approved": 2},
    "an interval of a step that the policy lacks": {
        "intervals": (StepInterval(2, START, START, END),)
    },
    "live from later": {"state": a_state(position=Live(0, 10, LATER))},
    "live from later, before a raise": raising(live=Live(0, 10, LATER)),
    "live before the start": {"state": a_state(position=Live(0, 10, NOON - MINUTE))},
    "live before the start, before a raise": raising(live=Live(0, 10, NOON - MINUTE)),
    "decided before the start": raising(decided=NOON - MINUTE),
    "held from before the start": {"state": a_state(hold_from=NOON - MINUTE)},
    "decided later": raising(decided=LATER),
    "seen later": raising(first_look=LATER),
    "tried later": raising(tried=LATER),
    "a pause without its condition": {"state": EVERYTHING[1].state, "conditions": {}},
    "a condition that begins later": {
        "conditions": {ConditionKind.BLIND: Condition(LATER, "text")}
    },
    "told of later": {"conditions": {ConditionKind.BLIND: Condition(NOON, "text", LATER)}},
    "held from later": {"state": a_state(hold_from=LATER)},
    "a later checkpoint": {"checkpoint_at": LATER},
    "folded further than time": {"fold": SequentialState(through=END + 3_600)},
    "tallied further than time": {"tallies": {"fast": Tally(through=END + 3_600)}},
    "an interval that ends before it begins": {"intervals": (StepInterval(0, END, END, START),)},
    "signed for a criterion that is none": {"sign_offs": {"SC-9": SignOff("ann", START, "")}},
    "succeeded in the first step": {"state": a_state(Phase.SUCCEEDED, position=Live(0, 10, NOON))},
}


def contradiction(facts: Mapping[str, Any]) -> StoreError:
    """Return the error with which a state with these facts is refused."""
    return state_refusal(codec.dump(with_facts(EVERYTHING[0], **facts)))


@pytest.mark.parametrize("facts", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_a_state_that_contradicts_itself_is_refused(facts: Mapping[str, Any]) -> None:
    contradiction(facts)


NESTED = 5_000
# Values that are no record of any kind.
INVALID_TEXTS: Mapping[str, object] = {
    "lists in lists": "[" * NESTED + "]" * NESTED,
    "more digits than Python reads": '{"schema": ' + "9" * 5_000 + "}",
    "an infinite schema": '{"schema": Infinity}',
    "bytes": b"\xff\xfe",
    "none": None,
    "bytes that are not UTF-8, as a store hands them on": '{"id": "\udcff"}',
    "a name with a line break": '{"schema": 1, "a\\nb": 1}',
}


@pytest.mark.parametrize("text", INVALID_TEXTS.values(), ids=INVALID_TEXTS)
def test_a_value_that_is_no_record_is_refused_as_state_as_policy_and_as_entry(
    text: object,
) -> None:
    state_refusal(text)
    state_refusal(codec.dump(a_rollout()), text)
    entry_refusal(text)


def test_an_entry_that_is_nested_too_deeply_to_be_hashed_is_refused() -> None:
    body = json.loads("[" * 400 + "]" * 400)
    entry_refusal(codec.dump_entry("checkout#1", Entry(1, NOON, "started", {"body": body})))


# By claim: a state, and the place of its damage.
DAMAGED: Mapping[str, tuple[str, str]] = {
    "empty": ("", ""),
    "cut off": ('{"schema": 1', ""),
    "not an object": ("[]", ""),
    "no schema": ("{}", "schema"),
    "schema is no number": (stored(schema="1"), "schema"),
    "unknown phase": (stored_with("state.phase", "finished"), "state.phase"),
    "no position": (stored_with("state.position", None), "position"),
    "unknown key": (stored(wait=1), "wait"),
    "another rollout's": (stored(id="other#1"), "id"),
    "local time": (stored(updated="2026-11-24T12:00:00"), "updated"),
    "local time in the state": (stored_with("state.since", "2026-11-24T12:00"), "since"),
}


@cases("text, place", DAMAGED)
def test_a_damaged_state_is_refused_at_its_place(text: str, place: str) -> None:
    assert place in str(state_refusal(text))


def test_a_damaged_policy_snapshot_is_refused_by_its_name() -> None:
    for snapshot in ("", "{", "{}", SNAPSHOT.replace("weight", "height")):
        error = state_refusal(codec.dump(a_rollout()), snapshot)
        assert "policy" in str(error.context["damaged"])


def test_a_damaged_entry_is_refused_by_the_name_of_its_rollout() -> None:
    for text in ("", "7", "{}", '{"seq": "one"}'):
        assert "history" in str(entry_refusal(text).context["damaged"])


def test_a_message_about_damage_does_not_repeat_what_was_stored() -> None:
    for path in ("state.phase", "state.position.kind", "state.position.step", "state.reason"):
        assert "hunter2" not in str(state_refusal(stored_with(path, "hunter2")))


# --- Policy of the start --------------------------------------------------------------------------


@cases("change", {
    "another weight": lambda text: text.replace('"weight":10}', '"weight":9}'),
    "the same policy in other bytes": lambda text: text + " ",
    "a key given twice": lambda text: text[:-1] + ',"version":1}',
})  # fmt: skip
def test_a_policy_that_was_changed_is_refused_with_what_is_stored(
    change: Callable[[str], str],
) -> None:
    rollout = a_rollout()
    with pytest.raises(SnapshotChangedError) as raised:
        codec.load(rollout.id, codec.dump(rollout), change(rollout.policy.snapshot()))
    assert (raised.value.rollout.phase, raised.value.rollout.digest) == (
        rollout.phase, rollout.digest,
    )  # fmt: skip
    assert raised.value.digest != rollout.digest


def test_a_damaged_state_with_a_changed_policy_is_reported_as_damage() -> None:
    policy = a_rollout().policy.snapshot() + " "
    assert not isinstance(
        state_refusal(stored_with("state.position.step", 99), policy), SnapshotChangedError
    )


def texts() -> dict[str, str]:
    """Return the message about each record that cannot be read."""
    contradictions = {str(contradiction(facts)): claim for claim, facts in CONTRADICTIONS.items()}
    return {
        **{claim: str(state_refusal(text)) for claim, (text, _) in DAMAGED.items()},
        **{claim: text for text, claim in contradictions.items()},
        "a policy": str(state_refusal(codec.dump(a_rollout()), "{}")),
        "an entry": str(entry_refusal("{}")),
        "a newer format": str(state_refusal(stored(schema=NEWEST + 1))),
    }
