"""The operator's verbs: pause, resume, promote, approve, ack and attest, from one table.

Each prints the status of the rollout afterwards, and ends with 0. A command that the phase does not
allow changes nothing, names the commands that are allowed, and ends with 2. A command ends with 75
when another run holds the lease for too long.
"""

from collections.abc import Callable
from typing import Any, Final

import click

from controller.cli import options, streams
from controller.cli.call import CommandContext, Result
from controller.core.events import Command, Verb
from controller.errors import UsageError
from controller.immutable import Immutable
from controller.render.rollout_data import visit_data
from controller.render.rollout_page import rollout_page


def _require_reason(_context: click.Context, _option: click.Parameter, reason: str) -> str:
    if not reason:
        raise click.BadParameter("is empty: say why; it is recorded in the history")
    return reason


def reason_option(name: str, text: str, *, required: bool = False) -> Callable[[Any], Any]:
    """Return an option for the reason of a command; a required one may not be blank."""
    if not required:
        return click.option(name, "reason", type=options.ONE_LINE_TEXT, default="", help=text)
    return click.option(
        name, "reason", type=options.ONE_LINE_TEXT, required=True, callback=_require_reason,
        help=f"{text} Required.",
    )  # fmt: skip


_REASON: Final = reason_option("--reason", "Why; recorded in the history.")
REQUIRED_REASON: Final = reason_option("--reason", "Why; recorded in the history.", required=True)


class _Row(Immutable):
    """One verb: its help, its parameters beside ROLLOUT, and the command of their values."""

    verb: Verb
    help: str
    parameters: tuple[Callable[[Any], Any], ...]
    command: Callable[..., Command] = Command


def _resume(verb: Verb, reason: str, *, restore: bool, keep: bool) -> Command:
    if restore and keep:
        raise UsageError("give either --restore or --keep, not both")
    return Command(verb, reason, "restore" if restore else "keep" if keep else "")


_TABLE: Final = (
    _Row(
        Verb.PAUSE,
        """Pause: raise no weight until an operator resumes.

        The weight stays as it is and is still judged: a criterion that fails rolls back. A raise
        that was written already may still be applied; it is not written again.
        """,
        (_REASON,),
    ),
    _Row(
        Verb.RESUME,
        """Resume after a pause.

        Where the weight was not changed outside rolloutctl, the bake continues. After drift the
        step begins anew: set the expected weight first, or lower to it with --restore, or keep the
        live weight with --keep.
        """,
        (
            click.option(
                "--restore", is_flag=True, help="Lower the live weight to the expected one."
            ),
            click.option(
                "--keep",
                is_flag=True,
                help="Continue at the live weight that was set outside rolloutctl.",
            ),
            _REASON,
        ),
        _resume,
    ),
    _Row(
        Verb.PROMOTE,
        """Start the next step now; after the last, complete the rollout.

        Skips the rest of a bake or an inconclusive gate. Does not skip a criterion that fails, a
        freeze, a hook or a missing approval.
        """,
        (REQUIRED_REASON,),
    ),
    _Row(
        Verb.APPROVE,
        """Approve the next step; it follows once its gate passes.

        For a step with `approval: required` in the policy; before or after it waits for it.
        """,
        (_REASON,),
    ),
    _Row(
        Verb.ACK,
        """Acknowledge a critical alert; it is not repeated.

        Changes nothing else: the ticks of an unconfirmed rollback still write 0% and end with 5.
        A critical alert for another reason is sent.
        """,
        (reason_option("--note", "What you know; recorded in the history."),),
    ),
    _Row(
        Verb.ATTEST,
        """Record a manual sign-off, or a refusal.

        For a criterion of `kind: attestation`. A sign-off is valid for the rest of the rollout.
        Repeating it changes nothing; the newest one counts.
        """,
        (
            click.argument("criterion"),
            click.option(
                "--refuse",
                is_flag=True,
                help="Refuse: where the criterion gates, the next tick rolls back.",
            ),
            reason_option("--note", "What you checked; recorded in the history.", required=True),
        ),
    ),
)


def _click_command(row: _Row) -> click.Command:
    @options.call_options("by", "store", "dry-run", "json")
    def invoke(call: CommandContext, rollout: str, **given: Any) -> Result:
        command = row.command(row.verb, **given)
        with call.app_session() as app:
            rollout_id = call.rollout_id(app.runner.store, rollout)
            if command.verb in _OVERRIDES:
                from controller.policy_file.rules import check_command  # it loads a YAML parser

                check_command(app.runner.store, command)
            visit = app.runner.run_command(rollout_id, command)
        if not visit.saved:  # the command was saved; what was observed after it was not
            streams.warn(f"not recorded yet, the next tick records it: {visit.problem}")
        notes = [f"{visit.rollout.id}: {_DONE_ALREADY[command.verb]}"] if visit.repeated else []
        return Result(
            command.verb,
            data=lambda: visit_data(visit),
            page=lambda: rollout_page(visit.rollout),
            notes=notes,
            would=app.would,
        )

    for parameter in reversed(row.parameters):
        invoke = parameter(invoke)
    return click.command(row.verb, help=row.help)(
        click.argument("rollout", metavar="ROLLOUT|POLICY")(invoke)
    )


# What the rules of a store may forbid.
_OVERRIDES: Final = (Verb.PROMOTE, Verb.RESUME)

COMMANDS: Final = {row.verb: _click_command(row) for row in _TABLE}


# What a command says that was given before; any other is refused then.
_DONE_ALREADY: Final = {
    Verb.APPROVE: "the next step is approved already; nothing changed",
    Verb.ATTEST: "this answer is recorded already; nothing changed",
}
