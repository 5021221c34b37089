"""What each verb prints on a terminal of 80 and of 120 columns, in stories that are played again.

A file of `terminal/` is what somebody saw who typed the commands of a story, one after the other.

    python -m tests.goldens.terminal            show what differs
    python -m tests.goldens.terminal --write    record again; git diff shows what changed
"""

import contextlib
import difflib
import io
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, TypeAlias
from unittest.mock import patch

from controller import cli
from controller.adapters.aws.clients import Clients
from controller.adapters.iam import CallerIdentity, NotSimulatedError
from controller.bootstrap import account
from controller.core.units import parse_duration
from controller.immutable import Immutable
from controller.policy_file.loader import load
from controller.tools.doctor import verb as doctor
from controller.tools.simulation.scenario.scenario import load_scenario
from controller.tools.simulation.world import World
from tests.adapters.cloudformation.fake_cloudformation import FakeCloudFormation
from tests.support import folders

FOLDER: Final = Path(__file__).parent / "terminal"
ROOT: Final = Path(__file__).parents[2]
WIDTHS: Final = (80, 120)
POLICY: Final = "policies/execution-api.yaml"
ALIAS: Final = "policies/lambda-alias.yaml"
GROUPS: Final = "policies/alb-weights.yaml"
FLAG: Final = "policies/appconfig.yaml"
# The policy of the account.
OF_STORY: Final = {"alias": ALIAS, "load balancer": GROUPS, "appconfig": FLAG}
OTHER: Final = "payments.yaml"
NAME: Final = "execution-api"
CALLER: Final = "arn:aws:sts::123456789012:assumed-role/people/operator"
LONGEST: Final = 40  # lines of a document that no page has, such as an IAM policy
# As long as the folder that is made: its length decides where lines end.
FOLDER_NAME: Final = "/srv/rolloutctl-00000000"


class Wait(Immutable):
    """Time that passes, with a tick every so often."""

    length: str
    every: str = "5m"


Act: TypeAlias = str | Wait


def _routed(name: str, policy: str, *init: str, revision: str = "") -> Sequence[Act]:
    """Return what somebody does with a target whose weight is in the routing of AWS."""
    drafted = f"init {' '.join(init)} -o mine.yaml --name mine"
    return (
        drafted,
        f"validate {policy}",
        f"plan {policy} --live",
        f"rehearse {policy} --scenario healthy --interval 30m",
        f"start {policy}{revision}",
        Wait("20m"),
        "tick",
        f"status {name}",
        f"metrics {name}",
        f"logs {name}",
        f"verify {name}",
        f"permanent {policy} --form terraform",
        f"pause {name} --reason 'the database is being moved'",
        f"set-weight {name} 20 --force --reason 'a demo'",
        f"resume {name} --keep",
        f"rollback {name} --reason 'customers called'",
        Wait("20m"),
        f"status {name}",
        f"verify {name}",
        f"retry {name} --reason 'the fault is mended'",
        f"history {name}",
        f"permanent {policy}",
        f"monitoring plan {policy}",
        f"iam {policy} --account 123456789012 --region us-east-1",
    )


_ELB: Final = "arn:aws:elasticloadbalancing:us-east-1:123456789012"
_RULE: Final = f"{_ELB}:listener-rule/app/shop/50dc6c495c0c9188/f2f7dc8efc522ab2/9683b2d02a6cabee"
_ENVIRONMENT: Final = (
    "arn:aws:appconfig:us-east-1:123456789012:application/abc1234/environment/def5678"
)

