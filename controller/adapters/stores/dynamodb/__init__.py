"""Rollouts in a DynamoDB table: `table` creates it, `DynamoDbStore` reads and writes it.

How a record is written as text is in `adapters/stores/codec.py`, as for a file.
"""

from controller.adapters.stores.dynamodb.store import DynamoDbStore

__all__ = ["DynamoDbStore"]
