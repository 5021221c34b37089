"""What the history of a rollout has recorded, read back: entries, series, traces, exposure.

What is measured now is in `operations/live_checks` and `tools/metrics`.
"""
