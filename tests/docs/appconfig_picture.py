"""Draws docs/appconfig.svg, in docs/appconfig.md: python -m tests.docs.appconfig_picture."""

from pathlib import Path
from typing import Final

from tests.docs.loop import Arrow, Box, drawing

PICTURE: Final = Path(__file__).parents[2] / "docs" / "appconfig.svg"
TITLE: Final = (
    "rolloutctl saves a version of the profile and deploys it to the environment; each function "
    "reads the deployed version when its cache of at most 45 seconds is over"
)
BOXES: Final = (
    Box(20, 20, "rolloutctl", "a tick, a rollback"),
    Box(345, 20, "Profile", "versions 7, 8, 9, ..."),
    Box(670, 20, "Environment", "one deployment at a time"),
    Box(995, 20, "Function", "flag.py keeps it for 45 s"),
    Box(670, 140, "Another deployment", "makes step 2 a 409"),
)
ARROWS: Final = (
    Arrow((210, 51), (345, 51), "1. save version 9"),
    Arrow((535, 51), (670, 51), "2. deploy it after 41"),
    Arrow((995, 51), (860, 51), "reads 9 when it is due"),
    Arrow((765, 140), (765, 82), ""),
)


def picture() -> str:
    """Return the picture as SVG."""
    return drawing((1_205, 222), TITLE, BOXES, ARROWS)


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
