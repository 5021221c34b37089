"""Chaos: whole rollouts under faults drawn from a seed, and what must hold after every step."""
