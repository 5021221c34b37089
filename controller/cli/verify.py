"""The verb `verify`: compares the live target and its traffic with the rollout's state."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import click

from controller.bootstrap.account import real_account
from controller.bootstrap.direct_target import verifier as live_verifier
from controller.cli import options
from controller.cli.call import CommandContext, Result, is_policy_file
from controller.core.observation import TargetReading, UnreadableTarget
from controller.core.rollout import Rollout
from controller.errors import NoStoreError, StoreError, UsageError
from controller.immutable import Immutable
from controller.operations.checks import Check, CheckLevel, any_failed, exit_status
from controller.operations.live_checks.target import read_target
from controller.operations.verify import Verifier
from controller.ports.json_view import Count
from controller.render.page import Page, PageTable, TextSpan, Tone, paragraph

MAX_MINUTES = 24 * 60

_MARKS: Final = {
    CheckLevel.OK: TextSpan("ok", Tone.GOOD),
    CheckLevel.WARN: TextSpan("warn", Tone.WAITING),
    CheckLevel.UNREAD: TextSpan("skip", Tone.WAITING),
    CheckLevel.FAIL: TextSpan("FAIL", Tone.BAD),
}
_SUMMARY: Final = {CheckLevel.UNREAD: "not checked"}


def checks_page(checks: Sequence[Check]) -> Page:
    """Return a row for each check, in their order, and a line with the number of each level.

    A row is the level, what was checked, the detail, and the remedy.
    """
    counts = Counter(check.level for check in checks)
    levels = [level for level in CheckLevel if counts[level] or level is not CheckLevel.UNREAD]
    summary = ", ".join(f"{counts[level]} {_SUMMARY.get(level, level)}" for level in levels)
    tone = Tone.BAD if any_failed(checks) else Tone.TITLE
    rows = []
    for check in checks:
        remedy = f"; {check.remedy}" if check.remedy else ""
        cause = "not checked: " if check.level is CheckLevel.UNREAD else ""
        rows.append((_MARKS[check.level], check.what, f"{cause}{check.detail}{remedy}"))
    return [PageTable(rows, least=(len("FAIL"),)), paragraph(summary, tone)]


class VerifyLiveData(Immutable):
    """What is live against what the rollout says."""

    policy: str
    """The policy file or the rollout, as the command line named it."""
    minutes: Count
    """How many minutes of traffic were counted."""
    failed: bool
    """Whether at least one check failed."""
    checks: Sequence[Check]
    """Each check."""


@click.command()
@click.argument("policy", metavar="POLICY|ROLLOUT")
@click.option(
    "--minutes", type=click.IntRange(1, MAX_MINUTES), default=30, show_default=True,
    help="How many minutes of traffic are counted, the newest final ones.",
)  # fmt: skip
@options.call_options("store", "json")
def verify(call: CommandContext, policy: str, minutes: int) -> Result:
    """Compare the live target and its traffic with the rollout.

    A line for each check: the rollout, the variables, the boolean, the last update, aliases and
    versions, the leak check of a rollback, the canary's share of requests by metrics and by the
    flag's log events, and the weight that the application read. A share outside its range is a
    failure with 99.9% confidence. A check without permission says which action is missing.

    Ends with 7 when a check fails, with 1 when something could not be read, else with 0.
    """
    call.configure_logs()
    stored = None if is_policy_file(policy) else call.stored_rollout(policy)
    verifier = live_verifier(call.live_policy(policy) if stored is None else stored.policy)
    reading = read_target(verifier.target)
    rollout = stored or _owner(call, verifier, reading)
    now, from_file = real_account().clock.now(), stored is None
    checks = list(verifier.checks(reading, rollout, minutes, now, from_file=from_file))
    return Result(
        "verify",
        data=lambda: VerifyLiveData(policy, minutes, any_failed(checks), checks),
        page=lambda: checks_page(checks),
        status=exit_status(checks),
    )


def _owner(
    call: CommandContext, verifier: Verifier, reading: TargetReading | UnreadableTarget
) -> Rollout | StoreError | None:
    """Return the rollout that owns the target, None, or the error that hides it."""
    try:
        with call.store_session() as store:
            return verifier.owner(store, reading)
    except StoreError as error:
        return error
    except UsageError as error:
        return NoStoreError(str(error))
