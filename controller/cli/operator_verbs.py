"""The operator's verbs: pause, resume, promote, approve, ack and attest, from one table.

Each prints the status of the rollout afterwards, and ends with 0. A command that the phase does not
allow changes nothing, names the commands that are allowed, and ends with 2. A command ends with 75
when another run holds the lease for too long.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import click

from controller.cli import options, streams
from controller.cli.call import Call
from controller.cli.result import Result
from controller.core.events import Command, Verb
from controller.errors import UsageError
from controller.render.status import rollout_text, visit_data


def _require_reason(_context: click.Context, _option: click.Parameter, reason: str) -> str:
    if not reason:
        raise click.BadParameter("say why: it is written into the history")
    return reason


def reason_option(name: str, text: str, *, required: bool = False) -> Callable[[Any], Any]:
    """Return an option for the reason of a command; a required one may not be blank."""
    if not required:
        return click.option(name, "reason", type=options.OneLineText(), default="", help=text)
    return click.option(
        name, "reason", type=options.OneLineText(), required=True, callback=_require_reason,
        help=f"{text} Needed.",
    )  # fmt: skip


_REASON: Final = reason_option("--reason", "Why; written into the history.")
REQUIRED_REASON: Final = reason_option("--reason", "Why; written into the history.", required=True)


@dataclass(frozen=True, slots=True)
class _Row:
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
        """Stop going up, until somebody resumes.

        Traffic stays where it is and is judged on: a criterion that fails still rolls it back. A
        raise that is on its way may still arrive; it is not tried again.
        """,
        (_REASON,),
    ),
    _Row(
        Verb.RESUME,
        """Go on after a pause.

        Where the weight was not changed outside rolloutctl, the bake goes on with what was
        measured. Otherwise the step begins anew, and the weight has to be put back before, taken
        back (--restore, never up), or kept (--keep).
        """,
        (
            click.option(
                "--restore", is_flag=True, help="Take a raised weight back to what was asked for."
            ),
            click.option(
                "--keep",
                is_flag=True,
                help="Go on with the live weight that was set outside rolloutctl.",
            ),
            _REASON,
        ),
        _resume,
    ),
    _Row(
        Verb.PROMOTE,
        """Take the next step now, or be done after the last.

        Skips the rest of a bake or an inconclusive gate; never a criterion that fails, a freeze or
        a missing approval.
        """,
        (REQUIRED_REASON,),
    ),
    _Row(
        Verb.APPROVE,
        """Let the next step be taken once its turn comes.

        For a step that the policy says `approval: required` of; ahead of time, or when it waits.
        """,
        (_REASON,),
    ),
    _Row(
        Verb.ACK,
        """Say that you have seen what is critical; it is not told again.

        Changes nothing else: a rollback that is not confirmed is tried on, and its ticks end with
        5. What is critical for another reason is told anew.
        """,
        (reason_option("--note", "What you know; written into the history."),),
    ),
    _Row(
        Verb.ATTEST,
        """Sign what no measurement shows, or refuse to.

        For a criterion of `kind: attestation`. A signature is for the rest of the rollout, whatever
        its step; said again, it changes nothing. The newest word of a person counts.
        """,
        (
            click.argument("criterion"),
            click.option(
                "--refuse", is_flag=True, help="Say no: where it gates, the next tick rolls back."
            ),
            reason_option("--note", "What was seen; written into the history.", required=True),
        ),
    ),
)


def _click_command(row: _Row) -> click.Command:
    @options.call_options("by", "store", "dry-run", "json")
    def invoke(call: Call, rollout: str, **given: Any) -> Result:
        return _send(call, rollout, row.command(row.verb, **given))

    for parameter in reversed(row.parameters):
        invoke = parameter(invoke)
    return click.command(row.verb, help=row.help)(
        click.argument("rollout", metavar="ROLLOUT|POLICY")(invoke)
    )


COMMANDS: Final = {row.verb: _click_command(row) for row in _TABLE}


def _send(call: Call, reference: str, command: Command) -> Result:
    with call.app_session() as app:
        visit = app.runner.run_command(call.rollout_id(app.runner.store, reference), command)
    if not visit.saved:  # the command was saved; what was observed after it was not
        streams.warn(f"the next tick records what could not be recorded now: {visit.problem}")
    return Result(
        command.verb,
        data=lambda: visit_data(visit),
        text=lambda: rollout_text(visit.rollout),
        would=app.journal.lines if app.journal else None,
    )
