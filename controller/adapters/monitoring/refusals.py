"""What AWS says when monitoring cannot be read or written, in our words."""

from typing import Final

from controller.adapters.aws import code_of, told
from controller.errors import MonitoringError

# As CloudWatch and SNS spell it, whose emulators spell it differently.
ABSENT: Final = frozenset(
    {
        "DashboardNotFoundError",
        "NotFound",
        "NotFoundException",
        "ResourceNotFound",
        "ResourceNotFoundException",
    }
)


def failed(
    what: str, operation: str, error: Exception, service: str = "cloudwatch"
) -> MonitoringError:
    """Return the error of a call: what became of it, the action that IAM knows, what to do."""
    return MonitoringError(told(f"{what} ({service}:{operation})", error), code=code_of(error))


def is_absent(error: Exception) -> bool:
    """Tell whether what was asked for is not there."""
    return code_of(error) in ABSENT
