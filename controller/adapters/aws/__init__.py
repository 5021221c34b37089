"""Clients of AWS for everything that calls it: sessions, limits of time and of rates, validated
answers.

What is asked of a service is beside its use, in the other folders of `adapters`.
"""
