"""Rollouts in a DynamoDB table: `table` makes it, `DynamoDbStore` keeps rollouts in it."""

from controller.adapters.stores.dynamodb.store import DynamoDbStore

__all__ = ["DynamoDbStore"]
