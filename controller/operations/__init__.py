"""What verbs do that steer a rollout or look at one, without their options and pages.

A tick's own work is in `engine`; what no rollout needs is in `tools`.
"""
