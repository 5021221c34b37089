"""The verb `status`: shows the state of rollouts, the reason, and the next action."""

import gc
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import click

from controller.bootstrap.account import write_page
from controller.cli import follow, options, streams
from controller.cli.call import CommandContext, Result
from controller.cli.follow import PollSchedule
from controller.core.history import SnapshotChangedError
from controller.core.rollout import Phase, Rollout
from controller.core.units import clock_text, count_text, format_duration
from controller.core.words.notices import future_save
from controller.engine import exit_status
from controller.errors import Exit, StoreError, UsageError
from controller.immutable import Immutable, picked, replace
from controller.operations.history import RolloutStatus, load_status, status_of
from controller.operations.overview import Overview, RolloutFilter, load_rollouts
from controller.ports.store import Store
from controller.process.settings import PageLocation
from controller.render.history import ExposureData, exposure_data, exposure_fact
from controller.render.overview import MOST_ON_TERMINAL, overview_page
from controller.render.page import Page, lines_page
from controller.render.pipeline import junit_text, rollout_markdown
from controller.render.rollout_data import RolloutData, rollout_data
from controller.render.rollout_page import rollout_page
from controller.render.rollout_texts import weight_text

# What a command that follows a rollout does not do.
_ONLY_READS: Final = (
    "this command only reads the store, so a schedule or `rolloutctl run` has to tick"
)


class ListedRollout(RolloutData):
    """One rollout of several, as its state is stored: no history is read for it."""

    policy_changed: bool
    """Whether the stored policy is not the one that the rollout started with."""


class StatusData(ListedRollout):
    """One rollout, as `status ROLLOUT` prints it."""

    exposure: ExposureData | None
    """Bad requests served and to expect; null: the policy has no `max_bad_requests`."""


class StatusList(Immutable):
    """Every active rollout, or with --all every rollout, as `status` without ROLLOUT prints it."""

    rollouts: Iterable[ListedRollout]
    """Each rollout that can be read; the others are named on stderr."""


@click.command()
@click.argument("rollout", required=False, metavar="[ROLLOUT]")
@click.option("--all", "include_finished", is_flag=True, help="Show finished rollouts, too.")
@options.filter_options
@click.option(
    "--wait", is_flag=True, help="Wait until ROLLOUT pauses or ends; the exit status says which."
)
@click.option(
    "--until", type=options.PHASES, metavar="PHASE,PHASE",
    help="With --wait: wait for one of these phases, and end with 0 then; with 7 when ROLLOUT "
    "ends in another one.",
)  # fmt: skip
@click.option(
    "--watch", is_flag=True,
    help="Show ROLLOUT live until it has ended, or every active one until Ctrl-C; line by line "
    "where the output is no terminal.",
)  # fmt: skip
@follow.poll_options("--wait", "--watch")
@click.option(
    "--exit-code", is_flag=True,
    help="End with 3 while undecided, 4 when rolled back, 5 while that is not confirmed, 6 after "
    "drift.",
)  # fmt: skip
@click.option(
    "--html", "place", type=options.PAGE_PLACE, metavar="FILE|s3://BUCKET/KEY",
    help="Write a page of all rollouts, too: those that need an operator first.",
)  # fmt: skip
@click.option(
    "--reports", type=options.REPORTS_PLACE, metavar="URL|FOLDER",
    help="With --html: link reports in this folder, relative to the page (. is beside it).",
)  # fmt: skip
@options.call_options("store", "markdown", "junit", "json")
def status(
    call: CommandContext,
    rollout: str | None,
    include_finished: bool,
    wanted: RolloutFilter,
    wait: bool,
    until: frozenset[Phase] | None,
    watch: bool,
    schedule: PollSchedule,
    exit_code: bool,
    place: PageLocation | None,
    reports: str | None,
) -> Result:
    """Show the phase of rollouts, the reason and the next action.

    ROLLOUT is an id, a name or a policy file; without it, every active rollout is shown, the most
    urgent first; a terminal gets 50 of them. --wait and --watch only read the store: the schedule
    has to tick. They end as `run` does, at the time limit with 3 while a rollout is undecided.
    """
    named, chosen_among = rollout is not None, not wanted.is_empty
    for is_wrong, why in (
        (until is not None and not wait, "--until needs --wait"),
        (wait and not named, "--wait follows one rollout: name it"),
        (named and include_finished, "--all shows every rollout: leave ROLLOUT out"),
        (
            named and chosen_among,
            "--name, --phase and --condition choose among all: leave ROLLOUT out",
        ),
        (call.needs_history and not named, "--markdown and --junit show one rollout: name it"),
        (reports is not None and place is None, "--reports needs --html"),
        (
            named and place is not None,
            "--html shows all rollouts: leave ROLLOUT out, or use `report` for one",
        ),
    ):
        if is_wrong:
            raise UsageError(why)
    with call.store_session() as store:
        now = schedule.clock.now()
        if place is not None:
            from controller.render.html.status import status_page  # Jinja2: for pages

            write_page(place, status_page(store, now, place, reports=reports or ""))
            gc.collect()  # what was loaded for the page, a third of the memory of 1,000 rollouts
        if rollout is None:
            chosen = _Chosen(store, include_finished, wanted)
            if watch:
                return _watch_all(call, chosen, schedule)
            return _overview(call, chosen, now, exit_code)
        rollout_id = call.rollout_id(store, rollout)
        if wait or watch:
            return _follow(call, store, rollout_id, schedule, _Goal(wait, watch, until))
        return _one(call, store, rollout_id, now, exit_code)


