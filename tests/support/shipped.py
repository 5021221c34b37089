"""The shipped policies, and the shipped scenarios that fit each of them."""

from pathlib import Path
from typing import Final

from controller.tools.simulation.scenario.scenario import scenario_names

POLICIES: Final = {
    path.stem: path for path in (Path(__file__).parents[2] / "policies").glob("*.yaml")
}
# An alias, a rule, a configuration and a percentage alone have no boolean that could contradict
# them, and neither a rule nor a configuration has an alias.
UNFIT: Final = {
    ("alb-weights", "alias-reset"),
    ("alb-weights", "contradiction"),
    ("appconfig", "alias-reset"),
    ("appconfig", "contradiction"),
    ("checkout", "contradiction"),
    ("lambda-alias", "contradiction"),
}


def fitting_scenarios(policy: str) -> list[str]:
    """Return the names of the scenarios that fit `policy`, in order."""
    return sorted(name for name in scenario_names() if (policy, name) not in UNFIT)
