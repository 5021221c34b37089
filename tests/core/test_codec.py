"""What is stored is what is loaded, and what cannot be trusted is refused in one line."""

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime
from math import inf, isnan, nan
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.core import codec
from controller.core.findings import Finding, Label, Verdict
from controller.core.history import Entry, broken_link
from controller.core.measured import FrozenValue, Run, Signature, Stretch, Tally
from controller.core.message import Message, Page
from controller.core.policy import Policy
from controller.core.rollout import SCHEMA, Intent, Phase, Reason, Rollout
from controller.core.sequential.eprocess import Capital
from controller.core.sequential.trial import Control, Fold
from controller.errors import StoreError
from tests.rollouts import MINUTE, NOON, POLICY, a_rollout, recorded

SNAPSHOT = POLICY.snapshot()

_texts, _ints = st.text(max_size=20), st.integers(0, 2**40)
_floats, _moments = st.floats(allow_nan=False), st.datetimes(timezones=st.just(UTC))
_values: dict[object, st.SearchStrategy[Any]] = {
    str: _texts,
    int: _ints,
    float: _floats,
    bool: st.booleans(),
    datetime: _moments,
    int | None: st.none() | _ints,
    float | None: st.none() | _floats,
    datetime | None: st.none() | _moments,
    Policy: st.just(POLICY),
    **{enum: st.sampled_from(enum) for enum in (Phase, Reason, Verdict, Label)},
}


def _any(kind: type) -> st.SearchStrategy[Any]:
    """Return a strategy that fills every field, also those with defaults."""
    return st.builds(kind, **{one.name: _values[one.type] for one in fields(kind)})


_values[Intent] = _any(Intent)
_values[tuple[str, ...]] = st.lists(_texts, max_size=3).map(tuple)
_values[tuple[Message, ...]] = st.lists(_any(Message), max_size=3).map(tuple)
_values[Page | None] = st.none() | _any(Page)
_values[Finding | None] = st.none() | _any(Finding)
_values[tuple[Finding, ...]] = st.lists(_any(Finding), max_size=3).map(tuple)
_values[Run] = _any(Run)
_values[tuple[tuple[float, float], ...]] = st.lists(st.tuples(_floats, _floats), max_size=3).map(
    tuple
)
_values[Mapping[str, Signature]] = st.dictionaries(_texts, _any(Signature), max_size=3)
_values[Mapping[str, Tally]] = st.dictionaries(_texts, _any(Tally), max_size=3)
_values[Mapping[str, FrozenValue]] = st.dictionaries(_texts, _any(FrozenValue), max_size=3)

_values[tuple[float, ...]] = st.lists(_floats, max_size=3).map(tuple)
_values[Mapping[str, Capital]] = st.dictionaries(_texts, _any(Capital), max_size=3)
_values[Mapping[str, Control]] = st.dictionaries(_texts, _any(Control), max_size=3)
_values[Fold] = _any(Fold)
_values[tuple[Stretch, ...]] = st.lists(_any(Stretch), max_size=3).map(tuple)

rollouts = _any(Rollout).map(lambda rollout: replace(rollout, schema=SCHEMA))
json_data = st.recursive(
    st.none() | st.booleans() | _ints | _floats | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=10,
)
entries = st.builds(
    Entry, _ints, _moments, _texts, st.dictionaries(_texts, json_data, max_size=3), _texts, _texts
)


def again(rollout: Rollout) -> Rollout:
    """Return `rollout` after a round through its stored form."""
    return codec.load(rollout.id, codec.dump(rollout), rollout.policy.snapshot())


def stored(**changes: object) -> str:
    """Return the stored state of `checkout#1` with keys changed by another hand."""
    return json.dumps({**json.loads(codec.dump(a_rollout())), **changes})


# --- what goes in comes out ---------------------------------------------------------------------


@settings(deadline=None)
@given(rollouts)
def test_a_loaded_rollout_equals_the_dumped_one(rollout: Rollout) -> None:
    assert again(rollout) == rollout


@given(entries)
def test_a_loaded_entry_equals_the_dumped_one(entry: Entry) -> None:
    assert codec.load_entry("checkout#1", codec.dump_entry(entry)) == entry


def test_what_was_immutable_and_aware_stays_so() -> None:
    finding = Finding("x", Verdict.PASS, Label.NOT_REFUTED, None, 1.0, 3, 60, 120, "fine")
    loaded = again(a_rollout(findings=(finding,), settled=NOON))
    assert isinstance(loaded.findings, tuple)
    assert loaded.settled is not None
    assert (loaded.settled.utcoffset(), loaded.created.utcoffset()) == (UTC.utcoffset(None),) * 2
    assert (type(loaded.phase), type(loaded.findings[0].label)) == (Phase, Label)


