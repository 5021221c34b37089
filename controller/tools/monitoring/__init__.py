"""Makes a dashboard and alarms for a policy, as a CloudFormation stack.

Messages of a rollout itself are no alarms: `engine/outbox.py`.
"""
