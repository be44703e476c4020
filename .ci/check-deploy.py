"""Refuses to deploy what would fail on AWS without a word: binaries of another architecture than the one that will be
deployed, a stack name that is too long, and a reserved concurrency that the buffers can use up.

usage: check-deploy.py ENVIRONMENT BUILD-DIRECTORY

SAM does not tell make which architecture the template asks for, so a wrong pair would ship and fail at the first event.
What will be deployed is the parameter Architecture: of samconfig.toml's environment, else the template's default.

CloudFormation names a rule or role <stack>-<logical id>-<random>. Where that is longer than the 64 characters that
EventBridge and IAM take, it shortens stack name and logical id. The queue policies name the rules by both: they would let
no rule in, and every event would be refused. AWS shows such names in its examples, but does not document how it shortens
them. The source for that, and for 12 or 13 random characters, is names that others observed: KensioSoftware/yulin#1113 and
hackoregon/civic-devops#128 on GitHub.

A buffer's invocations count as those of its function. Where MaxConcurrency of them may run at once and no more are reserved,
a buffer full of changes that are tried again throttles every event of the rules. Rules of CloudFormation cannot compare
numbers.
"""

import pathlib
import sys

from ministack.services.cloudformation import language_extensions
from samcli.cli.types import CfnParameterOverridesType
from samcli.lib.config.samconfig import SamConfig
from samcli.yamlhelper import parse_yaml_file

MACHINES = {0x3E: "x86_64", 0xB7: "arm64"}  # e_machine of an ELF header: EM_X86_64, EM_AARCH64
LONGEST_NAME = 64  # of a rule (EventBridge, PutRule) and of a role (IAM, CreateRole)
RANDOM = 13
CONCURRENCY = 5  # for a buffer where MaxConcurrency is empty, as template.yaml says


def settings(environment):
    """What samconfig.toml says for sam deploy."""
    config = SamConfig(".")
    try:
        return config.get_all(["deploy"], "parameters", environment) if config.exists() else {}
    except KeyError:
        return {}


def overrides(settings):
    """The parameters of the stack, as far as samconfig.toml sets them."""
    value = settings.get("parameter_overrides", "")
    return CfnParameterOverridesType().convert(value, None, None) if value else {}


def check_architecture(settings, template, build):
    architecture = overrides(settings).get("Architecture") or template["Parameters"]["Architecture"]["Default"]
    arch = {"x86_64": "amd64"}.get(architecture, architecture)
    binaries = sorted(build.glob("*/bootstrap"))
    if not binaries:
        sys.exit(f"no binary in {build}; run: make deploy")
    for binary in binaries:
        header = binary.read_bytes()[:20]
        machine = MACHINES.get(int.from_bytes(header[18:20], "little")) if header[:4] == b"\x7fELF" else None
        if machine != architecture:
            sys.exit(
                f"{binary} is built for {machine or 'another system'}, but Architecture={architecture} would be deployed; "
                f"run: make deploy ARCH={arch}, or change Architecture in samconfig.toml"
            )


def check_names(settings, template, environment):
    stack = settings.get("stack_name", "")
    resources = language_extensions.apply(template, {}).get("Resources", {})
    named = [name for name, r in resources.items() if r["Type"] in ("AWS::Events::Rule", "AWS::IAM::Role")]
    longest = max(named, key=len, default="")
    most = LONGEST_NAME - len(f"--{longest}") - RANDOM
    if len(stack) > most:
        sys.exit(
            f"the stack_name of environment {environment} in samconfig.toml, {stack!r}, has {len(stack)} characters: "
            f"CloudFormation would cut it in the name of {longest}, and the queue policies would refuse every rule; "
            f"choose a name of at most {most} characters"
        )


def check_concurrency(settings):
    parameters = overrides(settings)
    reserved = parameters.get("ReservedConcurrency", "")
    buffer = parameters.get("MaxConcurrency", "") or CONCURRENCY
    if reserved and int(reserved) <= int(buffer):
        sys.exit(
            f"ReservedConcurrency={reserved} is not above MaxConcurrency={buffer}: the buffer of a consumer could use all of it, "
            f"and its rules would be throttled; set ReservedConcurrency in samconfig.toml to {int(buffer) + 1} or more, "
            "or leave it empty"
        )


def main(environment, directory):
    build = pathlib.Path(directory)
    template = parse_yaml_file(str(build / "template.yaml"))
    deploy = settings(environment)
    check_architecture(deploy, template, build)
    check_concurrency(deploy)
    check_names(deploy, template, environment)


if __name__ == "__main__":
    main(*sys.argv[1:3])
