"""Hooks that are asked for consent: an HTTPS endpoint, or a Lambda function.

When a hook is asked, and what its silence means, is in `engine/hooks.py`.
"""
