"""Roles with exactly the policy that `rolloutctl iam` prints drive each routed target."""

import json
from pathlib import Path

import pytest

from controller.tools.iam import Job
from tests.e2e import role as roles
from tests.e2e.routed import KINDS, ROLLOUT, Routed
from tests.support import emulator
from tests.support.emulator import Emulator

pytestmark = pytest.mark.ministack


@pytest.fixture
def ministack(enforcing_ministack: Emulator) -> Emulator:
    return enforcing_ministack


@pytest.fixture(params=KINDS)
def routed(
    request: pytest.FixtureRequest, ministack: Emulator, account: str, tmp_path: Path
) -> Routed:
    iam = ministack.client("iam", account)
    roles.make_role(iam, "any", {"Service": "lambda.amazonaws.com"})
    return Routed(KINDS[request.param], ministack, account, tmp_path)


def act_as(routed: Routed, job: Job) -> None:
    """Let the program act as the role for `job`, with exactly what `iam` prints for it."""
    routed.keys = {}
    where = ("--account", routed.number, "--region", emulator.REGION)
    answer = routed.run("iam", routed.policy, "--for", job, *where)
    document = json.loads(answer.out)
    granted = list(roles.grants(document))
    iam, sts = (routed.emulator.client(name, routed.number) for name in ("iam", "sts"))
    arn = roles.make_role(iam, job, {"AWS": "*"})
    least = json.dumps(roles.of(granted))
    iam.put_role_policy(RoleName=job, PolicyName="least", PolicyDocument=least)
    session = sts.assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    routed.keys = {
        "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
        "AWS_SESSION_TOKEN": session["SessionToken"],
    }


def test_the_role_that_drafts_a_policy_reads_what_it_needs(routed: Routed) -> None:
    act_as(routed, Job.INIT)
    written = routed.run("init", *routed.kind.drafted, "-o", routed.folder / "first.yaml", "--json")
    assert (written.status, written.data["notes"]) == (0, []), written.err


def test_each_role_does_its_job(routed: Routed) -> None:
    act_as(routed, Job.START)
    assert routed.run("plan", routed.policy, "--live").status == 0
    routed.start()
    act_as(routed, Job.TICK)
    routed.reach(50)
    act_as(routed, Job.INVESTIGATE)
    assert routed.run("metrics", routed.policy).status == 0
    assert "AccessDenied" not in routed.run("verify", routed.policy).out
    act_as(routed, Job.OPERATE)
    assert routed.run("rollback", ROLLOUT).status == 0
    assert routed.bench.weight() == 0
    routed.bench.set(10)
    assert routed.run("rollback", routed.policy).status == 0
    assert routed.bench.weight() == 0
    assert routed.bench.beside() == routed.beside
