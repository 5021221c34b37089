"""The ground truth of a `lambda-env` target: the environment of a function in the fake Lambda."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, ClassVar, Final

from controller.core.policy import TargetSpec
from controller.core.policy.targets.lambda_env import LambdaEnv
from controller.tools.simulation.fakes.lambda_ import Function, code_digest
from controller.tools.simulation.lambda_env import weight_of
from controller.tools.simulation.world import World
from tests.chaos.fault_plan import Degradation
from tests.chaos.ground_truth.truth import GroundTruth, TargetState

_API: Final = {"namespace": "AWS/ApiGateway", "dimensions": {"ApiName": "orders"}}
_BACKEND: Final = {"namespace": "AWS/Lambda", "dimensions": {"FunctionName": "backend"}}


class LambdaEnvTruth(GroundTruth):
    """`GroundTruth` of a percentage, and a boolean, in the environment of a function."""

    service: ClassVar[str] = "lambda"
    degradations: ClassVar[Sequence[Degradation]] = tuple(Degradation)
    has_bypass: ClassVar[bool] = True
    metrics: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "requests": {**_API, "name": "Count", "statistic": "Sum"},
        "client_errors": {**_API, "name": "4XXError", "statistic": "Sum"},
        "server_errors": {**_API, "name": "5XXError", "statistic": "Sum"},
        "latency": {**_API, "name": "Latency", "statistic": "p95"},
        "direct_requests": {**_BACKEND, "name": "Invocations", "statistic": "Sum"},
    }

    def __init__(self, target: LambdaEnv, world: World) -> None:
        self._target, self._world, self.function = target, world, target.function

    @staticmethod
    def draw(chance: Random) -> dict[str, Any]:
        """Return the target of a policy, with or without a boolean."""
        boolean = {"boolean": "ENABLED"} if chance.random() < 0.7 else {}
        return {"kind": "lambda-env", "function": "handler", "percentage": "PERCENTAGE", **boolean}

    @staticmethod
    def calls(target: TargetSpec) -> Sequence[str]:
        """Return the operations that write and read the environment."""
        return ("lambda:UpdateFunctionConfiguration", "lambda:GetFunctionConfiguration")

    @property
    def changes(self) -> object:
        """The RevisionId."""
        return self._function.revision

    def state(self) -> TargetState:
        """Return the function as it is now."""
        function, target = self._function, self._target
        own_names = {target.percentage, target.boolean}
        shown = function.variables
        return TargetState(
            version=function.revision,
            weight=parse_weight(target, shown),
            served_weight=parse_weight(target, function.served),
            own={name: value for name, value in shown.items() if name in own_names},
            beside={name: value for name, value in shown.items() if name not in own_names},
            may_be_full=may_mean_full_weight(target, shown),
            updating=function.status == "InProgress",
            failed=function.status == "Failed",
        )

    def share(self) -> int:
        """Return the percent that the flag of the application reads in the environment."""
        return weight_of(self._target, self._function.variables)

    def is_sound(self, answer: Mapping[str, Any]) -> bool:
        """Tell whether the answer has the environment, and no update is in progress."""
        at_rest = self._function.status == "Successful"
        return at_rest and "Error" not in (answer.get("Environment") or {})

    @property
    def revision(self) -> str | None:
        """None: the digest of the code is the revision."""
        return None

    @property
    def _function(self) -> Function:
        return self._world.function(self._target.function)

    # --- external actors --------------------------------------------------------------------------

    def set_weight(self, weight: int) -> None:
        """Set the variables of a weight."""
        self._world.set_variables(self._target.function, self._target.settings(weight))

    def contradict(self) -> None:
        """Set one variable against the other, or a percentage that is no number."""
        target = self._target
        variables = (
            {target.percentage: "half"} if target.boolean is None else {target.boolean: "true"}
        )
        self._world.set_variables(target.function, variables)

    def deploy(self, code: str = "") -> None:
        """Reset the variables of the template; new code has another digest."""
        function = self._world.scenario.function
        template = {**function.variables, **self._target.settings(function.weight)}
        self._world.set_variables(self._target.function, template)
        if code:
            self._function.code_sha256 = code_digest(code)


def parse_weight(target: LambdaEnv, variables: Mapping[str, str]) -> int | None:
    """Return the weight in `variables`; None when they contradict each other.

    This is a second implementation: the oracle checks the adapter, and must not share its bugs.
    """
    text, flag = variables.get(target.percentage), ""
    if target.boolean is not None:
        flag = variables.get(target.boolean, "")
    if flag.lower() not in ("", "true", "false") or (flag != "true" and flag.lower() == "true"):
        return None
    if text is None:
        return 100 if flag == "true" else 0
    if not (text.isascii() and text.isdigit() and str(int(text)) == text and int(text) <= 100):
        return None
    contradicts = target.boolean is not None and (flag == "true") != (int(text) == 100)
    return None if contradicts else int(text)


def may_mean_full_weight(target: LambdaEnv, variables: Mapping[str, str]) -> bool:
    """Tell whether the variables contradict each other and one of them may mean 100%."""
    if parse_weight(target, variables) is not None or target.boolean is None:
        return False
    return variables.get(target.boolean, "").lower() not in ("", "false")
