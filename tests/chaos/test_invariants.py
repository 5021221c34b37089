"""What each invariant takes for right, and what for wrong: one row, one claim."""

import pytest

from controller.core.commands import Verb
from controller.core.judge.findings import Verdict
from controller.core.rollout import Phase, Reason
from tests.chaos.event_log import BARE, KEEP, RETRY, START
from tests.chaos.invariants import ALL
from tests.chaos.sample_traces import (
    DOWN,
    GOING,
    PASSES,
    SILENT,
    Tale,
    advanced,
    advanced_anyway,
    asked_to_roll_back,
    back_in_time,
    comes_back,
    ends_as,
    entry_changed,
    entry_doubled,
    entry_left_out,
    fails_and_a_hand_moves,
    fails_and_goes_back,
    fails_and_is_gone,
    fails_and_is_left,
    fails_and_is_refused,
    finding,
    found_going_back,
    goes_on,
    goes_on_after_the_end,
    hash_changed,
    leaves,
    lowered_after_the_end,
    over_a_hand,
    raised_late,
    raises_twice,
    restores_up,
    says,
    says_unsaved,
    second_owner,
    seen_late,
    started_again,
    then,
    ticks_on,
)
from tests.chaos.trace_writer import Telling

# Invariant, what is told, whether it holds.
CLAIMS: list[tuple[str, str, bool, Tale]] = [
    ("known-weight", "a step", True, then(lambda one: one.writes("tick 1", 50))),
    ("known-weight", "0 %", True, then(lambda one: one.writes("tick 1", 0))),
    ("known-weight", "a weight of nobody", False, then(lambda one: one.writes("tick 1", 33))),
    ("known-weight", "a weight by hand", True, then(lambda one: one.writes("person", 33))),
    ("known-weight", "a weight that a hand had set before", True,
     then(lambda one: one.writes("person", 33), lambda one: one.writes("tick 1", 33))),
    ("known-weight", "a contradiction", False,
     then(lambda one: one.writes("tick 1", NEW_PATH="true"))),

    ("recorded-raise", "a start, saved", True, Telling.bakes),
    ("recorded-raise", "a raise before its save", False,
     then(lambda one: one.writes("tick 1", 50))),
    ("recorded-raise", "a raise by hand", True, then(lambda one: one.writes("person", 50))),
    ("recorded-raise", "less traffic", True, then(lambda one: one.writes("tick 1", 0))),
    ("recorded-raise", "a restore that goes up", False, restores_up),

    ("one-raise-per-advance", "one raise each", True,
     then(lambda one: one.advances("tick 1"), lambda one: one.writes("tick 1", 50))),
    ("one-raise-per-advance", "two runs act on one", False, then(raises_twice)),

    ("no-stale-raise", "a raise that is stored", True, Telling.bakes),
    ("no-stale-raise", "a raise of another state of the function", False,
     then(lambda one: one.advances("tick 1"), lambda one: one.writes("person", 10),
          lambda one: one.writes("tick 1", 50))),
    ("no-stale-raise", "a raise that is on its way into a pause", True,
     then(lambda one: one.advances("tick 1"), lambda one: one.pauses("tick 2"),
          lambda one: one.writes("tick 1", 50))),
    ("no-stale-raise", "a raise after a rollback that could have been written", False,
     lambda one: raised_late(one, Reason.ROLLBACK_REQUESTED)),
    ("no-stale-raise", "a raise after a rollback that Lambda refused", True,
     lambda one: raised_late(one, Reason.ROLLBACK_REQUESTED, sound=False)),
    ("no-stale-raise", "a raise that was given up, and arrives", True,
     lambda one: raised_late(one, Reason.SHIFT_TIMED_OUT)),

    ("other-variables", "the pair alone", True, then(lambda one: one.writes("tick 1", 0))),
    ("other-variables", "one changes", False,
     then(lambda one: one.writes("tick 1", 0, API_KEY="other"))),
    ("other-variables", "one comes", False, then(lambda one: one.writes("tick 1", 0, NEW="1"))),
    ("other-variables", "one changes by hand", True,
     then(lambda one: one.writes("deploy", API_KEY="other"))),

    ("failure-goes-back", "a fail that is left", False, fails_and_is_left),
    ("failure-goes-back", "a fail that goes back", True, fails_and_goes_back),
    ("failure-goes-back", "a fail while Lambda refuses", True, fails_and_is_refused),
    ("failure-goes-back", "a fail seen by a run that is killed", True, fails_and_is_gone),
    ("failure-goes-back", "a weight set by hand after it", True, fails_and_a_hand_moves),
    ("failure-goes-back", "no verdict", True,
     then(lambda one: one.ends(leaves(one, verdict=Verdict.INCONCLUSIVE)))),
    ("failure-goes-back", "a rollback that is found and left", False, found_going_back),
    ("failure-goes-back", "an own weight that is back and left", False,
     lambda one: comes_back(one, "start")),
    ("failure-goes-back", "a weight that a hand has set after the end", True,
     lambda one: comes_back(one, "person")),
    ("failure-goes-back", "a person's rollback without effect", False,
     lambda one: asked_to_roll_back(one, Verb.ROLLBACK)),
    ("failure-goes-back", "a bare rollback without effect", False,
     lambda one: asked_to_roll_back(one, BARE)),
    ("failure-goes-back", "a person's pause", True,
     lambda one: asked_to_roll_back(one, Verb.PAUSE)),

    ("traffic-is-judged", "judged now and then", True,
     then(lambda one: ticks_on(one, Verdict.PASS))),
    ("traffic-is-judged", "no verdict, but a look", True,
     then(lambda one: ticks_on(one, Verdict.INCONCLUSIVE))),
    ("traffic-is-judged", "nobody looks", False, then(ticks_on)),
    ("traffic-is-judged", "nobody looks, and people know", True,
     then(lambda one: ticks_on(one, says="it cannot be judged"))),
    ("traffic-is-judged", "nobody looks, and Lambda does not answer", True,
     then(lambda one: ticks_on(one, sound=False))),
    ("traffic-is-judged", "the gate of a step that was in force", True,
     then(lambda one: one.advances("tick 1"), lambda one: one.writes("tick 1", 50),
          lambda one: one.serves(50), lambda one: one.judges("tick 2", Verdict.PASS))),
    ("traffic-is-judged", "the gate of a step that never was", False,
     then(lambda one: one.advances("tick 1"), lambda one: one.pauses("tick 2"),
          lambda one: one.judges("tick 3", Verdict.PASS))),
    ("traffic-is-judged", "nobody looks at 0 %", True, then(lambda one: ticks_on(one, weight=0))),
    ("traffic-is-judged", "nobody looks after the end", True,
     then(lambda one: one.goes_back("tick 1"), ticks_on)),

    ("nobody-fought", "a raise over a hand's lower weight", False, lambda one: over_a_hand(one, 5)),
    ("nobody-fought", "a hand that set what was asked for", True, lambda one: over_a_hand(one, 10)),
    ("nobody-fought", "a person lets it go on", True,
     lambda one: over_a_hand(one, 5, Verb.PROMOTE)),

    ("pause-holds", "nobody asks", False, goes_on("")),
    ("pause-holds", "somebody resumes", True, goes_on(Verb.RESUME)),
    ("pause-holds", "somebody keeps the weight", True, goes_on(KEEP)),
    ("pause-holds", "somebody approves", False, goes_on(Verb.APPROVE)),

    ("only-its-own-weight", "its own weight, soon", True,
     lambda one: lowered_after_the_end(one, 10)),
    ("only-its-own-weight", "its own weight, late", False,
     lambda one: lowered_after_the_end(one, 10, minutes=40)),
    ("only-its-own-weight", "another weight", False, lambda one: lowered_after_the_end(one, 70)),
    ("only-its-own-weight", "a person's rollback of another weight", True,
     lambda one: lowered_after_the_end(one, 70, BARE)),

    ("no-return", "a start of the same revision", False, lambda one: started_again(one, START)),
    ("no-return", "a retry", True, lambda one: started_again(one, RETRY)),
    ("no-return", "a tick leads it on", False,
     goes_on_after_the_end),

    ("silence-stays", "a gate that passed", True, advanced(PASSES)),
    ("silence-stays", "a gate without a verdict", False, advanced(SILENT)),
    ("silence-stays", "nothing was measured", False, advanced(())),
    ("silence-stays", "a pass without samples", False, advanced((finding(Verdict.PASS, 3),))),
    ("silence-stays", "promoted without a verdict", True, advanced(SILENT, Verb.PROMOTE)),
    ("silence-stays", "promoted over a fail", False,
     advanced((finding(Verdict.FAIL),), Verb.PROMOTE)),
    ("silence-stays", "the policy says advance, after the hold", True,
     lambda one: advanced_anyway(one, 600)),
    ("silence-stays", "the policy says advance, in the bake", False,
     lambda one: advanced_anyway(one, 3)),

    ("baked-from-sight", "seen in force", True, Telling.bakes),
    ("baked-from-sight", "written only", False, seen_late),

    ("step-by-step", "the next step", True, then(lambda one: one.advances("tick 1", 50))),
    ("step-by-step", "a step is left out", False, then(lambda one: one.advances("tick 1", 100))),
    ("step-by-step", "a person keeps a higher weight", True,
     then(lambda one: one.begins("resume", KEEP),
          lambda one: one.saves("resume", "resumed", step=2))),

    ("one-transition", "one each", True,
     then(lambda one: one.advances("tick 1"), lambda one: one.pauses("tick 2"))),
    ("one-transition", "two of one run", False,
     then(lambda one: one.advances("tick 1"), lambda one: one.pauses("tick 1"))),
    ("one-transition", "two of two runs of one name", True,
     then(lambda one: one.advances("tick 1"), lambda one: one.ends("tick 1"),
          lambda one: one.pauses("tick 1"))),
    ("one-transition", "the way back after a raise", True,
     then(lambda one: one.advances("tick 1"), lambda one: one.goes_back("tick 1"))),

    ("sound-history", "an entry each", True, then(lambda one: one.advances("tick 1"))),
    ("sound-history", "an entry is there twice", False, entry_doubled),
    ("sound-history", "an entry is missing", False, entry_left_out),
    ("sound-history", "old entries are changed", False, entry_changed),
    ("sound-history", "a hash does not fit", False, hash_changed),
    ("sound-history", "a phase changes without an entry", False,
     then(lambda one: one.saves("tick 1", phase=Phase.PAUSED))),

    ("versions-rise", "one by one", True, then(lambda one: one.saves("tick 1"))),
    ("versions-rise", "the same again", False, then(lambda one: one.saves("tick 1", version=1))),
    ("versions-rise", "one is left out", False, then(lambda one: one.saves("tick 1", version=9))),

    ("time-goes-forward", "as time does", True, then(lambda one: one.saves("tick 1"))),
    ("time-goes-forward", "a slow clock", False, back_in_time),

    ("one-owner", "one rollout", True, Telling.bakes),
    ("one-owner", "a second one on the same target", False, second_owner),
    ("one-owner", "a second one after the end", True, lambda one: started_again(one, RETRY)),
    ("one-owner", "a lock that calls a rollout final that goes on", False,
     then(lambda one: one.stores("start", None, one.rollout, [], final={"lock": True}))),
    ("one-owner", "a lock that says its rollout goes on", True,
     then(lambda one: one.stores("start", None, one.rollout, [], final={"lock": False}))),
    ("one-owner", "a lock that names another", False,
     then(lambda one: one.stores("start", None, one.rollout, [], owners={"lock": "other#1"}))),

    ("told-once", "once", True, lambda one: says(one, twice=False)),
    ("told-once", "twice", False, lambda one: says(one, twice=True)),
    ("told-once", "twice, and never saved", True, says_unsaved),

    ("ends-with-a-reason", "success", True, ends_as(Phase.SUCCEEDED, Reason.COMPLETED)),
    ("ends-with-a-reason", "rolled back for a reason", True, ends_as(DOWN, Reason.GATE_FAILED)),
    ("ends-with-a-reason", "rolled back for none", False, ends_as(DOWN, Reason.BAKING)),
    ("ends-with-a-reason", "paused without a word", False,
     ends_as(Phase.PAUSED, Reason.INCONCLUSIVE, "")),
    ("ends-with-a-reason", "paused", True, ends_as(Phase.PAUSED, Reason.INCONCLUSIVE)),
    ("ends-with-a-reason", "still on its way back", False, ends_as(GOING, Reason.GATE_FAILED)),
    ("ends-with-a-reason", "still holding", False, ends_as(Phase.PROGRESSING, Reason.HOLDING)),
    ("ends-with-a-reason", "waiting for an approval", True,
     ends_as(Phase.PROGRESSING, Reason.AWAITING_APPROVAL)),
    ("ends-with-a-reason", "waiting for the end of a freeze", True,
     ends_as(Phase.PROGRESSING, Reason.FROZEN)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("invariant", "holds", "tale"),
    [pytest.param(*row[:1], *row[2:], id=f"{row[0]}: {row[1]}") for row in CLAIMS],
)
def test_an_invariant_tells_right_from_wrong(invariant: str, holds: bool, tale: Tale) -> None:
    told = Telling()
    tale(told)
    assert (invariant not in told.violated) is holds


def test_every_invariant_has_both_kinds_of_claims() -> None:
    kinds = {(name, holds) for name, _, holds, _ in CLAIMS}
    assert kinds == {(one.name, holds) for one in ALL for holds in (True, False)}


def test_a_violation_names_no_value_of_another_variable() -> None:
    told = Telling()
    told.bakes()
    told.writes("tick 1", 0, API_KEY="s3cret")
    (violation,) = told.invariants.violations
    assert "API_KEY" in violation.sentence
    assert not {"s3cret", "hunter2"} & set(violation.sentence.split())


def test_a_violation_says_who_and_when() -> None:
    told = Telling()
    told.bakes()
    told.writes("tick 1", 33)
    told_as = "known-weight: 12:00:07 tick 1 wrote 33 %, which is no step and was set by nobody"
    assert str(told.invariants.violations[0]) == told_as
