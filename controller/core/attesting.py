"""The word of a person on what no measurement shows: signed, or refused."""

from datetime import datetime

from controller.core import transitions as to
from controller.core.effects import Decision
from controller.core.measured import Signature
from controller.core.policy import Attestation
from controller.core.refusing import refused
from controller.core.rollout import Rollout
from controller.core.units import shown

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
