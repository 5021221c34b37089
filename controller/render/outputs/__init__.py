"""The types of the JSON that verbs print with `--json`, by verb; loaded for `rolloutctl schema`.

Renderers name these types in annotations only: mypy holds what they return to them. The published
JSON Schemas are made from them (`schema.py`).
"""