def test_a_state_from_before_a_field_was_added_is_still_read() -> None:
    added = ("unfinished_since", "seen_weight", "blind_since", "unconfirmed")
    data = json.loads(codec.dump(a_rollout()))
    older = json.dumps({key: value for key, value in data.items() if key not in added})
    assert codec.load("checkout#1", older, SNAPSHOT) == a_rollout()


def test_the_state_does_not_repeat_the_policy() -> None:
    assert "policy" not in json.loads(codec.dump(a_rollout()))


def test_a_number_that_json_does_not_know_comes_back() -> None:
    """It would be a bug to have one; an unloadable rollout would be worse."""
    loaded = again(a_rollout(tallies={"fast": Tally(amount=nan, last=inf)})).tallies["fast"]
    assert (isnan(loaded.amount), loaded.last) == (True, inf)


@pytest.mark.parametrize("text", ["95 % ≤ 5 ms – “ok”", "not UTF-8: \udcff", "two\nlines\0"])
def test_any_reason_a_person_types_can_be_saved(text: str) -> None:
    _, entry = recorded(a_rollout(), sentence=text)
    assert again(a_rollout(sentence=text)).sentence == text
    assert broken_link([codec.load_entry("checkout#1", codec.dump_entry(entry))]) is None
    assert codec.dump(a_rollout(sentence=text)).isascii()
    assert codec.dump_entry(entry).isascii()


def test_the_chain_holds_after_a_round_through_the_store() -> None:
    rollout, history = a_rollout(), []
    for minute in range(3):
        rollout, entry = recorded(rollout, at=NOON + minute * MINUTE)
        history.append(codec.load_entry(rollout.id, codec.dump_entry(entry)))
    assert broken_link(history, rollout.chain) is None


def test_a_policy_is_parsed_once_however_often_it_is_loaded() -> None:
    assert again(a_rollout()).policy is again(a_rollout(step=1)).policy


# --- what cannot be trusted -----------------------------------------------------------------------


def test_a_newer_state_asks_for_an_upgrade() -> None:
    newer = stored(schema=SCHEMA + 1, invented_later=True)
    with pytest.raises(StoreError) as raised:
        codec.load("checkout#1", newer, SNAPSHOT)
    assert str(raised.value) == (
        f"checkout#1 was written by a newer rolloutctl (schema {SCHEMA + 1}, this one reads "
        f"{SCHEMA}); upgrade"
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("", "Expecting value", id="empty"),
        pytest.param(codec.dump(a_rollout())[:-1], "Expecting", id="cut off"),
        pytest.param("[]", "expected an object, not list", id="not an object"),
        pytest.param("{}", "no schema version", id="no schema"),
        pytest.param(stored(schema="1"), "no schema version", id="schema is no number"),
        pytest.param(stored(phase="finished"), "phase: Input should be", id="unknown phase"),
        pytest.param(stored(intent=None), "intent: Input should be", id="no intent"),
        pytest.param(stored(wait=1), "wait: Unexpected keyword", id="unknown key"),
        pytest.param(stored(id="other#1"), "it says that it is other#1", id="another rollout's"),
        pytest.param(
            stored(updated="2026-11-24T12:00:00"), "updated has no time zone", id="local time"
        ),
        pytest.param(
            stored(intent={"weight": 1, "previous": 0, "token": "", "asked": "2026-11-24T12:00"}),
            "intent.asked has no time zone",
            id="local time in the intent",
        ),
    ],
)
def test_a_damaged_state_is_refused_by_name_in_one_line(text: str, why: str) -> None:
    with pytest.raises(StoreError) as raised:
        codec.load("checkout#1", text, SNAPSHOT)
    message = str(raised.value)
    assert message.startswith(f"the state of checkout#1 is damaged ({why}"), message
    assert "roll back by function and variable names" in message
    assert "\n" not in message


@pytest.mark.parametrize("snapshot", ["", "{", "{}", SNAPSHOT.replace("weight", "height")])
def test_a_damaged_policy_snapshot_is_refused_by_name_in_one_line(snapshot: str) -> None:
    with pytest.raises(
        StoreError, match=r"^the policy snapshot of checkout#1 is damaged"
    ) as raised:
        codec.load("checkout#1", codec.dump(a_rollout()), snapshot)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["", "7", "{}", '{"seq": "one"}'])
def test_a_damaged_entry_is_refused_by_the_name_of_its_rollout(text: str) -> None:
    with pytest.raises(StoreError, match=r"in the history of checkout#1 is damaged"):
        codec.load_entry("checkout#1", text)


def test_a_message_about_damage_does_not_repeat_what_was_stored() -> None:
    with pytest.raises(StoreError) as raised:
        codec.load("checkout#1", stored(step="hunter2"), SNAPSHOT)
    assert "hunter2" not in str(raised.value)
