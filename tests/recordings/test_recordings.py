"""What an older version stored is read by this one, and goes on as if nothing had changed."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from controller.adapters.stores.sqlite import SqliteStore
from controller.core.stored_formats import NEWEST, OLDEST
from controller.ports.clock import Clock
from controller.ports.store import Store
from controller.process import logging
from controller.tools.simulation.clock import VirtualClock
from controller.tools.store.check import StoreCheck
from tests.chaos import versions
from tests.chaos.dynamodb import TABLE, DynamoDbStores, on_moto
from tests.chaos.random_plan import draw
from tests.chaos.run import SqliteStores
from tests.chaos.versions import MixedStores, by_turns_until_the_upgrade, newest_only, run_mixed
from tests.goldens.plays import Play, play_of
from tests.recordings import Recording, recordings
from tests.support.core import broken_link

RECORDED = recordings()
NAMED = [pytest.param(one, id=f"{one.stored_format}-{one.store}-{one.moment}") for one in RECORDED]


@pytest.fixture(autouse=True)
def _no_logs() -> None:
    logging.disable()


@contextmanager
def opened(recording: Recording, folder: Path) -> Iterator[Store]:
    """Open the store as it was recorded."""
    if recording.store == "sqlite":
        path = folder / "rollouts.db"
        recording.open_file(path)
        with SqliteStore(path) as store:
            yield store
        return
    with on_moto() as stores, stores.fault_free() as store:
        recording.put_items(stores.client, TABLE)
        yield store


def test_each_format_that_is_read_but_the_newest_has_recordings() -> None:
    assert {one.stored_format for one in RECORDED} >= set(range(OLDEST, NEWEST))


@pytest.mark.parametrize("recording", NAMED)
def test_what_every_version_stored_is_read_in_every_phase(
    recording: Recording, tmp_path: Path
) -> None:
    with opened(recording, tmp_path) as store:
        rollout_id = store.all()[-1]
        rollout = store.load(rollout_id)
        moment = "pending" if rollout.pending else str(rollout.phase)
        assert (moment, rollout.format) == (recording.moment, recording.stored_format)
        assert broken_link(store.history(rollout_id), rollout.chain) is None
        clock = VirtualClock(rollout.updated)
        assert not any(StoreCheck(store, clock).run())


def restored(recording: Recording) -> versions.Act:
    """Return what puts a recording in place of what the story has stored so far."""

    def act(stores: MixedStores, _clock: Clock) -> None:
        inner = stores.stores
        if isinstance(inner, SqliteStores):
            recording.restore_rows(inner.file)
        elif isinstance(inner, DynamoDbStores):
            recording.put_items(inner.client, TABLE)

    return act


def restored_and_upgraded(recording: Recording) -> versions.Act:
    """Return what does that, and upgrades the store then."""

    def act(stores: MixedStores, clock: Clock) -> None:
        restored(recording)(stores, clock)
        versions.upgrade(stores, clock)

    return act


@pytest.mark.parametrize("recording", NAMED)
def test_a_recorded_rollout_goes_on_the_same_with_and_without_an_upgrade(
    recording: Recording,
) -> None:
    plan = draw(recording.seed, recording.store)
    alone = play_of("", run_mixed(plan, newest_only))
    for act in (restored(recording), restored_and_upgraded(recording)):
        story = play_of("", run_mixed(plan, by_turns_until_the_upgrade, {recording.turn: act}))
        assert story.end == alone.end
        assert decisions_of(story) == decisions_of(alone)
        assert len(entries_of(story)) == len(entries_of(alone))


_REPLACED: Final = re.compile(r"VIOLATES consistent-history| upgrade +VIOLATES versions-rise")


def decisions_of(story: Play) -> list[str]:
    """Return what was decided, with each percent like 10% and each number like 1,800.

    The version of a recording wrote 10 % and 1 800, so its record is another text than the story
    had stored before: the first process that saves it, the upgrade, is then said to replace it.
    Chaos with versions by turns holds upgrades to every invariant.
    """
    others = (text for text in story.decisions if not _REPLACED.search(text))
    as_now = (text.replace(" %", "%") for text in others)
    return [re.sub(r"(?<=\d) (?=\d{3}\b)", ",", text) for text in as_now]


def entries_of(story: Play) -> list[str]:
    """Return the hash of each history entry; a state at the end has the number of its saves."""
    return [one for one in story.stored if not one.startswith("=")]
