"""Prints how 100% becomes permanent in a template: `guides` has a class for each kind of target.

Nothing here changes anything.
"""
