"""Checks each recipient of a message or a call against the list of recipients in the store."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from controller.core.policy.notify import Recipient
from controller.core.recipients import RecipientList, resources_of
from controller.core.visit_order import name_of
from controller.errors import RecipientNotListedError, StoreError

_Answer: TypeAlias = RecipientList | StoreError | None


@dataclass(slots=True, eq=False)
class RecipientCheck:
    """Checks recipients, and remembers what it refused. The list is read once, at the first check.

    read: `RecipientReader.recipients` of the store.
    """

    read: Callable[[], RecipientList | None]
    _answers: list[_Answer] = field(default_factory=list)
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
        listed = self._listed()
        if isinstance(listed, StoreError):
            raise StoreError(f"nothing was sent: {listed}") from listed
        if listed is not None and (withheld := listed.withheld(name, resources_of(recipient))):
            raise RecipientNotListedError.of(name, recipient.display_name, withheld)

    def _listed(self) -> _Answer:
        if not self._answers:
            try:
                self._answers.append(self.read())
            except StoreError as error:
                self._answers.append(error)
        return self._answers[0]
