"""What each invariant allows and what it does not: one row, one claim."""

import pytest

from tests.chaos.event_log import BARE_ROLLBACK, RESUME_KEEP, RETRY, START
from tests.chaos.invariants import ALL
from tests.chaos.sample_traces import (
    PASSING_FINDINGS,
    ROLLED_BACK,
    ROLLING_BACK,
    SILENT_FINDINGS,
    TraceScript,
    advance_after_the_end,
    advance_with,
    advance_without_verdict,
    after_bake,
    changed_entry,
    changed_hash,
    doubled_entry,
    end_as,
    end_on_the_way,
    failure_left,
    failure_refused,
    failure_rolled_back,
    failure_then_crash,
    failure_then_external_weight,
    finding,
    half_hour_of_ticks,
    judging_tick,
    late_observation,
    late_raise,
    lowering_after_reopening,
    lowering_after_the_end,
    notification,
    notification_of_unsaved_state,
    omitted_entry,
    pause_beside_outage,
    raise_over_external_weight,
    raises_over_rollback,
    raises_twice,
    restores_up,
    resume_by,
    retry_by_a_slower_clock,
    rollback_command,
    rollback_in_progress,
    second_owner,
    second_start,
    stale_raise_over_rollback,
    stopped_tick,
    time_reversal,
    weight_reappears,
)
from tests.chaos.trace_writer import TraceWriter
from tests.support.core import Phase, Reason, Verb, Verdict
from tests.support.three_steps import AT_100

