"""Tries a policy on the past, from every possible start.

Decisions are those of `core`; the past is a CSV file or CloudWatch.
"""
