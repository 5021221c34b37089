"""Checks or records the goldens; see `tests/goldens`."""

import argparse
import difflib
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from controller.process import logging
from tests.goldens.files import DECISIONS, STORED, TRANSCRIPTS, Recorded
from tests.goldens.plays import Play, every_story, play

ROOT: Final = Path(__file__).parents[2]
MOST_SHOWN: Final = 20  # stories whose differences are printed


def main() -> int:
    """Check, record, print or compare; return 1 when a story differs."""
    options = _options()
    logging.disable()
    names = _chosen(options.stories)
    if options.show:
        for name in names:
            print(f"{name}\n", *play(name).decisions, sep="\n")
        return 0
    if options.against:
        return _compare(names, options.against)
    return _check(names, write=options.write)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.goldens", description=__doc__)
    parser.add_argument("stories", nargs="*", help="first words of the stories; default: all")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--write", action="store_true", help="record what differs")
    how.add_argument("--show", action="store_true", help="print the decisions of the stories")
    how.add_argument("--against", metavar="COMMIT", help="print what differs from a commit")
    return parser.parse_args()


def _chosen(words: Sequence[str]) -> list[str]:
    """Return the recorded stories whose names begin with these words; none: all of them."""
    begins = tuple(f"{word} " for word in words) or ""
    return [one for one in every_story() if f"{one} ".startswith(begins)]


def played(names: Sequence[str]) -> Iterable[Play]:
    """Yield each story, played by as many processes as there are cores."""
    with multiprocessing.Pool(os.cpu_count(), logging.disable) as pool:
        yield from pool.imap(play, names, chunksize=4)


def _check(names: Sequence[str], *, write: bool) -> int:
    recorded = Recorded.read()
    differs: dict[str, list[str]] = {DECISIONS.name: [], STORED.name: [], TRANSCRIPTS.name: []}
    for one in played(names):
        for layer in recorded.differences(one):
            differs[layer].append(one.name)
        if write:
            recorded.add(one)
    if write:
        recorded.write()
    for layer, stories in differs.items():
        print(f"{layer}: {len(names)} stories, {len(stories)} differ")
        for name in stories[:MOST_SHOWN]:
            print(f"  {name}")
    if any(differs.values()) and not write:
        print("what differs, decision by decision: python -m tests.goldens --against COMMIT STORY")
    return int(any(differs.values()) and not write)


def _compare(names: Sequence[str], commit: str) -> int:
    """Play the stories here and in a checkout of `commit`, and print what differs."""
    with tempfile.TemporaryDirectory() as folder:
        tree = str(Path(folder) / "tree")
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", tree, commit], check=True)
        try:
            before = _shown_in(tree, names)
        finally:
            subprocess.run([*git, "remove", "--force", tree], check=True)
    after = _shown_in(str(ROOT), names)
    difference = list(difflib.unified_diff(before, after, commit, "here", lineterm=""))
    print("\n".join(difference) or f"{len(names)} stories, no difference")
    return int(bool(difference))


def _shown_in(folder: str, names: Sequence[str]) -> list[str]:
    command = [sys.executable, "-m", "tests.goldens", "--show", *names]
    environment = {**os.environ, "PYTHONPATH": folder}
    done = subprocess.run(
        command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.splitlines()


if __name__ == "__main__":
    sys.exit(main())
