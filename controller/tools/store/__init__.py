"""Makes, checks and copies a store, and limits its recipients.

Reading and writing rollouts is in `adapters/stores`.
"""
