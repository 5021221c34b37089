"""Immutable values: data become values in several threads at once."""

import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]

# Many new classes, each first met by several threads at the same moment: as in a tick that has just
# been started, whose threads all load their first rollout.
FIRST_MET_IN_THREADS: Final = """
import sys, threading
from msgspec import defstruct
from controller.immutable import convert

sys.setswitchinterval(1e-6)
for number in range(100):
    kind, data = int, 1
    for depth in range(8):
        fields = [("one", kind), ("two", kind), ("some", list[kind])]
        kind = defstruct(f"Kind{number}At{depth}", fields)
        data = {"one": data, "two": data, "some": [data]} if depth < 5 else {
            "one": data, "two": data, "some": []}
    begin, seen = threading.Barrier(8), []

    def work():
        begin.wait()
        seen.append(convert(data, kind))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(seen) == 8
"""


def test_threads_that_convert_to_a_new_class_at_once_do_not_crash() -> None:
    """msgspec 0.22 does: it shares what it knows of a class before that is complete."""
    ended = subprocess.run(
        [sys.executable, "-c", FIRST_MET_IN_THREADS],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
