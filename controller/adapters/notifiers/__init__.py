"""Channels to which messages go: SNS, EventBridge, Slack, PagerDuty.

What is announced is decided in the core, and retried in `engine/outbox.py`.
"""
