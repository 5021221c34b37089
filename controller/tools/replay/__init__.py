"""Re-evaluates every stored decision, and shows where today's code decides otherwise.

How an entry is read back is in `operations/recorded`.
"""
