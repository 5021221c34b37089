"""The CDK construct: its README compiles, and it synthesises the resources of the template."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from cfnlint.decode.cfn_yaml import load

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
MODULES: Final = DEPLOY / "cdk" / "node_modules"
README: Final = (DEPLOY / "cdk" / "README.md").read_text(encoding="utf-8")
README_APP: Final = re.findall(r"```ts app\.ts\n(.*?)```", README, re.DOTALL)[0]
# The same app without a parameter: all that depends on one stays as the template has it.
PLAIN_APP: Final = re.sub(r"parameters: \{.*?\}", "parameters: {}", README_APP)
WRONG_APP: Final = README_APP.replace("Image:", "Picture:")

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed"),
    pytest.mark.skipif(
        not MODULES.is_dir(), reason="no CDK: npm ci --prefix deploy/cdk --ignore-scripts"
    ),
]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the three apps as JavaScript, beside the template."""
    folder = tmp_path_factory.mktemp("cdk") / "app"
    folder.mkdir()
    shutil.copy(DEPLOY / "cdk" / "rolloutctl.ts", folder)
    shutil.copy(DEPLOY / "rolloutctl.yaml", folder.parent)
    (folder / "node_modules").symlink_to(MODULES)
    for name, text in {"app": README_APP, "plain": PLAIN_APP, "wrong": WRONG_APP}.items():
        (folder / f"{name}.ts").write_text(text, encoding="utf-8")
    options = ["--strict", "--target", "es2022", "--module", "commonjs", "--skipLibCheck"]
    apps = [f"{name}.ts" for name in ("app", "plain", "wrong")]
    run("node", MODULES / "typescript" / "bin" / "tsc", *options, *apps, cwd=folder)
    return folder


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True, timeout=300)


def synthesised(folder: Path, app: str) -> dict[str, Any]:
    """Return the template that an app makes."""
    out = folder / f"{app}.out"
    run("env", f"CDK_OUTDIR={out}", "node", f"{app}.js", cwd=folder)
    template: dict[str, Any] = json.loads((out / "rollouts.template.json").read_text())
    return template


def with_long_forms(value: Any) -> Any:
    """Return `value` with the spellings that the CDK writes."""
    if isinstance(value, list):
        return [with_long_forms(one) for one in value]
    if not isinstance(value, dict):
        return value
    fixed = {key: with_long_forms(one) for key, one in value.items()}
    if isinstance(place := fixed.get("Fn::GetAtt"), list):
        fixed["Fn::GetAtt"] = ".".join(place)
    if isinstance(before := fixed.get("DependsOn"), str):
        fixed["DependsOn"] = [before]
    return fixed


def test_the_construct_has_the_resources_of_the_template_and_no_others(compiled: Path) -> None:
    template = with_long_forms(load(str(DEPLOY / "rolloutctl.yaml")))
    made = with_long_forms(synthesised(compiled, "plain"))
    for part in ("Resources", "Conditions", "Mappings", "Outputs"):
        assert made[part] == template[part], part


def test_a_parameter_is_filled_in(compiled: Path) -> None:
    made = synthesised(compiled, "app")
    assert made["Resources"]["Function"]["Properties"]["Code"]
    assert "CodeKey" not in made["Parameters"]
    assert "rolloutctl-0.1.0.zip" in json.dumps(made["Resources"]["Function"])


def test_a_parameter_that_the_template_does_not_have_fails(compiled: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        synthesised(compiled, "wrong")
    assert "Picture" in caught.value.stderr
