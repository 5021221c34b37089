"""The list of recipients in a DynamoDB table: one item, in a separate partition."""

from controller.adapters.stores import recipients as codec
from controller.adapters.stores.dynamodb.calls import Table
from controller.adapters.stores.dynamodb.items import RECIPIENTS_KEY, text
from controller.adapters.stores.dynamodb.writes import delete, update
from controller.core.recipients import RecipientList


def read(table: Table) -> RecipientList | None:
    """Return the list; None when there is none. Raises StoreError."""
    item = table.get(codec.READ, RECIPIENTS_KEY)
    return None if item is None else codec.load(item.get("list", {}).get("S"))


def write(table: Table, recipients: RecipientList | None) -> None:
    """Replace the list; None: remove it. Raises StoreError."""
    if recipients is None:
        table.write(codec.WRITE, [delete(RECIPIENTS_KEY)])
    else:
        table.write(codec.WRITE, [update(RECIPIENTS_KEY, {"list": text(codec.dump(recipients))})])
