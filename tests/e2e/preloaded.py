"""What the fork server loads in advance: the program, botocore and its service models.

Loading them takes ten times as long as a tick. A new process does it once, and so does the server,
for all processes that are forked from it.
"""

import gc
import os

from controller.adapters.aws.clients import Clients
from tests.support.emulator import NO_CREDENTIALS, REGION
from tests.support.whole_program import import_all


def _load_models() -> None:
    """Create a client of each service, which loads its model for all forked processes."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    credentials = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing"}
    os.environ.update({**NO_CREDENTIALS, **credentials, "AWS_REGION": REGION})
    clients = Clients()
    for service in ("cloudwatch", "dynamodb", "elbv2", "lambda"):
        clients.get(service)
    for name in (*credentials, "AWS_REGION"):
        del os.environ[name]


import_all()
_load_models()
gc.collect()
gc.freeze()  # memory that the collector does not touch stays shared with the server
