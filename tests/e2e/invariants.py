"""Invariants after every kill and at each end, checked on the account and the store."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from controller.adapters.stores.dynamodb import DynamoDbStore
from controller.adapters.stores.sqlite import SqliteStore
from controller.ports.store import Store
from tests.e2e import stored_items
from tests.e2e.account import BOOLEAN, FUNCTION, OTHERS, PERCENTAGE, Account
from tests.support.core import Entry, Phase, Rollout, broken_link

# Entries of which a round may have only one: they move the weight, or end the rollout.
_MOVES: Final = frozenset({"advanced", "rolling_back", "succeeded"})


@dataclass(slots=True)
class RolloutObserver:
    """Observes one account, and one rollout in one store.

    file: the file of the store; None: the table of the account. function: that of the rollout.
    """

    account: Account
    rollout_id: str
    file: Path | None
    function: str = FUNCTION
    _entries: Sequence[Entry] = field(default=(), init=False)

    def rollout(self) -> Rollout:
        """Return the rollout as it is stored."""
        return self._load()[0]

    def violations(self) -> list[str]:
        """Return the current violations, a sentence each."""
        rollout, entries = self._load()
        return [*self._function_violations(rollout), *self._history_violations(rollout, entries)]

    def moves(self) -> list[Entry]:
        """Return the moves that were recorded since the last call."""
        entries = self._load()[1]
        new = entries[len(self._entries) :]
        self._entries = entries
        return [entry for entry in new if entry.kind in _MOVES]

    def _function_violations(self, rollout: Rollout) -> Iterator[str]:
        variables = self.account.environment(self.function)
        weight, boolean = int(variables.pop(PERCENTAGE)), variables.pop(BOOLEAN)
        steps = {step.weight for step in rollout.policy.steps}
        if weight not in {0, *steps}:
            yield f"{weight}% is neither 0 nor a step"
        if weight > rollout.weight:
            yield f"{weight}% is live, and {rollout.weight}% is all that was recorded"
        if boolean != ("true" if weight == 100 else "false"):
            yield f"the boolean says {boolean} at {weight}%"
        if variables != OTHERS:
            changed = sorted(OTHERS.items() ^ variables.items())
            yield f"other variables were touched: {sorted({name for name, _ in changed})}"

    def _history_violations(self, rollout: Rollout, entries: Sequence[Entry]) -> Iterator[str]:
        if broken := broken_link(entries, rollout.chain):
            yield f"the chain of the history is broken at entry {broken} of {len(entries)}"
        numbers = [entry.seq for entry in entries]
        if numbers != list(range(1, rollout.entries + 1)):
            yield f"the history has a gap or a double: {numbers}, and {rollout.entries} recorded"
        if [*entries[: len(self._entries)]] != [*self._entries]:
            yield "the history was written anew"
        ups = [entry.body["weight_to"] for entry in entries if entry.kind == "advanced"]
        if sorted(set(map(str, ups))) != sorted(map(str, ups)):
            yield f"one step was taken twice: {ups}"

    def end_violations(self) -> list[str]:
        """Return the violations of the final state."""
        rollout, (weight, _) = self.rollout(), self.account.pair(self.function)
        expected = {Phase.SUCCEEDED: "100", Phase.ROLLED_BACK: "0"}.get(rollout.phase)
        if weight == expected:
            return []
        return [f"it ended as {rollout.phase} at {weight}%: {rollout.sentence}"]

    def _load(self) -> tuple[Rollout, Sequence[Entry]]:
        if self.file is None:
            return self._from(DynamoDbStore(self.account.client("dynamodb"), stored_items.NAME))
        with SqliteStore(self.file, create=False) as store:
            return self._from(store)

    def _from(self, store: Store) -> tuple[Rollout, Sequence[Entry]]:
        return store.load(self.rollout_id), store.history(self.rollout_id)
