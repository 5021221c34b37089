"""`python -m controller` is `rolloutctl`: the command, as a process of its own."""

import gc
import os
import sys
from types import TracebackType
from typing import Final

# Python looks for garbage in cycles each time that 700 objects came to be. A tick makes 150,000,
# most of them service models and code that stay to its end, and a third of its time went into
# finding next to none. So many suffice for a tick that looks for none, and for little memory in
# what runs for hours. It is set before the rest is imported, which makes a third of them.
OBJECTS_BEFORE_COLLECTION: Final = 300_000


def main() -> int:
    """Run the command that the arguments of this process name; return its exit status."""
    gc.set_threshold(OBJECTS_BEFORE_COLLECTION)
    sys.excepthook = _print_failure
    # The processes of a backtest would look for each module in the current folder first.
    os.environ["PYTHONSAFEPATH"] = "1"
    from controller import cli

    try:
        return cli.main()
    finally:
        gc.freeze()  # nor is any looked for at the end, when all of the memory is given back


def _print_failure(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print an uncaught exception as Python does, but for what a terminal would obey in it."""
    from traceback import format_exception

    from controller.cli import streams

    print(
        "".join(format_exception(kind, error, trace)),
        end="",
        file=streams.PrintableStream(sys.stderr),
    )


if __name__ == "__main__":
    sys.exit(main())
