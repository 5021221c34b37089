"""Reads YAML files as plain data that knows its lines and columns."""

from controller.policy_file.yaml.source import Source, parse, read

__all__ = ["Source", "parse", "read"]
