"""Renderers that several verbs share: a rollout, its history and checks as text, Markdown and JSON.

The page of one tool is in its folder in `tools`, a sentence about a rollout in `core/words`.
"""
