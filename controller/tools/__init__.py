"""Verbs that no rollout needs: each folder has a tool's `verb`, its work, its `page` where that is
long, and `compose` where it needs adapters.

No tick loads any of it, and nothing imports it but tests and benchmarks.
"""
