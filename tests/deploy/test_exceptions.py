"""Exceptions from checkov: each has a reason, and the reason still holds.

checkov itself is too large to be a tool of this project; deploy/README.md says when it was run.
"""

import re
from typing import Final

from tests.deploy.stack import TEMPLATE, template

DOCKERFILE = TEMPLATE.parents[1] / "Dockerfile"
_SKIP = re.compile(r"# checkov:skip=(\w+):(\S.{20,})")


def of_template() -> dict[tuple[str, str], str]:
    """Return the reason of each exception, by the resource and the check."""
    reasons, resource = {}, ""
    for line in TEMPLATE.read_text(encoding="utf-8").splitlines():
        if found := re.match(r"  (\w+):", line):
            resource = found[1]
        if "checkov:skip" in line:
            (skip,) = _SKIP.finditer(line)
            reasons[resource, skip[1]] = skip[2]
    return reasons


# The property that a resource would have without its exception.
MISSING: Final = {
    ("Rollouts", "CKV_AWS_119"): "SSESpecification",
    ("OwnedCluster", "CKV_AWS_65"): "ClusterSettings",
    ("Logs", "CKV_AWS_158"): "KmsKeyId",
    ("Ended", "CKV_AWS_158"): "KmsKeyId",
    ("Pages", "CKV_AWS_26"): "KmsMasterKeyId",
    ("Function", "CKV_AWS_116"): "DeadLetterConfig",
    ("Function", "CKV_AWS_117"): "VpcConfig",
    ("Function", "CKV_AWS_173"): "KmsKeyArn",
    ("Map", "CKV_AWS_284"): "TracingConfiguration",
    ("Map", "CKV_AWS_285"): "LoggingConfiguration",
}


def test_every_exception_of_the_template_is_known_and_still_one() -> None:
    assert set(of_template()) == set(MISSING)
    resources = template()["Resources"]
    there = [place for place, one in MISSING.items() if one in resources[place[0]]["Properties"]]
    assert there == [], "the property is there: take the exception away"


def test_the_exceptions_of_the_dockerfile_still_hold() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert {skip[1] for skip in _SKIP.finditer(text)} == {"CKV_DOCKER_2", "CKV_DOCKER_7"}
    assert "\nHEALTHCHECK" not in text
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["${BASE}"] * 3
    (base,) = re.findall(r"^ARG BASE=(\S+)$", text, re.MULTILINE)
    assert re.fullmatch(r"[a-z/]+:[0-9][\w.-]+@sha256:[0-9a-f]{64}", base)
