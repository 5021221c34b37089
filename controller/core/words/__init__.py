"""Sentences about findings, conditions and next actions, for messages and pages.

Nothing here decides: a sentence may change, and no decision does.
"""
