"""The status page of a store: all rollouts at a glance."""

from collections.abc import Collection
from datetime import datetime

from controller.bootstrap.pages import Clients, write_page
from controller.operations.overview import load_overview
from controller.ports.store import Store
from controller.process.settings import PageLocation
from controller.render.html.status import status_html


def write_status_page(
    store: Store,
    now: datetime,
    place: PageLocation,
    clients: Clients | None = None,
    names: Collection[str] = (),
) -> None:
    """Write the page of the rollouts of `store` to `place`, at once or not at all.

    names: only rollouts of these names; empty: of all.
    clients: those of a tick, whose time limits the call. Raises PageError, StoreError, UsageError.
    """
    write_page(place, status_html(load_overview(store, now, names), now), clients)
