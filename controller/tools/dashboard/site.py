"""The site of the dashboard: from a request that the guard let through to its answer.

Its pages are those of the status page and of the report, with what is live, and with what an
operator can do with a rollout now: the verbs that its phase allows.
"""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import quote, unquote

import click

from controller.cli import VERBS, command_of
from controller.cli.options import MAX_CHARACTERS
from controller.core.commands import allowed_verbs
from controller.core.events import Verb
from controller.core.policy import Attestation
from controller.core.rollout import Phase, Rollout
from controller.engine.execute import TickOutcome
from controller.engine.isolation import problem_of
from controller.errors import Exit, RolloutError, UnknownRolloutError, UsageError
from controller.immutable import Immutable
from controller.render.history import weight_change_text
from controller.render.html import page
from controller.render.html.status import status_html
from controller.tools.dashboard.feed import Feed, StoredRollout, View
from controller.tools.report import RolloutReport
from controller.tools.report.html import report_html


class Button(StrEnum):
    """The verbs that can have a button; any other is typed on a terminal.

    The first three never let more traffic onto the canary.
    """

    ROLLBACK = "rollback"
    PAUSE = "pause"
    ACK = "ack"
    RESUME = "resume"
    PROMOTE = "promote"
    APPROVE = "approve"


_LABELS: Final = {"rollback": "roll back", "ack": "acknowledge"}
# What a command takes between the rollout and its reason.
_ARGUMENTS: Final = {"attest": " CRITERION", "set-weight": " WEIGHT"}


class Act(Immutable):
    """One thing that can be done. command: the whole command line.

    option: the name of its reason, without dashes; required: whether it takes none without one.
    has_button: whether this dashboard may do it.
    """

    verb: str
    label: str
    summary: str
    command: str
    option: str
    required: bool
    has_button: bool


def acts_of(rollout: Rollout, allowed: Collection[Button], suffix: str = "") -> list[Act]:
    """Return what can be done with `rollout` now. suffix: of each command, such as the store."""
    verbs = [str(verb) for verb in allowed_verbs(rollout) if _has_use(rollout, verb)]
    if rollout.phase is Phase.ROLLED_BACK:
        verbs.append("retry")
    names, acts = set(map(str, allowed)), list[Act]()
    for verb in verbs:
        option, (_, summary) = _reason_option(verb), VERBS[verb]
        command = f"rolloutctl {verb} {rollout.id}{_ARGUMENTS.get(verb, '')} {option.opts[0]} TEXT"
        acts.append(
            Act(
                verb=verb,
                label=_LABELS.get(verb, verb).capitalize(),
                summary=summary,
                command=f"{command}{suffix}",
                option=option.opts[0].removeprefix("--"),
                required=option.required,
                has_button=verb in names,
            )
        )
    return acts


def _has_use(rollout: Rollout, verb: Verb) -> bool:
    """Tell whether the policy of `rollout` has something that `verb` is for."""
    if verb is Verb.APPROVE:
        step = rollout.step + 1
        needed = not rollout.is_last_step and rollout.policy.needs_approval(step)
        return needed and rollout.approved != step
    if verb is Verb.ATTEST:
        return any(isinstance(one, Attestation) for one in rollout.policy.criteria.values())
    return True


def reason_of(verb: str, text: str) -> str:
    """Return `text` as the command of `verb` takes it for a reason. Raises UsageError."""
    option = _reason_option(verb)
    try:
        given = option.process_value(click.Context(command_of(verb)), text)
        return str(given or option.default)
    except click.BadParameter as error:
        name = option.opts[0].removeprefix("--")
        raise UsageError(f"{verb} was refused: its {name} {error.message}") from error


def _reason_option(verb: str) -> click.Option:
    """Return the option of the command that takes a reason, by its name there."""
    options = [one for one in command_of(verb).params if isinstance(one, click.Option)]
    return next(one for one in options if one.name == "reason")


_HERE: Final = Path(__file__).parent
SCRIPT: Final = _HERE / "dashboard.js"


class Live(Immutable):
    """How a page stays new. events: where its stream is. stamp: what the page shows, as text.

    problem: why the store cannot be read any more; empty: it can.
    """

    events: str
    stamp: str
    problem: str = ""


class Forms(Immutable):
    """What the forms of a rollout's page send, and the text beside them.

    acts: what can be done now. actor: who is recorded; empty: nothing can be done here.
    forwarded: whether the page came through a proxy, and so has no form.
    outcome: what the last act of this dashboard came to, while nothing followed; or empty.
    """

    acts: Sequence[Act]
    token: str
    actor: str
    forwarded: bool
    outcome: str = ""


def rollout_path(rollout_id: str) -> str:
    return f"/rollouts/{quote(rollout_id, safe='', errors='replace')}"