# Each story: the scenario of the simulated account, and what somebody does.
STORIES: Final[Mapping[str, tuple[str, Sequence[Act]]]] = {
    "alias": (
        "healthy",
        _routed(
            "lambda-alias",
            ALIAS,
            "--function checkout",
            "--alias live",
        ),
    ),
    "load balancer": (
        "healthy",
        _routed(
            "alb-weights",
            GROUPS,
            f"--rule {_RULE}",
            revision=" --revision green-1",
        ),
    ),
    "appconfig": (
        "healthy",
        _routed(
            "appconfig",
            FLAG,
            f"--environment {_ENVIRONMENT}",
            "--flag checkout",
            "--function checkout",
            revision=" --revision new-1",
        ),
    ),
    "try": (
        "healthy",
        (
            "--help",
            "status --help",
            f"validate {POLICY}",
            "validate wrong.yaml",
            "explain criteria.checkout.max_increase",
            f"plan {POLICY} --requests-per-minute 20",
            "init --offline --from quiet-service -o quiet.yaml",
            f"plan {POLICY}",
            f"plan {POLICY} --live",
            f"doctor {POLICY}",
            f"doctor {POLICY} --test-message critical",
            f"rehearse {POLICY} --scenario error-burst --interval 5m",
        ),
    ),
    "success": (
        "healthy",
        (
            f"start {POLICY} --revision 7d1c5a9",
            Wait("20m"),
            "tick",
            f"status {NAME}",
            f"metrics {NAME}",
            f"logs {NAME}",
            f"verify {NAME}",
            f"pause {NAME} --reason 'the database is being moved'",
            f"set-weight {NAME} 20 --force --reason 'a demo'",
            f"resume {NAME} --keep",
            f"promote {NAME} --reason 'the board said so'",
            Wait("2h"),
            f"approve {NAME}",
            f"attest {NAME} SC-005 --note 'no tickets'",
            f"ack {NAME}",
            Wait("26h", every="30m"),
            "status --all",
            f"history {NAME}",
            f"replay {NAME}",
            f"report {NAME} --html report.html",
            f"permanent {NAME} --form terraform",
            "store init --store sqlite:///other.db",
            "store copy sqlite:///rollouts.db sqlite:///other.db",
            "store check",
            "store upgrade --dry-run",
        ),
    ),
    "rollback": (
        "error-burst",
        (
            f"start {POLICY} --revision 7d1c5a9",
            Wait("2h"),
            f"status {NAME}",
            f"verify {NAME}",
            f"start {POLICY} --revision 7d1c5a9",
            f"rollback {NAME} --reason 'once more'",
            f"retry {NAME} --reason 'the fault is mended'",
            f"history {NAME}#1",
        ),
    ),
    "several": (
        "healthy",
        (
            f"start {POLICY} --revision 7d1c5a9",
            Wait("20m"),
            f"run {OTHER} --timeout 10m",
            "status",
            "status payments --wait --timeout 5m",
            "status --watch --timeout 5m",
            "rollback payments",
            "tick",
        ),
    ),
    "set up": (
        "healthy",
        (
            "store init",
            f"iam {POLICY} --account 123456789012 --region eu-central-1",
            f"monitoring plan {POLICY}",
            f"monitoring deploy {POLICY}",
            f"monitoring remove {POLICY} --yes",
            "record .",
            "schema status",
            "completion bash",
        ),
    ),
    "mistakes": (
        "healthy",
        (
            "strat",
            "status --exit",
            "status",
            "status nothing",
            f"start {POLICY} --store redis://host",
            f"set-weight {POLICY} 101",
            f"promote {NAME}",
            "start wrong.yaml",
            f"plan {POLICY} --adopt",
            f"backtest {POLICY} --csv gone.csv",
            "dashboard --allow all",
        ),
    ),
}
WRONG: Final = """\
version: 1
name: checkout
target: {kind: lambda-env, funktion: checkout, percentage: NEW_PATH_PERCENTAGE}
metrics:
  requests: {namespace: Shop, name: Requests, statistic: Sum}
criteria:
  success: {kind: success_rate, total: reqests, failures: [requests], min: 0%}
steps:
  - {weight: 10, bake: 1 day}
  - {weight: 50}
"""


class Terminal(io.StringIO):
    """stdout and stderr of somebody at a terminal, whose cursor stays where it is."""

    def isatty(self) -> bool:
        """Yes."""
        return True


def _not_simulated(*_: object) -> dict[tuple[str, str], str]:
    raise NotSimulatedError("iam:SimulatePrincipalPolicy is not allowed")


def play(story: str, width: int) -> str:
    """Return the transcript of `story` on a terminal of `width` columns."""
    scenario, acts = STORIES[story]
    with _stage(scenario, width, OF_STORY.get(story, POLICY)) as (world, folder):
        shown = [_shown(act, world) for act in acts]
    text = "\n".join(one for one in shown if one)
    # The size of a report was 321 kB in one run and 322 kB in another.
    return re.sub(r"\(\d+ kB\)", "(300 kB)", text.replace(str(folder), FOLDER_NAME))


