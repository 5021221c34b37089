"""Checks everything that a policy needs: account, rights, alarms, metrics.

Each check belongs to what it checks; only their list is here.
"""
