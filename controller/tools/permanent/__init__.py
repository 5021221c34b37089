"""Prints how 100% becomes permanent in a template, a file for each kind of target.

Nothing here changes anything.
"""
