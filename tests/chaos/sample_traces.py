"""Scripts of events for the claims about invariants."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeAlias

from controller.core.judge.facts import FailureTotals, flat
from controller.immutable import replace
from tests.chaos.event_log import RESUME_RESTORE, RETRY
from tests.chaos.trace_writer import TraceWriter
from tests.support.core import Finding, Phase, Reason, Verb, Verdict
from tests.support.findings import a_finding
from tests.support.rollouts import MINUTE, a_state, with_entry
from tests.support.three_steps import POLICY

TraceScript: TypeAlias = Callable[[TraceWriter], None]

ROLLED_BACK, ROLLING_BACK = Phase.ROLLED_BACK, Phase.ROLLING_BACK


def finding(verdict: Verdict, samples: int = 500) -> Finding:
    return a_finding("works", verdict=verdict, samples=samples)


PASSING_FINDINGS = (finding(Verdict.PASS),)
SILENT_FINDINGS = (finding(Verdict.INCONCLUSIVE, 0),)


def after_bake(*acts: TraceScript) -> TraceScript:
    """Return a script in which 10% bake, and then `acts` follow."""

    def script(writer: TraceWriter) -> None:
        writer.bakes()
        writer.later()
        for act in acts:
            act(writer)

    return script


def paused_rollout(writer: TraceWriter) -> None:
    writer.bakes()
    writer.pauses("tick 1", Reason.DRIFTED, "5% by another hand")


def finished_rollback(writer: TraceWriter) -> None:
    """The rollout is rolled back, and every process has ended."""
    writer.bakes()
    writer.begins("tick 1")
    writer.writes("tick 1", 0)
    writer.serves(0)
    writer.goes_back("tick 1")
    writer.ends("tick 1")
    writer.later()


def inconclusive_gate(writer: TraceWriter) -> None:
    """An inconclusive gate of a policy that lets it advance."""
    writer.bakes()
    policy = POLICY.model_copy(update={"on_inconclusive": "advance"})
    writer.rollout = replace(writer.rollout, policy=policy)
    writer.saves("tick 1")


def a_tick(writer: TraceWriter, name: str = "tick 9") -> str:
    writer.begins(name)
    writer.answers(name)
    return name


def raises_twice(writer: TraceWriter) -> None:
    writer.advances("tick 1")
    token = writer.token
    writer.writes("tick 1", 50)
    writer.writes("person", 10)
    writer.token = token
    writer.writes("tick 2", 50)


def raises_over_rollback(writer: TraceWriter, *, again_by: str = "", ends: bool = False) -> None:
    """A first raise is written over the 0% of a rollback, which its process had not seen.

    The API has no condition on its writes. again_by: a process whose raise came before the
    rollback. ends: the process ends then.
    """
    writer.starts()
    writer.answers("start")
    reading = writer.reads()
    if again_by:
        writer.writes(again_by, 10)
    writer.begins("tick 1")
    writer.answers("tick 1")
    writer.writes("tick 1", 0)
    writer.goes_back("tick 1", ROLLED_BACK)
    writer.writes("start", 10, reading=reading, unseen=["tick 1"])
    writer.ends("tick 1")
    if ends:
        writer.ends("start")


def stale_raise_over_rollback(writer: TraceWriter) -> None:
    """As `raises_over_rollback`, with a reading of another version than the one of the decision."""
    writer.starts()
    writer.writes("person", 5)
    reading = writer.reads()
    writer.writes("tick 1", 0)
    writer.writes("start", 10, reading=reading, unseen=["tick 1"])


def restores_up(writer: TraceWriter) -> None:
    paused_rollout(writer)
    writer.writes("person", 5)
    writer.begins("resume", RESUME_RESTORE)
    writer.saves("resume", "resumed", writer.raising(0, 10, 5))
    writer.writes("resume", 10)


def late_raise(writer: TraceWriter, reason: Reason, *, sound: bool = True) -> None:
    """A first raise lands after its rollout was rolled back, and 0% was never written."""
    writer.starts()
    writer.begins("tick 1")
    writer.answers("tick 1", sound=sound)
    writer.goes_back("tick 1", ROLLED_BACK, reason)
    writer.ends("tick 1")
    writer.writes("start", 10)


def raise_over_external_weight(
    writer: TraceWriter, weight: int, verb: str = "", *, unseen: Sequence[str] = ()
) -> None:
    """The weight is set outside while 10% bakes; the rollout advances regardless."""
    writer.bakes()
    writer.writes("person anna", weight)
    writer.begins("tick 1", verb)
    writer.advances("tick 1")
    writer.writes("tick 1", 50, unseen=unseen)


def lowering_after_the_end(
    writer: TraceWriter,
    weight: int,
    verb: str = "",
    minutes: int = 1,
    *,
    unseen: Sequence[str] = (),
) -> None:
    finished_rollback(writer)
    writer.later(minutes * MINUTE)
    writer.writes("person anna", weight)
    writer.begins("tick 2", verb)
    writer.writes("tick 2", 0, unseen=unseen)


def lowering_after_reopening(writer: TraceWriter, phase: Phase) -> None:
    """A tick that began after a success lowers a weight set outside; a rollback ran meanwhile."""
    writer.bakes()
    writer.enters("tick 1", "succeeded", Phase.SUCCEEDED, Reason.COMPLETED)
    writer.begins("tick 2")
    writer.begins("rollback 1", Verb.ROLLBACK)
    writer.goes_back("rollback 1", phase, Reason.ROLLBACK_REQUESTED)
    writer.writes("person anna", 70)
    writer.writes("tick 2", 0)


def second_start(writer: TraceWriter, verb: str) -> None:
    finished_rollback(writer)
    writer.begins("start 2", verb)
    state = writer.raising(0, 10, 0)
    writer.rollout = replace(
        writer.rollout, id="checkout#2", entries=0, chain="", created=writer.now
    )
    writer.saves("start 2", "started", state, version=0)


def retry_by_a_slower_clock(writer: TraceWriter) -> None:
    """A retry whose host is behind the one that started the first attempt, and then a tick."""
    finished_rollback(writer)
    writer.begins("retry", RETRY)
    state = writer.raising(0, 10, 0)
    created = writer.rollout.created - timedelta(seconds=35)
    writer.rollout = replace(writer.rollout, id="checkout#2", entries=0, chain="", created=created)
    writer.saves("retry", "started", state, version=0)
    writer.writes("retry", 10)
    writer.settles("retry")
    writer.ends("retry")
    writer.ends(a_tick(writer))


def second_owner(writer: TraceWriter) -> None:
    writer.bakes()
    writer.rollout = replace(writer.rollout, id="another#1", entries=0, chain="")
    writer.saves("start 2", "started", version=0)


def judging_tick(
    writer: TraceWriter, *, verdict: Verdict = Verdict.FAIL, sound: bool = True
) -> str:
    """A tick judges the gate; return its name."""
    name = a_tick(writer)
    writer.judges(name, verdict)
    writer.answers(name, sound=sound)
    return name


def stopped_tick(writer: TraceWriter) -> None:
    """A tick ends, and the next one is stopped for half an hour, without a verdict."""
    writer.serves(10)
    for name, minutes in (("tick 1", 0), ("tick 2", 30)):
        writer.begins(name)
        writer.answers(name)
        for _ in range(minutes):
            writer.later()
        writer.ends(name)


def half_hour_of_ticks(
    writer: TraceWriter,
    verdict: Verdict | None = None,
    *,
    says: str = "",
    sound: bool = True,
    weight: int = 10,
) -> None:
    """Ticks run for half an hour, and leave the served weight unchanged."""
    writer.serves(weight)
    for minute in range(30):
        name = f"tick {minute}"
        writer.later()
        writer.begins(name)
        writer.answers(name, sound=sound)
        if verdict is not None:
            writer.judges(name, verdict)
        if says:
            writer.tells(name, f"{says}, {minute}")
        writer.ends(name)


def failure_left(writer: TraceWriter) -> None:
    writer.bakes()
    writer.ends(judging_tick(writer))


def failure_rolled_back(writer: TraceWriter) -> None:
    writer.bakes()
    name = judging_tick(writer)
    writer.writes(name, 0)
    writer.ends(name)


def failure_refused(writer: TraceWriter) -> None:
    writer.bakes()
    writer.ends(judging_tick(writer, sound=False))


def failure_then_crash(writer: TraceWriter) -> None:
    writer.bakes()
    writer.ends(judging_tick(writer), None)


def failure_then_external_weight(writer: TraceWriter) -> None:
    writer.bakes()
    name = judging_tick(writer)
    writer.writes(name, 0)
    writer.writes("person", 30)
    writer.ends(name)


def rollback_in_progress(writer: TraceWriter) -> None:
    writer.bakes()
    writer.goes_back("tick 1", ROLLING_BACK)
    writer.ends(a_tick(writer))


def weight_reappears(writer: TraceWriter, by: str) -> None:
    finished_rollback(writer)
    writer.token = "token-1"
    writer.writes(by, 10)
    writer.ends(a_tick(writer))


def rollback_command(writer: TraceWriter, verb: str) -> None:
    writer.bakes()
    writer.begins("rollback", verb)
    writer.answers("rollback")
    writer.ends("rollback")


def notification(writer: TraceWriter, *, twice: bool) -> None:
    writer.bakes()
    writer.tells("start", "it has begun")
    if twice:
        writer.tells("tick 1", "it has begun")


def notification_of_unsaved_state(writer: TraceWriter) -> None:
    writer.bakes()
    unsaved = replace(writer.rollout, state=a_state(ROLLING_BACK))
    writer.tells("tick 1", "it goes back", unsaved)
    writer.tells("tick 2", "it goes back", unsaved)


def doubled_entry(writer: TraceWriter) -> None:
    writer.bakes()
    before = writer.rollout
    after, entry = with_entry(replace(before, version=before.version + 1))
    writer.stores("tick 1", before, after, [entry, entry])


def omitted_entry(writer: TraceWriter) -> None:
    writer.bakes()
    before, (skipped, _) = writer.rollout, with_entry(writer.rollout)
    after, entry = with_entry(replace(skipped, version=before.version + 1))
    writer.stores("tick 1", before, after, [entry])


def changed_entry(writer: TraceWriter) -> None:
    writer.bakes()
    before = writer.rollout
    after, entry = with_entry(replace(before, version=before.version + 1))
    writer.stores("tick 1", before, after, [entry], history_intact=False)


def changed_hash(writer: TraceWriter) -> None:
    writer.bakes()
    before = writer.rollout
    after, entry = with_entry(replace(before, version=before.version + 1))
    writer.stores("tick 1", before, after, [replace(entry, kind="applied")])
    writer.finishes()


def time_reversal(writer: TraceWriter) -> None:
    writer.bakes()
    writer.saves("tick 1", updated=writer.now - 3 * MINUTE)


def late_observation(writer: TraceWriter) -> None:
    writer.starts()
    writer.writes("start", 10)
    writer.settles("start")


def advance_with(findings: tuple[Finding, ...], verb: str = "") -> TraceScript:
    def script(writer: TraceWriter) -> None:
        writer.bakes()
        writer.begins("tick 1", verb)
        writer.advances("tick 1", findings=findings)

    return script


def advance_without_verdict(writer: TraceWriter, minutes: int) -> None:
    inconclusive_gate(writer)
    writer.later(minutes * MINUTE)
    writer.advances("tick 2", findings=SILENT_FINDINGS)


def resume_by(verb: str) -> TraceScript:
    def script(writer: TraceWriter) -> None:
        paused_rollout(writer)
        writer.begins("resume", verb)
        writer.enters("resume", "resumed", Phase.PROGRESSING, Reason.RESUMED)

    return script


def end_as(phase: Phase, reason: Reason, text: str = "cause") -> TraceScript:
    def script(writer: TraceWriter) -> None:
        writer.bakes()
        writer.enters("tick 1", str(phase), phase, reason, text)
        writer.finishes()

    return script


def pause_beside_outage(
    *, failed_before: bool = True, control_failures: int = 900, failures: int = 0
) -> TraceScript:
    """A rollout pauses while the stable path fails."""
    totals = FailureTotals(
        failures=failures,
        requests=500,
        allowed_share=0.01,
        control_failures=control_failures,
        control_requests=4_500,
    )
    held = replace(finding(Verdict.INCONCLUSIVE), facts=flat(totals))

    def script(writer: TraceWriter) -> None:
        writer.invariants.state.stable_fails = failed_before
        writer.bakes()
        writer.rollout = writer.rollout.with_findings((held,))
        writer.pauses("tick 1")

    return script


def end_on_the_way(minutes: int, reason: Reason, *, back: bool = False) -> TraceScript:
    """The run ends `minutes` after a rollout went on, or back, that had waited for `reason`."""

    def script(writer: TraceWriter) -> None:
        writer.bakes()
        writer.enters("tick 1", "blocked", Phase.PROGRESSING, reason)
        writer.later()
        if back:
            writer.enters("tick 2", "rolling_back", Phase.ROLLING_BACK, Reason.GATE_FAILED)
        else:
            writer.enters("tick 2", "baking", Phase.PROGRESSING, Reason.BAKING)
        writer.later(minutes * MINUTE)
        writer.begins("tick 3")
        writer.finishes()

    return script


def advance_after_the_end(writer: TraceWriter) -> None:
    finished_rollback(writer)
    writer.enters("tick 2", "advanced", Phase.PROGRESSING, Reason.GATE_PASSED)
