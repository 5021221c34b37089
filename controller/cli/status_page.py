"""The status page of a store: all rollouts at a glance."""

from collections.abc import Collection
from datetime import datetime

from controller.bootstrap.account import Clients, write_page
from controller.core.rollout import Rollout
from controller.operations.overview import load_overview
from controller.ports.store import Store
from controller.process.settings import FilePage, PageLocation
from controller.render.html.pages import report_file
from controller.render.html.status import status_html


def write_status_page(
    store: Store,
    now: datetime,
    place: PageLocation,
    clients: Clients | None = None,
    names: Collection[str] = (),
    reports: str = "",
) -> None:
    """Write the page of the rollouts of `store` to `place`, at once or not at all.

    names: only rollouts of these names; empty: of all.
    reports: the folder of reports that the page links, a URL or relative to it; empty: none.
    clients: those of a tick, whose time limits the call. Raises PageError, StoreError, UsageError.
    """

    def link(rollout: Rollout) -> str:
        return _report_link(rollout, reports, place)

    write_page(place, status_html(load_overview(store, now, names), now, link), clients)


def _report_link(rollout: Rollout, reports: str, place: PageLocation) -> str:
    """Return where the page links the report of `rollout`; empty where that is known to be absent.

    A report beside a file can be seen from here, others cannot.
    """
    if not reports:
        return ""
    name = report_file(rollout)
    link = f"{reports.rstrip('/')}/{name}"
    if reports.startswith("https://") or not isinstance(place, FilePage):
        return link
    return link if (place.path.parent / reports / name).is_file() else ""
