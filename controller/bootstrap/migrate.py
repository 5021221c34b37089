"""What copies rollouts from one store to another."""

from collections.abc import Iterator
from contextlib import contextmanager

from controller.adapters.aws.clients import Clients
from controller.bootstrap.app import wall_clock
from controller.bootstrap.stores import opened
from controller.errors import UsageError
from controller.operations.migrate import End, Transfer
from controller.process.settings import Place


@contextmanager
def transfer(source: Place, destination: Place, *, dry_run: bool = False) -> Iterator[Transfer]:
    """Yield what copies rollouts from `source` to `destination`; both must be there.

    Raises UsageError when both are the same store, NoStoreError.
    """
    if source.url == destination.url:
        raise UsageError(f"{source.url} cannot be copied to itself: name another store")
    clients = Clients()
    with (
        opened(source, clients, must_exist=True, writes=False) as origin,
        opened(destination, clients, must_exist=True, writes=not dry_run) as arrival,
    ):
        yield Transfer(End(origin, source.url), End(arrival, destination.url), wall_clock())
