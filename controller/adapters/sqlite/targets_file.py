"""Stub until the real one is merged."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from controller.core.policy import LambdaEnv


@dataclass(frozen=True, slots=True)
class KnownTarget:
    """A target that is known by its names."""

    target: LambdaEnv
    identity: str


def targets_beside(path: Path) -> Mapping[str, KnownTarget]:
    """Nothing yet."""
    return {}
