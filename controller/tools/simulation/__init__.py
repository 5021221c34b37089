"""A simulated world: fake AWS clients, traffic, a virtual clock.

The engine and the adapters that run in it are the real ones.
"""
