"""Secrets that a policy names: read anew for each use, and never cached.

IAM: secretsmanager:GetSecretValue on the secrets that a policy names; with a customer managed key
on them also kms:Decrypt on it.

Errors name the place of a secret and nothing of its value.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from controller.adapters.aws.clients import AWS_ERRORS, error_text
from controller.adapters.iam import SECRETS, SECRETS_KEY, TRAFFIC_JOBS, Permission
from controller.adapters.ssm import read_parameter
from controller.core.policy import SecretReference
from controller.errors import DeliveryError, UsageError

IAM: Final = (
    Permission("secretsmanager:GetSecretValue", SECRETS, TRAFFIC_JOBS),
    Permission("kms:Decrypt", SECRETS_KEY, TRAFFIC_JOBS, via="secretsmanager"),
)


class SecretReader:
    """Reads secrets from Secrets Manager, Parameter Store, and the environment of this process.

    open_client: returns the client of a service; not called for a secret in the environment.
    """

    def __init__(self, open_client: Callable[[str], Any], environment: Mapping[str, str]) -> None:
        self._open_client = open_client
        self._environment = environment

    def read(self, reference: SecretReference) -> str:
        """Return the secret, without surrounding white space.

        Raises DeliveryError when it is not set or empty, or AWS does not return it.
        """
        if reference.secret is not None:
            text = self._from_manager(reference.secret)
        elif reference.parameter is not None:
            text = read_parameter(self._open_client, reference.parameter)
        else:
            text = self._environment.get(reference.environment or "", "")
        if not text.strip():
            raise DeliveryError(f"{reference.display_name} is not set, or empty")
        return text.strip()

    def _from_manager(self, name: str) -> str:
        try:
            answer = self._open_client("secretsmanager").get_secret_value(SecretId=name)
        except UsageError as error:  # no client: no region, or no credentials
            raise DeliveryError(str(error)) from error
        except AWS_ERRORS as error:
            what = f"the secret {name} could not be read (secretsmanager:GetSecretValue)"
            raise DeliveryError(error_text(what, error)) from error
        return str(answer.get("SecretString") or "")
