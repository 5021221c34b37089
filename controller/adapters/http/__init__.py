"""HTTPS requests to hosts that a policy names, within the rules of egress.

Calls to AWS do not go through here.
"""
