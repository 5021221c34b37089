"""Secrets that a policy names: read from their place, and never quoted."""

from typing import Any

import pytest

from controller.adapters.secrets import SecretReader
from controller.core.policy import SecretReference
from controller.errors import DeliveryError
from tests.support.emulator import Emulator

HIDDEN = "hunter2"


@pytest.fixture
def client(ministack: Emulator, account: str) -> Any:
    return ministack.client("secretsmanager", account)


def test_a_secret_is_read_by_its_name_and_by_its_arn(client: Any) -> None:
    arn = client.create_secret(Name="rollouts/slack", SecretString=f"{HIDDEN}\n")["ARN"]
    secrets = SecretReader(lambda: client, {})
    assert secrets.read(SecretReference(secret="rollouts/slack")) == HIDDEN
    assert secrets.read(SecretReference(secret=arn)) == HIDDEN


def test_a_secret_that_does_not_exist_is_an_error(client: Any) -> None:
    with pytest.raises(DeliveryError) as caught:
        SecretReader(lambda: client, {}).read(SecretReference(secret="missing"))
    assert str(caught.value).startswith(
        "the secret missing could not be read (secretsmanager:GetSecretValue): "
        "ResourceNotFoundException: "
    )


def test_a_secret_that_is_no_text_is_none(client: Any) -> None:
    client.create_secret(Name="binary", SecretBinary=b"\x00\x01")
    with pytest.raises(DeliveryError, match="the secret binary is not set, or empty"):
        SecretReader(lambda: client, {}).read(SecretReference(secret="binary"))


def no_client() -> Any:
    raise AssertionError("no client is needed")


@pytest.mark.parametrize("environment", [{}, {"HOOK": " "}])
def test_a_variable_that_is_not_set_is_an_error(environment: dict[str, str]) -> None:
    with pytest.raises(DeliveryError) as caught:
        SecretReader(no_client, environment).read(SecretReference(environment="HOOK"))
    assert str(caught.value) == "the environment variable HOOK is not set, or empty"
