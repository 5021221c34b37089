"""The tick: lease, observe, decide, execute, deliver, for many rollouts side by side.

What to decide is in `core`, how AWS is asked in `adapters`.
"""
