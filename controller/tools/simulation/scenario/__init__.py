"""Scenarios of a rehearsal: traffic, and what goes wrong when.

The shipped ones are YAML files in `scenarios`.
"""
