"""Clients of AWS for everything that calls it: sessions, limits of time and of rates, validated
answers.

The calls of a service are beside their use, in the other folders of `adapters`.
"""
