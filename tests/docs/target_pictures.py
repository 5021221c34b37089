"""Draws the pictures of the pages of targets: python -m tests.docs.target_pictures."""

from pathlib import Path
from typing import Final

from tests.docs.loop import Arrow, Box, drawing

DOCS: Final = Path(__file__).parents[2] / "docs"


def split(title: str, source: str, holder: Box, weight: str, paths: tuple[str, str]) -> str:
    """Return the picture of a target that divides requests.

    source: who sends them. holder: what divides them. weight: what rolloutctl writes. paths: the
    names of the canary and the stable path.
    """
    canary, stable = paths
    boxes = (
        Box(20, 130, "rolloutctl", "a tick, a rollback"),
        Box(345, 20, source, "all requests"),
        holder,
        Box(670, 70, canary, "canary: 10% of the requests"),
        Box(670, 190, stable, "stable: 90% of the requests"),
        Box(345, 250, "CloudWatch", "counts each path"),
    )
    arrows = (
        Arrow((440, 82), (440, 130), ""),
        Arrow((210, 161), (345, 161), weight),
        Arrow((535, 150), (670, 101), ""),
        Arrow((535, 172), (670, 221), ""),
        Arrow((440, 192), (440, 250), ""),
        Arrow((345, 281), (115, 192), "metrics by path"),
    )
    return drawing((880, 332), title, boxes, arrows)


def appconfig() -> str:
    """Return the picture of a percentage in AWS AppConfig."""
    boxes = (
        Box(20, 20, "rolloutctl", "a tick, a rollback"),
        Box(345, 20, "Profile", "versions 7, 8, 9, ..."),
        Box(670, 20, "Environment", "one deployment at a time"),
        Box(995, 20, "Function", "flag.py keeps it for 45 s"),
        Box(670, 140, "Another deployment", "makes step 2 a 409"),
    )
    arrows = (
        Arrow((210, 51), (345, 51), "1. save version 9"),
        Arrow((535, 51), (670, 51), "2. deploy it after 41"),
        Arrow((995, 51), (860, 51), "reads 9 when it is due"),
        Arrow((765, 140), (765, 82), ""),
    )
    title = (
        "rolloutctl saves a version of the profile and deploys it to the environment; each "
        "function reads the deployed version when its cache of at most 45 seconds is over"
    )
    return drawing((1_205, 222), title, boxes, arrows)


def pictures() -> dict[Path, str]:
    """Return each picture as its file has it."""
    return {
        DOCS / "appconfig.svg": appconfig(),
        DOCS / "lambda-variable.svg": split(
            "rolloutctl writes the percentage into a variable of the function; the flag sends each "
            "request to the new or the old path, and its log lines are metrics of each path",
            "Callers",
            Box(345, 130, "Function", "flag.py reads 10"),
            "sets the variable",
            ("New path", "Old path"),
        ),
        DOCS / "lambda-alias.svg": split(
            "rolloutctl writes the routing of the alias; Lambda sends each request to one of two "
            "versions and counts the versions apart",
            "Callers",
            Box(345, 130, "Alias live", "Lambda draws the version"),
            "sets the routing",
            ("Version 8", "Version 7"),
        ),
        DOCS / "load-balancer.svg": split(
            "rolloutctl writes the weights of a listener rule; the load balancer sends each "
            "request to one of two target groups and counts the groups apart",
            "Clients",
            Box(345, 130, "Listener rule", "forwards by weight"),
            "sets the weights",
            ("Target group green", "Target group blue"),
        ),
    }


if __name__ == "__main__":
    for file, text in pictures().items():
        file.write_text(text, encoding="utf-8")
