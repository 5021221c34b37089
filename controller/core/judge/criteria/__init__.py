"""The judges of the kinds of criteria, a file each.

Their models, which a policy is read into, are in `core/policy/criteria`.
"""
