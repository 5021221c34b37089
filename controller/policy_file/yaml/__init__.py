"""YAML files that people write: plain data, and the line and column of everything in it."""

from controller.policy_file.yaml.source import Source, parse, read

__all__ = ["Source", "parse", "read"]
