"""Secrets that a policy names: read anew for each use, and never cached.

IAM: secretsmanager:GetSecretValue and ssm:GetParameter on the secrets and parameters that a policy
names; with a customer managed key on them also kms:Decrypt on it. The key aws/ssm lets each role of
the account decrypt:
https://docs.aws.amazon.com/systems-manager/latest/userguide/ps-restrict-decryption.html

Errors name the place of a secret and nothing of its value.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from controller.adapters.aws.clients import AWS_ERRORS, error_text
from controller.adapters.iam.permission import (
    PARAMETERS,
    PARAMETERS_KEY,
    SECRETS,
    SECRETS_KEY,
    TRAFFIC_JOBS,
    Permission,
)
from controller.core.policy import SecretReference
from controller.errors import DeliveryError, UsageError

IAM: Final = (
    Permission("secretsmanager:GetSecretValue", SECRETS, TRAFFIC_JOBS),
    Permission("kms:Decrypt", SECRETS_KEY, TRAFFIC_JOBS, via="secretsmanager"),
    Permission("ssm:GetParameter", PARAMETERS, TRAFFIC_JOBS),
    Permission("kms:Decrypt", PARAMETERS_KEY, TRAFFIC_JOBS, via="ssm"),
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

        Raises DeliveryError when it is not set or empty, AWS does not return it, or it is a
        parameter and no SecureString: anyone who may read the configuration of the account reads
        another type.
        """
        try:
            text = self._text(reference)
        except UsageError as error:  # no client: no region, or no credentials
            raise DeliveryError(str(error)) from error
        except AWS_ERRORS as error:
            what, action = f"secret {reference.secret}", "secretsmanager:GetSecretValue"
            if reference.secret is None:
                what, action = f"parameter {reference.parameter}", "ssm:GetParameter"
            problem = error_text(f"the {what} could not be read ({action})", error)
            raise DeliveryError(problem) from error
        if not text.strip():
            raise DeliveryError(f"{reference.display_name} is not set, or empty")
        return text.strip()

    def _text(self, reference: SecretReference) -> str:
        if (name := reference.secret) is not None:
            answer = self._open_client("secretsmanager").get_secret_value(SecretId=name)
            return str(answer.get("SecretString") or "")
        if (name := reference.parameter) is not None:
            answer = self._open_client("ssm").get_parameter(Name=name, WithDecryption=True)
            parameter = answer.get("Parameter") or {}
            if parameter.get("Type") != "SecureString":
                raise DeliveryError(f"the parameter {name} is no SecureString: store it as one")
            return str(parameter.get("Value") or "")
        return self._environment.get(reference.environment or "", "")
