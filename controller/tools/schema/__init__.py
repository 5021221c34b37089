"""The JSON Schema of a policy, and of what verbs print.

The results themselves are declared beside their verbs and pages.
"""
