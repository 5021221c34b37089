"""The models of image and zip: smaller, and whole for every call of the program."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import botocore
import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape

from controller.adapters.aws.clients import SERVICES
from controller.adapters.iam import Job
from controller.tools.iam import declared_permissions
from deploy.cut_models import CREDENTIALS, cut_models

ROOT = Path(__file__).parents[2]
WHOLE = Path(botocore.__file__).parent / "data"
# Actions with which AWS protects a call of another name, or none that a client makes.
PROTECTS = {
    "dynamodb:ConditionCheckItem": "TransactWriteItems",
    "dynamodb:DeleteItem": "TransactWriteItems",
    "dynamodb:PutItem": "TransactWriteItems",
    "lambda:InvokeFunction": "Invoke",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of botocore's data folder, cut."""
    folder = tmp_path_factory.mktemp("botocore") / "data"
    folder.mkdir()
    for name in {*SERVICES, *CREDENTIALS, "sqs"}:
        shutil.copytree(WHOLE / name, folder / name)
    for path in WHOLE.glob("*.json"):
        shutil.copy(path, folder)
    cut_models(folder, ROOT / "controller")
    return folder


def model(data: Path, service: str) -> dict[str, Any]:
    """Return the model of `service` as botocore reads it from the folder `data`."""
    loader = Loader([str(data)], include_default_search_paths=False)
    found: dict[str, Any] = loader.load_service_model(service, "service-2")
    return found


def shapes(shape: Shape, seen: set[str]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield the name, type and constraints of `shape` and of all that it is made of."""
    if shape.name in seen:
        return
    seen.add(shape.name)
    yield shape.name, shape.type_name, shape.metadata
    parts = {**getattr(shape, "members", {})}
    parts |= {
        name: getattr(shape, name) for name in ("member", "key", "value") if hasattr(shape, name)
    }
    for part in parts.values():
        yield from shapes(part, seen)


@pytest.mark.parametrize("service", SERVICES)
def test_a_call_that_stays_has_every_shape_that_it_had(data: Path, service: str) -> None:
    cut = ServiceModel(model(data, service), service)
    whole = ServiceModel(model(WHOLE, service), service)

    assert cut.operation_names
    for name in cut.operation_names:
        for part in ("input_shape", "output_shape"):
            mine, theirs = (getattr(one.operation_model(name), part) for one in (cut, whole))
            assert (mine is None) == (theirs is None)
            if mine is not None:
                assert [*shapes(mine, set())] == [*shapes(theirs, set())]
    assert {shape.name for shape in cut.error_shapes} == {
        shape.name for shape in whole.error_shapes
    }


def test_every_call_stays_for_which_the_role_of_a_tick_gets_a_right(data: Path) -> None:
    actions = {
        one.action
        for _, declared in declared_permissions()
        for one in declared
        if Job.TICK in one.jobs
    }
    assert len(actions) > 15
    for action in actions:
        service, _, name = action.partition(":")
        service = {"elasticloadbalancing": "elbv2"}.get(service, service)
        if service not in SERVICES:
            continue  # AWS asks for the right when it makes that call itself
        operations = model(WHOLE, service)["operations"]
        called = PROTECTS.get(action, name)
        if called in operations:
            assert called in model(data, service)["operations"], action


def test_what_is_left_is_a_small_part(data: Path) -> None:
    size = sum(path.stat().st_size for path in data.rglob("*") if path.is_file())

    assert {path.name for path in data.iterdir() if path.is_dir()} == {*SERVICES, *CREDENTIALS}
    assert size < 600_000
    assert len(model(data, "dynamodb")["operations"]) < 15
