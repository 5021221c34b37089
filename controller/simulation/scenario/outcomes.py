"""How the requests of a simulated path end, unless they succeed."""

from typing import Annotated, TypeAlias

from pydantic import Field

from controller.core.policy.field_types import Model
from controller.core.units import PercentUpTo

Share: TypeAlias = Annotated[float, PercentUpTo("100%")]


class Outcomes(Model):
    """The shares of requests that end in another way than a success."""

    redirects: Share | None = Field(default=None, description="Share answered 3xx, like 2%.")
    client_errors: Share | None = Field(default=None, description="Share answered 4xx, like 2%.")
    server_errors: Share | None = Field(default=None, description="Share answered 5xx, like 2%.")
    died: Share | None = Field(
        default=None, description="Share whose target is gone: it refuses the connection."
    )
    hung: Share | None = Field(
        default=None, description="Share whose target does not answer before the idle timeout."
    )
    raised: Share | None = Field(
        default=None, description="Share whose Lambda function raises an exception."
    )
    throttled: Share | None = Field(
        default=None, description="Share that Lambda rejects: no concurrency is left."
    )
    aborted: Share | None = Field(
        default=None, description="Share whose client closes the connection before the answer."
    )
