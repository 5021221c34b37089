"""Doctor check of the rules of the store."""

from pathlib import Path

from controller.adapters.stores.sqlite import SqliteStore
from controller.operations.checks import CheckLevel
from controller.tools.doctor import rules_check
from tests.support.stage import short_policy

POLICY = short_policy()
HEAD = "version: 1\nowner: platform team\n"


def test_what_breaks_the_rules_fails_and_the_remedy_is_to_ask_their_owner(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "rollouts.db") as store:
        assert rules_check(POLICY, store) is None
        store.set_rules(f"{HEAD}min_bake: 1m\n")
        check = rules_check(POLICY, store)
        assert check is not None
        assert (check.level, "platform team" in check.detail) == (CheckLevel.OK, True)
        store.set_rules(f"{HEAD}min_bake: 1h\n")
        check = rules_check(POLICY, store)
        assert check is not None
        assert check.level is CheckLevel.FAIL
        assert "steps[0].bake: must be at least 1h, not 2m (rule min_bake)" in check.detail
        assert "ask platform team" in check.remedy


def test_rules_that_cannot_be_read_fail(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "rollouts.db") as store:
        store.set_rules("{")
        check = rules_check(POLICY, store)
    assert check is not None
    assert (check.level, "cannot be read" in check.detail) == (CheckLevel.FAIL, True)
