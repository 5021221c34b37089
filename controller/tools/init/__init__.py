"""Writes a first policy by what the account shows.

What is found for a kind of target is asked beside its adapter.
"""
