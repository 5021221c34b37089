"""What copies rollouts from one store to another."""

from collections.abc import Iterator
from contextlib import contextmanager

from controller.adapters.aws.clients import Clients
from controller.bootstrap.app import wall_clock
from controller.bootstrap.stores import store_at
from controller.errors import UsageError
from controller.operations.migrate import Endpoint, Migration
from controller.process.settings import StoreLocation


@contextmanager
def migration(
    source: StoreLocation, destination: StoreLocation, *, dry_run: bool = False
) -> Iterator[Migration]:
    """Yield what copies rollouts from `source` to `destination`; both must be there.

    Raises UsageError when both are the same store, NoStoreError.
    """
    if source.url == destination.url:
        raise UsageError(f"{source.url} cannot be copied to itself: name another store")
    clients = Clients()
    with (
        store_at(source, clients, must_exist=True, writes=False) as origin,
        store_at(destination, clients, must_exist=True, writes=not dry_run) as arrival,
    ):
        yield Migration(
            Endpoint(origin, source.url), Endpoint(arrival, destination.url), wall_clock()
        )
