"""The service models of botocore, found without a look into each of its 400 folders."""

from functools import cache
from pathlib import Path

from botocore.loaders import Loader, create_loader


class ServiceModels(Loader):
    """Loads the model of a service; every folder counts as a service that is known.

    botocore lists the services that it knows before it loads a model, and looks into the folders of
    all of them, for each type of model: 3,000 files, which takes a twentieth of a tick.
    """

    def __init__(self, paths: list[str]) -> None:
        super().__init__(paths, include_default_search_paths=False)  # type: ignore[no-untyped-call]

    def list_available_services(self, type_name: str) -> list[str]:
        """Return the names of all folders; some may have no model of `type_name`."""
        folders = [folder for path in self.search_paths if (folder := Path(path)).is_dir()]
        return [service.name for folder in folders for service in folder.iterdir()]


@cache
def service_models(data_path: str | None) -> ServiceModels:
    """Return the models of this process, each read once. data_path: AWS_DATA_PATH, or None."""
    return ServiceModels(create_loader(data_path).search_paths)
