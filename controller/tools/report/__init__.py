"""The report of a rollout: one HTML page.

What it shows of the history is read in `operations/recorded`.
"""