def overview_html(view: View, live: Live) -> str:
    """Return the page of all rollouts, with the newest events."""
    return status_html(
        view.overview,
        view.at,
        lambda rollout: rollout_path(rollout.id),
        template=_HERE / "overview.html",
        live=live,
        events=view.events,
        link=rollout_path,
        weight_change=weight_change_text,
    )


def rollout_html(report: RolloutReport, live: Live, forms: Forms) -> str:
    """Return the page of one rollout: its report, and what can be done."""
    return report_html(
        report,
        template=_HERE / "rollout.html",
        live=live,
        forms=forms,
        path=rollout_path(report.history.rollout.id),
        version=report.history.rollout.version,
        longest=MAX_CHARACTERS,
    )


MakeReport: TypeAlias = Callable[[StoredRollout], RolloutReport]
RunAct: TypeAlias = Callable[[str, Verb, str, int], TickOutcome]
"""Runs a verb on a rollout: its id, the verb, the reason, and the version that was shown."""

HTML: Final = "text/html; charset=utf-8"
_SCRIPT_TYPE: Final = "text/javascript; charset=utf-8"
_NOTHING: Final = "Nothing was changed"
# Pages that are kept as they are until what they show changes.
_MAX_PAGES: Final = 32
_MAX_OUTCOMES: Final = 1_000
_STATUSES: Final = {Exit.BUSY: HTTPStatus.CONFLICT, Exit.USAGE: HTTPStatus.UNPROCESSABLE_ENTITY}


class Answer(Immutable):
    """An answer. location: where the browser goes on; empty: here."""

    status: HTTPStatus
    body: str = ""
    kind: str = HTML
    location: str = ""


