"""The account that an environment of samconfig.toml deploys to, as the scripts beside this one ask it."""

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from samcli.cli.types import CfnParameterOverridesType
from samcli.lib.config.samconfig import SamConfig

ERRORS = (BotoCoreError, ClientError)


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


class Account:
    """Profile and region are those that sam deploy uses."""

    def __init__(self, settings):
        self.session = boto3.Session(profile_name=settings.get("profile"), region_name=settings.get("region"))

    def client(self, service):
        config = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 3})
        return self.session.client(service, config=config)

    def stack(self, name):
        """The stack as CloudFormation describes it; None where there is none."""
        try:
            return self.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as e:
            if e.response["Error"]["Code"] == "ValidationError" and "does not exist" in str(e):
                return None
            raise

    def made(self, stack, resource):
        """The physical name of what the stack made under a logical id; empty where it made none."""
        try:
            detail = self.client("cloudformation").describe_stack_resource(StackName=stack, LogicalResourceId=resource)
            detail = detail["StackResourceDetail"]
        except ClientError as e:
            if e.response["Error"]["Code"] == "ValidationError" and "does not exist" in str(e):
                return ""
            raise
        return "" if detail["ResourceStatus"].startswith("DELETE_") else detail.get("PhysicalResourceId", "")

    def tables(self, prefix):
        """Names of the tables that begin so, 1,000 pages at most."""
        pages = self.client("dynamodb").get_paginator("list_tables").paginate(PaginationConfig={"MaxItems": 100_000})
        return [name for page in pages for name in page["TableNames"] if name.startswith(prefix)]


def parameters(stack):
    """Those with which a stack was deployed."""
    return {p["ParameterKey"]: p.get("ParameterValue", "") for p in (stack or {}).get("Parameters", [])}


def outputs(stack):
    return {o["OutputKey"]: o["OutputValue"] for o in (stack or {}).get("Outputs", [])}
