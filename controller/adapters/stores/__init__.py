"""Where rollouts and their histories are kept: a DynamoDB table or an SQLite file.

The protocol, with what it promises, is `ports/store.py`.
"""
