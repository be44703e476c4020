"""Prints template.yaml as CloudFormation sees it, as JSON, offline: its loops expanded, then translated by SAM's own translator.

usage: translate-template.py TEMPLATE

The loops are expanded by the emulator of the local stack. The SAM CLI can do that too, but it puts values in place of
conditions and parameters, and what is true for one set of values need not be true for all.
"""

import json
import os
import sys

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from ministack.services.cloudformation import language_extensions  # noqa: E402
from samcli.yamlhelper import parse_yaml_file  # noqa: E402
from samtranslator.translator.transform import transform  # noqa: E402


class NoManagedPolicies:
    """The template names none."""

    def load(self):
        return {}


def folded(node):
    """The node with the constants that the expansion left behind in their simplest form: an item of a list that is chosen
    by a number, a text that is put together from texts."""
    if isinstance(node, list):
        return [folded(each) for each in node]
    if not isinstance(node, dict):
        return node
    node = {name: folded(value) for name, value in node.items()}
    match node:
        case {"Fn::Select": [int() | str() as place, [*items]]}:
            return items[int(place)]
        case {"Fn::Sub": [str() as text, dict() as values]}:
            for name, value in values.items():
                if isinstance(value, str):
                    text = text.replace("${" + name + "}", value)
            if left := {name: value for name, value in values.items() if not isinstance(value, str)}:
                return {"Fn::Sub": [text, left]}
            return {"Fn::Sub": text} if "${" in text else text
        case {"Fn::Sub": str() as text} if "${" not in text:
            return text
    return node


def translated(path):
    template = folded(language_extensions.apply(parse_yaml_file(path), {}))
    template["Transform"] = "AWS::Serverless-2016-10-31"
    # sam deploy puts the place of the uploaded binary here; the translator insists on one.
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
    return transform(template, {}, NoManagedPolicies())


if __name__ == "__main__":
    print(json.dumps(translated(sys.argv[1])))
