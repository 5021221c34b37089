"""One process: its settings from the environment, its logs, its signals.

Nothing here knows what a rollout is.
"""