# The invariant, the events, whether it holds, and the script of the events.
CLAIMS: list[tuple[str, str, bool, TraceScript]] = [
    ("known-weight", "a step", True, after_bake(lambda one: one.writes("tick 1", 50))),
    ("known-weight", "0%", True, after_bake(lambda one: one.writes("tick 1", 0))),
    ("known-weight", "a weight of nobody", False, after_bake(lambda one: one.writes("tick 1", 33))),
    ("known-weight", "a weight by hand", True, after_bake(lambda one: one.writes("person", 33))),
    ("known-weight", "a weight that a hand had set before", True,
     after_bake(lambda one: one.writes("person", 33), lambda one: one.writes("tick 1", 33))),
    ("known-weight", "a contradiction", False,
     after_bake(lambda one: one.writes("tick 1", None))),

    ("recorded-raise", "a start, saved", True, TraceWriter.bakes),
    ("recorded-raise", "a raise before its save", False,
     after_bake(lambda one: one.writes("tick 1", 50))),
    ("recorded-raise", "a raise by hand", True, after_bake(lambda one: one.writes("person", 50))),
    ("recorded-raise", "less traffic", True, after_bake(lambda one: one.writes("tick 1", 0))),
    ("recorded-raise", "a restore that goes up", False, restores_up),

    ("one-raise-per-advance", "one raise each", True,
     after_bake(lambda one: one.advances("tick 1"), lambda one: one.writes("tick 1", 50))),
    ("one-raise-per-advance", "two runs act on one", False, after_bake(raises_twice)),
    ("one-raise-per-advance", "a second process read the target before both writes", True,
     lambda one: raises_over_rollback(one, again_by="tick 0")),
    ("one-raise-per-advance", "one process writes its raise again", False,
     lambda one: raises_over_rollback(one, again_by="start")),

    ("no-stale-raise", "a raise that is stored", True, TraceWriter.bakes),
    ("no-stale-raise", "a raise of another state of the function", False,
     after_bake(lambda one: one.advances("tick 1"), lambda one: one.writes("person", 10),
          lambda one: one.writes("tick 1", 50))),
    ("no-stale-raise", "a raise that is on its way into a pause", True,
     after_bake(lambda one: one.advances("tick 1"), lambda one: one.pauses("tick 2"),
          lambda one: one.writes("tick 1", 50))),
    ("no-stale-raise", "a raise after a rollback that could have been written", False,
     lambda one: late_raise(one, Reason.ROLLBACK_REQUESTED)),
    ("no-stale-raise", "a raise after a rollback that Lambda refused", True,
     lambda one: late_raise(one, Reason.ROLLBACK_REQUESTED, sound=False)),
    ("no-stale-raise", "a raise that was given up, and arrives", True,
     lambda one: late_raise(one, Reason.SHIFT_TIMED_OUT)),

    ("no-stale-raise", "a raise over a rollback that its process could not see", True,
     raises_over_rollback),
    ("no-stale-raise", "a raise by the reading of another version", False,
     stale_raise_over_rollback),

    ("other-settings", "the weight alone", True, after_bake(lambda one: one.writes("tick 1", 0))),
    ("other-settings", "one changes", False,
     after_bake(lambda one: one.writes("tick 1", 0, beside=["API_KEY"]))),
    ("other-settings", "one changes by hand", True,
     after_bake(lambda one: one.writes("deploy", 10, beside=["API_KEY"]))),

    ("failure-goes-back", "a fail that is left", False, failure_left),
    ("failure-goes-back", "a fail that goes back", True, failure_rolled_back),
    ("failure-goes-back", "a fail while Lambda refuses", True, failure_refused),
    ("failure-goes-back", "a fail seen by a run that is killed", True, failure_then_crash),
    ("failure-goes-back", "a weight set by hand after it", True, failure_then_external_weight),
    ("failure-goes-back", "no verdict", True,
     after_bake(lambda one: one.ends(judging_tick(one, verdict=Verdict.INCONCLUSIVE)))),
    ("failure-goes-back", "a rollback that is found and left", False, rollback_in_progress),
    ("failure-goes-back", "an own weight that is back and left", False,
     lambda one: weight_reappears(one, "start")),
    ("failure-goes-back", "a retry by a slower clock has the weight", True,
     retry_by_a_slower_clock),
    ("failure-goes-back", "a weight that a hand has set after the end", True,
     lambda one: weight_reappears(one, "person")),
    ("failure-goes-back", "a person's rollback without effect", False,
     lambda one: rollback_command(one, Verb.ROLLBACK)),
    ("failure-goes-back", "a bare rollback without effect", False,
     lambda one: rollback_command(one, BARE_ROLLBACK)),
    ("failure-goes-back", "another process raises over the 0%, which it could not see", True,
     raises_over_rollback),
    ("failure-goes-back", "a process leaves the raise that it wrote over a rollback", False,
     lambda one: raises_over_rollback(one, ends=True)),
    ("failure-goes-back", "a person's pause", True,
     lambda one: rollback_command(one, Verb.PAUSE)),

    ("traffic-is-judged", "judged now and then", True,
     after_bake(lambda one: half_hour_of_ticks(one, Verdict.PASS))),
    ("traffic-is-judged", "no verdict, but a look", True,
     after_bake(lambda one: half_hour_of_ticks(one, Verdict.INCONCLUSIVE))),
    ("traffic-is-judged", "nobody looks", False, after_bake(half_hour_of_ticks)),
    ("traffic-is-judged", "one tick is stopped for half an hour", True, after_bake(stopped_tick)),
    ("traffic-is-judged", "nobody looks, and people know", True,
     after_bake(lambda one: half_hour_of_ticks(one, says="it cannot be judged"))),
    ("traffic-is-judged", "nobody looks, and Lambda does not answer", True,
     after_bake(lambda one: half_hour_of_ticks(one, sound=False))),
    ("traffic-is-judged", "the gate of a step that was in force", True,
     after_bake(lambda one: one.advances("tick 1"), lambda one: one.writes("tick 1", 50),
          lambda one: one.serves(50), lambda one: one.judges("tick 2", Verdict.PASS))),
    ("traffic-is-judged", "the gate of a step that never was", False,
     after_bake(lambda one: one.advances("tick 1"), lambda one: one.settles("tick 2"),
          lambda one: one.judges("tick 3", Verdict.PASS))),
    ("traffic-is-judged", "the gate of the live step while a raise is pending", True,
     after_bake(lambda one: one.advances("tick 1"), lambda one: one.pauses("tick 2"),
          lambda one: one.judges("tick 3", Verdict.PASS))),
    ("traffic-is-judged", "nobody looks at 0%", True,
     after_bake(lambda one: half_hour_of_ticks(one, weight=0))),
    ("traffic-is-judged", "nobody looks after the end", True,
     after_bake(lambda one: one.goes_back("tick 1"), half_hour_of_ticks)),

    ("drift-is-kept", "a raise over a hand's lower weight", False,
     lambda one: raise_over_external_weight(one, 5)),
    ("drift-is-kept", "a hand that set what was asked for", True,
     lambda one: raise_over_external_weight(one, 10)),
    ("drift-is-kept", "a weight by hand that its process could not see", True,
     lambda one: raise_over_external_weight(one, 5, unseen=["person anna"])),
    ("drift-is-kept", "another process that it could not see", False,
     lambda one: raise_over_external_weight(one, 5, unseen=["tick 0"])),
    ("drift-is-kept", "a person lets it go on", True,
     lambda one: raise_over_external_weight(one, 5, Verb.PROMOTE)),

    ("pause-holds", "nobody asks", False, resume_by("")),
    ("pause-holds", "somebody resumes", True, resume_by(Verb.RESUME)),
    ("pause-holds", "somebody keeps the weight", True, resume_by(RESUME_KEEP)),
    ("pause-holds", "somebody approves", False, resume_by(Verb.APPROVE)),

    ("only-its-own-weight", "its own weight, soon", True,
     lambda one: lowering_after_the_end(one, 10)),
    ("only-its-own-weight", "its own weight, late", False,
     lambda one: lowering_after_the_end(one, 10, minutes=40)),
    ("only-its-own-weight", "another weight", False, lambda one: lowering_after_the_end(one, 70)),
    ("only-its-own-weight", "another weight that the tick could not see", True,
     lambda one: lowering_after_the_end(one, 70, unseen=["person anna"])),
    ("only-its-own-weight", "a person's rollback of another weight", True,
     lambda one: lowering_after_the_end(one, 70, BARE_ROLLBACK)),
    ("only-its-own-weight", "a rollback reopened the rollout since the tick began", True,
     lambda one: lowering_after_reopening(one, Phase.ROLLING_BACK)),
    ("only-its-own-weight", "a rollback that has already ended", False,
     lambda one: lowering_after_reopening(one, Phase.ROLLED_BACK)),

    ("no-return", "a start of the same revision", False, lambda one: second_start(one, START)),
    ("no-return", "a retry", True, lambda one: second_start(one, RETRY)),
    ("no-return", "a tick leads it on", False,
     advance_after_the_end),

    ("no-pass-without-data", "a gate that passed", True, advance_with(PASSING_FINDINGS)),
    ("no-pass-without-data", "a gate without a verdict", False, advance_with(SILENT_FINDINGS)),
    ("no-pass-without-data", "nothing was measured", False, advance_with(())),
    ("no-pass-without-data", "a pass without samples", False,
     advance_with((finding(Verdict.PASS, 3),))),
    ("no-pass-without-data", "promoted without a verdict", True,
     advance_with(SILENT_FINDINGS, Verb.PROMOTE)),
    ("no-pass-without-data", "promoted over a fail", False,
     advance_with((finding(Verdict.FAIL),), Verb.PROMOTE)),
    ("no-pass-without-data", "the policy says advance, after the hold", True,
     lambda one: advance_without_verdict(one, 600)),
    ("no-pass-without-data", "the policy says advance, in the bake", False,
     lambda one: advance_without_verdict(one, 3)),

    ("baked-when-applied", "seen in force", True, TraceWriter.bakes),
    ("baked-when-applied", "written only", False, late_observation),

    ("step-by-step", "the next step", True, after_bake(lambda one: one.advances("tick 1", 50))),
    ("step-by-step", "a step is left out", False,
     after_bake(lambda one: one.advances("tick 1", 100))),
    ("step-by-step", "a person keeps a higher weight", True,
     after_bake(lambda one: one.begins("resume", RESUME_KEEP),
          lambda one: one.saves("resume", "resumed", AT_100.state))),

    ("one-transition", "one each", True,
     after_bake(lambda one: one.advances("tick 1"), lambda one: one.pauses("tick 2"))),
    ("one-transition", "two of one run", False,
     after_bake(lambda one: one.advances("tick 1"), lambda one: one.pauses("tick 1"))),
    ("one-transition", "two of two runs of one name", True,
     after_bake(lambda one: one.advances("tick 1"), lambda one: one.ends("tick 1"),
          lambda one: one.pauses("tick 1"))),
    ("one-transition", "the way back after a raise", True,
     after_bake(lambda one: one.advances("tick 1"), lambda one: one.goes_back("tick 1"))),

    ("consistent-history", "an entry each", True, after_bake(lambda one: one.advances("tick 1"))),
    ("consistent-history", "an entry is there twice", False, doubled_entry),
    ("consistent-history", "an entry is missing", False, omitted_entry),
    ("consistent-history", "old entries are changed", False, changed_entry),
    ("consistent-history", "a hash does not fit", False, changed_hash),
    ("consistent-history", "a phase changes without an entry", False,
     after_bake(lambda one: one.enters("tick 1", "", Phase.PAUSED, Reason.DRIFTED))),

    ("versions-rise", "one by one", True, after_bake(lambda one: one.saves("tick 1"))),
    ("versions-rise", "the same again", False,
     after_bake(lambda one: one.saves("tick 1", version=1))),
    ("versions-rise", "one is left out", False,
     after_bake(lambda one: one.saves("tick 1", version=9))),

    ("time-goes-forward", "as time does", True, after_bake(lambda one: one.saves("tick 1"))),
    ("time-goes-forward", "a slow clock", False, time_reversal),

    ("one-owner", "one rollout", True, TraceWriter.bakes),
    ("one-owner", "a second one on the same target", False, second_owner),
    ("one-owner", "a second one after the end", True, lambda one: second_start(one, RETRY)),
    ("one-owner", "a lock that calls a rollout final that goes on", False,
     after_bake(lambda one: one.stores("start", None, one.rollout, [], final={"lock": True}))),
    ("one-owner", "a lock that says its rollout goes on", True,
     after_bake(lambda one: one.stores("start", None, one.rollout, [], final={"lock": False}))),
    ("one-owner", "a lock that names another", False,
     after_bake(
         lambda one: one.stores("start", None, one.rollout, [], owners={"lock": "other#1"})
     )),

    ("one-notice", "once", True, lambda one: notification(one, twice=False)),
    ("one-notice", "twice", False, lambda one: notification(one, twice=True)),
    ("one-notice", "twice, and never saved", True, notification_of_unsaved_state),

    ("a-fix-goes-on", "the stable path alone failed, and before", False, pause_beside_outage()),
    ("a-fix-goes-on", "it failed later", True, pause_beside_outage(failed_before=False)),
    ("a-fix-goes-on", "it may be chance", True, pause_beside_outage(control_failures=30)),
    ("a-fix-goes-on", "the canary failed too", True, pause_beside_outage(failures=9)),

    ("ends-with-a-reason", "success", True, end_as(Phase.SUCCEEDED, Reason.COMPLETED)),
    ("ends-with-a-reason", "rolled back for a reason", True,
     end_as(ROLLED_BACK, Reason.GATE_FAILED)),
    ("ends-with-a-reason", "rolled back for none", False, end_as(ROLLED_BACK, Reason.BAKING)),
    ("ends-with-a-reason", "paused without a word", False,
     end_as(Phase.PAUSED, Reason.INCONCLUSIVE, "")),
    ("ends-with-a-reason", "paused", True, end_as(Phase.PAUSED, Reason.INCONCLUSIVE)),
    ("ends-with-a-reason", "still on its way back", False,
     end_as(ROLLING_BACK, Reason.GATE_FAILED)),
    ("ends-with-a-reason", "on its way since traffic fell", True,
     end_on_the_way(5, Reason.OVER_EXPOSURE_BUDGET)),
    ("ends-with-a-reason", "on its way for too long since then", False,
     end_on_the_way(40, Reason.OVER_EXPOSURE_BUDGET)),
    ("ends-with-a-reason", "on its way back since a minute", True,
     end_on_the_way(1, Reason.OVER_EXPOSURE_BUDGET, back=True)),
    ("ends-with-a-reason", "on its way back for longer than an update takes", False,
     end_on_the_way(5, Reason.OVER_EXPOSURE_BUDGET, back=True)),
    ("ends-with-a-reason", "on its way since an approval", False,
     end_on_the_way(5, Reason.AWAITING_APPROVAL)),
    ("ends-with-a-reason", "still holding", False, end_as(Phase.PROGRESSING, Reason.ON_HOLD)),
    ("ends-with-a-reason", "waiting for an approval", True,
     end_as(Phase.PROGRESSING, Reason.AWAITING_APPROVAL)),
    ("ends-with-a-reason", "waiting for the end of a freeze", True,
     end_as(Phase.PROGRESSING, Reason.FROZEN)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("invariant", "holds", "script"),
    [pytest.param(*row[:1], *row[2:], id=f"{row[0]}: {row[1]}") for row in CLAIMS],
)
def test_an_invariant_tells_right_from_wrong(
    invariant: str, holds: bool, script: TraceScript
) -> None:
    writer = TraceWriter()
    script(writer)
    assert (invariant not in writer.violated_names) is holds


def test_every_invariant_has_both_kinds_of_claims() -> None:
    kinds = {(name, holds) for name, _, holds, _ in CLAIMS}
    assert kinds == {(one.name, holds) for one in ALL for holds in (True, False)}


def test_a_violation_names_the_settings_that_were_changed() -> None:
    writer = TraceWriter()
    writer.bakes()
    writer.writes("tick 1", 0, beside=["API_KEY", "LOG_LEVEL"])
    (violation,) = writer.invariants.violations
    assert violation.sentence == "changed API_KEY, LOG_LEVEL beside the weight"


def test_a_violation_says_who_and_when() -> None:
    writer = TraceWriter()
    writer.bakes()
    writer.writes("tick 1", 33)
    text = "known-weight: 12:00:07 tick 1 wrote 33%, which is no step and was set by nobody"
    assert str(writer.invariants.violations[0]) == text
