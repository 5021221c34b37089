"""Secrets in the Parameter Store of Systems Manager, as parameters of the type SecureString.

IAM: ssm:GetParameter on the parameters that a policy names; with a customer managed key on them
also kms:Decrypt on it. The key aws/ssm lets each role of the account decrypt:
https://docs.aws.amazon.com/systems-manager/latest/userguide/ps-restrict-decryption.html
"""

from collections.abc import Callable
from typing import Any, Final

from controller.adapters.aws.clients import AWS_ERRORS, error_text
from controller.adapters.iam import (
    PARAMETERS,
    PARAMETERS_KEY,
    TRAFFIC_JOBS,
    Permission,
)
from controller.errors import DeliveryError, UsageError

IAM: Final = (
    Permission("ssm:GetParameter", PARAMETERS, TRAFFIC_JOBS),
    Permission("kms:Decrypt", PARAMETERS_KEY, TRAFFIC_JOBS, via="ssm"),
)


def read_parameter(open_client: Callable[[str], Any], name: str) -> str:
    """Return the value of the parameter with this name or ARN, decrypted.

    Raises DeliveryError when Systems Manager does not return it, or it is no SecureString: anyone
    who may read the configuration of the account reads another type.
    """
    try:
        answer = open_client("ssm").get_parameter(Name=name, WithDecryption=True)
    except UsageError as error:  # no client: no region, or no credentials
        raise DeliveryError(str(error)) from error
    except AWS_ERRORS as error:
        what = f"the parameter {name} could not be read (ssm:GetParameter)"
        raise DeliveryError(error_text(what, error)) from error
    parameter = answer.get("Parameter") or {}
    if parameter.get("Type") != "SecureString":
        raise DeliveryError(f"the parameter {name} is no SecureString: store it as one")
    return str(parameter.get("Value") or "")
