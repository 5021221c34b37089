"""Decides, without any input or output: policy, rollout and observation in, decision out.

What reads and writes on its behalf is in `engine`.
"""
