"""A call of a verb: its shared options, the sessions that they lead to, and its result."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import click

from controller.bootstrap.account import real_account
from controller.bootstrap.app import App, live_app, open_store
from controller.cli import streams
from controller.core.policy import Policy
from controller.core.rollout import Rollout
from controller.errors import Exit, StoreError, UnknownRolloutError, UsageError
from controller.immutable import Immutable
from controller.ports.json_view import Count, document_parts
from controller.ports.store import Store
from controller.ports.target import resolve_policy
from controller.process import logging, settings, signals
from controller.render.page import Page, paragraph
from controller.safe_text import escaped_lines

log = logging.logger()

# How many rollout names a message lists at most.
_MAX_LISTED: Final = 10


class CommandContext(Immutable):
    """What one command line gave for the options that verbs share.

    store_url, by: None without --store and without --by.
    as_json, markdown: the form of the result on stdout; text without either. Both: UsageError.
    junit: the file that also gets the gates, as JUnit test cases.
    verbose: every log line on a terminal, not only warnings and errors.
    """

    store_url: str | None = None
    by: str | None = None
    dry_run: bool = False
    as_json: bool = False
    markdown: bool = False
    junit: Path | None = None
    verbose: bool = False

    def __post_init__(self) -> None:
        if self.as_json and self.markdown:
            raise UsageError("--json and --markdown are two forms of one result: give one of them")

    @property
    def is_document(self) -> bool:
        """Whether stdout carries one document, without lines before it."""
        return self.as_json or self.markdown

    @property
    def needs_history(self) -> bool:
        """Whether the report needs the history of the rollout, not only its state."""
        return self.markdown or self.junit is not None

    def configure_logs(self, *, quiet: bool = False, **facts: object) -> None:
        """Send the logs of this process to stderr; `facts` are in every line.

        quiet: only warnings and errors, also where stderr is no terminal; not with --verbose.
        """
        logging.configure(None, verbose=self.verbose, quiet=quiet, **facts)

    def read_settings(self) -> settings.Settings:
        """Return the settings of this process. Raises UsageError for a wrong one."""
        return settings.read(os.environ, self.store_url, self.by)

    @contextmanager
    def app_session(
        self, *, create: bool = False, ask_caller: bool = True, quiet: bool = False
    ) -> Iterator[App]:
        """Yield the application on the real account, with logs for a person or a collector.

        quiet: as in `configure_logs`. ask_caller: ask AWS who calls when no name was given; not in
        ticks, which are to make few calls. Raises NoStoreError when there is no store and this verb
        does not `create` one.
        """
        self.configure_logs(quiet=quiet, dry_run=self.dry_run, run=logging.new_run_id())
        config = self.read_settings()
        if config.egress.problem and create:
            raise UsageError(config.egress.problem)
        log_problems(config)  # the rest of the run goes on
        with (
            signals.defer_signals(),
            live_app(config, dry_run=self.dry_run, create=create, ask_caller=ask_caller) as app,
        ):
            yield app

    @contextmanager
    def store_session(self, *, may_be_missing: bool = False) -> Iterator[Store]:
        """Yield the store, for verbs that need no AWS. may_be_missing: then it is an empty one."""
        self.configure_logs()
        with open_store(self.read_settings(), may_be_missing=may_be_missing) as store:
            yield store

    def rollout_id(self, catalogue: Store, reference: str) -> str:
        """Return the rollout id for `reference`: an id, a rollout's name, or a policy file.

        A name or a policy means its newest attempt. Raises UnknownRolloutError, whose message
        lists the rollouts in the store.
        """
        name = policy_name(reference)
        if "#" in name:
            return name
        ids = catalogue.of_name(name)
        if not ids:
            url = self.read_settings().store.url
            raise UnknownRolloutError(
                f"no rollout is called {name!r} in {url}{_names_in_store(catalogue)}; "
                "if that is the wrong store, name another one: --store or ROLLOUTCTL_STORE"
            )
        return ids[-1]

    def live_policy(self, reference: str | Path) -> Policy:
        """Return the policy in the file `reference`, with what its target leaves to the account.

        That is what its active rollout has, else what a start would find now. Raises PolicyError,
        UsageError and TargetError.
        """
        policy, newest = load_policy(reference), None
        if not policy.target.unresolved:
            return policy.resolved(policy.target)
        with suppress(StoreError, UsageError), self.store_session() as store:
            newest = newest_rollout(store, policy)
        if newest is not None and not newest.final:
            return policy.resolved_as(newest.policy)
        return resolve_policy(policy, real_account().open, newest)

    def stored_rollout(self, reference: str) -> Rollout:
        """Return the rollout for `reference` as it is stored. Raises StoreError."""
        with self.store_session() as store:
            return store.load(self.rollout_id(store, reference))


def log_problems(config: settings.Settings) -> None:
    """Log which settings of this process cannot be used."""
    if config.egress.problem:
        log.error("hooks_unreachable", problem=config.egress.problem)
    for problem in config.problems:
        log.warning("setting_ignored", problem=problem)


def _names_in_store(catalogue: Store) -> str:
    """Return the rollout names in a store, for a message; empty when the store cannot be read."""
    with suppress(StoreError):
        names = list(dict.fromkeys(one.partition("#")[0] for one in reversed(catalogue.all())))
        more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
        return f", which has {', '.join(names[:_MAX_LISTED]) or 'none at all'}{more}"
    return ""


def newest_rollout(store: Store, policy: Policy) -> Rollout | None:
    """Return the newest rollout of the name of `policy`; None without any. Raises StoreError."""
    ids = store.of_name(policy.name)
    return store.load(ids[-1]) if ids else None


def load_policy(reference: str | Path, version: str | None = None) -> Policy:
    """Return the policy in the file `reference`, with `version` as the canary of its target.

    Raises PolicyError with every mistake in it, UsageError for a `version` that does not fit.
    """
    from controller.policy_file.loader import load  # a tick needs no parser

    policy = load(Path(reference))
    if version is None:
        return policy
    try:
        return policy.resolved(policy.target.with_version(version))
    except ValueError as error:
        raise UsageError(f"--version: {error}") from error


def policy_name(reference: str) -> str:
    """Return the rollout name behind `reference`, which may be a policy file."""
    return load_policy(reference).name if is_policy_file(reference) else reference


def is_policy_file(reference: str) -> bool:
    """Tell whether `reference` is a policy file rather than the name of a rollout."""
    return reference.endswith((".yaml", ".yml")) or os.sep in reference


# --- The result of a verb, printed in one place in each of its forms ------------------------------


class ErrorData(Immutable):
    """A command that failed before it had a result."""

    error: str
    """What is wrong, in one line."""
    details: list[str]
    """Further lines: each mistake of a policy file, or where to read on."""
    status: Count
    """The exit status of the command."""


class Result(Immutable):
    """What a verb found or did, in its forms, and the exit status. Only one form is rendered.

    kind: names the JSON document, whose schema is `kind/1`.
    page: what people read; empty where the verb has printed its lines already.
    text: a document that is printed as it is, such as a template; instead of a page.
    junit: the text of the report file.
    would: the writes that a dry run left out; None without a dry run.
    notes: what to know about it; they follow the result, on stderr.
    """

    kind: str = ""
    data: Callable[[], Immutable] = Immutable
    page: Callable[[], Page] = tuple
    text: Callable[[], str] = str
    markdown: Callable[[], str] = str
    junit: Callable[[], str] = str
    would: Sequence[str] | None = None
    notes: Iterable[str] = ()
    status: Exit = Exit.DONE


def report(result: Result, call: CommandContext) -> Exit:
    """Print `result` in the form that `call` asks for, and return its exit status.

    Raises UsageError when the JUnit file cannot be written.
    """
    if call.junit is not None:
        _write_junit(call.junit, result.junit())
    if call.as_json:
        print_json(result.kind, result.data(), result.would)
    elif call.markdown:
        click.echo(result.markdown())
    else:
        if page := result.page():
            streams.print_page(page)
        if text := result.text():
            click.echo(text)
        if result.would is not None:
            left_out = result.would or ["nothing"]
            streams.print_page([paragraph(f"would: {line}") for line in left_out])
    for note in result.notes:
        streams.message(note)
    return result.status


def print_json(kind: str, data: Immutable, would: Sequence[str] | None = None) -> None:
    """Print `data` with the name of its schema in front; control characters are escaped."""
    left_out = {} if would is None else {"would": list(would)}
    for part in document_parts(kind, data, left_out):
        click.echo(escaped_lines(part), nl=False)  # json.dumps leaves C1 controls alone
    click.echo()


def _write_junit(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: the report cannot be written: {error.strerror}") from error
