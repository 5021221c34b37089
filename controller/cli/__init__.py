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

# Verb -> its module, which has the command under the verb's name, or a table COMMANDS; and the verb
# in a sentence. The modules of `cli` steer a rollout or look at one; a tool is what none needs. In
# the groups and the order of `--help`.
GROUPS: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "Try, without an account or without a change": {
        "init": ("tools.init.verb", "Write a first policy, by what the account shows."),
        "validate": ("cli.validate", "Check policy files, offline."),
        "explain": ("cli.validate", "Explain a field of a policy, with an example."),
        "rehearse": ("tools.rehearse.verb", "Run a whole rollout of POLICY in a simulation."),
        "backtest": ("tools.backtest.verb", "Try a policy on the past, from every possible start."),
        "plan": ("tools.plan.verb", "Show whether POLICY would start, and what its gates find."),
        "doctor": ("tools.doctor.verb", "Check everything that POLICY needs; write nothing."),
    },
    "Run": {
        "start": ("cli.start", "Start a rollout and return at once."),
        "tick": ("cli.tick", "Run one reconcile pass: observe, decide, execute, record."),
        "run": ("cli.start", "Start if needed, then tick until it ends or pauses."),
        "retry": ("cli.start", "Start a rolled back revision again."),
    },
    "Steer": {
        "rollback": ("cli.rollback", "Set the weight to 0% and read it back."),
        "pause": ("cli.operator_verbs", "Pause: raise no weight until an operator resumes."),
        "resume": ("cli.operator_verbs", "Resume after a pause."),
        "promote": (
            "cli.operator_verbs",
            "Start the next step now; after the last, complete the rollout.",
        ),
        "approve": (
            "cli.operator_verbs",
            "Approve the next step; it follows once its gate passes.",
        ),
        "attest": ("cli.operator_verbs", "Record a manual sign-off, or a refusal."),
        "ack": ("cli.operator_verbs", "Acknowledge a critical alert; it is not repeated."),
        "set-weight": ("cli.set_weight", "Set the weight to 1..100 and read it back."),
    },
    "Look": {
        "status": ("cli.status", "Show the phase of rollouts, the reason and the next action."),
        "history": ("cli.history", "Show every transition of a rollout."),
        "report": ("tools.report.verb", "Write the report of a rollout: one HTML page."),
        "dashboard": ("tools.dashboard.verb", "Serve live pages of all rollouts to a browser."),
        "metrics": ("tools.metrics.verb", "Show current metrics next to their expected values."),
        "logs": ("cli.logs", "Show and count the log events of the function."),
        "verify": ("cli.verify", "Compare the live target and its traffic with the rollout."),
        "replay": ("tools.replay.verb", "Re-evaluate every stored decision and show differences."),
    },
    "Set up": {
        "store": (
            "tools.store.verb",
            "Make, check, upgrade or copy a store; set its rules.",
        ),
        "iam": ("tools.iam.verb", "Print the least-privilege IAM policy of a role."),
        "monitoring": ("tools.monitoring.verb", "Make a dashboard and alarms for a policy."),
        "permanent": ("tools.permanent", "Print how 100% becomes permanent."),
        "record": ("tools.record", "Record what AWS answers here, without secrets."),
        "schema": (
            "tools.schema",
            "Print the JSON Schema of a policy, or of the JSON of a verb.",
        ),
        "completion": ("cli.completion", "Print the shell completion script."),
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
        return name, known and command_of(known.name or ""), rest


def command_of(verb: str) -> click.Command:
    """Return the command of `verb`, whose module is imported now."""
    path, _ = VERBS[verb]
    module = import_module(f"controller.{path}")
    commands: Mapping[str, click.Command] = getattr(module, "COMMANDS", {})
    return commands.get(verb) or getattr(module, verb.replace("-", "_"))


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
            "fault of rolloutctl; report it. To set 0% at once without a store: rolloutctl "
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
        from controller.cli.call import ErrorData, print_json

        error, *details = text.split("\n")
        print_json("error", ErrorData(error, details, int(status)))
    return int(status)
