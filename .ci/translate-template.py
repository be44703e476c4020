"""Prints template.yaml as CloudFormation sees it: translated by SAM's own translator, as JSON, offline.

usage: translate-template.py TEMPLATE
"""

import json
import os
import sys

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from samcli.yamlhelper import parse_yaml_file  # noqa: E402
from samtranslator.translator.transform import transform  # noqa: E402


class NoManagedPolicies:
    """The template names none."""

    def load(self):
        return {}


template = parse_yaml_file(sys.argv[1])
# sam deploy puts the place of the uploaded binary here; the translator insists on one.
template["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
print(json.dumps(transform(template, {}, NoManagedPolicies())))
