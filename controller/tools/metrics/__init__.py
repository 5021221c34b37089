"""Shows current metrics next to the values that a gate expects.

What a gate concludes of them is in `core/judge`.
"""
