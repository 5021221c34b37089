"""What the history of a rollout records: its decisions, its measurements and weights, its cost.

`status`, `history`, `plan`, `report` and `replay` read it here; what only one of them makes of it
is not here.
"""
