"""What the dashboard runs on: the store, metrics for reports, and the runner of each act."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from time import monotonic
from typing import Final

from controller.adapters.aws.clients import Clients
from controller.bootstrap.account import real_account
from controller.bootstrap.app import author, live_app
from controller.core.events import Command, Verb
from controller.core.observation import MetricQuery, Series, Span
from controller.engine.execute import TickOutcome
from controller.errors import MetricsError, UsageError
from controller.operations.history import known_entries
from controller.operations.rules import check_command
from controller.ports.clock import Clock
from controller.ports.metrics import MetricSource
from controller.ports.store import Store
from controller.process.settings import Settings, SqliteLocation, StoreLocation
from controller.tools.dashboard.feed import StoredRollout
from controller.tools.dashboard.site import MakeReport, RunAct
from controller.tools.report.compose import report_of
from controller.tools.report.report import RolloutHistory, RolloutReport

# A file is read where it is; a query of a table costs money.
_OF_FILE: Final = timedelta(seconds=1)
_OF_TABLE: Final = timedelta(seconds=5)
# A page waits no longer for CloudWatch, and for the next minute not again after a failure.
_READ_LIMIT: Final = timedelta(seconds=8)
_PAUSE_S: Final = 60.0
_MAX_ANSWERS: Final = 64


def poll_interval(place: StoreLocation) -> timedelta:
    """Return how often the store at `place` is read while a page is open."""
    return _OF_FILE if isinstance(place, SqliteLocation) else _OF_TABLE


def actor_of(settings: Settings) -> str:
    """Return who is recorded for an act, with the identity that AWS reports where it differs."""
    found = author(settings, Clients())(settings.by)
    if found.caller in (None, found.by):
        return found.by
    identity = f"identity from AWS: {found.caller}" if found.caller else "identity unverified"
    return f"{found.by} ({identity})"


def act_runner(settings: Settings) -> RunAct:
    """Return what runs a verb as the command line does: with clients and a store for this act."""

    def run_act(rollout_id: str, verb: Verb, reason: str, version: int) -> TickOutcome:
        with live_app(settings, ask_caller=True) as app:
            command = Command(verb, reason)
            check_command(app.runner.store, command)
            return app.runner.run_command(rollout_id, command, version)

    return run_act


def report_maker(
    store: Store, clock: Clock, source: MetricSource | None = None, *, offline: bool = False
) -> MakeReport:
    """Return what makes the report of a stored rollout.

    source: of the real account when it is None. offline: CloudWatch is not read.
    """
    clients = Clients()
    limited = LimitedMetrics(
        source or real_account(clients=clients).metrics(),
        lambda: clients.limit_calls(_READ_LIMIT),
    )

    def make_report(stored: StoredRollout) -> RolloutReport:
        entries = known_entries(store, stored.rollout)
        history = RolloutHistory(stored.rollout, entries, stored.digest)
        return report_of(history, clock.now(), limited, offline=offline)

    return make_report


class LimitedMetrics:
    """A `MetricSource` that reads the same minutes once, and does not wait for a failing one."""

    def __init__(
        self,
        source: MetricSource,
        limit: Callable[[], None] = lambda: None,
        now_s: Callable[[], float] = monotonic,
    ) -> None:
        self._source, self._limit, self._now_s = source, limit, now_s
        self._answers: dict[tuple[tuple[MetricQuery, ...], Span], Mapping[MetricQuery, Series]] = {}
        self._failure: tuple[float, MetricsError | UsageError] | None = None

    def read(self, queries: Iterable[MetricQuery], span: Span) -> Mapping[MetricQuery, Series]:
        """Return the series. Raises MetricsError and UsageError, again for a minute."""
        key = tuple(queries), span
        if key in self._answers:
            return self._answers[key]
        if self._failure is not None and self._now_s() < self._failure[0]:
            raise self._failure[1]
        self._limit()
        try:
            answers = self._source.read(key[0], span)
        except (MetricsError, UsageError) as error:
            self._failure = self._now_s() + _PAUSE_S, error
            raise
        if len(self._answers) >= _MAX_ANSWERS:
            self._answers.pop(next(iter(self._answers)))
        self._answers[key] = answers
        return answers