def _shown(act: Act, world: World) -> str:
    if isinstance(act, Wait):
        end = world.clock.now() + parse_duration(act.length)
        while world.clock.now() < end:
            world.clock.advance(parse_duration(act.every))
            _run("tick")
        return f"({act.length} later)\n"
    status, shown = _run(act)
    lines = shown.splitlines()
    if act.split()[0] in ("iam", "schema", "completion") and len(lines) > LONGEST:
        lines = [*lines[:LONGEST], f"({len(lines) - LONGEST} more lines)"]
    return "\n".join([f"$ rolloutctl {act}", *lines, f"(exit status {status})", ""])


def _run(command: str) -> tuple[int, str]:
    screen = Terminal()
    with contextlib.redirect_stdout(screen), contextlib.redirect_stderr(screen):
        status = cli.main(shlex.split(command))
    return int(status), screen.getvalue()


@contextmanager
def _stage(scenario: str, width: int, of_account: str) -> Iterator[tuple[World, Path]]:
    """Yield a simulated account with the target of the policies, and the working directory."""
    environment = {
        "PATH": os.environ["PATH"], "TERM": "dumb", "COLUMNS": str(width), "HOME": "/nowhere",
        "ROLLOUTCTL_STORE": "sqlite:///rollouts.db", "ROLLOUTCTL_BY": "ada",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }  # fmt: skip
    with ExitStack() as stack:
        root = folders.root()
        prefix = "rolloutctl-"[len(str(root)) - len("/srv") :]
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=prefix, dir=root)))
        shutil.copytree(ROOT / "policies", folder / "policies")
        (folder / "wrong.yaml").write_text(WRONG, encoding="utf-8")
        text = (ROOT / POLICY).read_text(encoding="utf-8")
        for line, other in (("name", "payments"), ("  function", "payments")):
            text = re.sub(rf"(?m)^{line}: .*$", f"{line}: {other}", text)
        (folder / OTHER).write_text(
            text.replace("{frozen: direct_duration, window: 24h}", "{fixed: 250}"), encoding="utf-8"
        )
        stack.enter_context(contextlib.chdir(folder))
        policy = load(Path(of_account))
        policy = policy.resolved(policy.target.rehearsed())
        world = World.for_policy(policy, load_scenario(scenario), seed=1)
        world.add_function("payments", {})
        stacks = FakeCloudFormation(0, 0)

        def client(_: Clients, service: str, *_1: object, **_2: object) -> Any:
            if service == "cloudformation":
                return stacks
            found = world.client(service)
            found.meta = SimpleNamespace(region_name="eu-central-1")
            return found

        stack.enter_context(patch.dict(os.environ, environment, clear=True))
        for method in ("get", "single_try"):
            stack.enter_context(patch.object(Clients, method, client))
        stack.enter_context(patch.object(account, "SystemClock", lambda: world.clock))
        caller = CallerIdentity(CALLER, world.clock.now())
        stack.enter_context(patch.object(doctor, "caller_identity", lambda _: caller))
        stack.enter_context(patch.object(doctor, "decisions", _not_simulated))
        yield world, folder


def recorded(story: str, width: int) -> Path:
    """Return the file of a story at a width."""
    return FOLDER / f"{story.replace(' ', '-')}-{width}.txt"


def difference(story: str, width: int) -> str:
    """Return how a story differs from what is recorded; empty where it does not."""
    path, now = recorded(story, width), play(story, width)
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = difflib.unified_diff(
        before.splitlines(), now.splitlines(), path.name, "now", lineterm=""
    )
    return "\n".join(lines)


def main() -> int:
    """Show what differs, or record it; return 1 when something differs."""
    differences = []
    for story in STORIES:
        for width in WIDTHS:
            if sys.argv[1:] == ["--write"]:
                FOLDER.mkdir(exist_ok=True)
                recorded(story, width).write_text(play(story, width), encoding="utf-8")
            elif text := difference(story, width):
                differences.append(text)
    sys.stdout.write("\n".join([*differences, f"{len(differences)} files differ", ""]))
    return int(bool(differences))


if __name__ == "__main__":
    sys.exit(main())
