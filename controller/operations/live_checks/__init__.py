"""Checks of a policy against the account before a rollout starts.

`start` refuses by them, `plan --live` shows them, and `doctor` runs them among others.
"""
