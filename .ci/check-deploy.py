"""Refuses a build whose binaries are of another architecture than the one that will be deployed.

usage: check-deploy.py ENVIRONMENT BUILD-DIRECTORY

SAM does not tell make which architecture the template asks for, so a wrong pair would ship without a word and
fail at the first event. What will be deployed is the parameter Architecture: of samconfig.toml's environment, else
the template's default.
"""

import pathlib
import sys

from samcli.cli.types import CfnParameterOverridesType
from samcli.lib.config.samconfig import SamConfig
from samcli.yamlhelper import parse_yaml_file

MACHINES = {0x3E: "x86_64", 0xB7: "arm64"}  # e_machine of an ELF header: EM_X86_64, EM_AARCH64


def wanted(environment, build):
    config = SamConfig(".")
    overrides = {}
    if config.exists():
        try:
            value = config.get_all(["deploy"], "parameters", environment).get("parameter_overrides", "")
            overrides = CfnParameterOverridesType().convert(value, None, None) if value else {}
        except KeyError:
            pass
    template = parse_yaml_file(str(build / "template.yaml"))
    return overrides.get("Architecture") or template["Parameters"]["Architecture"]["Default"]


def main(environment, directory):
    build = pathlib.Path(directory)
    architecture = wanted(environment, build)
    arch = {"x86_64": "amd64"}.get(architecture, architecture)
    binaries = sorted(build.glob("*/bootstrap"))
    if not binaries:
        sys.exit(f"no binary in {directory}: run sam build first")
    for binary in binaries:
        header = binary.read_bytes()[:20]
        machine = MACHINES.get(int.from_bytes(header[18:20], "little")) if header[:4] == b"\x7fELF" else None
        if machine != architecture:
            sys.exit(
                f"{binary} is built for {machine or 'another system'}, but Architecture={architecture} would be deployed: "
                f"say ARCH={arch}, or change Architecture in samconfig.toml"
            )


if __name__ == "__main__":
    main(*sys.argv[1:3])
