"""Runs a whole rollout of a policy in a simulated world, by the engine itself.

The world is in `tools/simulation`.
"""
