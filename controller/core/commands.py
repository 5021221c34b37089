"""What people may ask of a rollout, in which phases, and what becomes of it. Pure.

A verb that does not fit changes nothing and says so. The table of `docs/policy.md` is made from
here. `rollback` is legal in every phase, and blocked by nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, Literal, TypeAlias, assert_never

from controller.core import transitions as to
from controller.core.decision import Decision
from controller.core.judge.evidence import Signature
from controller.core.judge.findings import Finding, Label, Verdict, gate, weakest
from controller.core.judge.gate import Evidence
from controller.core.judge.queries import JUDGED
from controller.core.judge.sealing import evidence_of, findings_of
from controller.core.observation import Observation, Reading, Unreadable, Update, weight_of
from controller.core.policy import Attestation
from controller.core.rollout import Phase, Reason, Rollout
from controller.core.units import shown
from controller.errors import UsageError

Way: TypeAlias = Literal["", "restore", "keep"]


class Verb(StrEnum):
    """What a person can ask of a rollout that exists."""

    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    APPROVE = "approve"
    ATTEST = "attest"
    ROLLBACK = "rollback"
    SET_WEIGHT = "set-weight"
    ACK = "ack"


FITS: Final[Mapping[Verb, frozenset[Phase]]] = {
    Verb.PAUSE: frozenset({Phase.PROGRESSING}),
    Verb.RESUME: frozenset({Phase.PAUSED}),
    Verb.PROMOTE: frozenset({Phase.PROGRESSING, Phase.PAUSED}),
    Verb.APPROVE: frozenset({Phase.PROGRESSING, Phase.PAUSED}),
    Verb.ATTEST: frozenset({Phase.PROGRESSING, Phase.PAUSED}),
    Verb.ROLLBACK: frozenset(Phase),
    Verb.SET_WEIGHT: frozenset({Phase.PROGRESSING, Phase.PAUSED}),
    Verb.ACK: frozenset(Phase),
}


# What is not asked past a criterion that fails already, so it is measured first.
MEASURED: Final = frozenset({Verb.RESUME, Verb.PROMOTE, Verb.SET_WEIGHT})

# After which a rollout may go up by its policy: that has to be the one which its history begins
# with.
UPWARD: Final = frozenset({Verb.RESUME, Verb.PROMOTE, Verb.APPROVE, Verb.ATTEST})


@dataclass(frozen=True, slots=True)
class Ask:
    """What a person asks.

    way: with which weight `resume` goes on after a drift. weight: what is to be set;
    of a rollback: what was live before 0 % was written.
    criterion, refuse, by: what `attest` is about, whether that is a no, and who says it.
    """

    verb: Verb
    reason: str = ""
    way: Way = ""
    weight: int | None = None
    criterion: str = ""
    refuse: bool = False
    by: str = ""

    def data(self) -> dict[str, object]:
        """Return it as plain JSON data, for the history."""
        said: dict[str, object] = {"verb": str(self.verb), "reason": self.reason, "way": self.way}
        if self.verb is Verb.ATTEST:
            return {**said, "criterion": self.criterion, "refuse": self.refuse, "by": self.by}
        return said if self.weight is None else {**said, "weight": self.weight}


# --- Refusals -------------------------------------------------------------------------------------


def refused(rollout: Rollout, verb: str, why: str) -> UsageError:
    """Return the error that says that `verb` changed nothing, and why."""
    return UsageError(f"{verb} changed nothing of {rollout.id}: {why}", rollout=rollout.id)


def readable(rollout: Rollout, verb: str, seen: Observation) -> Reading:
    """Return the target as it was seen. Raises UsageError when no weight can be written to it."""
    target = seen.target
    if isinstance(target, Unreadable):
        raise refused(rollout, verb, f"its target cannot be read: {target.reason}")
    if target.update is not Update.SUCCESSFUL:
        detail = f": {target.detail}" if target.detail else ""
        raise refused(rollout, verb, f"the last update of its target is {target.update}{detail}")
    return target


def judged(rollout: Rollout, evidence: Evidence | None, verb: str) -> tuple[Finding, ...]:
    """Return what is measured now. A fail is in the data already, so nobody goes on over it."""
    findings = findings_of(rollout, evidence)
    if gate(findings) is Verdict.FAIL:
        why = " ".join(one.sentence for one in findings if one.fails)
        does = "sets a weight over" if verb == Verb.SET_WEIGHT else f"{verb}s"
        raise refused(rollout, verb, f"nobody {does} a fail, the next tick rolls back: {why}")
    return findings


# --- Attestations ---------------------------------------------------------------------------------

_VERB = "attest"


def attest(rollout: Rollout, criterion: str, signature: Signature, now: datetime) -> Decision:
    """Return what becomes of `signature`; the newest word counts, and the same one changes nothing.

    Raises UsageError for a criterion that takes none, and for a signature without a note.
    """
    asked_for = [
        name for name, one in rollout.policy.criteria.items() if isinstance(one, Attestation)
    ]
    if criterion not in asked_for:
        known = f"its attestations: {', '.join(asked_for) or 'none'}"
        raise refused(rollout, _VERB, f"nobody attests {shown(criterion)} there; {known}")
    if not signature.note:
        raise refused(rollout, _VERB, "say what was seen (--note): it is written into the history")
    before = rollout.signed.get(criterion)
    if before is not None and before.refused == signature.refused:
        return Decision(rollout)
    return to.attested(rollout, criterion, signature, now)


# --- Commands -------------------------------------------------------------------------------------


def asked(rollout: Rollout, ask: Ask, seen: Observation, now: datetime) -> Decision:
    """Return the decision of a person; what was asked is part of its record.

    Raises UsageError, with the reason and what fits instead, when nothing is to be changed.
    """
    if rollout.phase not in FITS[ask.verb]:
        raise refused(rollout, ask.verb, f"it is {rollout.phase}{_instead(rollout)}")
    now = max(now, rollout.updated)
    current = replace(rollout, updated=now)
    decision = to.paged(_sighted(rollout, ask, _decided(current, ask, seen, now), seen, now), now)
    if decision.record is None:
        return decision
    return replace(decision, record=replace(decision.record, because=ask.data()))


# Verbs that are not about the live weight: most may meet one which another hand has set, and what
# set-weight leads to is not live yet.
_NOT_ABOUT_WEIGHT: Final = frozenset(
    {Verb.PAUSE, Verb.APPROVE, Verb.ATTEST, Verb.SET_WEIGHT, Verb.ACK}
)


def _sighted(
    before: Rollout, ask: Ask, decision: Decision, seen: Observation, now: datetime
) -> Decision:
    """Return `decision` with what was seen, but for what is left to the next tick to tell.

    That is drift that nobody has asked about; and the end of a blindness, which a look without
    measurements is not.
    """
    known = decision.rollout.seen_weight
    decision = to.sighted(before, decision, seen, now)
    after = decision.rollout
    if ask.verb in _NOT_ABOUT_WEIGHT:
        after = replace(after, seen_weight=known)
    measured = seen.series or seen.alarms
    if not measured and after.phase in JUDGED and isinstance(seen.target, Reading):
        after = replace(after, blind_since=before.blind_since)
    return replace(decision, rollout=after)


def _decided(rollout: Rollout, ask: Ask, seen: Observation, now: datetime) -> Decision:
    match ask.verb:
        case Verb.PAUSE:
            why = f"paused by hand: {ask.reason}" if ask.reason else "paused by hand"
            return to.paused_by_hand(rollout, seen.target, why, now)
        case Verb.RESUME:
            return _resume(rollout, ask, seen, now)
        case Verb.PROMOTE:
            return _promote(rollout, ask, seen, now)
        case Verb.APPROVE:
            return _approve(rollout, ask, now)
        case Verb.ROLLBACK:
            weight = weight_of(seen.target) if ask.weight is None else ask.weight
            return to.rolling_back(rollout, Reason.ROLLBACK_REQUESTED, ask.reason, weight, now)
        case Verb.SET_WEIGHT:
            return _set_weight(rollout, ask, seen, now)
        case Verb.ATTEST | Verb.ACK:
            said = _attest if ask.verb is Verb.ATTEST else _acknowledge
            return said(rollout, ask, now)
        case unreachable:
            assert_never(unreachable)


# --- resume -------------------------------------------------------------------------------------


def _resume(rollout: Rollout, ask: Ask, seen: Observation, now: datetime) -> Decision:
    target = readable(rollout, ask.verb, seen)
    live, own = target.weight, rollout.weight
    if live == 0:
        raise refused(rollout, ask.verb, "its weight is 0 %, and that ends it with the next tick")
    rollout = replace(rollout, findings=judged(rollout, evidence_of(rollout, seen, now), ask.verb))
    if live == own:
        return to.resumed(rollout, target, ask.reason, now)
    shown = f"the target shows {target.shown} where {own} % was asked for"
    match ask.way:
        case "restore" if _higher(rollout, target):
            return to.restored(rollout, target, ask.reason, now)
        case "restore":
            why = f"--restore only takes weight back, and {shown}"
            raise refused(rollout, ask.verb, f"{why}; {_ways(rollout, target)}")
        case "keep" if live is not None:
            return _keep(rollout, ask, live, target.token, now)
        case "keep":
            why = f"nobody knows what to keep: {shown}"
            raise refused(rollout, ask.verb, f"{why}; {_ways(rollout, target)}")
        case "":
            raise refused(rollout, ask.verb, f"{shown}; {_ways(rollout, target)}")
        case unreachable:
            assert_never(unreachable)


def _keep(rollout: Rollout, ask: Ask, live: int, token: str, now: datetime) -> Decision:
    """The step that a kept weight has reached is the last one that asks for no more."""
    reached = _reached(rollout, live)
    if not reached:
        why = f"{live} % is below the first step"
        raise refused(rollout, ask.verb, f"{why}: set {rollout.weight} % by hand and resume then")
    return to.kept(rollout, reached[-1], live, token, ask.reason, now)


def _reached(rollout: Rollout, weight: int) -> list[int]:
    return [index for index, step in enumerate(rollout.policy.steps) if step.weight <= weight]


def _ways(rollout: Rollout, target: Reading) -> str:
    """Return what fits a weight that is not the one that was asked for."""
    ways = f"say --keep (go on with the {target.weight} % that are live)"
    if target.weight is None:
        ways = "put the variables right by hand and resume then"
    elif not _reached(rollout, target.weight):
        ways = f"set {rollout.weight} % by hand and resume then"
    if _higher(rollout, target):
        ways = f"say --restore (back to {rollout.weight} %), {ways}"
    return f"{ways}, or end it: rolloutctl rollback {rollout.id}"


def _higher(rollout: Rollout, target: Reading) -> bool:
    """Tell whether what was asked for is less than what is live, or may be."""
    return target.may_be_full or (target.weight is not None and target.weight > rollout.weight)


# --- promote, approve ---------------------------------------------------------------------------


def _promote(rollout: Rollout, ask: Ask, seen: Observation, now: datetime) -> Decision:
    target = readable(rollout, ask.verb, seen)
    paused = rollout.phase is Phase.PAUSED
    if target.weight != rollout.weight and (paused or rollout.settled is not None):
        why = f"the target shows {target.shown} where {rollout.weight} % was asked for"
        raise refused(rollout, ask.verb, f"{why}; resume it first")
    if rollout.settled is None:
        raise refused(
            rollout, ask.verb, f"{rollout.weight} % was not seen in force yet; tick first"
        )
    evidence = evidence_of(rollout, seen, now)
    findings = judged(rollout, evidence, ask.verb)
    if barrier := to.barrier(rollout, now) or to.hook_barrier(rollout, seen.hooks):
        if barrier.asks:
            return Decision(rollout, asks=barrier.asks)
        why = f"{barrier.text}; promote skips neither a freeze nor an approval nor a hook"
        raise refused(rollout, ask.verb, why)
    to_its_end = evidence is not None and evidence.bake_over and to.undisturbed(rollout)
    label = rollout.label if to_its_end else weakest((rollout.label, str(Label.NOT_YET)))
    rollout = replace(rollout, findings=findings, label=label)
    return to.promoted(rollout, target, ask.reason, now)


def _approve(rollout: Rollout, ask: Ask, now: datetime) -> Decision:
    step = rollout.step + 1
    if step == len(rollout.policy.steps) or not rollout.policy.needs_approval(step):
        raise refused(rollout, ask.verb, "its next step needs no approval")
    if rollout.approved == step:
        weight = rollout.policy.steps[step].weight
        raise refused(rollout, ask.verb, f"{weight} % is approved already")
    return to.approved(rollout, step, ask.reason, now)


def _attest(rollout: Rollout, ask: Ask, now: datetime) -> Decision:
    signature = Signature(ask.by, int(now.timestamp()), ask.reason, ask.refuse)
    return attest(rollout, ask.criterion, signature, now)


def _set_weight(rollout: Rollout, ask: Ask, seen: Observation, now: datetime) -> Decision:
    """Give the weight into the hand of a person, who knows of the rollout."""
    target = readable(rollout, ask.verb, seen)
    rollout = replace(rollout, findings=judged(rollout, evidence_of(rollout, seen, now), ask.verb))
    weight = ask.weight or 0
    if weight == 0:
        raise refused(rollout, ask.verb, f"0 % is a rollback: rolloutctl rollback {rollout.id}")
    if target.weight == 0:
        raise refused(rollout, ask.verb, "its weight is 0 %, and that ends it with the next tick")
    if target.weight == weight:
        raise refused(rollout, ask.verb, f"{weight} % is live already")
    return to.set_by_hand(rollout, target, weight, ask.reason, now)


def _acknowledge(rollout: Rollout, ask: Ask, now: datetime) -> Decision:
    page = to.unanswered(rollout)
    if page is None:
        raise refused(rollout, ask.verb, "nothing that is critical waits for an answer")
    return to.acknowledged(rollout, page, ask.reason, now)


def _instead(rollout: Rollout) -> str:
    silent = set() if to.unanswered(rollout) else {Verb.ACK}
    fitting = [str(verb) for verb in Verb if rollout.phase in FITS[verb] and verb not in silent]
    if rollout.phase is Phase.ROLLED_BACK:
        fitting.append("retry")
    return f"; what fits: {', '.join(fitting)}"
