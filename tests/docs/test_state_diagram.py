"""docs/contributors/state-machine.svg is current, complete and readable."""

from collections.abc import Iterator, Mapping
from itertools import combinations, pairwise, product
from math import dist, hypot
from typing import Any

import pytest

from controller.errors import UsageError
from tests.docs.state_diagram import (
    BOX,
    DOT,
    LABEL,
    LINES,
    PICTURE,
    PLACES,
    Point,
    label_of,
    picture,
)
from tests.docs.tables.boxes import ROLLOUTS, Box, box_of
from tests.docs.tables.edges import Way, edges, reason_of
from tests.docs.tables.observations import ATTESTATION, REFUSED
from tests.docs.tables.verbs import COMMANDS
from tests.support.core import (
    Commanded,
    LateRaise,
    LostSave,
    Observation,
    Observed,
    Reason,
    Target,
    UpdateStatus,
    WriteFailed,
    decide,
)
from tests.support.deep_rows import deep_after
from tests.support.rollouts import LADDER, MINUTE, NOON, a_reading, with_facts
from tests.support.three_steps import (
    AT_10,
    FAILING,
    HEALTHY,
    NO_DATA,
    TOO_FEW_REQUESTS,
    UNREADABLE,
    under,
)

TARGETS: list[Target] = [UNREADABLE] + [
    a_reading(weight, update, token=token)
    for weight in (None, 0, 5, 10, 50, 70, 100)
    for update in UpdateStatus
    for token in ("token-1", "token-9")
]
POLICIES: list[Mapping[str, Any]] = [
    {},
    {"steps": LADDER["steps"][:1]},
    {"on_drift_up": "rollback", "on_inconclusive": "rollback"},
    {"on_inconclusive": "advance"},
    ATTESTATION,  # refused
]


def test_the_picture_is_that_of_the_decisions() -> None:
    assert PICTURE.read_text(encoding="utf-8") == picture(), (
        "run: python -m tests.docs.state_diagram"
    )


# --- Complete -------------------------------------------------------------------------------------


@pytest.mark.parametrize("minute", deep_after(1, [20, 5, 40]))
@pytest.mark.parametrize("box", ROLLOUTS)
def test_every_tick_that_leads_to_another_box_is_in_the_legend(box: Box, minute: int) -> None:
    """Whatever a tick reads, in each policy; with its reason."""
    found = set[tuple[Way, str]]()
    for rollout, policy, target in product(ROLLOUTS[box], POLICIES, TARGETS):
        before = under(rollout, **policy)
        if policy is ATTESTATION:
            before = with_facts(before, sign_offs=REFUSED)
        if before.step >= len(before.policy.steps):
            continue
        for measured in (HEALTHY, FAILING, NO_DATA, TOO_FEW_REQUESTS):
            event = Observed(Observation(target, measured))
            decision = decide(before, event, NOON + minute * MINUTE)
            if box_of(decision.rollout) is not box:
                found.add(((box, box_of(decision.rollout)), reason_of(before, decision)))
    known = {(way, reason) for way, edge in edges().items() for reason in edge.reasons}
    assert found - known == set()


@pytest.mark.parametrize("box", ROLLOUTS)
def test_every_command_that_leads_to_another_box_is_in_the_legend(box: Box) -> None:
    """Whatever the target shows then."""
    found = set[tuple[Way, str]]()
    for rollout, row, target, measured in product(
        ROLLOUTS[box], COMMANDS, TARGETS, (HEALTHY, FAILING)
    ):
        before = rollout if row.policy is None else under(rollout, **row.policy)
        if before.step >= len(before.policy.steps):
            continue
        try:
            event = Commanded(Observation(target, measured), row.command)
            after = box_of(decide(before, event, NOON + 20 * MINUTE).rollout)
        except UsageError:
            continue
        if after is not box:
            found.add(((box, after), row.words.partition(",")[0]))
    known = {(way, command) for way, edge in edges().items() for command in edge.commands}
    assert found - known == set()


@pytest.mark.parametrize("box", ROLLOUTS)
def test_a_lost_save_and_a_failed_write_take_no_other_edge(box: Box) -> None:
    for rollout, target in product(ROLLOUTS[box], TARGETS):
        observation, now = Observation(target, NO_DATA), NOON + 5 * MINUTE
        lost = LostSave(observation, Reason.GATE_FAILED, "SC-004 failed")
        for event in (lost, LateRaise(observation, AT_10)):
            after = box_of(decide(rollout, event, now).rollout)
            assert after is box or (box, after) in edges()
        decision = decide(rollout, Observed(observation), now)
        for permanent in (False, True):
            failed = WriteFailed(decision, "access denied", permanent=permanent)
            after = box_of(decide(decision.rollout, failed, now).rollout)
            assert after is box_of(decision.rollout)


# --- Readable -------------------------------------------------------------------------------------


def test_each_edge_has_its_line() -> None:
    assert set(LINES) == set(edges())


def _segments(way: Way) -> Iterator[tuple[Point, Point]]:
    return pairwise(LINES[way][0])


def _points(way: Way) -> Iterator[tuple[float, float]]:
    """Yield points of a line, at most two pixels apart."""
    for (x1, y1), (x2, y2) in _segments(way):
        count = int(hypot(x2 - x1, y2 - y1) / 2) + 1
        yield from (
            (x1 + (x2 - x1) * n / count, y1 + (y2 - y1) * n / count) for n in range(count + 1)
        )


def _is_in(box: Box, point: tuple[float, float], margin: float = 0) -> bool:
    (x, y), (width, height) = PLACES[box], BOX if box is not Box.START else (2 * DOT, 2 * DOT)
    return abs(point[0] - x) < width / 2 + margin and abs(point[1] - y) < height / 2 + margin


@pytest.mark.parametrize("way", LINES, ids="-".join)
def test_a_line_goes_from_its_box_to_its_box_and_meets_no_other(way: Way) -> None:
    line = LINES[way][0]
    assert len(line) <= 3
    for box, end in zip(way, (line[0], line[-1]), strict=True):
        assert _is_in(box, end, margin=1)
    for box in PLACES:
        margin = 0 if box in way else 8
        assert not any(_is_in(box, point, margin) for point in _points(way))


def test_two_lines_may_cross_and_do_not_hide_each_other() -> None:
    """They are closer than eight pixels only around one crossing."""
    points = {way: list(_points(way)) for way in LINES}
    hidden = []
    for ways in combinations(LINES, 2):
        first, second = (points[way] for way in ways)
        near = [one for one in first if min(dist(one, other) for other in second) < 8]
        if near and dist(near[0], near[-1]) > 45:
            hidden.append(ways)
    assert hidden == []


def test_a_number_covers_no_box_no_other_number_and_no_other_line() -> None:
    labels = {way: label_of(way) for way in LINES}
    for one, other in combinations(labels.values(), 2):
        assert dist(one, other) > 2 * LABEL
    for way, label in labels.items():
        assert not any(_is_in(box, label, margin=LABEL) for box in PLACES)
        for another in set(LINES) - {way}:
            assert min(dist(label, point) for point in _points(another)) > LABEL
