"""Make a distribution that has the name of an original and requires `cachannel-cffi`.

    python recipes/names/make.py CaChannel --outdir dist

For a site's own index only; see the README beside this file. It needs the package `build`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

VERSIONS = {"CaChannel": "3.2.0+cachannel", "pyepics": "3.5.10+cachannel"}
"""The distributions, each with the version whose interface `cachannel-cffi` implements."""

PROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{name}"
version = "{version}"
description = "Stands in for {name}: only requires cachannel-cffi, which has its interface"
requires-python = ">=3.11"
license = "BSD-3-Clause"
dependencies = ["cachannel-cffi"]
classifiers = ["Private :: Do Not Upload"]

[tool.setuptools]
packages = [{packages}]
"""

ALIAS = '''\
"""The import name of pyepics: the package `epics_compat` under this name."""

import sys

import epics_compat

# `install` refuses to replace an `epics` that comes from elsewhere; this module gives way itself.
del sys.modules[__name__]
epics_compat.install()
'''


def write_project(name: str, folder: Path) -> None:
    """Write the files of the distribution."""
    packages = '"epics"' if name == "pyepics" else ""
    text = PROJECT.format(name=name, version=VERSIONS[name], packages=packages)
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    if packages:
        (folder / "epics").mkdir()
        (folder / "epics" / "__init__.py").write_text(ALIAS, encoding="utf-8")


def main() -> int:
    """Build the wheel."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=sorted(VERSIONS))
    parser.add_argument("--outdir", type=Path, default=Path("dist"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_project(options.name, Path(folder))
        out = options.outdir.resolve()
        command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(out), folder]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
