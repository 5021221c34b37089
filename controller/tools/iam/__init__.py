"""The least-privilege policies of roles, made of the permissions beside the calls.

The permissions themselves are in `adapters`.
"""
