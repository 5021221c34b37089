"""Secrets that a policy names: read from their place, and never quoted."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

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
    secrets = SecretReader(lambda _: client, {})
    assert secrets.read(SecretReference(secret="rollouts/slack")) == HIDDEN
    assert secrets.read(SecretReference(secret=arn)) == HIDDEN


def test_a_secret_that_does_not_exist_is_an_error(client: Any) -> None:
    with pytest.raises(DeliveryError) as caught:
        SecretReader(lambda _: client, {}).read(SecretReference(secret="missing"))
    assert str(caught.value).startswith(
        "the secret missing could not be read (secretsmanager:GetSecretValue): "
        "ResourceNotFoundException: "
    )


def test_a_secret_that_is_no_text_is_none(client: Any) -> None:
    client.create_secret(Name="binary", SecretBinary=b"\x00\x01")
    with pytest.raises(DeliveryError, match="the secret binary is not set, or empty"):
        SecretReader(lambda _: client, {}).read(SecretReference(secret="binary"))


# --- Parameter Store ------------------------------------------------------------------------------


@pytest.fixture(params=["ministack", "moto"])
def parameters(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The client of Systems Manager, of each emulator that has one."""
    if request.param == "ministack":
        emulator: Emulator = request.getfixturevalue("ministack")
        yield emulator.client("ssm", request.getfixturevalue("account"))
        return
    from moto import mock_aws  # slow to import

    with mock_aws():
        yield boto3.client("ssm", region_name="eu-central-1")


def test_a_parameter_is_read_by_its_name_and_by_its_arn_and_decrypted(parameters: Any) -> None:
    name = "/rollouts/slack"
    parameters.put_parameter(Name=name, Value=f"{HIDDEN}\n", Type="SecureString")
    arn = parameters.get_parameter(Name=name)["Parameter"]["ARN"]
    secrets = SecretReader(lambda _: parameters, {})
    assert secrets.read(SecretReference(parameter=name)) == HIDDEN
    assert secrets.read(SecretReference(parameter=arn)) == HIDDEN


def test_a_parameter_that_does_not_exist_is_an_error(parameters: Any) -> None:
    with pytest.raises(DeliveryError) as caught:
        SecretReader(lambda _: parameters, {}).read(SecretReference(parameter="/missing"))
    assert str(caught.value).startswith(
        "the parameter /missing could not be read (ssm:GetParameter): ParameterNotFound: "
    )


def test_a_parameter_that_is_no_secure_string_is_refused(parameters: Any) -> None:
    parameters.put_parameter(Name="/open", Value=HIDDEN, Type="String")
    with pytest.raises(DeliveryError) as caught:
        SecretReader(lambda _: parameters, {}).read(SecretReference(parameter="/open"))
    assert str(caught.value) == "the parameter /open is no SecureString: store it as one"


@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException", "InvalidKeyId"])
def test_what_systems_manager_refuses_is_named(code: str) -> None:
    class Refusing:
        def get_parameter(self, **_: Any) -> Any:
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "GetParameter")

    with pytest.raises(DeliveryError, match=rf"the parameter /a could not be read.*: {code}: no"):
        SecretReader(lambda _: Refusing(), {}).read(SecretReference(parameter="/a"))


# --- the environment ------------------------------------------------------------------------------


def no_client(_service: str) -> Any:
    raise AssertionError("no client is needed")


@pytest.mark.parametrize("environment", [{}, {"HOOK": " "}])
def test_a_variable_that_is_not_set_is_an_error(environment: dict[str, str]) -> None:
    with pytest.raises(DeliveryError) as caught:
        SecretReader(no_client, environment).read(SecretReference(environment="HOOK"))
    assert str(caught.value) == "the environment variable HOOK is not set, or empty"
