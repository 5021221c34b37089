"""The composition root of what steers a rollout or looks at one: it names concrete adapters.

A tool that needs adapters has a `compose` beside its work.
"""
