"""The moments of a rollout that a dashboard draws."""

from datetime import timedelta

import pytest

from controller.tools.monitoring.wanted_stack import moments
from tests.support.core import Entry
from tests.support.rollouts import NOON

HOUR = timedelta(hours=1)


def entry(kind: str, weight: int, hours: int = 0, **body: object) -> Entry:
    """Return an entry of a history, `hours` after noon."""
    return Entry(1, NOON + hours * HOUR, kind, {"weight_to": weight, **body})


@pytest.mark.parametrize(
    ("entry_", "label"),
    [
        (entry("applied", 10), "10%"),
        (entry("rolled_back", 0), "0%: rolled back"),
        (entry("succeeded", 100), "100%: succeeded"),
        (entry("started", 100, cause={"adopted": 2}), "100%: adopted"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_weight_is_drawn_from_when_it_was_applied(entry_: Entry, label: str) -> None:
    assert [(moment.at, moment.label) for moment in moments([entry_])] == [(NOON, label)]


@pytest.mark.parametrize(
    "entry_",
    [
        entry("started", 10, cause={"adopted": None}),
        entry("started", 10),
        entry("advanced", 50),
        entry("evidence", 10),
        entry("paused", 10),
    ],
    ids=lambda one: one.kind,
)
def test_what_was_only_decided_is_not_drawn(entry_: Entry) -> None:
    assert moments([entry_]) == ()
