"""Shows whether a policy would start, and what its gates find, how soon, at which traffic.

The checks of the start are in `operations/start`.
"""
