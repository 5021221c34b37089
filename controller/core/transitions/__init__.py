"""Transitions of a rollout: each makes the next state, its history entry and its notices.

Which one follows is decided in `core/decide.py`.
"""
