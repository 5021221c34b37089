"""The command line of rolloutctl. Each verb is imported when it is called: a tick loads no other.

Results go to stdout, logs and errors to stderr; errors.py lists the exit statuses.
"""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Final

import click

from controller.cli import streams
from controller.errors import Exit, PolicyError, RolloutError
from controller.process import signals

# Verb -> module of this package and attribute, which is the command or a table of commands; and the
# verb in a sentence. In the groups and the order of `--help`.
GROUPS: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "Try, without an account or without a change": {
        "init": ("init:init", "Write a first policy, by what the account shows."),
        "validate": ("validate:validate", "Check policy files, offline."),
        "explain": ("explain:explain", "Explain a field of a policy, with an example."),
        "rehearse": ("rehearse:rehearse", "Run a whole rollout of POLICY in a simulation."),
        "backtest": ("backtest:backtest", "Try a policy on the past, from every possible start."),
        "plan": ("plan:plan", "Show whether POLICY would start, and what its gates find."),
        "doctor": ("doctor:doctor", "Check everything that POLICY needs; write nothing."),
    },
    "Run": {
        "start": ("start:start", "Start a rollout and return at once."),
        "tick": ("tick:tick", "Run one reconcile pass: observe, decide, execute, record."),
        "run": ("start:run", "Start if needed, then tick until it ends or pauses."),
        "retry": ("start:retry", "Start a rolled back revision again."),
    },
    "Steer": {
        "rollback": ("rollback:rollback", "Set the weight to 0 % and read it back."),
        "pause": ("operator_verbs:COMMANDS", "Pause: raise no weight until an operator resumes."),
        "resume": ("operator_verbs:COMMANDS", "Resume after a pause."),
        "promote": (
            "operator_verbs:COMMANDS",
            "Start the next step now; after the last, complete the rollout.",
        ),
        "approve": (
            "operator_verbs:COMMANDS",
            "Approve the next step; it follows once its gate passes.",
        ),
        "attest": ("operator_verbs:COMMANDS", "Record a manual sign-off, or a refusal."),
        "ack": ("operator_verbs:COMMANDS", "Acknowledge a critical alert; it is not repeated."),
        "set-weight": ("set_weight:set_weight", "Set the weight to 1..100 and read it back."),
    },
    "Look": {
        "status": ("status:status", "Show the phase of rollouts, the reason and the next action."),
        "history": ("history:history", "Show every transition of a rollout."),
        "report": ("report:report", "Write the report of a rollout: one HTML page."),
        "metrics": ("metrics:metrics", "Show current metrics next to their expected values."),
        "logs": ("logs:logs", "Show and count the log events of the function."),
        "verify": ("verify:verify", "Compare the live target and its traffic with the rollout."),
        "replay": ("replay:replay", "Re-evaluate every stored decision and show differences."),
    },
    "Set up": {
        "store": (
            "store:store",
            "Make, check or copy a store; limit its recipients.",
        ),
        "iam": ("iam:iam", "Print the least-privilege IAM policy of a role."),
        "monitoring": ("monitoring:monitoring", "Make a dashboard and alarms for a policy."),
        "permanent": ("permanent:permanent", "Print how 100 % becomes permanent."),
        "record": ("record:record", "Record what AWS answers here, without secrets."),
        "schema": (
            "schema:schema",
            "Print the JSON Schema of a policy, or of the JSON of a verb.",
        ),
        "completion": ("completion:completion", "Print the shell completion script."),
    },
}
VERBS: Final = {verb: one for group in GROUPS.values() for verb, one in group.items()}


class _LazyGroup(click.Group):
    """A Click group that knows every verb in a sentence, and imports the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        longest = max(map(len, VERBS))  # the columns of all groups are aligned
        for title, verbs in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(f"{verb:<{longest}}", text) for verb, (_, text) in verbs.items()]
                )

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, known, rest = super().resolve_command(ctx, args)
        return name, known and _import_verb(known.name or ""), rest


def _import_verb(verb: str) -> click.Command:
    path, _ = VERBS[verb]
    module, attribute = path.split(":")
    found: click.Command | Mapping[str, click.Command]
    found = getattr(import_module(f"controller.cli.{module}"), attribute)
    return found[verb] if isinstance(found, Mapping) else found


@click.group(
    cls=_LazyGroup,
    commands={verb: click.Command(verb, help=summary) for verb, (_, summary) in VERBS.items()},
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="rolloutctl")
def rolloutctl() -> None:
    """Move traffic to a new path in steps, and back by itself when a gate fails."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    SIGTERM ends it at a safe point (process/signals.py), as Ctrl-C does. A result that cannot be
    written to stdout does not stop the command; it then ends with 1.
    """
    # The search for plugins takes 10 ms.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    args = list(sys.argv[1:] if arguments is None else arguments)
    with streams.guarded_output() as results:
        return streams.final_status(results, _run(args))


def _run(args: list[str]) -> int:
    status: int = Exit.DONE
    with signals.handle_signals() as received, suppress(signals.StoppedError):
        status = _invoke(args)
    if not received.first_signal or status == Exit.UNCONFIRMED:
        return status
    if received.deferred:
        where = "in the middle of a call" if received.interrupted else "at a safe point"
        name = signal.Signals(received.first_signal).name
        streams.message(f"ended by {name} {where}; the next tick, or the same command, goes on")
    return 128 + received.first_signal


def _invoke(args: list[str]) -> int:
    as_json = "--json" in args[: args.index("--")] if "--" in args else "--json" in args
    try:
        status = rolloutctl.main(args, prog_name="rolloutctl", standalone_mode=False)
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        hint = [] if context is None else [f"usage: {context.command_path} --help"]
        return _fail("\n".join([error.format_message(), *hint]), Exit.USAGE, as_json)
    except (click.Abort, KeyboardInterrupt):
        return 128 + signal.SIGINT
    except RolloutError as error:
        code = "" if error.explains_itself else error.code()
        # A note is a hint of the verb; below the mistakes of a policy it has a line like each.
        between = "\n" if isinstance(error, PolicyError) else "; "
        text = between.join([str(error), *getattr(error, "__notes__", ())])
        return _fail(text, error.exit_status, as_json, code)
    except Exception as error:  # noqa: BLE001 - an operator gets a sentence, no traceback
        from controller.engine.isolation import places_of

        text = (
            f"unexpected {type(error).__name__} at {' > '.join(places_of(error))}: a "
            "fault of rolloutctl; report it. To set 0 % at once without a store: rolloutctl "
            "rollback POLICY.yaml"
        )
        return _fail(text, Exit.INTERNAL, as_json)
    return int(status or 0)


def _fail(text: str, status: Exit, as_json: bool, code: str = "") -> int:
    """Print an error: on stderr and, where the result was to be JSON, as JSON on stdout.

    code: of the error, which stderr shows beside it.
    """
    streams.error(text, code)
    if as_json:
        from controller.cli.result import ErrorData, print_json

        error, *details = text.split("\n")
        print_json("error", ErrorData(error, details, int(status)))
    return int(status)
