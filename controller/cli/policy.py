"""Verbs about policy files: check them, and describe their format."""

import json
from pathlib import Path
from typing import Any

import click

from controller.cli import options
from controller.errors import Exit, PolicyError


@click.command()
@click.argument(
    "policies", nargs=-1, required=True, metavar="POLICY...", type=click.Path(path_type=Path)
)
@options.traffic
@options.as_json
def validate(policies: tuple[Path, ...], per_minute: float | None, as_json: bool) -> int:
    """Check policy files, offline.

    Every mistake is one line on stderr, all of them at once: file:line:column: path: problem.
    """
    results, pages = list[dict[str, Any]](), list[str]()
    for path in policies:
        found, page = _checked(path, per_minute)
        results.append(found)
        pages.append(page)
    sound = all(result["ok"] for result in results)
    if as_json:
        options.print_json("validate", {"ok": sound, "files": results})
        return Exit.DONE if sound else Exit.USAGE
    for result, page in zip(results, pages, strict=True):
        click.echo(page, err=not result["ok"])
    return Exit.DONE if sound else Exit.USAGE


def _checked(path: Path, per_minute: float | None) -> tuple[dict[str, Any], str]:
    """Return what is to be said of one file, as data and as text."""
    from controller.loader import load

    try:
        policy = load(path)
    except PolicyError as error:
        return {"file": str(path), "ok": False, "problems": str(error).splitlines()}, str(error)
    ladder = policy.ladder()
    data = {"file": str(path), "ok": True, "problems": [], "ladder": ladder}
    lines = [f"{path}: ok: {ladder}"]
    if per_minute is not None:
        from controller.render.power import gates

        data["power"], page = gates(policy, per_minute, "given")
        lines.append(page)
    return data, "\n".join(lines)


@click.command()
def schema() -> int:
    """Print the JSON Schema of a policy, for editors."""
    from controller.schema import policy_schema

    click.echo(json.dumps(policy_schema(), indent=2, ensure_ascii=False))
    return Exit.DONE