class Site:
    """Answers the requests of all tabs; acts are run one after the other.

    allowed: the verbs that have a button. actor: who is recorded for them. suffix: of each command
    that is shown. on_act: is called with what was done, for the terminal.
    """

    def __init__(
        self,
        feed: Feed,
        make_report: MakeReport,
        run_act: RunAct,
        *,
        allowed: Collection[Button] = (),
        actor: str = "",
        suffix: str = "",
        token: str = "",
        on_act: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.feed = feed
        self._make_report, self._run_act, self._on_act = make_report, run_act, on_act
        self._allowed, self._actor = frozenset(allowed), actor
        self._suffix, self._token = suffix, token
        self._pages: dict[tuple[str, bool], tuple[str, str]] = {}
        self._outcomes: dict[str, tuple[int, str]] = {}  # by rollout: a version, and how it came
        self._acting, self._rolling_back = threading.Lock(), threading.Lock()
        # The page of all rollouts waits for no report, which may wait for CloudWatch.
        self._listing, self._reporting = threading.Lock(), threading.Lock()

    def get(self, path: str, *, forwarded: bool) -> Answer:
        """Return the answer to a GET. forwarded: it came through a proxy, so it has no form."""
        match path.split("/"):
            case ["", ""]:
                return self._shown("", forwarded=forwarded)
            case ["", "dashboard.js"]:
                return Answer(HTTPStatus.OK, SCRIPT.read_text(encoding="utf-8"), _SCRIPT_TYPE)
            case ["", "rollouts", quoted]:
                return self._shown(unquote(quoted), forwarded=forwarded)
            case _:
                return message(HTTPStatus.NOT_FOUND, "There is no such page", path, back="/")

    def post(self, path: str, form: Mapping[str, str]) -> Answer:
        """Run the act of a form that the guard let through, and return where to look then."""
        match path.split("/"):
            case ["", "rollouts", quoted, verb] if verb in list(Button):
                return self._act(unquote(quoted), Button(verb), form)
            case _:
                text = f"No act is at {path}."
                return message(HTTPStatus.NOT_FOUND, _NOTHING, text, back="/")

    def stamp(self, rollout_id: str) -> str:
        """Return what the page of a rollout shows now, as text; empty: that of all rollouts.

        It changes with the store, and each minute while ages are shown. Raises StoreError.
        """
        view = self.feed.view()
        minute = int(view.at.timestamp() // 60)
        if not rollout_id:
            parts = [f"{one.id}.{one.version}" for one in view.overview.rollouts]
            return f"{hash((*parts, len(view.overview.damaged), view.problem))}.{minute}"
        rollout = self.feed.find(rollout_id).rollout
        shown = hash((view.problem, self._outcomes.get(rollout_id)))
        return f"{rollout.version}.{0 if rollout.final else minute}.{shown}"

    def wait_for_acts(self, within_s: float | None) -> None:
        """Wait until no act runs any more, and let none begin. within_s: None: without a limit."""
        for lock in (self._acting, self._rolling_back):
            lock.acquire(timeout=-1 if within_s is None else within_s)

    # --- pages ----------------------------------------------------------------------------------

    def _shown(self, rollout_id: str, *, forwarded: bool) -> Answer:
        """Return the page of a rollout; of all of them, where the id is empty."""
        try:
            return Answer(HTTPStatus.OK, self._kept(rollout_id, forwarded=forwarded))
        except UnknownRolloutError as error:
            return message(HTTPStatus.NOT_FOUND, "There is no such rollout", str(error), back="/")
        except Exception as error:  # noqa: BLE001 - the page names it, and the others go on
            name = rollout_id or "the list of rollouts"
            problem = problem_of(error, name, "showing")
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            return message(status, f"{name} cannot be shown", _text(problem), back="/")

    def _kept(self, rollout_id: str, *, forwarded: bool) -> str:
        """Return a page as it was made for another tab, unless what it shows has changed."""
        with self._reporting if rollout_id else self._listing:
            stamp, key = self.stamp(rollout_id), (rollout_id, forwarded)
            known, text = self._pages.get(key, ("", ""))
            if known != stamp:
                text = self._made(rollout_id, stamp, forwarded=forwarded)
                self._pages.pop(key, None)
                self._pages[key] = stamp, text
                if len(self._pages) > _MAX_PAGES:
                    self._pages.pop(next(iter(self._pages)))
            return text

    def _made(self, rollout_id: str, stamp: str, *, forwarded: bool) -> str:
        view = self.feed.view()
        path = f"/events{rollout_path(rollout_id)}" if rollout_id else "/events"
        live = Live(path, stamp, view.problem)
        if not rollout_id:
            return overview_html(view, live)
        stored = self.feed.find(rollout_id)
        rollout = stored.rollout
        version, outcome = self._outcomes.get(rollout_id, (-1, ""))
        forms = Forms(
            acts_of(rollout, () if forwarded else self._allowed, self._suffix),
            self._token,
            self._actor,
            forwarded,
            outcome if version == rollout.version else "",
        )
        return rollout_html(self._make_report(stored), live, forms)

    # --- acts -----------------------------------------------------------------------------------

    def _act(self, rollout_id: str, button: Button, form: Mapping[str, str]) -> Answer:
        verb, back = Verb(button), rollout_path(rollout_id)
        if button not in self._allowed:
            text = f"`{verb}` is not allowed here: rolloutctl dashboard --allow {verb}"
            return message(HTTPStatus.FORBIDDEN, _NOTHING, text, back)
        version = form.get("version", "")
        if not (version.isascii() and version.isdecimal() and len(version) < len(str(2**63))):
            text = "The form does not say which version of the rollout it was made for."
            return message(HTTPStatus.CONFLICT, _NOTHING, text, back)
        try:
            reason = reason_of(verb, form.get("reason", ""))
            # A rollback waits for no other act, which may wait for a hook.
            with self._rolling_back if verb is Verb.ROLLBACK else self._acting:
                visit = self._run_act(rollout_id, verb, reason, int(version))
        except Exception as error:  # noqa: BLE001 - the page names it, and the others go on
            problem = problem_of(error, rollout_id, f"running {verb} on")
            self._on_act(f"{verb} {rollout_id}: {problem}")
            status = _STATUSES.get(problem.exit_status, HTTPStatus.INTERNAL_SERVER_ERROR)
            title = _NOTHING if problem.exit_status in _STATUSES else f"{verb} failed"
            return message(status, title, _text(problem), back)
        finally:
            self.feed.forget()
        outcome = f"{verb} {rollout_id}: {_outcome(verb, visit)}"
        self._on_act(outcome)
        if len(self._outcomes) >= _MAX_OUTCOMES:
            self._outcomes.clear()
        self._outcomes[rollout_id] = visit.rollout.version, outcome
        return Answer(HTTPStatus.SEE_OTHER, location=back)


def message(status: HTTPStatus, title: str, text: str, back: str = "") -> Answer:
    """Return a page with a message. back: where its link leads; empty: it has none."""
    body = page(_HERE / "message.html", headline=title, text=text, back=back)
    return Answer(status, body)


def _text(problem: RolloutError) -> str:
    """Return an error in a sentence, with its notes and where it is explained."""
    text = "; ".join([str(problem), *getattr(problem, "__notes__", ())])
    pointer = "" if problem.explains_itself else f" (docs/troubleshooting.md#{problem.code()})"
    return f"{text}{pointer}"


def _outcome(verb: Verb, visit: TickOutcome) -> str:
    """Return what an act came to: what is recorded, and what is not sure."""
    rollout = visit.rollout
    if not visit.saved:
        return f"done, and not recorded yet, which the next tick does: {visit.problem}"
    if verb is Verb.ROLLBACK and rollout.phase is not Phase.ROLLED_BACK:
        return f"recorded, and 0% is not confirmed yet: {visit.problem or rollout.sentence}"
    return "this was done already" if visit.repeated else f"recorded: {rollout.sentence}"
