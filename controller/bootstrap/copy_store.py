"""The stores of a migration, which copies rollouts from one store to another."""

from collections.abc import Iterator
from contextlib import contextmanager

from controller.bootstrap.account import real_account
from controller.bootstrap.stores import store_at
from controller.errors import UsageError
from controller.operations.copy_store import Endpoint, Migration
from controller.process.settings import StoreLocation


@contextmanager
def migration(
    source: StoreLocation, destination: StoreLocation, *, dry_run: bool = False
) -> Iterator[Migration]:
    """Yield a migration of rollouts from `source` to `destination`; both must exist.

    Raises UsageError when both are the same store, NoStoreError.
    """
    if source.url == destination.url:
        raise UsageError(f"{source.url} cannot be copied to itself: name another store")
    account = real_account()
    with (
        store_at(source, account, must_exist=True, writes=False) as source_store,
        store_at(destination, account, must_exist=True, writes=not dry_run) as destination_store,
    ):
        yield Migration(
            Endpoint(source_store, source.url),
            Endpoint(destination_store, destination.url),
            account.clock,
        )
