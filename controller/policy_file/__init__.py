"""Reads a policy file into the model, with each mistake at its line.

The model is in `core/policy`.
"""
