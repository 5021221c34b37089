"""The pages of the dashboard: those of the status page and of the report, with what is live."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

from controller.cli.options import MAX_CHARACTERS
from controller.immutable import Immutable
from controller.render.history import weight_change_text
from controller.render.html.pages import page
from controller.render.html.status import status_html
from controller.tools.dashboard.acts import Act
from controller.tools.dashboard.feed import View
from controller.tools.report.html import report_html
from controller.tools.report.report import RolloutReport

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
    """Return the path of the page of a rollout."""
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
        path=rollout_path(report.rollout.id),
        version=report.rollout.version,
        longest=MAX_CHARACTERS,
    )


def message_html(title: str, text: str, back: str = "") -> str:
    """Return a page with a message. back: where its link leads; empty: it has none."""
    return page(_HERE / "message.html", headline=title, text=text, back=back)
