"""A stored item that allows a rollout as a fix, and is damaged, is refused as a whole."""

import pytest

from controller.adapters.stores import side_items
from controller.core.judge.evidence import FixStart
from controller.errors import StoreError
from tests.support.cases import cases


@cases("stored", {
    "nothing": None,
    "no JSON": "{",
    "no criteria": '{"schema": 1}',
    "text for a value": '{"schema": 1, "red": {"service": "5"}}',
    "another schema": '{"schema": 2, "red": {}}',
    "too large": " " * (1 << 20),
})  # fmt: skip
def test_what_allows_no_fix_is_damaged(stored: object) -> None:
    with pytest.raises(StoreError, match=r"allows shop#1 as a fix is damaged \(.*\); remove it"):
        side_items.load_fix("shop#1", stored)


def test_what_was_written_is_read() -> None:
    red = {"service": 0.1 + 0.2, "quiet": None}
    assert side_items.load_fix("shop#1", side_items.dump_fix(FixStart(red))) == red
