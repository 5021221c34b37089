"""Starts a rollout: what refuses it, its baselines, and its first state.

The checks of the account are in `operations/live_checks`.
"""
