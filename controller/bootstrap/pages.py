"""Where pages are written."""

from controller.adapters.aws.clients import Clients
from controller.bootstrap.account import real_account
from controller.process.settings import PageLocation, S3Page

__all__ = ["Clients", "write_page"]


def write_page(place: PageLocation, text: str, clients: Clients | None = None) -> None:
    """Write the page `text` to `place`. Raises PageError, and UsageError without credentials.

    clients: those of a tick, whose time limits the call.
    """
    if isinstance(place, S3Page):
        from controller.adapters.pages import put_page

        account = real_account(clients=clients)
        put_page(account.client("s3"), place.bucket, place.key, text)
        return
    from controller.adapters.pages import write_file

    write_file(place.path, text)
