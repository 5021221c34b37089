"""The floor of a cold tick: boto3 makes the calls of that tick, and nothing else is loaded or done.

    python -m benchmarks.cold_start_floor CALLS

CALLS: a pickle of (service, method, request) in order. `cold_start.py` records it and runs this.
"""

import gc
import pickle
import sys
from pathlib import Path

from boto3.session import Session

# As controller/__main__.py, which is not imported: the floor loads nothing of the program.
OBJECTS_BEFORE_COLLECTION = 300_000


def main() -> None:
    """Make the calls."""
    gc.set_threshold(OBJECTS_BEFORE_COLLECTION)
    session = Session()
    clients = {}
    for service, method, request in pickle.loads(Path(sys.argv[1]).read_bytes()):  # noqa: S301
        if service not in clients:
            clients[service] = session.client(service)
        getattr(clients[service], method)(**request)
    gc.freeze()


if __name__ == "__main__":
    main()
