"""Prints how 100% becomes permanent in a template: `guides` has a class for each kind of target.

`templates` has the texts: a file for each form of the change, and for each list.

Nothing here changes anything.
"""
