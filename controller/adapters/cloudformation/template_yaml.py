"""CloudFormation templates as YAML text."""

import io

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from controller.ports.monitoring import NO_TEMPLATE, Template


def as_yaml(template: Template) -> str:
    """Return the template as YAML."""
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 100
    yaml.indent(sequence=4, offset=2)
    yaml.representer.ignore_aliases = lambda *_: True
    text = io.StringIO()
    yaml.dump(template, text)
    return text.getvalue()


def parsed(text: str) -> Template:
    """Return the template in `text`; NO_TEMPLATE when it has tags, which rolloutctl never uses."""
    try:
        return dict(YAML(typ="safe").load(text))
    except YAMLError:
        return NO_TEMPLATE
