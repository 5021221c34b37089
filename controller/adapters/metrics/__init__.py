"""Metrics, alarms and counts of log events from CloudWatch, as the core's series.

Which queries a gate needs is decided in `core/judge/queries.py`.
"""
