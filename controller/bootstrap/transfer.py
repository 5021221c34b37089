"""What moves rollouts from one store to another."""

from collections.abc import Iterator
from contextlib import contextmanager

from controller.adapters.aws import Clients
from controller.bootstrap import author, wall_clock
from controller.bootstrap.places import opened
from controller.errors import UsageError
from controller.settings import Place, Settings
from controller.transfer import End, Transfer


@contextmanager
def transfer(
    settings: Settings, destination: Place, *, dry_run: bool = False
) -> Iterator[Transfer]:
    """Yield what moves rollouts from the store of `settings` to another; both must be there.

    Raises UsageError when both are the same store, NoStoreError.
    """
    source = settings.store
    if source.url == destination.url:
        raise UsageError(f"{source.url} cannot be copied to itself: name another store")
    clients, clock, writes = Clients(), wall_clock(), not dry_run
    with (
        opened(source, clients, must_exist=True, writes=writes) as origin,
        opened(destination, clients, must_exist=True, writes=writes) as arrival,
    ):
        ends = End(origin, source.url), End(arrival, destination.url)
        yield Transfer(*ends, clock, settings.by, author(settings, clients))
