"""Checks recipients of messages, calls and secrets against the list of recipients in the store."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from controller.core.message import RecipientList, resources_of
from controller.core.policy.notify import Recipient
from controller.core.policy.sources import SourceSpec
from controller.core.visit_order import name_of
from controller.errors import RecipientNotListedError, StoreError


@dataclass(slots=True, eq=False)
class RecipientCheck:
    """Checks recipients, and remembers what it refused. The list is read once, at the first check.

    read: `Store.recipients` of the store.
    """

    read: Callable[[], RecipientList | None]
    _answers: list[RecipientList | StoreError | None] = field(default_factory=list)
    _refusals: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def begin(self) -> None:
        """Begin a tick or a command: the next check reads the list anew."""
        self._answers.clear()
        self._refusals.clear()

    def check(self, rollout_id: str, recipient: Recipient) -> None:
        """Raise unless `recipient` may be used for the rollout: without a list all may.

        The name of the policy is that in the id, because the stored policy may be forged. Raises
        RecipientNotListedError, and StoreError when the list cannot be read.
        """
        try:
            self._check(name_of(rollout_id), recipient)
        except (RecipientNotListedError, StoreError) as error:
            self._refusals[rollout_id].append(str(error))
            raise

    def refusals(self, rollout_id: str) -> str:
        """Return why recipients of the rollout were refused; empty when none was."""
        return "; ".join(dict.fromkeys(self._refusals.get(rollout_id, ())))

    def _check(self, name: str, recipient: Recipient) -> None:
        if not self._answers:
            try:
                self._answers.append(self.read())
            except StoreError as error:
                self._answers.append(error)
        listed = self._answers[0]
        if isinstance(listed, StoreError):
            raise StoreError(f"nothing was sent: {listed}") from listed
        if listed is not None and (withheld := listed.withheld(name, resources_of(recipient))):
            raise RecipientNotListedError.of(name, recipient.display_name, withheld)


def withheld_sources(
    read: Callable[[], RecipientList | None], used: Iterable[tuple[str, SourceSpec | None]]
) -> dict[SourceSpec | None, str]:
    """Return the sources of metrics that must not get their secret, each with the reason.

    read: `Store.recipients` of the store; called only where a source has a secret.
    used: rollouts and the sources of their metrics. What any of them may use is not withheld.
    """
    policies: dict[SourceSpec | None, dict[str, None]] = {}
    for rollout_id, source in used:
        if source is not None and source.secret_reference is not None:
            policies.setdefault(source, {})[name_of(rollout_id)] = None
    if not policies:
        return {}
    try:
        listed = read()
    except StoreError as error:
        return dict.fromkeys(policies, f"nothing was read: {error}")
    withheld: dict[SourceSpec | None, str] = {}
    for source, names in policies.items():
        if listed is None or source is None:
            continue
        lacking = {name: listed.withheld(name, resources_of(source)) for name in names}
        if all(lacking.values()):
            name, resources = next(iter(lacking.items()))
            refusal = RecipientNotListedError.of(name, source.display_name, resources)
            withheld[source] = str(refusal)
    return withheld
