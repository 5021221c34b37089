"""What the rules of a store refuse: starts of policies that break them, and forbidden acts.

A rollback never reads them.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Final

from controller.core.events import Command, Verb
from controller.core.policy import Policy
from controller.errors import UsageError
from controller.policy_file.rules import Act, Rules, flaws_of, stored_rules
from controller.ports.store import RulesReader

_OPTIONS: Final[Collection[Act]] = ("fix", "despite", "adopt")


def rules_of(store: RulesReader) -> Rules | None:
    """Return the rules of `store`; None without any. Raises StoreError when they are damaged."""
    text = store.rules()
    return None if text is None else stored_rules(text)


def start_refusals(
    store: RulesReader, policy: Policy, acts: Collection[Act] = (), file: Path | None = None
) -> list[str]:
    """Return why the rules of `store` refuse to start `policy`, a line each, and whom to ask.

    acts: the overrides that the start would use. file: where the policy was read. Empty: they do
    not refuse it. Raises StoreError when the rules cannot be read.
    """
    rules = rules_of(store)
    if rules is None:
        return []
    lines = flaw_texts(rules, policy, file)
    lines += [
        f"{'--' if act in _OPTIONS else ''}{act} is forbidden (rule forbid)"
        for act in acts
        if act in rules.forbid
    ]
    return [*lines, ask_text(rules)] if lines else []


def flaw_texts(rules: Rules, policy: Policy, file: Path | None) -> list[str]:
    """Return a line for each part of `policy` that breaks `rules`; file: where it was read."""
    return [str(one) if one.line else one.text for one in flaws_of(rules, policy, file)]


def check_command(store: RulesReader, command: Command) -> None:
    """Raise UsageError where the rules of `store` forbid `command`, StoreError where not known."""
    if command.verb is Verb.PROMOTE:
        check_act(store, "promote", "promote")
    if command.verb is Verb.RESUME and command.way == "keep":
        check_act(store, "keep", "resume --keep")


def check_act(store: RulesReader, act: Act, name: str) -> None:
    """Raise UsageError where the rules of `store` forbid `act`, which people call `name`."""
    rules = rules_of(store)
    if rules is not None and act in rules.forbid:
        raise UsageError(
            f"{name} was refused, and nothing was changed: it is forbidden (rule forbid); "
            f"{ask_text(rules)}"
        )


def ask_text(rules: Rules) -> str:
    """Return whom to ask about the rules, and how to see them."""
    return f"about the rules of this store, ask {rules.owner}; to see them: rolloutctl store rules"
