"""All modules of the program, which a command imports only when it needs them."""

import pkgutil
from importlib import import_module

import controller


def import_all() -> None:
    """Import every module of the program."""
    for module in pkgutil.walk_packages(controller.__path__, "controller."):
        if module.name != "controller.__main__":
            import_module(module.name)