def _one(
    call: CommandContext, store: Store, rollout_id: str, now: datetime, exit_code: bool
) -> Result:
    """Return one rollout in full, as it is stored now."""
    found = load_status(
        store, rollout_id, with_history=call.needs_history, with_recent=not call.is_document
    )
    result, problem = _result(found, now), found.problem
    if problem is not None:
        return replace(result, notes=[str(problem)], status=problem.exit_status)
    if exit_code:
        result = replace(result, status=exit_status.of_rollout(found.rollout))
    return _with_future_saves(result, [found.rollout], now)


def _result(found: RolloutStatus, now: datetime) -> Result:
    """Return one rollout in full."""
    rollout, entries = found.rollout, found.entries
    exposure = exposure_fact(rollout, found.exposure)
    return Result(
        "status",
        data=lambda: picked(
            StatusData,
            rollout_data(rollout, now),
            policy_changed=found.problem is not None,
            exposure=None if found.exposure is None else exposure_data(found.exposure),
        ),
        page=lambda: streams.localized(rollout_page(rollout, now, exposure, found.recent)),
        markdown=lambda: rollout_markdown(rollout, entries, now),
        junit=lambda: junit_text(rollout, entries),
    )


class _Chosen(Immutable):
    """The rollouts of `store` that are shown, of those that are active or of all."""

    store: Store
    include_finished: bool
    wanted: RolloutFilter

    def load(self, now: datetime) -> Overview:
        """Return the rollouts as they are stored. Raises StoreError."""
        ids = self.store.all() if self.include_finished else self.store.active(now)
        return load_rollouts(self.store, ids, self.wanted)

    @property
    def none_text(self) -> str:
        """What is said where there is none of them."""
        noun = "no rollout" if self.include_finished else "no active rollout"
        fits = "" if self.wanted.is_empty else " fits --name, --phase and --condition"
        return f"{noun}{fits}"


def _overview(call: CommandContext, chosen: _Chosen, now: datetime, exit_code: bool) -> Result:
    """Return one rollout as a page, several as a line each; an unreadable one hides no other."""
    found = chosen.load(now)
    readable, damaged = found.rollouts, found.damaged
    changed = {one.rollout.id for one in damaged if isinstance(one, SnapshotChangedError)}
    # What the history adds takes a read for each, which neither a line nor a list shows.
    in_full = readable if len(readable) == 1 and not call.as_json else ()
    single = [status_of(chosen.store, one, with_recent=True) for one in in_full]

    def page() -> Page:
        if single:
            return _result(single[0], now).page()
        if readable or damaged:
            return overview_page(readable, now, MOST_ON_TERMINAL if sys.stdout.isatty() else None)
        return lines_page([chosen.none_text])

    ends = map(exit_status.of_rollout, readable) if exit_code else ()
    result = Result(
        "status",
        data=lambda: StatusList(
            picked(ListedRollout, rollout_data(one, now), policy_changed=one.id in changed)
            for one in readable
        ),
        page=page,
        notes=[*map(str, damaged)],
        status=Exit.INTERNAL if damaged else exit_status.worst(ends),
    )
    return _with_future_saves(result, readable, now)


