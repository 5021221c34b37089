"""The contract of every store for damaged records: only the damaged one is refused, by name."""

from collections.abc import Callable, Collection
from typing import ClassVar

import pytest

from controller.errors import StoreError, UnknownRolloutError
from controller.immutable import Immutable
from controller.ports.store import Store
from tests.adapters.contracts.store import LATER, LOCK, save_changes, started
from tests.support.core import broken_link
from tests.support.damage import HARMLESS, IN_HISTORY, UNLISTED, VISIBLE_IN_LISTS
from tests.support.rollouts import NOON, a_rollout

WRONG, SOUND = "checkout#1", "search#1"


class Damaged(Immutable):
    """A store, and a function that damages `WRONG` in it."""

    store: Store
    damage: Callable[[str], None]


class DamageContract:
    """Tests of one store; a subclass lists the damages and applies them. deep: those of volume."""

    names: ClassVar[tuple[str, ...]]
    deep: ClassVar[Collection[str]] = ()

    @pytest.fixture
    def damaged(self) -> Damaged:
        """Return an empty store."""
        raise NotImplementedError

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "name" in metafunc.fixturenames:
            marks = dict.fromkeys(self.deep, pytest.mark.deep)
            metafunc.parametrize(
                "name", [pytest.param(name, marks=marks.get(name, ())) for name in self.names]
            )

    def test_a_damage_is_refused_by_name_and_hurts_no_other_rollout(
        self, damaged: Damaged, name: str
    ) -> None:
        store = damaged.store
        started(store, a_rollout(WRONG), LOCK)
        sound = save_changes(store, started(store, a_rollout(SOUND, updated=LATER), "another"))
        damaged.damage(name)

        listed = {SOUND} if name in UNLISTED else {WRONG, SOUND}
        assert set(store.active(NOON)) == set(store.visits(NOON).due) == listed
        if name in VISIBLE_IN_LISTS:
            assert store.active(NOON)[-1] == WRONG
        assert set(store.all()) == listed
        assert set(store.scan()) == {WRONG, SOUND}
        assert store.of_name("checkout") == (WRONG,)
        assert store.of_name("search") == (SOUND,)

        assert store.load(SOUND) == sound
        assert broken_link(store.history(SOUND), sound.chain) is None
        assert store.acquire(SOUND, NOON, LATER) == sound
        assert save_changes(store, sound).version == sound.version + 1

        readable = name in HARMLESS or name.startswith(IN_HISTORY)
        _check(lambda: store.load(WRONG), fails=not readable)
        _check(lambda: store.acquire(WRONG, NOON, LATER), fails=not readable)
        _check(lambda: store.history(WRONG), fails=name.startswith(IN_HISTORY))
        store.release(WRONG)
        _check(lambda: store.load(WRONG), fails=not readable)


def _check(act: Callable[[], object], *, fails: bool) -> None:
    """Check that `act` works, or raises an error that names the damaged rollout."""
    if not fails:
        act()
        return
    with pytest.raises(StoreError) as raised:
        act()
    assert not isinstance(raised.value, UnknownRolloutError)
    assert WRONG in str(raised.value)
    assert "\n" not in str(raised.value)
    assert raised.value.context["rollout"] == WRONG
