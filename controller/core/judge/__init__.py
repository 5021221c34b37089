"""Concludes from measurements whether a gate passes, fails or waits: evidence, findings, verdict.

The sentences about a finding are in `core/words`, the formulas in `core/stats`.
"""