def _with_future_saves(result: Result, rollouts: Sequence[Rollout], now: datetime) -> Result:
    """Return `result` with a note for each of `rollouts` that was saved in the future, and 1."""
    notes = [text for text in (future_save(rollout, now) for rollout in rollouts) if text]
    if not notes:
        return result
    status = exit_status.worst((result.status, Exit.INTERNAL))
    return replace(result, notes=[*result.notes, *notes], status=status)


class _Goal(Immutable):
    """How a rollout is followed, and until when."""

    wait: bool
    watch: bool
    until: frozenset[Phase] | None

    def time_is_up_text(self, rollout: Rollout, limit: timedelta) -> str:
        """Return what was waited for in vain, and how to go on."""
        command = f"rolloutctl status {rollout.id} {'--wait' if self.wait else '--watch'}"
        goal = "pause or end" if self.wait else "end"
        if self.until is not None:
            goal = f"be {' or '.join(sorted(self.until))}"
            command = f"{command} --until {','.join(sorted(self.until))}"
        return (
            f"waited {format_duration(limit)} for {rollout.id} to {goal}; it is "
            f"{rollout.phase} at {weight_text(rollout)}, the last change in the store is from "
            f"{clock_text(rollout.updated)}; {_ONLY_READS}; to wait on: {command}"
        )

    def is_reached(self, rollout: Rollout, now: datetime) -> bool:
        """Tell whether there is nothing more to wait for."""
        if self.until is not None:
            return rollout.phase in self.until or rollout.final
        if self.wait:  # ticks alone do not advance it
            return rollout.final or rollout.phase is Phase.PAUSED
        return follow.is_complete(rollout, now) or streams.output_lost()

    def status_of(self, rollout: Rollout) -> Exit:
        """Return the exit status of the last state: 0 in a phase that was waited for.

        It is 7 where none of them can be reached any more, unless 0% is not confirmed.
        """
        status = exit_status.of_rollout(rollout)
        if self.until is None:
            return status
        if rollout.phase in self.until:
            return Exit.DONE
        missed = rollout.final and status is not Exit.UNCONFIRMED
        return Exit.CHECK_FAILED if missed else status


def _follow(
    call: CommandContext, store: Store, rollout_id: str, schedule: PollSchedule, goal: _Goal
) -> Result:
    """Show a rollout until its goal is reached, or time is up; return the rest.

    Raises StoreError as `follow.poll` does, and when not one read succeeded.
    """
    last: Rollout | None = None
    with follow.rollout_display(
        schedule.clock, store, live=goal.watch, off=call.is_document
    ) as show:
        for last in follow.poll(partial(store.load, rollout_id), schedule):
            show(last)
            if goal.is_reached(last, schedule.clock.now()):
                break
        else:
            if last is None:
                raise StoreError("the store did not answer within the time limit")
            streams.message(goal.time_is_up_text(last, schedule.limit))
    now = schedule.clock.now()
    found = status_of(store, last, with_history=call.needs_history)
    result = replace(_result(found, now), page=tuple)  # its lines are printed
    return _with_future_saves(replace(result, status=goal.status_of(last)), [last], now)


def _watch_all(call: CommandContext, chosen: _Chosen, schedule: PollSchedule) -> Result:
    """Show all rollouts until time is up or the output is closed; return how they stand then."""

    def fetch() -> Sequence[Rollout]:
        found = chosen.load(schedule.clock.now())
        for one in found.damaged:
            streams.message(str(one))
        return found.rollouts

    rollouts: Sequence[Rollout] = ()
    with follow.overview_display(schedule.clock, off=call.is_document) as show:
        for rollouts in follow.poll(fetch, schedule):
            show(rollouts)
            if streams.output_lost():
                break
    active = sum(not rollout.final for rollout in rollouts)
    command = f"rolloutctl status --watch{' --all' if chosen.include_finished else ''}"
    streams.message(
        f"watched {format_duration(schedule.limit)}; active now: {count_text(active, 'rollout')}; "
        f"{_ONLY_READS}; to watch on: {command}"
    )
    return replace(_overview(call, chosen, schedule.clock.now(), True), page=tuple)
