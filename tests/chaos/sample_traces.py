"""What happens in the claims about invariants."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from controller.core.judge.findings import Finding, Label, Verdict
from controller.core.rollout import Intent, Phase, Reason
from tests.chaos.event_log import RESTORE
from tests.chaos.trace_writer import Telling
from tests.support.rollouts import MINUTE, recorded
from tests.support.three_steps import POLICY

Tale: TypeAlias = Callable[[Telling], None]

DOWN, GOING = Phase.ROLLED_BACK, Phase.ROLLING_BACK


def finding(verdict: Verdict, samples: int = 500) -> Finding:
    return Finding("works", verdict, Label.NOT_REFUTED, 0.999, 0.99, samples, 0, 60, "so it is")


PASSES = (finding(Verdict.PASS),)
SILENT = (finding(Verdict.INCONCLUSIVE, 0),)


def then(*acts: Tale) -> Tale:
    """Return a tale of 10 % that bake, and of what happens `then`."""

    def tale(told: Telling) -> None:
        told.bakes()
        told.later()
        for act in acts:
            act(told)

    return tale


def paused(told: Telling) -> None:
    told.bakes()
    told.pauses("tick 1", Reason.DRIFTED, "5 % by another hand")


def over(told: Telling) -> None:
    """The rollout is rolled back, and everybody has ended."""
    told.bakes()
    told.begins("tick 1")
    told.writes("tick 1", 0)
    told.serves(0)
    told.goes_back("tick 1")
    told.ends("tick 1")
    told.later()


def held(told: Telling) -> None:
    """An inconclusive gate of a policy that lets it advance."""
    told.bakes()
    policy = POLICY.model_copy(update={"on_inconclusive": "advance"})
    told.rollout = replace(told.rollout, policy=policy)
    told.saves("tick 1")


def a_tick(told: Telling, name: str = "tick 9") -> str:
    told.begins(name)
    told.answers(name)
    return name


def raises_twice(told: Telling) -> None:
    told.advances("tick 1")
    token = told.token
    told.writes("tick 1", 50)
    told.writes("person", 10)
    told.token = token
    told.writes("tick 2", 50)


def restores_up(told: Telling) -> None:
    paused(told)
    told.writes("person", 5)
    told.begins("resume", RESTORE)
    intent = Intent(10, 5, told.token, told.now)
    told.saves("resume", "resumed", phase=Phase.PROGRESSING, intent=intent, settled=None)
    told.writes("resume", 10)


def raised_late(told: Telling, reason: Reason, *, sound: bool = True) -> None:
    """A first raise lands after its rollout was rolled back, and 0 % was never written."""
    told.starts()
    told.begins("tick 1")
    told.answers("tick 1", sound=sound)
    told.goes_back("tick 1", DOWN, reason)
    told.ends("tick 1")
    told.writes("start", 10)


def over_a_hand(told: Telling, weight: int, verb: str = "") -> None:
    """Another hand sets a weight while 10 % bakes; the next step follows all the same."""
    told.bakes()
    told.writes("person anna", weight)
    told.begins("tick 1", verb)
    told.advances("tick 1")
    told.writes("tick 1", 50)


def lowered_after_the_end(told: Telling, weight: int, verb: str = "", minutes: int = 1) -> None:
    over(told)
    told.later(minutes * MINUTE)
    told.writes("person anna", weight)
    told.begins("tick 2", verb)
    told.writes("tick 2", 0)


def started_again(told: Telling, verb: str) -> None:
    over(told)
    told.begins("start 2", verb)
    token = told.token
    first = told.rollout
    told.rollout = replace(
        first, id="checkout#2", attempt=2, phase=Phase.PROGRESSING, entries=0, chain="",
        created=told.now,
    )  # fmt: skip
    told.saves("start 2", "started", version=0, intent=Intent(10, 0, token, told.now))


def second_owner(told: Telling) -> None:
    told.bakes()
    told.rollout = replace(told.rollout, id="another#1", name="another", entries=0, chain="")
    told.saves("start 2", "started", version=0)


def leaves(told: Telling, *, verdict: Verdict = Verdict.FAIL, sound: bool = True) -> str:
    """A tick sees a verdict."""
    name = a_tick(told)
    told.judges(name, verdict)
    told.answers(name, sound=sound)
    return name


def ticks_on(
    told: Telling,
    verdict: Verdict | None = None,
    *,
    says: str = "",
    sound: bool = True,
    weight: int = 10,
) -> None:
    """Ticks pass for half an hour, and leave what requests meet."""
    told.serves(weight)
    for minute in range(30):
        name = f"tick {minute}"
        told.later()
        told.begins(name)
        told.answers(name, sound=sound)
        if verdict is not None:
            told.judges(name, verdict)
        if says:
            told.tells(name, f"{says}, {minute}")
        told.ends(name)


def fails_and_is_left(told: Telling) -> None:
    told.bakes()
    told.ends(leaves(told))


def fails_and_goes_back(told: Telling) -> None:
    told.bakes()
    name = leaves(told)
    told.writes(name, 0)
    told.ends(name)


def fails_and_is_refused(told: Telling) -> None:
    told.bakes()
    told.ends(leaves(told, sound=False))


def fails_and_is_gone(told: Telling) -> None:
    told.bakes()
    told.ends(leaves(told), None)


def fails_and_a_hand_moves(told: Telling) -> None:
    told.bakes()
    name = leaves(told)
    told.writes(name, 0)
    told.writes("person", 30)
    told.ends(name)


def found_going_back(told: Telling) -> None:
    told.bakes()
    told.goes_back("tick 1", GOING)
    told.ends(a_tick(told))


def comes_back(told: Telling, by: str) -> None:
    over(told)
    told.token = "token-1"
    told.writes(by, 10)
    told.ends(a_tick(told))


def asked_to_roll_back(told: Telling, verb: str) -> None:
    told.bakes()
    told.begins("rollback", verb)
    told.answers("rollback")
    told.ends("rollback")


def says(told: Telling, *, twice: bool) -> None:
    told.bakes()
    told.tells("start", "it has begun")
    if twice:
        told.tells("tick 1", "it has begun")


def says_unsaved(told: Telling) -> None:
    told.bakes()
    unsaved = replace(told.rollout, phase=GOING)
    told.tells("tick 1", "it goes back", unsaved)
    told.tells("tick 2", "it goes back", unsaved)


def entry_doubled(told: Telling) -> None:
    told.bakes()
    before = told.rollout
    after, entry = recorded(replace(before, version=before.version + 1, step=1))
    told.stores("tick 1", before, after, [entry, entry])


def entry_left_out(told: Telling) -> None:
    told.bakes()
    before, (skipped, _) = told.rollout, recorded(told.rollout)
    after, entry = recorded(replace(skipped, version=before.version + 1))
    told.stores("tick 1", before, after, [entry])


def entry_changed(told: Telling) -> None:
    told.bakes()
    before = told.rollout
    after, entry = recorded(replace(before, version=before.version + 1))
    told.stores("tick 1", before, after, [entry], kept=False)


def hash_changed(told: Telling) -> None:
    told.bakes()
    before = told.rollout
    after, entry = recorded(replace(before, version=before.version + 1))
    told.stores("tick 1", before, after, [replace(entry, kind="settled")])
    told.finishes()


def back_in_time(told: Telling) -> None:
    told.bakes()
    told.saves("tick 1", updated=told.now - 3 * MINUTE)


def seen_late(told: Telling) -> None:
    told.starts()
    told.writes("start", 10)
    told.saves("start", "settled", settled=told.now)


def advanced(findings: tuple[Finding, ...], verb: str = "") -> Tale:
    def tale(told: Telling) -> None:
        told.bakes()
        told.begins("tick 1", verb)
        told.advances("tick 1", findings=findings)

    return tale


def advanced_anyway(told: Telling, minutes: int) -> None:
    held(told)
    told.later(minutes * MINUTE)
    told.advances("tick 2", findings=SILENT)


def goes_on(verb: str) -> Tale:
    def tale(told: Telling) -> None:
        paused(told)
        told.begins("resume", verb)
        told.saves("resume", "resumed", phase=Phase.PROGRESSING)

    return tale


def ends_as(phase: Phase, reason: Reason, text: str = "because") -> Tale:
    def tale(told: Telling) -> None:
        told.bakes()
        told.saves("tick 1", str(phase), phase=phase, reason=reason, sentence=text)
        told.finishes()

    return tale


def goes_on_after_the_end(told: Telling) -> None:
    over(told)
    told.saves("tick 2", "advanced", phase=Phase.PROGRESSING)
