"""The permission that a call needs, and who the caller is.

The policies that are made of permissions are in `tools/iam`.
"""
