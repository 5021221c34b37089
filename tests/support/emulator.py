"""ministack, a third-party AWS emulator, as a process on a free port.

The access key id selects the account: each number of twelve digits is an isolated one.
"""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from random import SystemRandom
from typing import Any, Final

from boto3.session import Session
from botocore.config import Config

PYTHON: Final = Path(__file__).parents[2] / ".venv-ministack" / "bin" / "python"
REGION: Final = "us-east-1"

# How long a test waits for an update of a function.
UPDATE_S: Final = 0.25

# The waiters of botocore ask once in one to thirty seconds otherwise.
WAITER_CONFIG: Final = {"Delay": 0.1, "MaxAttempts": 300}

# ministack takes half a second for an update, and most tests of processes wait for three of them.
_PROGRAM: Final = f"""
from ministack.app import main
from ministack.services import lambda_svc

assert lambda_svc._LAMBDA_STATE_TRANSITION_DELAY
lambda_svc._LAMBDA_STATE_TRANSITION_DELAY = {UPDATE_S - 0.05}
main()
"""
_HOST: Final = "127.0.0.1"
_START_LIMIT_S: Final = 30.0
_STOP_LIMIT_S: Final = 10.0
_LOG_TAIL_CHARACTERS: Final = 4_000
_PORTS: Final = SystemRandom()

# The profiles and credentials of a developer must neither help a test nor reach an emulator.
NO_CREDENTIALS: Final = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


class EmulatorError(Exception):
    """The emulator is not installed, or did not start."""


@dataclass(slots=True)
class Emulator:
    """A running emulator. endpoint: its URL. log_file: everything that it printed."""

    endpoint: str
    log_file: Path
    _session: Session = field(default_factory=lambda: Session(region_name=REGION))

    def client(self, service: str, account: str, *, patience_s: float = 10) -> Any:
        """Return a boto3 client of `service` that acts in `account` (twelve digits).

        patience_s: how long it waits for an answer, which the first invocation of a function needs.
        """
        return self._session.client(
            service,
            endpoint_url=self.endpoint,
            aws_access_key_id=account,
            aws_secret_access_key="test",
            # To validate the thousand datapoints of a call takes longer than to send them.
            config=Config(connect_timeout=3, read_timeout=patience_s, parameter_validation=False),
        )

    def environment(self, account: str) -> dict[str, str]:
        """Return the variables that make a process act in `account` of this emulator."""
        return {
            **NO_CREDENTIALS,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": account,
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def log(self) -> str:
        """Return the end of what the emulator printed."""
        return self.log_file.read_text(errors="replace")[-_LOG_TAIL_CHARACTERS:]


@contextmanager
def running_emulator(folder: Path, *, enforcing: bool = False) -> Iterator[Emulator]:
    """Yield an emulator that keeps its log and its files in `folder`, and stop it afterwards.

    enforcing: a role may do what its policies allow, and nothing else; an account may do all.
    Raises EmulatorError when it is not installed, or does not answer within the limit.
    """
    if not PYTHON.exists():
        raise EmulatorError(f"there is no emulator with {PYTHON}; set it up: make e2e-venv")
    port = _free_port()
    log_file = folder / "ministack.log"
    environment = {
        **NO_CREDENTIALS,
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "BIND_HOST": _HOST,
        "MINISTACK_HOST": _HOST,
        "GATEWAY_PORT": str(port),
        "AUTH": str(enforcing).lower(),
    }
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [PYTHON, "-c", _PROGRAM],
            env=environment,
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    emulator = Emulator(f"http://{_HOST}:{port}", log_file)
    try:
        _wait_until_healthy(process, port, emulator)
        yield emulator
    finally:
        _stop(process)


def _wait_until_healthy(process: subprocess.Popen[bytes], port: int, emulator: Emulator) -> None:
    deadline = time.monotonic() + _START_LIMIT_S
    while not _healthy(port):
        if process.poll() is not None:
            raise EmulatorError(f"ministack ended with {process.returncode}:\n{emulator.log()}")
        if time.monotonic() > deadline:
            raise EmulatorError(f"no ministack after {_START_LIMIT_S:.0f} s:\n{emulator.log()}")
        time.sleep(0.05)
    if process.poll() is not None:
        raise EmulatorError(f"port {port} is that of another emulator:\n{emulator.log()}")


def _healthy(port: int) -> bool:
    connection = HTTPConnection(_HOST, port, timeout=1)
    try:
        connection.request("GET", "/_ministack/health")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(_STOP_LIMIT_S)


def _free_port() -> int:
    """Return a free port, outside the ones that the system gives to connections and servers.

    An emulator takes it seconds later. A port of the system may be given away until then, to the
    emulator of another test process as well.
    """
    while True:
        port = _PORTS.randrange(20_000, 32_000)
        with socket.socket() as probe:
            if probe.connect_ex((_HOST, port)):
                return port
