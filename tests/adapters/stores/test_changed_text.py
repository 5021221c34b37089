"""A stored text that was changed is read whole, or refused by a line that names the record."""

import json
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from controller.adapters.stores import codec
from controller.core.history import SnapshotChangedError
from controller.errors import StoreError
from tests.support.changed_json import changed, spliced
from tests.support.rollouts import POLICY, a_rollout, a_state, with_entry

ROLLOUT = a_rollout(state=a_state(sentence="95% ≤ 5 ms"))
STATE = codec.dump(ROLLOUT)
SNAPSHOT = POLICY.snapshot()
ENTRY = codec.dump_entry(ROLLOUT.id, with_entry(ROLLOUT)[1])


def is_read_or_refused(text: str, snapshot: str = SNAPSHOT) -> None:
    """Assert that `load` returns a rollout that is stored as `text`, or names the record."""
    try:
        loaded = codec.load(ROLLOUT.id, text, snapshot)
    except SnapshotChangedError as error:
        loaded = error.rollout
    except StoreError as error:
        message = str(error)
        assert ROLLOUT.id in message
        return
    assert codec.dump(loaded) == text or json.loads(codec.dump(loaded)) == json.loads(text)


@given(changed(json.loads(STATE)))
def test_a_state_with_a_changed_part_loses_nothing_that_it_says(text: str) -> None:
    is_read_or_refused(text)


@given(spliced(STATE))
def test_a_state_with_other_bytes_is_read_or_refused(text: str) -> None:
    is_read_or_refused(text)


@given(st.one_of(changed(json.loads(SNAPSHOT)), spliced(SNAPSHOT)))
def test_a_policy_snapshot_that_was_changed_is_named(snapshot: str) -> None:
    is_read_or_refused(STATE, snapshot)


@given(st.one_of(changed(json.loads(ENTRY)), spliced(ENTRY)))
def test_an_entry_that_was_changed_is_read_or_refused(text: str) -> None:
    with suppress(StoreError):
        entry = codec.load_entry(ROLLOUT.id, text)
        assert codec.load_entry(ROLLOUT.id, codec.dump_entry(ROLLOUT.id, entry)) == entry
