"""Prints a bill of materials of the Python packages that lock files pin, as CycloneDX JSON.

usage: sbom-python.py LOCK...

The packages are tools of the build and the tests; none of them is deployed. A package that the lock pins in several versions,
for several versions of Python, is listed in each. The hashes stay in the lock: it has those of every file of a package.
"""

import json
import re
import sys

PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)")


def components(locks):
    found = {}
    for lock in locks:
        with open(lock, encoding="utf-8") as lines:
            for line in lines:
                if pin := PIN.match(line):
                    name, version = re.sub(r"[-_.]+", "-", pin[1]).lower(), pin[2]
                    purl = f"pkg:pypi/{name}@{version}"
                    found[purl] = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    return [found[purl] for purl in sorted(found)]


if __name__ == "__main__":
    json.dump({"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components(sys.argv[1:])}, sys.stdout, indent=2)
    print()
