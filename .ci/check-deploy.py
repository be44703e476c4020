"""Refuses to deploy what would fail on AWS without a word: binaries of another architecture than the one that will be
deployed, a stack name that is too long, a reserved concurrency that the buffers can use up, and a second guard table.

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

The guard table stays when its stack goes. A stack that is deployed again would make a second, empty one, and everything that
comes again would be billed again. NEW_TABLE=yes in the environment says that this is meant, and asks AWS nothing.
"""

import os
import pathlib
import sys

from account import ERRORS, Account, overrides, parameters, settings
from ministack.services.cloudformation import language_extensions
from samcli.yamlhelper import parse_yaml_file

MACHINES = {0x3E: "x86_64", 0xB7: "arm64"}  # e_machine of an ELF header: EM_X86_64, EM_AARCH64
LONGEST_NAME = 64  # of a rule (EventBridge, PutRule) and of a role (IAM, CreateRole)
RANDOM = 13
CONCURRENCY = 5  # for a buffer where MaxConcurrency is empty, as template.yaml says


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


def check_table(settings, environment):
    stack = settings.get("stack_name")
    if not stack or os.environ.get("NEW_TABLE") == "yes":
        return
    section = f"parameter_overrides of [{environment}.deploy.parameters] in samconfig.toml"
    try:
        account = Account(settings)
        deployed = account.stack(stack)
        # Where samconfig.toml does not name a parameter, sam deploy keeps what the stack has.
        before = parameters(deployed).get("ExistingGuardTable", "")
        named = overrides(settings).get("ExistingGuardTable", before)
        if named:
            return check_existing(account, named)
        if deployed and account.made(stack, "GuardTable"):
            return
        retained = [before] if before else account.tables(f"{stack}-GuardTable-")
    except ERRORS as e:
        sys.exit(
            f"whether a guard table of an earlier stack {stack} is there cannot be asked: {e}; "
            "correct profile and region, or if you know that there is none, run: make deploy NEW_TABLE=yes"
        )
    if retained:
        lines = "".join(f'\n  "ExistingGuardTable={name}"' for name in retained)
        sys.exit(
            f"the guard table of an earlier stack {stack} is there, and this deployment would make a second, empty one: everything "
            f"that comes again would be billed again. Write into {section}{' one of' if len(retained) > 1 else ''}:{lines}\n"
            "or, if an empty table is what you want, run: make deploy NEW_TABLE=yes"
        )


def check_existing(account, name):
    dynamodb = account.client("dynamodb")
    try:
        table = dynamodb.describe_table(TableName=name)["Table"]
    except dynamodb.exceptions.ResourceNotFoundException:
        sys.exit(f"ExistingGuardTable={name}: this account has no such table in this region; look with: aws dynamodb list-tables")
    keys = [(k["AttributeName"], k["KeyType"]) for k in table["KeySchema"]]
    if keys != [("pk", "HASH")]:
        sys.exit(f"ExistingGuardTable={name} is no guard table: its key is not pk; look with: aws dynamodb list-tables")
    # A restore brings none of the three back.
    ttl = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
    for there, command in (
        (table.get("DeletionProtectionEnabled"), f"update-table --table-name {name} --deletion-protection-enabled"),
        (
            recovery == "ENABLED",
            f"update-continuous-backups --table-name {name} "
            "--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true",
        ),
        (
            ttl.get("TimeToLiveStatus") in ("ENABLED", "ENABLING") and ttl.get("AttributeName") == "x",
            f"update-time-to-live --table-name {name} --time-to-live-specification Enabled=true,AttributeName=x",
        ),
    ):
        if not there:
            print(f"{name} lacks what the template gives to its own table; run: aws dynamodb {command}")


def main(environment, directory):
    build = pathlib.Path(directory)
    template = parse_yaml_file(str(build / "template.yaml"))
    deploy = settings(environment)
    check_architecture(deploy, template, build)
    check_concurrency(deploy)
    check_names(deploy, template, environment)
    check_table(deploy, environment)


if __name__ == "__main__":
    main(*sys.argv[1:3])
