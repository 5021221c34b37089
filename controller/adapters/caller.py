"""Whose AWS credentials a person works with. IAM: none; STS answers whoever has credentials."""

from controller import events
from controller.adapters.aws import AWS_ERRORS, Clients, StrangeAnswerError, told
from controller.errors import UsageError

log = events.logger()


def caller(clients: Clients) -> str:
    """Return the ARN behind this process's credentials; empty without any, or when AWS is silent.

    A name for the history is worth no error: what keeps it from us is logged.
    """
    try:
        answer = clients.get("sts").get_caller_identity()
        if "Arn" not in answer:
            raise StrangeAnswerError
        return str(answer["Arn"])
    except UsageError:  # no region, no credentials: nobody calls
        return ""
    except AWS_ERRORS as error:
        log.warning("caller_unknown", problem=told("sts:GetCallerIdentity", error))
        return ""
