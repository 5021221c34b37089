"""Rollouts in a DynamoDB table: `table` creates it, `DynamoDbStore` reads and writes it."""

from controller.adapters.stores.dynamodb.store import DynamoDbStore

__all__ = ["DynamoDbStore"]
