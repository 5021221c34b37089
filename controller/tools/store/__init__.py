"""Makes, checks, upgrades and copies a store, and limits its recipients: a file for each verb.

Reading and writing rollouts is in `adapters/stores`.
"""
