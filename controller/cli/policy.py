"""Verbs about policy files: check them, and describe their format."""

import json
from pathlib import Path

import click

from controller.cli import options
from controller.errors import Exit, PolicyError


@click.command()
@click.argument(
    "policies", nargs=-1, required=True, metavar="POLICY...", type=click.Path(path_type=Path)
)
@options.as_json
def validate(policies: tuple[Path, ...], as_json: bool) -> int:
    """Check policy files, offline.

    Every mistake is one line on stderr, all of them at once: file:line:column: path: problem.
    """
    from controller.loader import load

    results: list[dict[str, object]] = []
    for path in policies:
        try:
            policy = load(path)
        except PolicyError as error:
            results.append({"file": str(path), "ok": False, "problems": str(error).splitlines()})
        else:
            results.append(
                {"file": str(path), "ok": True, "problems": [], "ladder": policy.ladder()}
            )
    sound = all(result["ok"] for result in results)
    if as_json:
        options.print_json("validate", {"ok": sound, "files": results})
        return Exit.DONE if sound else Exit.USAGE
    for result in results:
        if result["ok"]:
            click.echo(f"{result['file']}: ok: {result['ladder']}")
        else:
            click.echo("\n".join(map(str, result["problems"])), err=True)  # type: ignore[call-overload]
    return Exit.DONE if sound else Exit.USAGE


@click.command()
def schema() -> int:
    """Print the JSON Schema of a policy, for editors."""
    from controller.schema import policy_schema

    click.echo(json.dumps(policy_schema(), indent=2, ensure_ascii=False))
    return Exit.DONE
