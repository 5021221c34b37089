"""The homes of ticks as stacks of the template on the emulator, a class for each.

A home ticks when the clock of its processes is moved. That of the function is in its zip, of which
the emulator runs the code.
"""

import io
import json
import os
import signal
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol
from zipfile import ZIP_DEFLATED, ZipFile

from controller.errors import Exit
from tests.deploy.stack import NAME, Stack
from tests.e2e.account import Account
from tests.e2e.program import Program, Running
from tests.support.emulator import Emulator

MODULE: Final = "controller/function.py"
_IMAGES: Final = "123456789012.dkr.ecr.us-east-1.amazonaws.com/rolloutctl@sha256:"
_PATIENCE_S: Final = 120  # of a client: a call that is repeated is a second tick

# What makes the processes of a function follow the clock of a test.
_FOLLOW: Final = """
import datetime
import pathlib
from controller.adapters.clock import SystemClock
def _now(self):
    moved = float(pathlib.Path({clock!r}).read_text())
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=moved)
SystemClock.now = _now
os.environ.update({variables!r})
"""


def with_code(package: bytes, code: str) -> bytes:
    """Return the zip of a function whose module ends with `code`."""
    changed = io.BytesIO(package)
    with ZipFile(changed, "a", ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Duplicate name")  # the later one is unpacked
        archive.writestr(MODULE, archive.read(MODULE) + code.encode())
    return changed.getvalue()


def follow(clock: Path, variables: Mapping[str, str]) -> str:
    """Return code that lets a function follow a clock and have these variables."""
    return _FOLLOW.format(clock=str(clock), variables=dict(variables))


def upload(account: Account, key: str, package: bytes) -> dict[str, str]:
    """Put the zip into a bucket, and return the parameters of a stack that has it."""
    bucket = f"code-{account.number}"
    account.client("s3").create_bucket(Bucket=bucket)
    account.client("s3").put_object(Bucket=bucket, Key=key, Body=package)
    network = {"Subnets": "", "SecurityGroups": "", "RepositoryArn": "none", "StartTask": "no"}
    return {"Home": "function", "Image": "none", "CodeBucket": bucket, "CodeKey": key, **network}


@dataclass(slots=True)
class Place:
    """Where a home is made: an account of the emulator, and a folder for its clock.

    variables: what its processes need beside the template's. package: the zip of the function.
    """

    emulator: Emulator
    number: str
    folder: Path
    variables: Mapping[str, str]
    package: bytes

    @property
    def account(self) -> Account:
        """The account."""
        return Account.of(self.emulator, self.number)

    @property
    def clock(self) -> Path:
        """The file of the clock."""
        return self.folder / "clock"

    def move_clock(self, moment: datetime) -> None:
        """Move the clock of all processes to `moment`."""
        moved = self.folder / "moved"
        moved.write_text(str((moment - datetime.now(UTC)).total_seconds()))
        moved.replace(self.clock)

    def client(self, service: str) -> Any:
        """Return a client that waits long."""
        return self.emulator.client(service, self.number, patience_s=_PATIENCE_S)


class Home(Protocol):
    """What ticks."""

    def parameters(self, version: int) -> Mapping[str, str]:
        """Return the parameters of a stack with this version of the program."""
        ...

    def begin(self, stack: Stack) -> None:
        """Let it tick from now on, as AWS does with the resources of the stack."""

    def tick(self, moment: datetime) -> None:
        """Move its clock to `moment`, and return when it has ticked."""

    def replace(self) -> None:
        """Let what the updated stack has take the place of what ran before."""

    def left(self) -> list[str]:
        """Return the names of what still ticks in the account."""
        ...

    def close(self) -> None:
        """End the processes that it has here."""


@dataclass(slots=True)
class Function:
    """The function, which a schedule invokes."""

    place: Place
    target: Mapping[str, Any] = field(init=False)
    children: ClassVar[str] = "0"

    def parameters(self, version: int) -> Mapping[str, str]:
        code = follow(self.place.clock, self.place.variables)
        package = with_code(self.place.package, f"{code}VERSION = {version}\n")
        uploaded = upload(self.place.account, f"{version}.zip", package)
        return {**uploaded, "MapChildren": self.children}

    def begin(self, stack: Stack) -> None:
        self.target = stack.hold_schedule()

    def tick(self, moment: datetime) -> None:
        self.place.move_clock(moment)
        self.run()

    def run(self) -> None:
        """Run what the schedule runs."""
        answer = self.place.client("lambda").invoke(
            FunctionName=self.target["Arn"], Payload=self.target["Input"]
        )
        payload = json.loads(answer["Payload"].read())
        assert payload == {"status": Exit.DONE}, payload

    def replace(self) -> None:
        """The next invocation has the new code."""

    def left(self) -> list[str]:
        functions = self.place.client("lambda").list_functions()["Functions"]
        return [one["FunctionName"] for one in functions if one["FunctionName"].startswith(NAME)]

    def close(self) -> None:
        """The emulator ends what runs in it."""


class Map(Function):
    """The map, which a schedule starts, and whose children are the function."""

    children = "8"

    def run(self) -> None:
        states, target = self.place.client("stepfunctions"), self.target
        execution = states.start_execution(stateMachineArn=target["Arn"], input=target["Input"])
        ended = ended_execution(states, execution["executionArn"])
        report = json.loads(ended["output"])
        assert (ended["status"], report["status"]) == ("SUCCEEDED", Exit.DONE), report

    def left(self) -> list[str]:
        machines = self.place.client("stepfunctions").list_state_machines()["stateMachines"]
        return [*Function.left(self), *(one["name"] for one in machines)]


@dataclass(slots=True)
class ScheduledTask:
    """A task for each tick. A process runs its command, with its variables and its role."""

    place: Place
    stack: Stack = field(init=False)

    def parameters(self, version: int) -> Mapping[str, str]:
        return _of_tasks("scheduled-task", version)

    def begin(self, stack: Stack) -> None:
        self.stack = stack

    def tick(self, moment: datetime) -> None:
        self.place.move_clock(moment)
        ended = begin_task(self.place, self.stack, self.stack.scheduled_task()).answer()
        assert ended.status == Exit.DONE, ended.err

    def replace(self) -> None:
        """The next task has the new image."""

    def left(self) -> list[str]:
        schedules = self.place.client("scheduler").list_schedules()["Schedules"]
        return [one["Name"] for one in schedules]

    def close(self) -> None:
        """Each of its processes has ended."""


@dataclass(slots=True)
class Service:
    """A service, whose one task is a process that goes on until it is stopped."""

    place: Place
    stack: Stack = field(init=False)
    definition: str = field(init=False)
    running: Running = field(init=False)
    started: list[Running] = field(default_factory=list)

    def parameters(self, version: int) -> Mapping[str, str]:
        return _of_tasks("service", version)

    def begin(self, stack: Stack) -> None:
        self.stack = stack
        (service,) = self._services()
        assert service["desiredCount"] == 1
        self.definition = service["taskDefinition"]
        self.running = begin_task(self.place, stack, self.definition)
        self.started.append(self.running)
        self.running.wait_for("tick_ended")

    def tick(self, moment: datetime) -> None:
        self.place.move_clock(moment)
        self.running.wait_for("tick_ended")

    def replace(self) -> None:
        """ECS starts the new task before it stops the old one."""
        old, definition = self.running, self.definition
        self.begin(self.stack)
        assert self.definition != definition
        old.signal(signal.SIGTERM)
        assert old.answer().status == 128 + signal.SIGTERM

    def left(self) -> list[str]:
        self.running.signal(signal.SIGTERM)
        assert self.running.answer().status == 128 + signal.SIGTERM
        return [one["serviceName"] for one in self._services() if one["status"] != "INACTIVE"]

    def close(self) -> None:
        for one in self.started:
            one.process.kill()

    def _services(self) -> list[dict[str, Any]]:
        client = self.place.client("ecs")
        arns = client.list_services(cluster=NAME)["serviceArns"]
        found = client.describe_services(cluster=NAME, services=arns) if arns else {"services": []}
        services: list[dict[str, Any]] = found["services"]
        return services


HOMES: Final[Mapping[str, type[Function | Map | ScheduledTask | Service]]] = {
    "function": Function,
    "map": Map,
    "service": Service,
    "scheduled-task": ScheduledTask,
}


def _of_tasks(home: str, version: int) -> Mapping[str, str]:
    return {"Home": home, "Image": f"{_IMAGES}{version:064}", "StartTask": "no"}


def begin_task(place: Place, stack: Stack, task_arn: str) -> Running:
    """Start a task as ECS does: its command, its variables, and the keys of its role."""
    task = stack.task(task_arn)
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        **place.emulator.environment(place.number),
        **place.variables,
        **task.variables,
        **stack.keys(task.role),
    }
    program = Program(environment, forked=True, clock=str(place.clock))
    return program.begin(*task.command)


def ended_execution(states: Any, execution: str) -> dict[str, Any]:
    """Wait until an execution of a state machine has ended, and return it."""
    deadline = time.monotonic() + 500
    while (found := states.describe_execution(executionArn=execution))["status"] == "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    ended: dict[str, Any] = found
    return ended
