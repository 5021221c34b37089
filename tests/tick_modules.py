"""What a tick can load: tests/tick_modules.txt, made by `python -m tests.tick_modules --write`.

The modules that `rolloutctl tick` imports, at once or in a function, and those that a policy names
as text: adapters, channels, hooks and judges. Who reviews what can touch traffic reads these.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import grimp

ROOT: Final = Path(__file__).parents[1]
LIST: Final = ROOT / "tests" / "tick_modules.txt"
START: Final = ("controller.__main__", "controller.function", "controller.cli.tick")
# What a kind of target, channel, hook or criterion is run by. Only `init` loads what drafts one.
_RUN_BY: Final = re.compile(
    r'(?<!drafted_by: ClassVar\[str\] = )"(controller\.(?:adapters|core)[\w.]+):\w+"'
)


def tick_modules() -> list[str]:
    """Return the names of the modules that a tick can load, sorted."""
    graph = grimp.build_graph("controller", exclude_type_checking_imports=True, cache_dir=None)
    found, waiting = set[str](), list(START)
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        found.add(module)
        package = module.rpartition(".")[0]
        waiting += [package] if package else []
        waiting += graph.find_modules_directly_imported_by(module)
        waiting += _named_as_text(module)
    return sorted(found)


def _named_as_text(module: str) -> Iterator[str]:
    """Yield the modules that the models of a policy name, which are loaded with a policy."""
    if module.startswith("controller.core.policy"):
        yield from _RUN_BY.findall(_file(module).read_text("utf-8"))


def listing() -> str:
    """Return the text of the list: a line for each module."""
    return "".join(f"{module}\n" for module in tick_modules())


def _file(module: str) -> Path:
    path = ROOT / module.replace(".", "/")
    return path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"


if __name__ == "__main__":
    if "--write" in sys.argv:
        LIST.write_text(listing(), encoding="utf-8")
    modules = tick_modules()
    lines = sum(len(_file(module).read_text("utf-8").splitlines()) for module in modules)
    sys.stdout.write(f"{len(modules)} modules, {lines} lines\n")
