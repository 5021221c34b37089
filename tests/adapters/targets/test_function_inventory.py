"""The functions of an account, and which variables may hold a weight."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from controller.adapters.targets.lambda_env_finder import PAGES, FunctionInventory
from controller.errors import TargetError
from tests.e2e.account import AT_0, BOOLEAN, FUNCTION, OTHERS, PERCENTAGE, Account
from tests.support.emulator import Emulator


class Pages:
    """A client whose account has so many pages of one function each; or refuses."""

    def __init__(self, pages: int, error: Exception | None = None) -> None:
        self._pages, self._error, self.calls = pages, error, 0

    def list_functions(self, Marker: str = "0") -> dict[str, Any]:
        if self._error is not None:
            raise self._error
        self.calls += 1
        number = int(Marker)
        more = {"NextMarker": str(number + 1)} if number + 1 < self._pages else {}
        return {"Functions": [{"FunctionName": f"f{number:03}"}], **more}


def test_every_page_is_read() -> None:
    listed = FunctionInventory(Pages(3)).functions()
    assert (listed.names, listed.complete) == (["f000", "f001", "f002"], True)


def test_an_account_with_more_functions_than_the_limit_is_read_up_to_it() -> None:
    client = Pages(1_000)
    listed = FunctionInventory(client).functions()
    assert (len(listed.names), listed.complete, client.calls) == (PAGES, False, PAGES)


def test_a_list_that_is_refused_names_the_action() -> None:
    error = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "List")
    with pytest.raises(TargetError, match=r"\(lambda:ListFunctions\): AccessDeniedException: no"):
        FunctionInventory(Pages(1, error)).functions()


@pytest.mark.ministack
def test_only_percentages_and_booleans_are_returned_with_their_values(
    ministack: Emulator, account: str
) -> None:
    shop = Account.of(ministack, account)
    shop.create()
    inventory = FunctionInventory(shop.client("lambda"))
    assert inventory.functions().names == [FUNCTION]
    variables = inventory.variables(FUNCTION)
    assert variables.percentages == {PERCENTAGE: "0"}
    assert variables.booleans == {"BOOLEAN_LOOKING": "True", BOOLEAN: "false"}
    assert set(variables.names) == {*OTHERS, *AT_0}
    with pytest.raises(TargetError, match="gone could not be read"):
        inventory.variables("gone")
